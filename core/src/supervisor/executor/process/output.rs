//! The three standard streams of a command.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::pipe::PipeFlags;

use super::core::Core;
use super::destination::{Destination, Trouble};
use super::image::above_streams;
use super::launch::AllBlocked;
use super::{Captured, Command, Input, Lost, Output};
use crate::error::{Error, ErrorKind, Result};
use crate::file::fill;

/// How long the last output of a tree that was stopped may take to be read. That of a tree that ended by itself waits
/// for its reader.
const PATIENCE: Duration = Duration::from_secs(2);
/// A write that waits all the same is given up this much later.
const STUCK: Duration = Duration::from_millis(500);

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
    /// Of these, the bytes that got where they belong, or whose reader had left.
    settled: AtomicU64,
    /// Bytes that nobody took out of the pipes any more.
    unread: AtomicU64,
    counts: bool,
    limit: AtomicU64,
    /// Readable once the tree is gone: then nobody will write any more.
    ended: OwnedFd,
    pumps: Mutex<Pumps>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Pumps {
    running: usize,
    /// Whether the tree was asked to stop.
    stopped: bool,
    ended_at: Option<Instant>,
    /// What kept output from being passed on, first of all.
    trouble: Option<String>,
}

impl Pumps {
    /// Until when output may wait for its reader; `None` is for ever.
    fn deadline(&self) -> Option<Instant> {
        self.ended_at.filter(|_| self.stopped).map(|at| at + PATIENCE)
    }
}

struct Pump {
    from: OwnedFd,
    to: Sink,
}

enum Sink {
    File(Destination),
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
                fill(&mut file, bytes)?;
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
                Sink::File(Destination::new(write))
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
            (Output::File(file), true) => Sink::File(Destination::new(copy(file)?)),
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
                    Ok(copy) => Sink::File(Destination::new(copy)),
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
            flow.pumps.lock().running += 1;
            let (shared, core) = (flow.clone(), core.clone());
            let run = move || {
                pump.run(&shared, &core);
                shared.pumps.lock().running -= 1;
                shared.changed.notify_all();
            };
            if let Err(e) = std::thread::Builder::new().name("hl-output".into()).spawn(run) {
                flow.pumps.lock().running -= 1;
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
            settled: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            counts: command.count_output || command.output_limit.is_some(),
            limit: AtomicU64::new(command.output_limit.unwrap_or(u64::MAX)),
            ended,
            pumps: Mutex::default(),
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

    /// The tree is asked to stop: once it is gone, its output does not wait for a reader for ever.
    pub(super) fn hurry(&self) {
        self.pumps.lock().stopped = true;
        self.changed.notify_all();
    }

    /// The tree is gone: what is in the pipes is passed on, and then the pumps end.
    pub(super) fn end(&self) {
        self.pumps.lock().ended_at = Some(Instant::now());
        self.changed.notify_all();
        let _ = rustix::io::write(&self.ended, &1u64.to_ne_bytes());
    }

    /// Waits until everything that was written was passed on, or is known to be lost.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut pumps = self.pumps.lock();
        while pumps.running > 0 {
            let stuck = pumps.deadline().map(|at| at + STUCK);
            if stuck.is_some_and(|at| Instant::now() >= at) {
                pumps.trouble.get_or_insert_with(|| Trouble::Unread.told(PATIENCE));
                return true;
            }
            match stuck.into_iter().chain(until).min() {
                Some(at) => {
                    let late = self.changed.wait_until(&mut pumps, at).timed_out();
                    if late && until.is_some_and(|until| at >= until) {
                        return pumps.running == 0;
                    }
                }
                None => self.changed.wait(&mut pumps),
            }
        }
        true
    }

    /// What was written and could not be passed on.
    pub(super) fn lost(&self) -> Option<Lost> {
        let because = self.pumps.lock().trouble.clone()?;
        let in_hand = self.bytes.load(Ordering::Acquire).saturating_sub(self.settled.load(Ordering::Acquire));
        Some(Lost { bytes: in_hand + self.unread.load(Ordering::Acquire), because })
    }

