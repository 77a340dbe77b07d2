//! Keeps the latest incidents in memory and hands every one to the file.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::record::{ActionTaken, Incident};
use super::writer::Writer;
use crate::errand::InTurn;
use crate::error::Result;
use crate::event::Bus;
use crate::monitor::TopProcess;
use crate::supervisor::outcome::Outcome;

/// Incidents kept in memory.
const RECENT: usize = 1024;

/// Where incidents go. Never blocks its caller on the disk.
pub(crate) struct IncidentLog {
    kept: Mutex<Kept>,
    writer: Option<Writer>,
}

#[derive(Default)]
struct Kept {
    recent: VecDeque<Arc<Incident>>,
    counts: Counts,
}

/// How many incidents there were since the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) stopped: u64,
    pub(crate) killed: u64,
    pub(crate) still_running: u64,
    pub(crate) recorded: u64,
}

impl IncidentLog {
    /// A log that also writes to `path`, if one is given. What it logs goes through `log`.
    pub(crate) fn open(path: Option<&Path>, bus: Bus, log: InTurn) -> Result<Self> {
        let writer = path.map(|path| Writer::start(path, bus, log)).transpose()?;
        Ok(IncidentLog { kept: Mutex::default(), writer })
    }

    /// Keeps an incident in memory and counts it. One that lingered, told before as still running, takes the place
    /// of what was told then.
    pub(crate) fn keep(&self, incident: Incident, lingered: bool) -> Arc<Incident> {
        let incident = Arc::new(incident);
        let mut kept = self.kept.lock();
        let counts = &mut kept.counts;
        match (incident.action, incident.outcome) {
            (ActionTaken::Record, _) => counts.recorded += 1,
            (_, Some(Outcome::Stopped)) => counts.stopped += 1,
            (_, Some(Outcome::Killed)) => counts.killed += 1,
            (_, Some(Outcome::StillRunning)) => counts.still_running += 1,
            _ => {}
        }
        if lingered {
            // The earlier one may have left the memory since; the count knows it still.
            counts.still_running = counts.still_running.saturating_sub(1);
            if let Some(earlier) = kept.find(&incident.id) {
                *earlier = incident.clone();
                return incident;
            }
        }
        if kept.recent.len() == RECENT {
            kept.recent.pop_front();
        }
        kept.recent.push_back(incident.clone());
        incident
    }

    /// Adds the busiest processes, which were read meanwhile, to what is kept of an incident.
    pub(crate) fn add_top(&self, id: &str, top: &[TopProcess]) {
        if let Some(incident) = self.kept.lock().find(id) {
            Arc::make_mut(incident).top = top.to_vec();
        }
    }

    /// Hands an incident to the file, if there is one.
    pub(crate) fn write(&self, incident: &Incident) {
        let Some(writer) = &self.writer else { return };
        // A record has only numbers, texts and lists of them, all of which JSON can hold.
        if let Ok(line) = serde_json::to_vec(incident) {
            writer.offer(line);
        }
    }

    /// The latest incidents, the newest first.
    pub(crate) fn recent(&self, most: usize) -> Vec<Arc<Incident>> {
        self.kept.lock().recent.iter().rev().take(most).cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.kept.lock().counts
    }

    /// Why the file cannot be written, while that is so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.writer.as_ref()?.failure()
    }

    /// Lines that were given up because the file could not be written for long.
    pub(crate) fn lost(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::lost)
    }

    /// Waits until everything handed to the file so far is written or given up.
    pub(crate) fn flush(&self, until: Instant) -> Result<()> {
        self.writer.as_ref().map_or(Ok(()), |writer| writer.flush(until))
    }
}

impl Kept {
    fn find(&mut self, id: &str) -> Option<&mut Arc<Incident>> {
        self.recent.iter_mut().rev().find(|incident| incident.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_end_is_counted_even_if_its_record_has_left_the_memory() {
        let log = IncidentLog::open(None, Bus::new(), InTurn::default()).unwrap();
        let with = |id: usize, outcome: Outcome| -> Incident {
            let line = serde_json::json!({
                "schema": 1, "id": id.to_string(), "time": "2026-01-01T00:00:00.000Z",
                "cause": "shutdown", "action": "cancel", "outcome": outcome,
            });
            serde_json::from_value(line).unwrap()
        };
        log.keep(with(0, Outcome::StillRunning), false);
        log.keep(with(1, Outcome::StillRunning), false);
        for n in 2..=RECENT {
            log.keep(with(n, Outcome::Killed), false);
        }
        log.keep(with(0, Outcome::Stopped), true);
        log.keep(with(1, Outcome::Killed), true);
        let counts = log.counts();
        assert_eq!((counts.still_running, counts.stopped, counts.killed), (0, 1, RECENT as u64));
        let kept = log.recent(usize::MAX);
        assert_eq!(kept.len(), RECENT);
        assert!(kept.iter().all(|i| i.outcome != Some(Outcome::StillRunning)));
    }
}
