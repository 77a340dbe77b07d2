//! Which sources fail, since when, and that it is told once.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::source::{Source, Verdicts};
use crate::clock::Time;
use crate::errand::InTurn;
use crate::event::Bus;

/// Log lines that may wait for a subscriber that blocks.
const LOG_LINES: usize = 64;

/// A source that does not answer at present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Degraded {
    /// Which source.
    pub source: Source,
    /// Why it did not answer the last time.
    pub reason: String,
    /// When it began to fail, on the monitor's clock.
    pub since: Time,
}

/// A source that began to fail or answers again.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Failing(Source, String),
    Recovered(Source),
}

/// Who fails at present: a state machine.
#[derive(Debug, Default)]
pub(super) struct Failing {
    mask: u16,
    sources: BTreeMap<Source, Degraded>,
}

impl Failing {
    /// Takes the verdicts of one look and returns what changed.
    pub(super) fn judge(&mut self, at: Time, verdicts: Verdicts) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.mask & verdicts.good != 0 {
            for source in Source::ALL {
                if self.mask & verdicts.good & source.bit() != 0 {
                    self.mask &= !source.bit();
                    self.sources.remove(&source);
                    changes.push(Change::Recovered(source));
                }
            }
        }
        for (source, reason) in verdicts.bad {
            if let Some(known) = self.sources.get_mut(&source) {
                known.reason = reason;
                continue;
            }
            self.mask |= source.bit();
            self.sources.insert(source, Degraded { source, reason: reason.clone(), since: at });
            changes.push(Change::Failing(source, reason));
        }
        changes
    }

    pub(super) fn list(&self) -> Vec<Degraded> {
        self.sources.values().cloned().collect()
    }
}

/// The failing sources of one monitor, and the bus that hears of each change.
#[derive(Debug)]
pub(super) struct Ledger {
    failing: Mutex<Failing>,
    bus: Bus,
    /// The log's subscriber is host code, which must not hold up the sampling.
    log: InTurn,
}

impl Ledger {
    pub(super) fn new(bus: Bus) -> Self {
        Ledger { failing: Mutex::default(), bus, log: InTurn::default() }
    }

    /// Logs on a thread where a subscriber may block.
    pub(super) fn log(&self, line: impl FnOnce() + Send + 'static) {
        self.log.run_unless_full(LOG_LINES, Box::new(line));
    }

    pub(super) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(super) fn list(&self) -> Vec<Degraded> {
        self.failing.lock().list()
    }

    /// Publishes one `monitor.degraded` event for each change and none for a state that goes on.
    pub(super) fn judge(&self, at: Time, verdicts: Verdicts) {
        let changes = self.failing.lock().judge(at, verdicts);
        for change in changes {
            let (source, recovered, reason) = match change {
                Change::Failing(source, reason) => {
                    let told = reason.clone();
                    self.log(move || {
                        tracing::warn!(
                            source = source.name(),
                            reason = told,
                            "a source of the monitor fails"
                        );
                    });
                    (source, false, Some(reason))
                }
                Change::Recovered(source) => {
                    self.log(move || {
                        tracing::info!(source = source.name(), "a source of the monitor answers again");
                    });
                    (source, true, None)
                }
            };
            let data = serde_json::json!({"source": source.name(), "recovered": recovered, "reason": reason});
            self.bus.publish("monitor.degraded", Some(source.name().to_owned()), data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(source: Source, reason: &str) -> Verdicts {
        Verdicts { good: 0, bad: vec![(source, reason.into())] }
    }

    #[test]
    fn a_failure_and_a_recovery_are_told_once_each() {
        let mut failing = Failing::default();
        let first = failing.judge(Time::ZERO, bad(Source::Disk, "no such file"));
        assert_eq!(first, [Change::Failing(Source::Disk, "no such file".into())]);
        assert_eq!(failing.judge(Time::from_nanos(1), bad(Source::Disk, "still not there")), []);
        assert_eq!(failing.list()[0].reason, "still not there");
        assert_eq!(failing.list()[0].since, Time::ZERO);
        let good = || Verdicts { good: Source::Disk.bit() | Source::Cpu.bit(), bad: vec![] };
        assert_eq!(failing.judge(Time::from_nanos(2), good()), [Change::Recovered(Source::Disk)]);
        assert_eq!(failing.judge(Time::from_nanos(3), good()), []);
        assert!(failing.list().is_empty());
    }

    #[test]
    fn a_source_that_was_not_due_stays_as_it_was() {
        let mut failing = Failing::default();
        failing.judge(Time::ZERO, bad(Source::Load, "gone"));
        failing.judge(Time::ZERO, Verdicts { good: Source::Cpu.bit(), bad: vec![] });
        assert_eq!(failing.list().len(), 1);
    }
}
