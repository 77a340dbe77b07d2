//! The few system calls that the standard library does not offer.

use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};

pub(crate) const SIGHUP: c_int = 1;
pub(crate) const SIGKILL: c_int = 9;
pub(crate) const SIGPIPE: c_int = 13;
pub(crate) const SIGTERM: c_int = 15;
#[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))]
mod numbers {
    use std::ffi::c_int;
    pub(crate) const SIGCHLD: c_int = 17;
    pub(crate) const SIGCONT: c_int = 18;
    pub(crate) const SIGSTOP: c_int = 19;
    pub(crate) const SIG_SETMASK: c_int = 2;
    pub(crate) const O_NONBLOCK: c_int = 0o4000;
}
pub(crate) use numbers::{O_NONBLOCK, SIG_SETMASK, SIGCHLD, SIGCONT, SIGSTOP};

pub(crate) const O_CLOEXEC: c_int = 0o2000000;
pub(crate) const ECHILD: i32 = 10;
pub(crate) const EINTR: i32 = 4;

const F_SETFD: c_int = 2;
const F_SETFL: c_int = 4;
const F_SETOWN: c_int = 8;
const F_SETSIG: c_int = 10;
const FD_CLOEXEC: c_int = 1;
const O_ASYNC: c_int = 0o20000;
const PRIO_PROCESS: c_int = 0;
const SCHED_OTHER: c_int = 0;
const SCHED_RR: c_int = 2;
const PR_SET_NAME: c_int = 15;
const PR_SET_CHILD_SUBREAPER: c_int = 36;
const CLONE3: c_long = 435;
const CLOSE_RANGE: c_long = 436;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const WNOHANG: c_int = 1;
const RUSAGE_CHILDREN: c_int = -1;
const POLLIN: i16 = 1;
const MSG_NOSIGNAL: c_int = 0x4000;
const MSG_DONTWAIT: c_int = 0x40;

/// Room for 1024 signals, which is what every C library reserves.
#[repr(C)]
pub(crate) struct SignalSet([u64; 16]);

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct TimeValue {
    seconds: c_long,
    micros: c_long,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    user: TimeValue,
    system: TimeValue,
    max_rss_kib: c_long,
    rest: [c_long; 13],
}

impl Usage {
    pub(crate) fn cpu_us(&self) -> u64 {
        let us = |t: TimeValue| (t.seconds as u64) * 1_000_000 + t.micros as u64;
        us(self.user) + us(self.system)
    }

    pub(crate) fn max_rss_kib(&self) -> u64 {
        self.max_rss_kib as u64
    }
}

#[repr(C)]
pub(crate) struct PollFd {
    fd: c_int,
    events: i16,
    revents: i16,
}

impl PollFd {
    /// A negative descriptor is never ready.
    pub(crate) fn readable(fd: c_int) -> PollFd {
        PollFd { fd, events: POLLIN, revents: 0 }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.revents != 0
    }
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn prctl(option: c_int, ...) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn sigfillset(set: *mut SignalSet) -> c_int;
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn signal(signal: c_int, handler: usize) -> usize;
    fn signalfd(fd: c_int, set: *const SignalSet, flags: c_int) -> c_int;
    fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut Usage) -> c_int;
    fn getrusage(who: c_int, usage: *mut Usage) -> c_int;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
    fn recv(fd: c_int, buffer: *mut c_void, len: usize, flags: c_int) -> isize;
    fn send(fd: c_int, buffer: *const c_void, len: usize, flags: c_int) -> isize;
    fn read(fd: c_int, buffer: *mut c_void, len: usize) -> isize;
    fn write(fd: c_int, buffer: *const c_void, len: usize) -> isize;
    fn close(fd: c_int) -> c_int;
    fn pipe2(fds: *mut c_int, flags: c_int) -> c_int;
    fn setpgid(pid: c_int, group: c_int) -> c_int;
    fn setpriority(which: c_int, who: u32, priority: c_int) -> c_int;
    fn sched_setscheduler(pid: c_int, policy: c_int, parameter: *const c_int) -> c_int;
    fn chdir(path: *const c_char) -> c_int;
    fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int;
    pub(crate) fn fork() -> c_int;
    pub(crate) fn _exit(status: c_int) -> !;
    static mut environ: *const *const c_char;
}

pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Makes this process the parent of every orphan below it, and gives it its name.
pub(crate) fn become_guardian() {
    // SAFETY: the name is a C string of less than 16 bytes.
    unsafe {
        prctl(PR_SET_CHILD_SUBREAPER, 1usize, 0usize, 0usize, 0usize);
        prctl(PR_SET_NAME, c"hl-guardian".as_ptr(), 0usize, 0usize, 0usize);
    }
}

/// Gives this process the best ordinary priority, where it is allowed to. To be called after its last fork.
pub(crate) fn hurry() {
    // The host may have a real-time one.
    schedule(SCHED_OTHER, 0);
    // SAFETY: no memory is involved.
    unsafe { setpriority(PRIO_PROCESS, 0, -20) };
}

/// While it lasts this process runs before all that have an ordinary priority, where it is allowed to. Nothing may be
/// reaped meanwhile: the kernel spins there until a thread that is leaving has left the process table, and that thread
/// would not come to its turn.
pub(crate) struct Urgency(());

impl Urgency {
    pub(crate) fn begin() -> Urgency {
        schedule(SCHED_RR, 1);
        Urgency(())
    }
}

impl Drop for Urgency {
    fn drop(&mut self) {
        schedule(SCHED_OTHER, 0);
    }
}

fn schedule(policy: c_int, priority: c_int) {
    // SAFETY: the parameter is one number and lives through the call.
    unsafe { sched_setscheduler(0, policy, &priority) };
}

/// Blocks every signal, so that a terminal's interrupt is left to the host to decide; and undoes an ignored
/// SIGCHLD, with which children would vanish unseen.
pub(crate) fn hold_signals() {
    let mut set = SignalSet([0; 16]);
    // SAFETY: the set is large enough for every C library.
    unsafe {
        sigfillset(&mut set);
        sigprocmask(SIG_SETMASK, &set, std::ptr::null_mut());
        signal(SIGCHLD, 0);
    }
}

/// What a fresh program expects: nothing blocked, and a broken pipe ends it.
pub(crate) fn release_signals() {
    let mut set = SignalSet([0; 16]);
    // SAFETY: as above.
    unsafe {
        signal(SIGPIPE, 0);
        signal(SIGCHLD, 0);
        sigemptyset(&mut set);
        sigprocmask(SIG_SETMASK, &set, std::ptr::null_mut());
    }
}

/// A descriptor that is readable when a child ended.
pub(crate) fn child_signals() -> c_int {
    let mut set = SignalSet([0; 16]);
    // SAFETY: as above.
    unsafe {
        sigemptyset(&mut set);
        sigaddset(&mut set, SIGCHLD);
        signalfd(-1, &set, O_CLOEXEC | O_NONBLOCK)
    }
}

pub(crate) enum Reaped {
    Child { pid: u32, status: c_int, usage: Usage },
    /// There are children and none ended.
    NoneYet,
    /// There are no children at all.
    NoChildren,
}

pub(crate) fn reap() -> Reaped {
    let mut status = 0;
    let mut usage = Usage::default();
    // SAFETY: both are of the kernel's layout and live through the call.
    match unsafe { wait4(-1, &mut status, WNOHANG, &mut usage) } {
        0 => Reaped::NoneYet,
        pid if pid > 0 => Reaped::Child { pid: pid as u32, status, usage },
        _ if errno() == ECHILD => Reaped::NoChildren,
        _ => Reaped::NoneYet,
    }
}

/// Processor time of all children that were waited for, in microseconds.
pub(crate) fn children_cpu_us() -> u64 {
    let mut usage = Usage::default();
    // SAFETY: of the kernel's layout.
    unsafe { getrusage(RUSAGE_CHILDREN, &mut usage) };
    usage.cpu_us()
}

pub(crate) fn poll_all(fds: &mut [PollFd], timeout_ms: c_int) {
    // SAFETY: the slice is valid and its length is given.
    unsafe { poll(fds.as_mut_ptr(), fds.len() as c_ulong, timeout_ms) };
}

pub(crate) fn send_packet(fd: c_int, packet: &[u8]) {
    // SAFETY: the slice is valid.
    unsafe { send(fd, packet.as_ptr().cast(), packet.len(), MSG_NOSIGNAL) };
}

