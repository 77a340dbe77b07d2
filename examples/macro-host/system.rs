//! The few calls to the system that the standard library does not have.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether SIGINT, SIGTERM or SIGHUP came since [`watch_interrupts`].
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

#[cfg(unix)]
pub(crate) use unix::{
    detach, ignore_term, page_bytes, parent, terminal_size, thread_time, ticks_per_second, watch_interrupts,
};

#[cfg(unix)]
mod unix {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::INTERRUPTED;

    extern "C" fn interrupted(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }

    fn on(signal: libc::c_int, action: libc::sighandler_t) {
        // SAFETY: `action` is SIG_IGN or a function of the right type that only stores to an atomic.
        unsafe { libc::signal(signal, action) };
    }

    /// Turns the signals that ask this program to end into [`is_interrupted`](super::is_interrupted).
    pub(crate) fn watch_interrupts() {
        let action = interrupted as extern "C" fn(libc::c_int) as libc::sighandler_t;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            on(signal, action);
        }
    }

    /// Makes this process one that SIGTERM does not end.
    pub(crate) fn ignore_term() {
        on(libc::SIGTERM, libc::SIG_IGN);
    }

    /// Makes this process the leader of a session of its own.
    pub(crate) fn detach() {
        // SAFETY: takes no pointers; fails harmlessly for one that leads a group already.
        unsafe { libc::setsid() };
    }

    /// The id of the parent.
    pub(crate) fn parent() -> u32 {
        std::os::unix::process::parent_id()
    }

    /// The processor time that the calling thread has used.
    pub(crate) fn thread_time() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a place for the answer; this clock exists wherever threads do.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }

    /// The unit in which the process table counts processor time.
    pub(crate) fn ticks_per_second() -> u64 {
        configured(libc::_SC_CLK_TCK)
    }

    /// The unit in which the process table counts memory.
    pub(crate) fn page_bytes() -> u64 {
        configured(libc::_SC_PAGESIZE)
    }

    fn configured(name: libc::c_int) -> u64 {
        // SAFETY: takes no pointers.
        let value = unsafe { libc::sysconf(name) };
        u64::try_from(value).unwrap_or(0).max(1)
    }

    /// Columns and rows of the terminal on standard output, if it is one.
    pub(crate) fn terminal_size() -> Option<(usize, usize)> {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: `size` is a place for the answer to this request.
        let status = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
        let known = status == 0 && size.ws_col > 0 && size.ws_row > 0;
        known.then_some((size.ws_col.into(), size.ws_row.into()))
    }
}

#[cfg(not(unix))]
pub(crate) use other::*;

/// Macros that are processes are refused here before any of this matters.
#[cfg(not(unix))]
mod other {
    pub(crate) fn watch_interrupts() {}
    pub(crate) fn ignore_term() {}
    pub(crate) fn detach() {}
    pub(crate) fn parent() -> u32 {
        0
    }
    pub(crate) fn ticks_per_second() -> u64 {
        1
    }
    pub(crate) fn page_bytes() -> u64 {
        1
    }
    pub(crate) fn terminal_size() -> Option<(usize, usize)> {
        None
    }
    pub(crate) fn thread_time() -> std::time::Duration {
        std::time::Duration::ZERO
    }
}
