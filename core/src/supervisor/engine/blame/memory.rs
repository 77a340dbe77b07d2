//! Each task's part of the memory in use, and of its growth.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Time;
use crate::supervisor::engine::id_map::{IdMap, IdSet};
use crate::supervisor::engine::{HostReading, TaskReading};
use crate::supervisor::limit::Limit;

/// Remembers, coarsely, how the memory of the host and of its larger tasks grew over the last minute.
///
/// Only tasks with at least one percent of the memory in use are followed, so there are few. One that is
/// not followed counts as grown from nothing, which is wrong by less than that percent.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Growth {
    last: Option<Time>,
    host: Track,
    tasks: IdMap<Track>,
    /// Tasks that could not be read when they were first looked at: their growth counts from the first value.
    unseen: IdSet,
}

#[derive(Clone, Debug, Default)]
struct Track {
    last: Option<Time>,
    bytes: VecDeque<(Time, u64)>,
}

impl Growth {
    const SPACING: Duration = Duration::from_secs(5);
    const SPAN: Duration = Duration::from_secs(60);

    /// Notes a sample; about every five seconds it is kept.
    pub(in super::super) fn note(&mut self, at: Time, host: &HostReading, tasks: &[TaskReading]) {
        if self.last.is_some_and(|last| at.since(last) < Self::SPACING) {
            return;
        }
        let Some(used) = host.memory_used_bytes else { return };
        let before = self.last.replace(at);
        let mut unseen = IdSet::default();
        self.host.keep(at, used);
        for task in tasks {
            match task.memory_bytes {
                Some(bytes) if bytes > 0 && bytes >= used / 100 => {
                    let track = self.tasks.entry(task.id).or_default();
                    if let (None, Some(before)) = (track.last, before)
                        && !self.unseen.contains(&task.id)
                    {
                        // It was small or not there: what it has by now, it grew since.
                        track.keep(before, 0);
                    }
                    track.keep(at, bytes);
                }
                Some(_) => {}
                // An unreadable task keeps its past, or it would seem to grow from nothing later.
                // Of one that can never be read nothing need be remembered.
                None => match self.tasks.get_mut(&task.id) {
                    Some(track) => track.last = Some(at),
                    None if task.executor.takes(Limit::TaskMemoryMib) => {
                        unseen.insert(task.id);
                    }
                    None => {}
                },
            }
        }
        self.tasks.retain(|_, track| track.last == Some(at));
        self.unseen = unseen;
    }

    /// Who uses how much, and who grew. `None` if the host's use is unknown or zero.
    pub(in super::super) fn shares(&self, host: &HostReading, tasks: &[TaskReading]) -> Option<Shares<'_>> {
        let used = host.memory_used_bytes.filter(|u| *u > 0)?;
        let host_grown = self.host.grown(used);
        // Below one percent growth is noise, and dividing by it would name anybody.
        let growing = host_grown >= (used / 100).max(1);
        let by_tasks =
            tasks.iter().filter_map(|t| Some(self.of(t.id, t.memory_bytes?))).fold(0u64, u64::saturating_add);
        Some(Shares { growth: self, used, grown: growing.then(|| host_grown.max(by_tasks)) })
    }

    /// Whether the task was seen to use much memory in the last minute.
    pub(in super::super) fn knew(&self, task: &TaskReading) -> bool {
        self.tasks.contains_key(&task.id)
    }

    fn of(&self, task: u64, bytes: u64) -> u64 {
        match self.tasks.get(&task) {
            Some(track) => track.grown(bytes),
            None if self.unseen.contains(&task) => 0,
            None => bytes,
        }
    }
}

impl Track {
    fn keep(&mut self, at: Time, bytes: u64) {
        while self.bytes.front().is_some_and(|(t, _)| at.since(*t) > Growth::SPAN) {
            self.bytes.pop_front();
        }
        self.bytes.push_back((at, bytes));
        self.last = Some(at);
    }

    fn grown(&self, now: u64) -> u64 {
        self.bytes.front().map_or(0, |(_, then)| now.saturating_sub(*then))
    }
}

/// The host's memory at one sample.
pub(in super::super) struct Shares<'a> {
    growth: &'a Growth,
    used: u64,
    /// All growth of the window if the host grew by at least one percent of what it uses: the host's own,
    /// or the sum of what its tasks grew if that is more because something else shrank.
    grown: Option<u64>,
}

impl Shares<'_> {
    /// The task's part of the memory in use, 0 to 1.
    pub(in super::super) fn share(&self, task: &TaskReading) -> Option<f64> {
        task.memory_bytes.map(|b| (b as f64 / self.used as f64).min(1.0))
    }

    /// The task's part of the growth, 0 to 1; `None` while the host does not grow.
    pub(in super::super) fn growth_share(&self, task: &TaskReading) -> Option<f64> {
        let grown = self.growth.of(task.id, task.memory_bytes?);
        self.grown.map(|all| (grown as f64 / all as f64).min(1.0))
    }
}
