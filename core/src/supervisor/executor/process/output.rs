//! The three standard streams of a command.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::pipe::PipeFlags;

use super::core::Core;
use super::image::above_streams;
use super::launch::AllBlocked;
use super::{Captured, Command, Input, Output};
use crate::error::{Error, ErrorKind, Result};

/// Standard streams, prepared before the command starts.
pub(super) struct Streams {
    /// What the command gets as 0, 1 and 2; `None` is the host's own.
    pub(super) given: [Option<OwnedFd>; 3],
    pub(super) ends: Ends,
    pumps: Vec<Pump>,
}

/// What the host keeps.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) stdin: Option<File>,
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
    pub(super) captured: [Option<Arc<Mutex<Captured>>>; 2],
}

/// Counts output, and ends the pumps.
#[derive(Debug)]
pub(super) struct Flow {
    bytes: AtomicU64,
    counts: bool,
    limit: AtomicU64,
    /// Readable once the tree is gone: then nobody will write any more.
    ended: OwnedFd,
    running: Mutex<usize>,
    changed: Condvar,
}

struct Pump {
    from: OwnedFd,
    to: Sink,
}

enum Sink {
    File(OwnedFd),
    Memory(Arc<Mutex<Captured>>, usize),
    Nowhere,
}

impl Streams {
    pub(super) fn prepare(command: &Command) -> Result<Streams> {
        let failed = |e: io::Error| Error::io("preparing the standard streams", e);
        let mut streams = Streams { given: [const { None }; 3], ends: Ends::default(), pumps: Vec::new() };
        streams.input(&command.stdin).map_err(failed)?;
        for (n, wanted) in [(1, &command.stdout), (2, &command.stderr)] {
            streams
                .output(n, wanted, command.count_output || command.output_limit.is_some())
                .map_err(failed)?;
        }
        Ok(streams)
    }

    fn input(&mut self, wanted: &Input) -> io::Result<()> {
        self.given[0] = match wanted {
            Input::Inherit => None,
            Input::Null => Some(null(OFlags::RDONLY)?),
            // A file in memory needs no thread that feeds it.
            Input::Bytes(bytes) => {
                let fd = above_streams(rustix::fs::memfd_create(c"haltline-stdin", MemfdFlags::CLOEXEC)?)?;
                let mut file = File::from(fd);
                io::Write::write_all(&mut file, bytes)?;
                io::Seek::rewind(&mut file)?;
                Some(file.into())
            }
            Input::Piped => {
                let (read, write) = pipe()?;
                self.ends.stdin = Some(write.into());
                Some(read)
            }
            Input::File(file) => Some(copy(file)?),
        };
        Ok(())
    }

    fn output(&mut self, n: usize, wanted: &Output, count: bool) -> io::Result<()> {
        let to = match (wanted, count) {
            (Output::Inherit, false) => return Ok(()),
            (Output::Null, false) => {
                self.given[n] = Some(null(OFlags::WRONLY)?);
                return Ok(());
            }
            (Output::Piped, _) => {
                let (read, write) = pipe()?;
                *(if n == 1 { &mut self.ends.stdout } else { &mut self.ends.stderr }) = Some(read.into());
                if !count {
                    self.given[n] = Some(write);
                    return Ok(());
                }
                Sink::File(write)
            }
            (Output::Capture(cap), _) => {
                let kept = Arc::new(Mutex::new(Captured::default()));
                self.ends.captured[n - 1] = Some(kept.clone());
                Sink::Memory(kept, *cap)
            }
            (Output::File(file), false) => {
                self.given[n] = Some(copy(file)?);
                return Ok(());
            }
            (Output::File(file), true) => Sink::File(copy(file)?),
            // Counted with standard output, if that is counted.
            (Output::Stdout, _) => {
                self.given[n] = Some(self.like_output()?);
                return Ok(());
            }
            (Output::Inherit, true) => {
                // A copy, as the host may close or replace its own at any moment.
                // SAFETY: the descriptor is only copied; if it is closed the copy fails.
                let own = unsafe { BorrowedFd::borrow_raw(n as i32) };
                match copy(own) {
                    Ok(copy) => Sink::File(copy),
                    // Closed: there is nothing that could be written to it, and nothing to count.
                    Err(e) if e.raw_os_error() == Some(libc::EBADF) => return Ok(()),
                    Err(e) => return Err(e),
                }
            }
            (Output::Null, true) => Sink::Nowhere,
        };
        let (from, write) = pipe()?;
        self.given[n] = Some(write);
        self.pumps.push(Pump { from, to });
        Ok(())
    }

