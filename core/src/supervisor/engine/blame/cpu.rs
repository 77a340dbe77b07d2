//! Each task's part of the processor time over the last sustain time.

use std::time::Duration;

use crate::clock::Time;
use crate::supervisor::engine::id_map::{IdMap, IdSet};
use crate::supervisor::engine::metric::known;
use crate::supervisor::engine::{HostReading, TaskReading};

/// Snapshots of everybody's processor time, kept while a limit that is ranked by it is broken.
///
/// One is taken at the sample with which a breach begins; further ones follow while it lasts, so that the
/// window slides along and an old load cannot hide a new hog. Few are kept, whatever the number of profiles.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Ledger {
    snapshots: Vec<Snapshot>,
}

#[derive(Clone, Debug)]
struct Snapshot {
    at: Time,
    busy: Option<Duration>,
    used: IdMap<Duration>,
    /// Tasks whose time was unknown; each moves to `used` with the first value seen.
    missing: IdSet,
}

/// What one task used of the processor in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct CpuUse {
    /// 0 to 1: its part of the processor time that the machine used.
    pub(in super::super) share: Option<f64>,
    /// Percent of one core.
    pub(in super::super) core_percent: Option<f64>,
}

impl Ledger {
    const MOST: usize = 8;

    /// Keeps the snapshots up to date. `sustain` is the shortest and the longest sustain time of the running
    /// timers, or `None` if nothing is broken; `began` is whether a timer began with this sample.
    pub(in super::super) fn note(
        &mut self,
        at: Time,
        host: &HostReading,
        tasks: &[TaskReading],
        sustain: Option<(Duration, Duration)>,
        began: bool,
    ) {
        let Some((shortest, longest)) = sustain else {
            self.snapshots.clear();
            return;
        };
        for snapshot in self.snapshots.iter_mut().filter(|s| !s.missing.is_empty()) {
            for task in tasks {
                if let Some(time) = task.cpu_time
                    && snapshot.missing.remove(&task.id)
                {
                    snapshot.used.insert(task.id, time);
                }
            }
        }
        let spacing = (shortest / 2).max(longest / 6).max(Duration::from_secs(1));
        if began || self.snapshots.last().is_none_or(|s| at.since(s.at) >= spacing) {
            self.snapshots.push(Snapshot::take(at, host, tasks));
        }
        // The oldest is of use only while no later one covers the longest window.
        while self.snapshots.get(1).is_some_and(|s| at.since(s.at) >= longest) {
            self.snapshots.remove(0);
        }
        if self.snapshots.len() > Self::MOST {
            // Thin out where they stand closest; the first and the last stay.
            let gap = |i: &usize| self.snapshots[i + 1].at.since(self.snapshots[i - 1].at);
            let closest = (1..self.snapshots.len() - 1).min_by_key(gap).unwrap_or(1);
            self.snapshots.remove(closest);
        }
    }

    /// Forgets everything.
    pub(in super::super) fn clear(&mut self) {
        self.snapshots.clear();
    }

    /// The window that reaches back for `span`, or as far as is known.
    pub(in super::super) fn window<'a>(
        &'a self,
        at: Time,
        host: &'a HostReading,
        span: Duration,
    ) -> Window<'a> {
        let covering = self.snapshots.iter().rfind(|s| at.since(s.at) >= span);
        let from = covering.or(self.snapshots.first()).filter(|s| s.at < at);
        let busy = from.and_then(|s| Some(host.cpu_busy?.saturating_sub(s.busy?))).filter(|b| !b.is_zero());
        Window { at, host, from, busy }
    }
}

impl Snapshot {
    fn take(at: Time, host: &HostReading, tasks: &[TaskReading]) -> Self {
        let mut used = IdMap::with_capacity_and_hasher(tasks.len(), Default::default());
        let mut missing = IdSet::default();
        for task in tasks {
            match task.cpu_time {
                Some(time) => {
                    used.insert(task.id, time);
                }
                None => {
                    missing.insert(task.id);
                }
            }
        }
        Snapshot { at, busy: host.cpu_busy, used, missing }
    }
}

/// A span of time over which shares are measured.
pub(in super::super) struct Window<'a> {
    at: Time,
    host: &'a HostReading,
    from: Option<&'a Snapshot>,
    busy: Option<Duration>,
}

impl Window<'_> {
    /// What `task` used. Where processor times are unknown, its present percentage stands in for them.
    pub(in super::super) fn use_of(&self, task: &TaskReading) -> CpuUse {
        let used = self.from.and_then(|from| {
            let now = task.cpu_time?;
            match from.used.get(&task.id) {
                Some(then) => Some(now.saturating_sub(*then)),
                None if from.missing.contains(&task.id) => None,
                // Not there yet at the time: all it used, it used since.
                None => Some(now),
            }
        });
        let now = known(task.cpu_percent);
        let share = match (used, self.busy) {
            (Some(used), Some(busy)) => Some(used.as_secs_f64() / busy.as_secs_f64()),
            _ => now.and_then(|p| Some(p / self.core_percent_used()?)),
        };
        let core_percent = match (used, self.from) {
            (Some(used), Some(from)) => {
                Some(100.0 * used.as_secs_f64() / self.at.since(from.at).as_secs_f64())
            }
            _ => now,
        };
        CpuUse { share: known(share).map(|s| s.min(1.0)), core_percent: known(core_percent) }
    }

    /// Whether the task's use was known when the window began.
    pub(in super::super) fn knew(&self, task: &TaskReading) -> bool {
        self.from.is_some_and(|from| from.used.contains_key(&task.id))
    }

    /// The machine's use in percent of its capacity: the mean of the window, or the present value.
    pub(in super::super) fn host_percent(&self) -> Option<f64> {
        let mean = self.busy.zip(self.from).map(|(busy, from)| {
            100.0 * busy.as_secs_f64() / (self.at.since(from.at).as_secs_f64() * self.host.cpu_capacity)
        });
        known(mean).or(known(self.host.cpu_percent))
    }

    /// What the machine uses now, in percent of one core; all it has, if its use is unknown.
    fn core_percent_used(&self) -> Option<f64> {
        let percent = known(self.host.cpu_percent).unwrap_or(100.0);
        known(Some(percent * self.host.cpu_capacity)).filter(|p| *p > 0.0)
    }
}
