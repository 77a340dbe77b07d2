//! Writes incident lines to their file, on a thread of its own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::errand::InTurn;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Bus;
use crate::file::LogFile;

/// Lines that wait for a disk that is full or slow; the oldest is given up first, and counted.
const WAITING: usize = 4096;
/// The size at which the file is rotated, and how many rotated files are kept.
const ROTATE_BYTES: u64 = 16 * 1024 * 1024;
pub(super) const KEPT: u32 = 4;
/// How long after a failed write the next try is made.
const RETRY: Duration = Duration::from_secs(1);
/// Log lines that may wait for a subscriber that blocks.
const LOG_LINES: usize = 64;

/// The thread's end of it leaves when this is dropped and everything is written or cannot be.
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    path: PathBuf,
    state: Mutex<State>,
    /// A line came, or the writer was dropped.
    work: Condvar,
    /// Lines were written or given up.
    progress: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    offered: u64,
    /// Written, or given up.
    settled: u64,
    lost: u64,
    failure: Option<String>,
    ending: bool,
}

impl Writer {
    pub(super) fn start(path: &Path, bus: Bus, log: InTurn) -> Result<Self> {
        let file = LogFile::open(path, ROTATE_BYTES, KEPT)
            .map_err(|e| Error::io(format_args!("opening the incident file {}", path.display()), e))?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
        });
        let theirs = shared.clone();
        std::thread::Builder::new()
            .name("hl-incident".to_owned())
            .spawn(move || theirs.write(file, &bus, &log))
            .map_err(|e| {
                Error::new(ErrorKind::SpawnFailed, format!("starting the thread hl-incident: {e}")).because(e)
            })?;
        Ok(Writer(shared))
    }

    /// Hands a line over. Never waits for the disk.
    pub(super) fn offer(&self, line: Vec<u8>) {
        let mut state = self.0.state.lock();
        state.offered += 1;
        state.waiting.push_back(line);
        if state.waiting.len() > WAITING {
            state.waiting.pop_front();
            state.settled += 1;
            state.lost += 1;
        }
        drop(state);
        self.0.work.notify_one();
    }

    /// Why the file cannot be written, while that is so.
    pub(super) fn failure(&self) -> Option<String> {
        self.0.state.lock().failure.clone()
    }

    /// Lines that were given up because the file could not be written for long.
    pub(super) fn lost(&self) -> u64 {
        self.0.state.lock().lost
    }

    /// Waits until everything offered so far is written or given up.
    pub(super) fn flush(&self, until: Instant) -> Result<()> {
        let mut state = self.0.state.lock();
        let goal = state.offered;
        while state.settled < goal {
            let late = self.0.progress.wait_until(&mut state, until).timed_out();
            if let Some(failure) = &state.failure {
                return Err(Error::new(ErrorKind::Io, failure.clone()));
            }
            if late && state.settled < goal {
                let (path, left) = (self.0.path.display(), goal - state.settled);
                let late = format!("{path}: {left} incidents not written in the time given");
                return Err(Error::new(ErrorKind::TimedOut, late));
            }
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.state.lock().ending = true;
        self.0.work.notify_one();
    }
}

impl Shared {
    fn write(&self, mut file: LogFile, bus: &Bus, log: &InTurn) {
        size_limit_is_an_error();
        loop {
            let mut state = self.state.lock();
            while state.waiting.is_empty() {
                if state.ending {
                    return;
                }
                self.work.wait(&mut state);
            }
            // Taken out, so that the disk is waited for without the lock; the oldest may be given up meanwhile.
            let Some(line) = state.waiting.pop_front() else { continue };
            drop(state);
            let written = file.append(&line);
            if let Some(fault) = file.take_fault() {
                let fault = format!("the incident file could not be rotated; it grows on: {fault}");
                log.run_unless_full(LOG_LINES, Box::new(move || tracing::warn!("{fault}")));
            }
            let mut state = self.state.lock();
            match written {
                Ok(()) => {
                    state.settled += 1;
                    state.failure = None;
                    self.progress.notify_all();
                }
                Err(e) => {
                    state.waiting.push_front(line);
                    let failure = format!("writing the incident file {}: {e}", self.path.display());
                    let news = state.failure.as_ref() != Some(&failure);
                    state.failure = Some(failure.clone());
                    self.progress.notify_all();
                    if state.ending {
                        return;
                    }
                    if news {
                        drop(state);
                        self.tell(failure, bus, log);
                        state = self.state.lock();
                    }
                    // A further line is no reason for another try before its time.
                    let until = Instant::now() + RETRY;
                    while !state.ending && !self.work.wait_until(&mut state, until).timed_out() {}
                }
            }
        }
    }

    fn tell(&self, failure: String, bus: &Bus, log: &InTurn) {
        bus.publish("incident.unwritten", None, serde_json::json!({ "reason": failure }));
        log.run_unless_full(
            LOG_LINES,
            Box::new(move || tracing::error!("{failure}; incidents wait in memory until it can be written")),
        );
    }
}

/// Has a write of this thread past the file size limit of the process fail as on a full disk. Otherwise a signal would
/// end the host.
fn size_limit_is_an_error() {
    #[cfg(unix)]
    // SAFETY: the set is written before it is read.
    unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigemptyset(&mut signals);
        libc::sigaddset(&mut signals, libc::SIGXFSZ);
        libc::pthread_sigmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut());
    }
}
