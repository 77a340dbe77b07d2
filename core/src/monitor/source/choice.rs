//! Which sources a monitor reads, and from which files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// One thing that a monitor reads. Each can fail alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[repr(u8)]
pub enum Source {
    /// Processor use of the machine or container, and of each core.
    Cpu,
    /// Memory and swap.
    Memory,
    /// Run-queue averages. Read every 5 seconds.
    Load,
    /// Pressure stall information. Read every 5 seconds.
    Pressure,
    /// Disk rates. Read every 5 seconds.
    Disk,
    /// Network rates. Read every 5 seconds.
    Network,
    /// This process's CPU, memory and threads.
    Process,
    /// This process's open files. Read every 5 seconds.
    OpenFiles,
    /// The limits of the container; read anew every 10 seconds.
    Limits,
    /// The connection probe.
    Probe,
}

impl Source {
    /// Every source.
    pub const ALL: [Source; 10] = [
        Source::Cpu,
        Source::Memory,
        Source::Load,
        Source::Pressure,
        Source::Disk,
        Source::Network,
        Source::Process,
        Source::OpenFiles,
        Source::Limits,
        Source::Probe,
    ];

    /// The name as events and records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Cpu => "cpu",
            Source::Memory => "memory",
            Source::Load => "load",
            Source::Pressure => "pressure",
            Source::Disk => "disk",
            Source::Network => "network",
            Source::Process => "process",
            Source::OpenFiles => "open_files",
            Source::Limits => "limits",
            Source::Probe => "probe",
        }
    }

    pub(in crate::monitor) const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// By its [name](Source::name).
impl FromStr for Source {
    type Err = Error;
    fn from_str(name: &str) -> Result<Source, Error> {
        Source::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let known = Source::ALL.map(Source::name).join(", ");
            Error::new(ErrorKind::InvalidArgument, format!("no source is named {name:?}; known are {known}"))
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which sources a monitor reads. All of them unless told otherwise.
///
/// # Example
/// ```
/// use haltline::monitor::{Monitor, Source, Sources};
///
/// let monitor = Monitor::builder().sources(Sources::none().with(Source::Memory)).manual()?;
/// let sample = monitor.sample_now();
/// assert!(sample.memory.is_some() && sample.network.is_none());
/// # Ok::<(), haltline::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sources {
    mask: u16,
    proc_root: PathBuf,
    cgroup_root: PathBuf,
    portable: bool,
}

impl Default for Sources {
    fn default() -> Self {
        Sources::all()
    }
}

impl Sources {
    /// Everything.
    pub fn all() -> Self {
        Sources {
            mask: u16::MAX,
            proc_root: "/proc".into(),
            cgroup_root: "/sys/fs/cgroup".into(),
            portable: false,
        }
    }

    /// Nothing but the signals that the host feeds.
    pub fn none() -> Self {
        Sources { mask: 0, ..Sources::all() }
    }

    /// The same and `source`.
    #[must_use]
    pub fn with(mut self, source: Source) -> Self {
        self.mask |= source.bit();
        self
    }

    /// The same without `source`.
    #[must_use]
    pub fn without(mut self, source: Source) -> Self {
        self.mask &= !source.bit();
        self
    }

    /// Whether `source` is read.
    pub fn has(&self, source: Source) -> bool {
        self.mask & source.bit() != 0
    }

    /// Reads below these folders instead of `/proc` and `/sys/fs/cgroup`: for containers that see the
    /// host's files elsewhere, and for tests. Only the direct path on Linux reads files.
    #[must_use]
    pub fn roots(mut self, proc_root: impl Into<PathBuf>, cgroup_root: impl Into<PathBuf>) -> Self {
        self.proc_root = proc_root.into();
        self.cgroup_root = cgroup_root.into();
        self
    }

    /// Reads through the portable path, which other systems than Linux always use. On Linux it costs many
    /// times the CPU of the direct path, and knows neither pressure nor container limits on CPU.
    #[cfg(any(not(target_os = "linux"), feature = "portable-monitor"))]
    #[must_use]
    pub fn portable(mut self) -> Self {
        self.portable = true;
        self
    }

    /// The folder read in place of `/proc`.
    pub fn proc_root(&self) -> &Path {
        &self.proc_root
    }

    /// The folder read in place of `/sys/fs/cgroup`.
    pub fn cgroup_root(&self) -> &Path {
        &self.cgroup_root
    }

    /// Whether the portable path is read.
    pub fn is_portable(&self) -> bool {
        self.portable || cfg!(not(target_os = "linux"))
    }
}
