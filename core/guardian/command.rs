//! Starts the command.

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};

use crate::group::Group;
use crate::sys;
use crate::wire::{Payload, step};

/// A command that runs.
pub(crate) struct Started {
    pub(crate) pid: u32,
    /// Whether it is a member of its group.
    pub(crate) grouped: bool,
}

/// Starts it and waits until it was executed; the error names the step and the error number.
///
/// `announce` is told the process id before the command can do anything: its first act may be to kill this
/// process.
pub(crate) fn start(
    payload: &Payload,
    group: Option<&Group>,
    announce: impl FnOnce(u32),
) -> Result<Started, (u32, i32)> {
    let bad = |_| (step::PAYLOAD, 22);
    let argv = strings(&payload.argv).map_err(bad)?;
    let env = strings(&payload.env).map_err(bad)?;
    let directory = payload.directory.clone().map(CString::new).transpose().map_err(bad)?;
    if argv.is_empty() {
        return Err((step::PAYLOAD, 22));
    }
    let argv_list = pointers(&argv);
    let env_list = pointers(&env);
    let [report, reporter] = sys::pipe().ok_or_else(|| (step::FORK, sys::errno()))?;
    let [gate, opener] = sys::pipe().ok_or_else(|| (step::FORK, sys::errno()))?;

    let (pid, mut grouped) = fork(group);
    if pid < 0 {
        return Err((step::FORK, sys::errno()));
    }
    if pid == 0 {
        let tell = |step: u32, errno: i32| {
            let mut record = [0; 8];
            record[..4].copy_from_slice(&step.to_ne_bytes());
            record[4..].copy_from_slice(&errno.to_ne_bytes());
            sys::write_bytes(reporter, &record);
        };
        if let (false, Some(group)) = (grouped, group)
            && !join(group)
        {
            tell(step::JOIN, sys::errno());
        }
        if payload.own_group {
            sys::own_process_group();
        }
        if let Some(directory) = &directory
            && !sys::enter(directory)
        {
            tell(step::DIRECTORY, sys::errno());
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { sys::_exit(127) }
        }
        sys::close_fd(opener);
        if sys::read_record(gate, &mut [0]) == 0 {
            // Nobody is there to be supervised by.
            // SAFETY: as above.
            unsafe { sys::_exit(127) }
        }
        sys::release_signals();
        // SAFETY: the lists end with null and point into strings that are alive.
        let errno = unsafe { sys::execute(&argv_list, &env_list) };
        tell(step::EXEC, errno);
        // SAFETY: as above.
        unsafe { sys::_exit(127) }
    }

    sys::close_fd(reporter);
    sys::close_fd(gate);
    // The command stays in the host's process group; whoever kills that group must not hit this process.
    sys::own_process_group();
    announce(pid as u32);
    sys::write_bytes(opener, &[1]);
    sys::close_fd(opener);
    let joins_late = group.is_some() && !grouped;
    grouped |= joins_late;
    let mut failure = None;
    let mut record = [0; 8];
    // The pipe ends when the command is executed.
    while sys::read_record(report, &mut record) == record.len() {
        let [a, b, c, d, e, f, g, h] = record;
        let (step, errno) = (u32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h]));
        if step == step::JOIN {
            grouped = false;
        } else {
            failure = Some((step, errno));
        }
    }
    sys::close_fd(report);
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Started { pid: pid as u32, grouped }),
    }
}

/// A fork straight into the group spares the move, for which the kernel waits until every processor has
/// passed a quiet point.
fn fork(group: Option<&Group>) -> (c_int, bool) {
    if let Some(directory) = group.filter(|g| !g.is_v1).and_then(|g| g.directories.first())
        && let Ok(directory) = File::open(directory)
    {
        let pid = sys::fork_into(directory.as_raw_fd());
        if pid >= 0 {
            if pid == 0 {
                // Closed by exec; closing it here too would be one call more.
                let _ = directory.into_raw_fd();
            }
            return (pid, true);
        }
    }
    // SAFETY: this program has one thread, so the child may do anything.
    (unsafe { sys::fork() }, false)
}

fn join(group: &Group) -> bool {
    group.doors().iter().all(|door| std::fs::write(door, "0").is_ok())
}

fn strings(bytes: &[Vec<u8>]) -> Result<Vec<CString>, std::ffi::NulError> {
    bytes.iter().map(|b| CString::new(b.clone())).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}
