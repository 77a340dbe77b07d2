//! Keeps the latest incidents in memory and writes every one to a file, off every thread that decides.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::record::Incident;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Bus;
use crate::file::LogFile;

/// Incidents kept in memory.
const RECENT: usize = 1024;
/// Lines that wait for a disk that has no room; the oldest is given up first, and counted.
const WAITING: usize = 4096;
/// The size at which the file is rotated, and how many rotated files are kept.
const ROTATE_BYTES: u64 = 16 * 1024 * 1024;
pub(super) const KEPT: u32 = 4;
/// How long after a failed write the next try is made.
const RETRY: Duration = Duration::from_secs(1);

/// Where incidents go. Never blocks its caller on the disk.
pub(crate) struct IncidentLog {
    recent: Mutex<VecDeque<Arc<Incident>>>,
    counts: Mutex<Counts>,
    writer: Option<Writer>,
}

/// How many incidents there were since the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) stopped: u64,
    pub(crate) killed: u64,
    pub(crate) still_running: u64,
    pub(crate) recorded: u64,
}

struct Writer {
    path: PathBuf,
    send: Mutex<Sender<Vec<u8>>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    state: Mutex<WriteState>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
struct WriteState {
    offered: u64,
    /// Written, or given up.
    settled: u64,
    lost: u64,
    failure: Option<String>,
}

impl IncidentLog {
    /// A log that also writes to `path`, if one is given.
    pub(crate) fn open(path: Option<&Path>, bus: Bus) -> Result<Self> {
        let writer = match path {
            None => None,
            Some(path) => Some(Writer::start(path, bus)?),
        };
        Ok(IncidentLog { recent: Mutex::default(), counts: Mutex::default(), writer })
    }

    /// Keeps the incident and hands it to the writer. A later one with the same id takes its place in memory.
    pub(crate) fn add(&self, incident: Incident) -> Arc<Incident> {
        use super::record::ActionTaken;
        use crate::supervisor::outcome::Outcome;
        let incident = Arc::new(incident);
        let mut recent = self.recent.lock();
        let earlier = recent.iter_mut().rev().find(|i| i.id == incident.id);
        let mut counts = self.counts.lock();
        match (incident.action, incident.outcome) {
            (ActionTaken::Record, _) => counts.recorded += 1,
            (_, Some(Outcome::Stopped)) => counts.stopped += 1,
            (_, Some(Outcome::Killed)) => counts.killed += 1,
            (_, Some(Outcome::StillRunning)) => counts.still_running += 1,
            _ => {}
        }
        match earlier {
            Some(earlier) => {
                if earlier.outcome == Some(Outcome::StillRunning) {
                    counts.still_running = counts.still_running.saturating_sub(1);
                }
                *earlier = incident.clone();
            }
            None => {
                if recent.len() == RECENT {
                    recent.pop_front();
                }
                recent.push_back(incident.clone());
            }
        }
        drop(counts);
        drop(recent);
        if let Some(writer) = &self.writer {
            match serde_json::to_vec(&*incident) {
                Ok(line) => writer.offer(line),
                Err(e) => tracing::error!(error = %e, "an incident could not be put into JSON"),
            }
        }
        incident
    }

    /// The latest incidents, the newest first.
    pub(crate) fn recent(&self, most: usize) -> Vec<Arc<Incident>> {
        self.recent.lock().iter().rev().take(most).cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    /// Why the file cannot be written, while that is so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.writer.as_ref()?.progress.state.lock().failure.clone()
    }

    /// Lines that were given up because the file could not be written for long.
    pub(crate) fn lost(&self) -> u64 {
        self.writer.as_ref().map_or(0, |w| w.progress.state.lock().lost)
    }

    /// Waits until everything offered so far is written or given up.
    pub(crate) fn flush(&self, limit: Duration) -> Result<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let until = std::time::Instant::now() + limit.min(Duration::from_secs(365 * 24 * 3600));
        let mut state = writer.progress.state.lock();
        let goal = state.offered;
        while state.settled < goal {
            let late = writer.progress.changed.wait_until(&mut state, until).timed_out();
            if let Some(failure) = &state.failure {
                return Err(Error::new(ErrorKind::Io, failure.clone()));
            }
            if late {
                let path = writer.path.display();
                return Err(Error::new(ErrorKind::TimedOut, format!("{path}: not written within {limit:?}")));
            }
        }
        Ok(())
    }
}

impl Writer {
    fn start(path: &Path, bus: Bus) -> Result<Self> {
        let mut file = LogFile::open(path, ROTATE_BYTES, KEPT)
            .map_err(|e| Error::io(format_args!("opening the incident file {}", path.display()), e))?;
        let progress = Arc::new(Progress::default());
        let (send, receive) = mpsc::channel::<Vec<u8>>();
        let (seen, name) = (progress.clone(), path.to_owned());
        std::thread::Builder::new()
            .name("hl-incident".to_owned())
            .spawn(move || {
                let mut waiting = VecDeque::new();
                loop {
                    let next = if waiting.is_empty() {
                        receive.recv().map_err(|_| RecvTimeoutError::Disconnected)
                    } else {
                        receive.recv_timeout(RETRY)
                    };
                    if let Err(RecvTimeoutError::Disconnected) = next {
                        break;
                    }
                    waiting.extend(next.into_iter().chain(receive.try_iter()));
                    write_all(&mut file, &mut waiting, &seen, &name, &bus);
                }
                write_all(&mut file, &mut waiting, &seen, &name, &bus);
            })
            .map_err(|e| {
                Error::new(ErrorKind::SpawnFailed, format!("starting the thread hl-incident: {e}")).because(e)
            })?;
        Ok(Writer { path: path.to_owned(), send: Mutex::new(send), progress })
    }

    fn offer(&self, line: Vec<u8>) {
        self.progress.state.lock().offered += 1;
        // The thread lives as long as this sender, so the line arrives.
        let _ = self.send.lock().send(line);
    }
}

/// Writes what waits, oldest first. On a failure the rest stays for the next time.
fn write_all(file: &mut LogFile, waiting: &mut VecDeque<Vec<u8>>, seen: &Progress, path: &Path, bus: &Bus) {
    while let Some(line) = waiting.front() {
        let written = file.append(line);
        let mut state = seen.state.lock();
        match written {
            Ok(()) => {
                if let Some(fault) = file.take_fault() {
                    tracing::warn!(error = %fault, "the incident file could not be rotated; it grows on");
                }
                waiting.pop_front();
                state.settled += 1;
                state.failure = None;
            }
            Err(e) => {
                let failure = format!("writing the incident file {}: {e}", path.display());
                let news = state.failure.as_ref() != Some(&failure);
                state.failure = Some(failure.clone());
                while waiting.len() > WAITING {
                    waiting.pop_front();
                    state.settled += 1;
                    state.lost += 1;
                }
                drop(state);
                seen.changed.notify_all();
                if news {
                    tracing::error!("{failure}; incidents are kept in memory until it can be written");
                    bus.publish("incident.unwritten", None, serde_json::json!({ "reason": failure }));
                }
                return;
            }
        }
        drop(state);
        seen.changed.notify_all();
    }
}
