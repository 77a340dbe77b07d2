//! Parts that this test program plays as a process of its own.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use super::super::Command;

const PART: &str = "HALTLINE_TEST_PART";
const ARGUMENT: &str = "HALTLINE_TEST_ARGUMENT";
const ENTRY: &str = "supervisor::executor::process::tests::part::plays_its_part";

/// This program as a command that plays `part`.
pub(super) fn command(part: &str) -> Command {
    command_with(part, "")
}

/// The same with an argument for the part.
pub(super) fn command_with(part: &str, argument: &str) -> Command {
    let mut command = super::shell("");
    command.program = std::env::current_exe().unwrap().into();
    command.args = vec!["--exact".into(), ENTRY.into(), "--nocapture".into()];
    command.env = vec![(PART.into(), Some(part.into())), (ARGUMENT.into(), Some(argument.into()))];
    command
}

/// This program as an ordinary child, with a process group of its own, that plays `part`; its standard output is piped.
pub(super) fn child(part: &str, argument: &str) -> (Child, ChildStdout) {
    child_with(part, argument, &[])
}

/// The same with more variables in its environment.
pub(super) fn child_with(part: &str, argument: &str, env: &[(&str, &str)]) -> (Child, ChildStdout) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", ENTRY, "--nocapture"])
        .env(PART, part)
        .env(ARGUMENT, argument)
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    (child, out)
}

/// Does nothing unless this process was started to play a part.
#[test]
fn plays_its_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let argument = std::env::var(ARGUMENT).unwrap_or_default();
    match part.as_str() {
        "hog" => hog(),
        "workers" => workers(),
        "short-lived workers" => short_lived_workers(),
        "chains" => chains(),
        "spread" => spread(),
        "own-subreaper" => own_subreaper(),
        "bomb" => bomb(&argument),
        "thousand-starts" => super::start::thousand_starts(),
        "threads" => leave_first_thread(Duration::from_secs(60)),
        "headless hog" => {
            leave_first_thread(Duration::ZERO);
            hog();
        }
        "headless work" => {
            leave_first_thread(Duration::ZERO);
            work_and_sleep();
        }
        other => super::host::play(other, &argument),
    }
    // The harness would print to a closed pipe.
    let _ = std::io::stdout().flush();
    std::process::exit(0);
}

fn ignore_sigterm() {
    // SAFETY: no handler is involved.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}

/// Takes 1 GiB a second, up to 3 GiB, and does not listen.
fn hog() {
    ignore_sigterm();
    const STEP: usize = 4 << 20;
    let start = Instant::now();
    let mut held: Vec<Vec<u8>> = Vec::new();
    while held.len() * STEP < 3 << 30 {
        let due = start.elapsed().as_secs_f64() * (1u64 << 30) as f64;
        if ((held.len() * STEP) as f64) < due {
            held.push(vec![1; STEP]);
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    std::thread::sleep(Duration::from_secs(60));
}

/// 64 MiB that 200 idle children share.
fn workers() {
    let held = std::hint::black_box(vec![1u8; 64 << 20]);
    for _ in 0..200 {
        // SAFETY: both sides go on with system calls only.
        if unsafe { libc::fork() } == 0 {
            break;
        }
    }
    std::thread::sleep(Duration::from_secs(60));
    drop(held);
    // SAFETY: ends this process.
    unsafe { libc::_exit(0) };
}

/// 256 MiB that ten children at a time share for a moment.
fn short_lived_workers() {
    let held = std::hint::black_box(vec![1u8; 256 << 20]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        for _ in 0..10 {
            // SAFETY: the child makes system calls only.
            unsafe {
                if libc::fork() == 0 {
                    libc::usleep(200_000);
                    libc::_exit(0);
                }
            }
        }
        // SAFETY: waits for these children.
        while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {}
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(held);
}

/// Sixteen lines of processes that each fork a successor and leave: no id lives longer than a moment.
fn chains() {
    ignore_sigterm();
    let deadline = Instant::now() + Duration::from_secs(30);
    for _ in 0..16 {
        // SAFETY: the child makes system calls only.
        if unsafe { libc::fork() } == 0 {
            while Instant::now() < deadline {
                // SAFETY: as above.
                unsafe {
                    if libc::fork() != 0 {
                        libc::_exit(0);
                    }
                }
            }
            // SAFETY: ends this process.
            unsafe { libc::_exit(0) };
        }
    }
    std::thread::sleep(Duration::from_secs(30));
}

/// Doubles itself until there are about a thousand, and then goes on replacing those that end.
fn spread() {
    ignore_sigterm();
    for _ in 0..10 {
        // SAFETY: both sides go on with system calls only.
        unsafe { libc::fork() };
    }
    std::thread::sleep(Duration::from_secs(30));
    // SAFETY: ends this process.
    unsafe { libc::_exit(0) };
}

/// A process that adopts its orphans, and leaves with the number of those whose end it saw. Of its children the first
/// has a child of its own that stopped itself; the others only take a while to be asked.
fn own_subreaper() {
    const OTHERS: i32 = 300;
    ignore_sigterm();
    let listen = || {
        // SAFETY: no handler is involved.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
    };
    let nap = || std::thread::sleep(Duration::from_secs(60));
    // SAFETY: children make system calls only and end by a signal or here.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        if libc::fork() == 0 {
            listen();
            if libc::fork() == 0 {
                libc::raise(libc::SIGSTOP);
            }
            nap();
            libc::_exit(1);
        }
        for _ in 0..OTHERS {
            if libc::fork() == 0 {
                listen();
                nap();
                libc::_exit(1);
            }
        }
        let mut ends = 0;
        while libc::wait(std::ptr::null_mut()) > 0 {
            ends += 1;
        }
        libc::_exit(if ends == OTHERS + 2 { 42 } else { 1 });
    }
}

/// Every process of it makes another every ten milliseconds, each in a session of its own, up to what `cap` lets it have.
fn bomb(cap: &str) {
    ignore_sigterm();
    std::fs::write(format!("{cap}/cgroup.procs"), "0").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        // SAFETY: both sides go on with system calls only.
        unsafe {
            if libc::fork() == 0 {
                libc::setsid();
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: ends this process.
    unsafe { libc::_exit(0) };
}

/// A process whose first thread has left looks like a zombie and is none.
fn leave_first_thread(then_sleep: Duration) {
    ignore_sigterm();
    // This is not the first thread; that one waits for it.
    // SAFETY: ends the first thread by a signal handler that it runs.
    unsafe {
        extern "C" fn leave(_: libc::c_int) {
            // SAFETY: ends the calling thread alone.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        libc::signal(libc::SIGUSR1, leave as *const () as usize);
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::getpid(), libc::SIGUSR1);
    }
    std::thread::sleep(then_sleep);
}

/// Uses a third of a second of processor time.
fn work_and_sleep() {
    let clock = rustix::time::ClockId::ProcessCPUTime;
    let until = 333_000_000;
    while rustix::time::clock_gettime(clock).tv_sec == 0 && rustix::time::clock_gettime(clock).tv_nsec < until
    {
    }
    std::thread::sleep(Duration::from_secs(60));
}