/// `Some(0)` at the end of the connection, `None` if nothing is there.
pub(crate) fn receive_packet(fd: c_int, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the slice is valid.
    let n = unsafe { recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), MSG_DONTWAIT) };
    if n >= 0 {
        return Some(n as usize);
    }
    // 11 is "try again"; any other error means that the other end is no use any more.
    if matches!(errno(), 11 | EINTR) { None } else { Some(0) }
}

pub(crate) fn drain(fd: c_int) {
    let mut sink = [0u8; 1024];
    // SAFETY: the buffer is valid; the descriptor does not block.
    while unsafe { read(fd, sink.as_mut_ptr().cast(), sink.len()) } > 0 {}
}

pub(crate) fn read_record(fd: c_int, buffer: &mut [u8]) -> usize {
    loop {
        // SAFETY: the slice is valid.
        let n = unsafe { read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        if n >= 0 {
            return n as usize;
        }
        if errno() != EINTR {
            return 0;
        }
    }
}

pub(crate) fn write_bytes(fd: c_int, bytes: &[u8]) -> bool {
    // SAFETY: the slice is valid.
    unsafe { write(fd, bytes.as_ptr().cast(), bytes.len()) == bytes.len() as isize }
}

pub(crate) fn close_fd(fd: c_int) {
    // SAFETY: callers own the descriptor.
    unsafe { close(fd) };
}

pub(crate) fn close_on_exec(fd: c_int) {
    // SAFETY: no memory is involved.
    unsafe { fcntl(fd, F_SETFD, FD_CLOEXEC) };
}

/// Has the kernel send SIGCONT with every packet and at the end of the connection. A task runs under the same
/// user and may stop its guardian; this wakes it even when the host is dead.
pub(crate) fn wake_by(fd: c_int) {
    // SAFETY: no memory is involved. The signal is blocked here: it wakes and does nothing else.
    unsafe {
        fcntl(fd, F_SETOWN, std::process::id() as c_int);
        fcntl(fd, F_SETSIG, SIGCONT);
        fcntl(fd, F_SETFL, O_ASYNC);
    }
}

/// Closes every descriptor but those in `keep`: a pipe of the command must end when the command's tree does,
/// and a lock or a listening socket of the host is not ours to hold.
pub(crate) fn close_all_but(keep: &mut [c_int]) {
    keep.sort_unstable();
    let mut from = 0u32;
    for &fd in keep.iter().filter(|fd| **fd >= 0) {
        if fd as u32 > from {
            close_between(from, fd as u32 - 1);
        }
        from = fd as u32 + 1;
    }
    close_between(from, u32::MAX);
}

fn close_between(first: u32, last: u32) {
    // SAFETY: nothing in this program owns the descriptors that its callers did not keep.
    if unsafe { syscall(CLOSE_RANGE, first, last, 0u32) } == 0 {
        return;
    }
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<u32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        close_fd(fd as c_int);
    }
}

pub(crate) fn pipe() -> Option<[c_int; 2]> {
    let mut fds = [0; 2];
    // SAFETY: room for two.
    (unsafe { pipe2(fds.as_mut_ptr(), O_CLOEXEC) } == 0).then_some(fds)
}

/// A fork whose child starts inside the group behind `directory`.
pub(crate) fn fork_into(directory: c_int) -> c_int {
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
    let arguments: [u64; 11] = [CLONE_INTO_CGROUP, 0, 0, 0, SIGCHLD as u64, 0, 0, 0, 0, 0, directory as u64];
    // SAFETY: without shared memory or a stack this is a fork, and this program has one thread.
    unsafe { syscall(CLONE3, arguments.as_ptr(), size_of_val(&arguments)) as c_int }
}

pub(crate) fn own_process_group() {
    // SAFETY: no memory is involved.
    unsafe { setpgid(0, 0) };
}

pub(crate) fn enter(directory: &std::ffi::CStr) -> bool {
    // SAFETY: a C string.
    unsafe { chdir(directory.as_ptr()) == 0 }
}

/// Returns only on failure, with the error number.
///
/// # Safety
/// Both lists end with a null pointer and hold C strings; `argv` has at least one.
pub(crate) unsafe fn execute(argv: &[*const c_char], env: &[*const c_char]) -> i32 {
    // SAFETY: one thread; the lists outlive the call.
    unsafe {
        environ = env.as_ptr();
        execvp(argv[0], argv.as_ptr());
    }
    errno()
}