    /// One more descriptor of what the command gets as standard output.
    fn like_output(&self) -> io::Result<OwnedFd> {
        match &self.given[1] {
            Some(given) => copy(given),
            // SAFETY: the descriptor is only copied; if it is closed the copy fails, and nobody would read it.
            None => copy(unsafe { BorrowedFd::borrow_raw(1) }).or_else(|_| null(OFlags::WRONLY)),
        }
    }

    /// Starts the pumps. The command's own ends are closed, so that a pipe ends when the tree does.
    pub(super) fn flow(self, flow: &Arc<Flow>, core: &Weak<Core>) -> Result<Ends> {
        drop(self.given);
        let signals = AllBlocked::new();
        for pump in self.pumps {
            *flow.running.lock() += 1;
            let (shared, core) = (flow.clone(), core.clone());
            let run = move || {
                pump.run(&shared, &core);
                *shared.running.lock() -= 1;
                shared.changed.notify_all();
            };
            if let Err(e) = std::thread::Builder::new().name("hl-output".into()).spawn(run) {
                *flow.running.lock() -= 1;
                return Err(Error::new(
                    ErrorKind::SpawnFailed,
                    "cannot start the thread that passes output on",
                )
                .because(e));
            }
        }
        drop(signals);
        Ok(self.ends)
    }
}

impl Flow {
    pub(super) fn new(command: &Command) -> Result<Flow> {
        let ended = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| Error::io("making an event descriptor", e.into()))?;
        Ok(Flow {
            bytes: AtomicU64::new(0),
            counts: command.count_output || command.output_limit.is_some(),
            limit: AtomicU64::new(command.output_limit.unwrap_or(u64::MAX)),
            ended,
            running: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    /// Bytes so far, if they are counted.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.counts.then(|| self.bytes.load(Ordering::Relaxed))
    }

    /// Whether bytes are counted. The streams were laid for it when the command started, or never.
    pub(super) fn counts(&self) -> bool {
        self.counts
    }

    /// How many bytes have the tree looked at at once; `None` is never.
    pub(super) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The tree is gone: what is in the pipes is passed on, and then the pumps end.
    pub(super) fn end(&self) {
        let _ = rustix::io::write(&self.ended, &1u64.to_ne_bytes());
    }

    /// Waits until everything that was written was passed on.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut running = self.running.lock();
        while *running > 0 {
            match until {
                Some(until) => {
                    if self.changed.wait_until(&mut running, until).timed_out() {
                        return *running == 0;
                    }
                }
                None => self.changed.wait(&mut running),
            }
        }
        true
    }

    fn count(&self, n: u64, core: &Weak<Core>) {
        let before = self.bytes.fetch_add(n, Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        if before <= limit
            && before.saturating_add(n) > limit
            && let Some(core) = core.upgrade()
        {
            core.look_soon();
        }
    }
}

impl Pump {
    /// Ends when nobody can write any more, or when the destination is closed. In the latter case the
    /// command is told as it would have been: its next write finds a broken pipe.
    fn run(self, flow: &Flow, core: &Weak<Core>) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let mut ready = [PollFd::new(&self.from, PollFlags::IN), PollFd::new(&flow.ended, PollFlags::IN)];
            match rustix::event::poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            // Nothing to read, and the tree is gone: whoever holds the pipe still is not of the tree.
            if ready[0].revents().is_empty() {
                return;
            }
            let n = match rustix::io::read(&self.from, &mut buffer) {
                Ok(0) => return,
                Ok(n) => n,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(_) => return,
            };
            flow.count(n as u64, core);
            let bytes = buffer.get(..n).unwrap_or_default();
            match &self.to {
                Sink::Nowhere => {}
                Sink::Memory(kept, cap) => {
                    let mut kept = kept.lock();
                    let room = cap.saturating_sub(kept.bytes.len()).min(n);
                    kept.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
                    kept.dropped += (n - room) as u64;
                }
                Sink::File(file) => {
                    if write_all(file.as_fd(), bytes).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Waits where the destination is full, whether it blocks or was set not to.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                rustix::event::poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None)?;
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A descriptor of our own for the same file, above the three streams.
fn copy(file: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(file, 3)?)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    Ok((above_streams(read)?, above_streams(write)?))
}

fn null(flags: OFlags) -> io::Result<OwnedFd> {
    let fd = rustix::fs::open("/dev/null", flags | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    above_streams(fd)
}
