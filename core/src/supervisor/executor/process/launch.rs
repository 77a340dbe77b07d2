//! Creates the guardian's process without the host's child handling noticing.
//!
//! A first process, `stage1`, shares the host's memory, so a large host pays for no page tables, and has no
//! exit signal, so the host gets no SIGCHLD and a `waitpid(-1)` elsewhere in the host never sees it. It
//! creates `stage2`, which becomes the guardian, and ends at once; the guardian so is no child of the host.
//! Nothing is read back from the shared memory: under valgrind it is not shared.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::wire::{News, step};

/// Everything the new process needs, made before it exists.
pub(super) struct Launch<'a> {
    pub(super) program: BorrowedFd<'a>,
    pub(super) argv: &'a [CString],
    /// What becomes descriptors 0, 1 and 2; `None` keeps the host's.
    pub(super) streams: [Option<BorrowedFd<'a>>; 3],
    /// Descriptors that keep their number across the exec.
    pub(super) kept: &'a [BorrowedFd<'a>],
    /// Where a failure is told.
    pub(super) control: BorrowedFd<'a>,
}

/// The plain form that the stages read: no allocation, no destructor.
struct Plan {
    program: RawFd,
    program_path: CString,
    argv: Vec<*const c_char>,
    streams: [RawFd; 3],
    kept: Vec<RawFd>,
    control: RawFd,
    stack: *mut c_void,
}

const STACK: usize = 64 * 1024;

/// Returns once the guardian's program runs or has failed to; which of the two is told on the socket.
pub(super) fn launch(launch: &Launch<'_>) -> io::Result<()> {
    let stacks = Stacks::new()?;
    let plan = Plan {
        program: launch.program.as_raw_fd(),
        program_path: CString::new(format!("/proc/self/fd/{}", launch.program.as_raw_fd()))?,
        argv: launch.argv.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect(),
        streams: launch.streams.map(|s| s.map_or(-1, |fd| fd.as_raw_fd())),
        kept: launch.kept.iter().map(|fd| fd.as_raw_fd()).collect(),
        control: launch.control.as_raw_fd(),
        stack: stacks.top(2),
    };
    let signals = AllBlocked::new();
    // SAFETY: stage1 only makes calls that are safe after a fork. It runs on a stack of its own while this
    // thread is suspended, and `plan` outlives it.
    let pid = unsafe {
        libc::clone(
            stage1,
            stacks.top(1),
            libc::CLONE_VM | libc::CLONE_VFORK,
            std::ptr::from_ref(&plan).cast_mut().cast(),
        )
    };
    let failed = (pid < 0).then(io::Error::last_os_error);
    drop(signals);
    if let Some(error) = failed {
        return Err(error);
    }
    loop {
        // SAFETY: a null status is allowed.
        let reaped = unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WCLONE | libc::__WALL) };
        // Somebody who waits for everything by `__WALL` may have been faster; then there is nothing to do.
        if reaped == pid || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return Ok(());
        }
    }
}

extern "C" fn stage1(plan: *mut c_void) -> c_int {
    // SAFETY: `launch` passed a plan that lives until this process has ended.
    let plan = unsafe { &*plan.cast::<Plan>() };
    // SAFETY: as in `launch`, with the second stack.
    let pid = unsafe {
        libc::clone(
            stage2,
            plan.stack,
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            std::ptr::from_ref(plan).cast_mut().cast(),
        )
    };
    if pid < 0 {
        fail(plan, step::CLONE);
    }
    // SAFETY: ends this process only, without running anything of the host's.
    unsafe { libc::_exit(0) }
}

extern "C" fn stage2(plan: *mut c_void) -> c_int {
    // SAFETY: as in `stage1`.
    let plan = unsafe { &*plan.cast::<Plan>() };
    for (number, &fd) in (0..).zip(&plan.streams) {
        // SAFETY: the descriptor table is this process's own copy.
        if fd >= 0 && unsafe { libc::dup2(fd, number) } < 0 {
            fail(plan, step::CLONE);
        }
    }
    for &fd in &plan.kept {
        // SAFETY: as above; clears the close-on-exec flag of the copy.
        unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
    }
    // The guardian's own environment stays empty: a preloaded library is for the command, not for it.
    let env = [std::ptr::null::<c_char>()];
    // SAFETY: both lists end with null; the descriptor is open. Signals stay blocked across the exec.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            plan.program,
            c"".as_ptr(),
            plan.argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        if matches!(*libc::__errno_location(), libc::ENOSYS | libc::ENOENT) {
            libc::execve(CStr::as_ptr(&plan.program_path), plan.argv.as_ptr(), env.as_ptr());
        }
    }
    fail(plan, step::GUARDIAN)
}

/// Tells what failed and ends this process.
fn fail(plan: &Plan, step: u32) -> ! {
    // SAFETY: the socket is open, the packet lives through the call, and `_exit` runs nothing of the host's.
    unsafe {
        let packet = News::Failed { step, errno: *libc::__errno_location() }.encode();
        libc::send(plan.control, packet.as_ptr().cast(), packet.len(), libc::MSG_NOSIGNAL);
        libc::_exit(127)
    }
}

/// Two stacks, each with a page below it that must not be touched.
struct Stacks(*mut c_void);

const GUARD: usize = 64 * 1024;

impl Stacks {
    fn new() -> io::Result<Stacks> {
        // SAFETY: a fresh private mapping.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                2 * (GUARD + STACK),
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stacks = Stacks(base);
        for n in 1..=2 {
            // SAFETY: inside the mapping.
            let done = unsafe {
                libc::mprotect(stacks.top(n).byte_sub(STACK), STACK, libc::PROT_READ | libc::PROT_WRITE)
            };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(stacks)
    }

    fn top(&self, n: usize) -> *mut c_void {
        // SAFETY: the mapping holds two pairs of guard and stack.
        unsafe { self.0.byte_add(n * (GUARD + STACK)) }
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        // SAFETY: both stages have ended or left this memory.
        unsafe { libc::munmap(self.0, 2 * (GUARD + STACK)) };
    }
}

/// Blocks every signal of this thread until it is dropped. A handler of the host must not run in a stage,
/// where it would run in the host's memory under another process id.
pub(super) struct AllBlocked(libc::sigset_t);

impl AllBlocked {
    pub(super) fn new() -> AllBlocked {
        // SAFETY: both sets are written before they are read.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            AllBlocked(before)
        }
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // SAFETY: the set was filled by the system.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}
