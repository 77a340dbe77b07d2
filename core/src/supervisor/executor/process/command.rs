//! What to run, and how.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::supervisor::profile::Profile;

/// A command to run as a supervised tree.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// A path, or a name that is looked up in the `PATH` of the command's environment.
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    /// Whether the command starts without the host's environment.
    pub(crate) env_clear: bool,
    /// Variables to set, or with `None` to remove, in this order.
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    /// The working directory; the host's without one.
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) stdin: Input,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    /// Whether it gets a process group of its own. Such a command cannot read from the host's terminal, and
    /// the terminal's interrupt does not reach it.
    pub(crate) own_group: bool,
    /// How long the tree may take to leave when its host is gone or its main process left others behind.
    pub(crate) grace: Duration,
    /// Bytes. The nearer the tree comes to it, the more often it is looked at.
    pub(crate) memory_limit: Option<u64>,
    /// Whether its memory is compared with what the machine uses.
    pub(crate) host_memory: bool,
    /// Processes. A look counts at least one more than this before it gives up.
    pub(crate) process_limit: Option<u64>,
    /// Whether bytes written to standard output and error are counted.
    pub(crate) count_output: bool,
    /// Bytes. A look follows at once when the counted output passes it.
    pub(crate) output_limit: Option<u64>,
    pub(crate) cgroups: Cgroups,
    /// Whether processes that outlive the main process may stay.
    pub(crate) keep_leftovers: bool,
}

impl Command {
    /// `program` with the host's environment, directory and streams.
    pub(crate) fn new(program: impl Into<OsString>) -> Command {
        Command {
            program: program.into(),
            args: Vec::new(),
            env_clear: false,
            env: Vec::new(),
            cwd: None,
            stdin: Input::Inherit,
            stdout: Output::Inherit,
            stderr: Output::Inherit,
            own_group: false,
            grace: Duration::from_secs(5),
            memory_limit: None,
            host_memory: false,
            process_limit: None,
            count_output: false,
            output_limit: None,
            cgroups: Cgroups::Auto,
            keep_leftovers: false,
        }
    }
}

/// Where standard input comes from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Input {
    /// The host's.
    #[default]
    Inherit,
    /// Nothing.
    Null,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A pipe whose other end the caller takes.
    Piped,
    /// This file, from where it stands. The command gets a descriptor of its own.
    File(Arc<File>),
}

/// Where standard output or error goes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Output {
    /// To the host's.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// Into a pipe whose other end the caller takes.
    Piped,
    /// Into memory, up to this many bytes; the rest is counted and dropped.
    Capture(usize),
    /// Into this file, from where it stands. The command gets a descriptor of its own.
    File(Arc<File>),
    /// For standard error only: to wherever standard output goes, in the order in which it was written.
    Stdout,
}

/// The bounds of a profile that a tree is measured against.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Whether there is one on the memory of the machine.
    pub(crate) host_memory: bool,
    pub(crate) processes: Option<u64>,
    /// Bytes.
    pub(crate) output: Option<u64>,
}

impl Bounds {
    pub(crate) fn of(profile: &Profile) -> Bounds {
        let limits = profile.task();
        let bytes = |mib: f64| (mib * 1024.0 * 1024.0) as u64;
        Bounds {
            memory: limits.max_memory_mib.map(bytes),
            host_memory: profile.host().max_memory_percent.is_some(),
            processes: limits.max_processes,
            output: limits.max_output_mib.map(bytes),
        }
    }
}

/// Whether control groups may be used where the process is allowed to make one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// Yes, if the environment does not say `HALTLINE_CGROUP=off`.
    #[default]
    Auto,
    /// No.
    Off,
    /// Only the older kind, to prove it on machines that have both.
    #[cfg(test)]
    V1,
}
