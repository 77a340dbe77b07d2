//! Each task's part of the processor time over the last sustain time.

use std::collections::HashMap;
use std::iter::successors;
use std::time::Duration;

use super::nest::{self, Use};
use super::part::{Part, Parts};
use super::seat::Seats;
use crate::clock::Time;
use crate::supervisor::engine::metric::known;
use crate::supervisor::engine::{EngineSettings, HostReading, TaskId, TaskReading};

/// In a column of processor times: it could not be read.
const UNKNOWN: u64 = u64::MAX;
/// In a column of processor times: the task was not listed.
const ABSENT: u64 = u64::MAX - 1;

/// Snapshots of everybody's processor time, kept while a limit that is ranked by it is broken.
///
/// One is taken at the sample with which a breach begins; further ones follow while it lasts, so that the
/// window slides along and an old load cannot hide a new hog. Few are kept, whatever the number of profiles.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Ledger {
    seats: Seats,
    /// Nanoseconds by seat, in the present sample.
    now: Vec<u64>,
    /// The places of each task that is inside of another, and of that one, in the present readings.
    nested: Vec<(usize, usize)>,
    snapshots: Vec<Snapshot>,
    demand: Demand,
}

/// What was wanted of the machine, in percent, added up over the samples that tell it, and how many these were.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    sum: f64,
    samples: u32,
}

#[derive(Clone, Debug)]
struct Snapshot {
    at: Time,
    /// The round of the seats. A task that is not listed for a moment is known again as long as a snapshot knows it.
    round: u64,
    busy: Option<Duration>,
    demand: Demand,
    /// Nanoseconds by seat. A time that was unknown is filled in with the first value seen.
    used: Vec<u64>,
    incomplete: bool,
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
            self.clear();
            return;
        };
        let Ledger { seats, now, nested, snapshots, demand } = self;
        // Where none is told, there is nobody who waits.
        if let Some(percent) = known(host.cpu_demand_percent).or(known(host.cpu_percent)) {
            *demand = Demand { sum: demand.sum + percent, samples: demand.samples.saturating_add(1) };
        }
        let mut inside = Vec::new();
        let oldest = snapshots.first().map_or(u64::MAX, |s| s.round);
        seats.take(tasks, oldest, |task, seat, new| {
            if new {
                seat_anew(now, seat);
                snapshots.iter_mut().for_each(|s| seat_anew(&mut s.used, seat));
            }
            now[seat] = task.cpu_time.map_or(UNKNOWN, nanos);
            inside.extend(task.inside.map(|around| (seat, around)));
        });
        nested.clear();
        if !inside.is_empty() {
            nested.extend(links(seats, tasks.len(), &inside));
            // The order of the tasks must not change a sum.
            nested.sort_unstable_by_key(|(task, _)| tasks[*task].id);
        }
        snapshots.iter_mut().filter(|s| s.incomplete).for_each(|s| s.complete(now));
        let spacing = (shortest / 2).max(longest / 6).max(Duration::from_secs(1));
        if began || self.snapshots.last().is_none_or(|s| at.since(s.at) >= spacing) {
            let (used, round) = (self.now.clone(), self.seats.round());
            let incomplete = used.contains(&UNKNOWN);
            let demand = self.demand;
            self.snapshots.push(Snapshot { at, round, busy: host.cpu_busy, demand, used, incomplete });
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
        self.seats.clear();
        self.now.clear();
        self.nested.clear();
        self.demand = Demand::default();
    }

    /// Whether some task of the present sample is inside of another.
    pub(in super::super) fn is_nested(&self) -> bool {
        !self.nested.is_empty()
    }

    /// Whether one of some tasks is inside of another, all by their places in the present readings.
    pub(in super::super) fn is_around(&self, outer: usize, tasks: &[usize]) -> bool {
        if tasks.is_empty() || self.nested.is_empty() {
            return false;
        }
        let around: HashMap<usize, usize> = self.nested.iter().copied().collect();
        let next = |at: &usize| around.get(at).copied();
        // Links may go round in a circle.
        let outwards = |task: &usize| successors(next(task), next).take(around.len());
        tasks.iter().any(|task| outwards(task).any(|at| at == outer))
    }

    /// The window that reaches back for `span`, or as far as is known.
    pub(in super::super) fn window<'a>(
        &'a self,
        at: Time,
        host: &'a HostReading,
        span: Duration,
    ) -> Window<'a> {
        let place = self.snapshots.iter().rposition(|s| at.since(s.at) >= span).unwrap_or(0);
        let from = self.snapshots.get(place).filter(|s| s.at < at);
        let busy = from.and_then(|s| Some(host.cpu_busy?.saturating_sub(s.busy?))).filter(|b| !b.is_zero());
        Window { at, host, ledger: self, place, from, busy }
    }
}

impl Snapshot {
    /// Fills in what was unknown.
    fn complete(&mut self, now: &[u64]) {
        self.incomplete = false;
        for (used, now) in self.used.iter_mut().zip(now) {
            if *used == UNKNOWN {
                *used = *now;
                self.incomplete |= *now == UNKNOWN;
            }
        }
    }
}

