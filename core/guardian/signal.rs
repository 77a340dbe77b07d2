//! Signals that reach the process that was meant, or nobody; compiled into the guardian and into the library.

use std::ffi::{c_int, c_long};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

use super::table::{Stat, Table};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn kill(pid: c_int, signal: c_int) -> c_int;
}

// These two have the same numbers on every architecture that got them by the common table.
const PIDFD_SEND_SIGNAL: c_long = 424;
const PIDFD_OPEN: c_long = 434;
const ENOSYS: i32 = 38;

/// Which parents a process may name to count as one of the tree.
pub(crate) enum Parents<'a> {
    /// Only these.
    Of(&'a dyn Fn(u32) -> bool),
    /// Any: the tree lost its guardian, so its orphans belong to strangers. The start time alone decides.
    Unknown,
}

/// Whether `now`, read after the process was held, is the process that was meant.
///
/// An id alone proves nothing: it may have been given to another process since it was seen.
pub(crate) fn is_meant(seen: &Stat, now: Option<&Stat>, parents: &Parents<'_>) -> bool {
    let Some(now) = now else { return false };
    let related = match parents {
        Parents::Of(is_member) => is_member(now.parent),
        Parents::Unknown => true,
    };
    now.pid == seen.pid && now.start_time == seen.start_time && now.is_alive() && related
}

/// Sends `signal` to the process that was `seen`, if it is still that one. Returns whether it was sent.
///
/// The process is held first and looked at second. Should it end in between and its id go to another, the
/// signal goes to the one that is held, which is dead.
pub(crate) fn send(table: &Table, seen: &Stat, parents: &Parents<'_>, signal: i32) -> bool {
    let held = hold(seen.pid);
    if matches!(held, Held::Gone) || !is_meant(seen, table.stat(seen.pid).as_ref(), parents) {
        return false;
    }
    match held {
        // SAFETY: the descriptor is open; a null info is allowed.
        Held::Fd(fd) => unsafe {
            syscall(PIDFD_SEND_SIGNAL, fd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0u32) == 0
        },
        // SAFETY: no memory is involved.
        Held::Unheld => unsafe { kill(seen.pid as c_int, signal) == 0 },
        Held::Gone => false,
    }
}

enum Held {
    Fd(File),
    /// The kernel knows no pidfd; the look at the start time is all there is.
    Unheld,
    Gone,
}

fn hold(pid: u32) -> Held {
    // SAFETY: no memory is involved.
    let fd = unsafe { syscall(PIDFD_OPEN, pid as c_int, 0u32) };
    if fd >= 0 {
        // SAFETY: the call just returned this descriptor and nobody else knows it.
        return Held::Fd(unsafe { File::from_raw_fd(fd as c_int) });
    }
    // Out of descriptors is not a reason to let a process live.
    match std::io::Error::last_os_error().raw_os_error() {
        Some(ENOSYS | 1 | 12 | 22 | 23 | 24) => Held::Unheld,
        _ => Held::Gone,
    }
}
