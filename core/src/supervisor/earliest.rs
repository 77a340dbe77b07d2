//! The moment before which no task of a shard is due.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Time;

/// No task of the shard is due earlier. It may be too early after a task ended; a scan corrects it.
#[derive(Debug)]
pub(super) struct Earliest(AtomicU64);

impl Earliest {
    pub(super) fn new() -> Self {
        Earliest(AtomicU64::new(Time::NEVER.as_nanos()))
    }

    /// Lowers it to the deadline of a task that the shard's list holds already; returns the deadline if it did.
    pub(super) fn note(&self, deadline: Time) -> Option<Time> {
        if deadline.as_nanos() >= self.0.load(Ordering::Relaxed) {
            return None;
        }
        self.0.fetch_min(deadline.as_nanos(), Ordering::SeqCst);
        Some(deadline)
    }

    pub(super) fn get(&self) -> Time {
        Time::from_nanos(self.0.load(Ordering::SeqCst))
    }

    /// Whether a scan may find something.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.0.load(Ordering::Relaxed) <= now.as_nanos()
    }

    /// Finds it anew: `scan` returns the earliest deadline that is still to come. To be called under the lock of the
    /// shard's list, so that a deadline which is noted meanwhile lowers the new value and not the old one.
    pub(super) fn find(&self, scan: impl FnOnce() -> Time) {
        self.0.store(Time::NEVER.as_nanos(), Ordering::SeqCst);
        let earliest = scan();
        self.0.fetch_min(earliest.as_nanos(), Ordering::SeqCst);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    /// One task that is due, and another whose deadline becomes 5 while the shard is scanned, because it is put in or
    /// gets another profile. However the two meet, the later deadline is not forgotten.
    #[test]
    fn a_deadline_that_is_noted_during_a_scan_is_not_forgotten() {
        for from in [None, Some(9)] {
            loom::model(move || {
                let earliest = Arc::new(Earliest::new());
                let deadlines = Arc::new(Mutex::new(vec![3]));
                deadlines.lock().unwrap().extend(from);
                earliest.note(Time::from_nanos(3));
                let scanner = {
                    let (earliest, deadlines) = (earliest.clone(), deadlines.clone());
                    thread::spawn(move || {
                        if earliest.is_due(Time::from_nanos(4)) {
                            let deadlines = deadlines.lock().unwrap();
                            earliest.find(|| {
                                let later = deadlines.iter().copied().filter(|d| *d > 4);
                                later.min().map_or(Time::NEVER, Time::from_nanos)
                            });
                        }
                    })
                };
                {
                    let mut deadlines = deadlines.lock().unwrap();
                    deadlines.truncate(1);
                    deadlines.push(5);
                }
                earliest.note(Time::from_nanos(5));
                scanner.join().unwrap();
                assert!(earliest.get() <= Time::from_nanos(5));
            });
        }
    }
}