/// The places of tasks in the readings, given their seats and the ids of those around them.
fn links(seats: &Seats, tasks: usize, inside: &[(usize, TaskId)]) -> impl Iterator<Item = (usize, usize)> {
    let mut places = vec![None; seats.len()];
    (0..tasks).for_each(|i| places[seats.of(i)] = Some(i));
    inside.iter().filter_map(move |(seat, around)| Some((places[*seat]?, places[seats.find(*around)?]?)))
}

fn seat_anew(column: &mut Vec<u64>, seat: usize) {
    if column.len() <= seat {
        column.resize(seat + 1, ABSENT);
    }
    column[seat] = ABSENT;
}

/// Half a thousand years at most.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(ABSENT - 1)
}

/// A span of time over which shares are measured.
pub(in super::super) struct Window<'a> {
    at: Time,
    host: &'a HostReading,
    ledger: &'a Ledger,
    place: usize,
    from: Option<&'a Snapshot>,
    busy: Option<Duration>,
}

impl Window<'_> {
    /// Which of the snapshots it begins with. Windows of one sample that share it are the same.
    pub(in super::super) fn place(&self) -> usize {
        self.place
    }

    /// What each task is charged with. Where processor times are unknown, its present percentage stands in for them.
    /// `blamed` is whether the task at a place in the readings is to blame for what it used, and not one around it.
    pub(in super::super) fn parts(
        &self,
        tasks: &[TaskReading],
        settings: &EngineSettings,
        blamed: impl Fn(usize) -> bool,
    ) -> Parts {
        let busy = self.busy.map(|b| b.as_nanos() as f64);
        let elapsed = self.from.map(|s| self.at.since(s.at).as_nanos() as f64);
        let now_used = self.core_percent_used();
        let measure = |(i, task): (usize, &TaskReading)| {
            let (then, used) = self.used(i);
            let now = known(task.cpu_percent);
            let share = match (used, busy) {
                (Some(used), Some(busy)) => Some(used / busy),
                _ => now.and_then(|p| Some(p / now_used?)),
            };
            let core_percent = match (used, elapsed) {
                (Some(used), Some(elapsed)) => Some(100.0 * used / elapsed),
                _ => now,
            };
            let share = known(share).map(|s| s.min(1.0));
            Use { share, core_percent: known(core_percent).unwrap_or(0.0), then }
        };
        let part = |used: Use| {
            let share = used.share.map(|s| s.min(1.0));
            let mut part = Part::new(share, share.unwrap_or(0.0));
            part.enough = share.is_some_and(|s| s >= settings.min_share);
            part.busy = used.core_percent >= settings.min_core_percent;
            part.hidden = share.is_none() && used.then;
            part
        };
        let used = tasks.iter().enumerate().map(measure);
        let of = if self.ledger.is_nested() {
            let mut uses: Vec<Use> = used.collect();
            nest::charge(&mut uses, &self.ledger.nested, blamed);
            uses.into_iter().map(part).collect()
        } else {
            used.map(part).collect()
        };
        Parts::new(of, self.host_percent()).with_demand(self.demand())
    }

    /// Whether a task's processor time was known when the window began, and the nanoseconds that it used since.
    fn used(&self, index: usize) -> (bool, Option<f64>) {
        let Some(from) = self.from else { return (false, None) };
        let seat = self.ledger.seats.of(index);
        match (from.used[seat], self.ledger.now[seat]) {
            (UNKNOWN, _) => (false, None),
            (ABSENT, UNKNOWN) => (false, None),
            (_, UNKNOWN) => (true, None),
            // Not there yet at the time: all it used, it used since.
            (ABSENT, now) => (false, Some(now as f64)),
            (then, now) => (true, Some(now.saturating_sub(then) as f64)),
        }
    }

    /// The machine's use in percent of its capacity: the mean of the window, or the present value.
    fn host_percent(&self) -> Option<f64> {
        let mean = self.busy.zip(self.from).map(|(busy, from)| {
            100.0 * busy.as_secs_f64() / (self.at.since(from.at).as_secs_f64() * self.host.cpu_capacity)
        });
        known(mean).or(known(self.host.cpu_percent))
    }

    /// The mean of what was wanted of the machine at the samples of the window, in percent of its capacity.
    fn demand(&self) -> Option<f64> {
        let (now, then) = (self.ledger.demand, self.from?.demand);
        let samples = now.samples.saturating_sub(then.samples);
        (samples > 0).then(|| (now.sum - then.sum) / f64::from(samples))
    }

    /// What the machine uses now, in percent of one core; all it has, if its use is unknown.
    fn core_percent_used(&self) -> Option<f64> {
        let percent = known(self.host.cpu_percent).unwrap_or(100.0);
        known(Some(percent * self.host.cpu_capacity)).filter(|p| *p > 0.0)
    }
}
