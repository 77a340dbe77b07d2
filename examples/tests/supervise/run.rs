//! Runs the built binary, with every wait bounded, and looks at the process table from outside.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_supervise");
/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a run ended.
pub(crate) struct Ran {
    /// As a shell gives it.
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

pub(crate) fn supervise<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Options, then a line for the shell.
pub(crate) fn script(options: &[&str], line: &str) -> Command {
    supervise(options.iter().copied().chain(["--", "sh", "-c", line]))
}

/// A run in progress.
pub(crate) struct Run {
    pub(crate) child: Child,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

pub(crate) fn start(mut command: Command) -> Run {
    start_with_input(&mut command, Vec::new())
}

pub(crate) fn start_with_input(command: &mut Command, input: Vec<u8>) -> Run {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        std::thread::spawn(move || stdin.write_all(&input));
    }
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    Run { child, stdout, stderr }
}

pub(crate) fn run(command: Command) -> Ran {
    start(command).wait()
}

fn collect(from: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        bytes
    })
}

impl Run {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        send(self.pid(), signal);
    }

    /// Waits for the end of the program and of its output.
    pub(crate) fn wait(mut self) -> Ran {
        let child = &mut self.child;
        let status = until("the program ends", || child.try_wait().unwrap());
        until("its output ends", || (self.stdout.is_finished() && self.stderr.is_finished()).then_some(()));
        Ran {
            status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap()),
            stdout: self.stdout.join().unwrap(),
            stderr: String::from_utf8(self.stderr.join().unwrap()).unwrap(),
        }
    }
}

pub(crate) fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Looks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A length of sleep that nothing else on the machine sleeps: it marks the processes of one test.
pub(crate) struct Mark(pub(crate) String);

impl Mark {
    pub(crate) fn new() -> Mark {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Mark(format!("1000.{:07}{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The processes with the mark in their arguments that can run.
    pub(crate) fn alive(&self) -> Vec<u32> {
        pids()
            .filter(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.windows(self.0.len()).any(|w| w == self.0.as_bytes()) && is_alive(*pid)
            })
            .collect()
    }

    /// The processes that sleep for the mark.
    pub(crate) fn sleepers(&self) -> Vec<u32> {
        let mut all = self.alive();
        all.retain(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default() == "sleep\n"
        });
        all
    }

    pub(crate) fn await_sleepers(&self, count: usize) -> Vec<u32> {
        until("the processes sleep", || Some(self.sleepers()).filter(|s| s.len() >= count))
    }

    #[track_caller]
    pub(crate) fn assert_gone(&self) {
        assert_eq!(self.alive(), [0; 0], "left behind");
    }
}

/// Every process that there is.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
}

pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|s| !matches!(s, 'Z' | 'X'))
}

/// The letter that the kernel gives the state of a process.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// The figure in KiB behind a key of a file such as `/proc/meminfo`.
pub(crate) fn kib(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()
}
