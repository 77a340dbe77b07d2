//! Descriptors for a look at a tree, where the host has none left.

use std::fs::File;

use rustix::io::Errno;

use super::launch::AllBlocked;

/// Whether no file can be opened because this process, or the system, has no descriptor left.
pub(super) fn is_out_of_descriptors() -> bool {
    let errno = |e: &std::io::Error| e.raw_os_error().map(Errno::from_raw_os_error);
    File::open("/proc/self/stat").is_err_and(|e| matches!(errno(&e), Some(Errno::MFILE | Errno::NFILE)))
}

/// Runs `look` on a thread that has a table of descriptors of its own. One that is kept for such a moment would be
/// taken by the host as soon as it is given up. `None` where the system allows no such thread.
pub(super) fn with_own_descriptors<T: Send>(look: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let signals = AllBlocked::new();
        let thread = std::thread::Builder::new()
            .name("hl-look".into())
            .spawn_scoped(scope, move || leave_table().then(look));
        drop(signals);
        thread.ok()?.join().ok()?
    })
}

/// Gives this thread an empty table, and leaves the host's as it is.
fn leave_table() -> bool {
    let (first, last): (libc::c_uint, libc::c_uint) = (3, libc::c_uint::MAX);
    // SAFETY: only the copy is closed that the call itself makes, and this thread has opened nothing yet.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_UNSHARE) == 0 }
}