    /// Returns once `to` takes something.
    fn await_room(&self, to: BorrowedFd<'_>) -> std::result::Result<(), Trouble> {
        loop {
            let (ended, deadline) = {
                let pumps = self.pumps.lock();
                (pumps.ended_at.is_some(), pumps.deadline())
            };
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let mut ready = [
                PollFd::from_borrowed_fd(to, PollFlags::OUT),
                PollFd::new(&self.ended, if ended { PollFlags::empty() } else { PollFlags::IN }),
            ];
            // An order to stop may come as late as the end itself, so the deadline is asked for again.
            let longest = ended.then_some(left.unwrap_or(PATIENCE));
            let longest = longest
                .map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: i64::from(t.subsec_nanos()) });
            match rustix::event::poll(&mut ready, longest.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Trouble::Failed(e)),
                Ok(_) if !ready[0].revents().is_empty() => return Ok(()),
                Ok(_) if left.is_some_and(|t| t.is_zero()) => return Err(Trouble::Unread),
                Ok(_) => {}
            }
        }
    }

    fn settle(&self, n: usize) {
        self.settled.fetch_add(n as u64, Ordering::Release);
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
    /// Ends when nobody can write any more, or when the destination is closed or fails. In the latter case the
    /// command is told as it would have been: its next write finds a broken pipe.
    fn run(self, flow: &Flow, core: &Weak<Core>) {
        if let Err(trouble) = self.pass_on(flow, core) {
            let unread = rustix::io::ioctl_fionread(&self.from).unwrap_or(0);
            flow.unread.fetch_add(unread, Ordering::Release);
            flow.pumps.lock().trouble.get_or_insert_with(|| trouble.told(PATIENCE));
        }
    }

    fn pass_on(&self, flow: &Flow, core: &Weak<Core>) -> std::result::Result<(), Trouble> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let mut ready = [PollFd::new(&self.from, PollFlags::IN), PollFd::new(&flow.ended, PollFlags::IN)];
            match rustix::event::poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(Trouble::Failed(e)),
                Ok(_) => {}
            }
            // Nothing to read, and the tree is gone: whoever holds the pipe still is not of the tree.
            if ready[0].revents().is_empty() {
                return Ok(());
            }
            let n = match rustix::io::read(&self.from, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(e) => return Err(Trouble::Failed(e)),
            };
            flow.count(n as u64, core);
            let bytes = buffer.get(..n).unwrap_or_default();
            match &self.to {
                Sink::Nowhere => flow.settle(n),
                Sink::Memory(kept, cap) => {
                    let mut kept = kept.lock();
                    let room = cap.saturating_sub(kept.bytes.len()).min(n);
                    kept.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
                    kept.dropped += (n - room) as u64;
                    flow.settle(n);
                }
                Sink::File(to) => {
                    if !write_all(flow, to, bytes)? {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Returns false if the reader has left. Waits where the destination is full, whether it blocks or was set not to.
fn write_all(flow: &Flow, to: &Destination, mut bytes: &[u8]) -> std::result::Result<bool, Trouble> {
    while !bytes.is_empty() {
        flow.await_room(to.as_fd())?;
        match to.write(bytes) {
            Ok(n) => {
                flow.settle(n);
                bytes = bytes.get(n..).unwrap_or_default();
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => {
                flow.settle(bytes.len());
                return Ok(false);
            }
            Err(e) => return Err(Trouble::Failed(e)),
        }
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// At whatever moment of a wait the order comes: nothing else may follow that would wake it.
    #[test]
    fn a_wait_for_output_that_nobody_reads_ends_when_the_stop_is_ordered_after_the_end() {
        for n in 0..500 {
            let flow = Flow::new(&Command::new("nothing")).unwrap();
            let ended_at = Instant::now().checked_sub(PATIENCE + STUCK);
            *flow.pumps.lock() = Pumps { running: 1, ended_at, ..Pumps::default() };
            let begins = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    begins.store(true, Ordering::Relaxed);
                    flow.wait(Duration::from_secs(20))
                });
                while !begins.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                (0..n % 100).for_each(|_| std::hint::spin_loop());
                flow.hurry();
                assert!(waiter.join().unwrap(), "order {n}");
            });
        }
    }
}
