//! Each task's part of the memory in use, and of its growth.

use std::collections::VecDeque;
use std::time::Duration;

use super::part::{Part, Parts};
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

    /// Who uses how much, and who grew. `percent` is the host's use.
    pub(in super::super) fn parts(
        &self,
        host: &HostReading,
        tasks: &[TaskReading],
        percent: Option<f64>,
        min_share: f64,
    ) -> Parts {
        let used = host.memory_used_bytes.filter(|u| *u > 0);
        let host_grown = used.map_or(0, |used| self.host.grown(used));
        // Below one percent growth is noise, and dividing by it would name anybody.
        let growing = used.is_some_and(|used| host_grown >= (used / 100).max(1));
        let grown = |task: &TaskReading| task.memory_bytes.map_or(0, |bytes| self.of(task.id, bytes));
        let grown: Vec<u64> = if growing { tasks.iter().map(grown).collect() } else { Vec::new() };
        // The host's own growth, or the sum of what its tasks grew if that is more because something else shrank.
        let all = host_grown.max(grown.iter().copied().fold(0, u64::saturating_add)) as f64;
        let part = |(i, task): (usize, &TaskReading)| {
            let bytes = task.memory_bytes.zip(used);
            let share = bytes.map(|(bytes, used)| (bytes as f64 / used as f64).min(1.0));
            let growth = grown.get(i).filter(|_| share.is_some()).map(|g| (*g as f64 / all).min(1.0));
            let weight = match (share, growth) {
                (Some(s), Some(g)) => 0.5 * s + 0.5 * g,
                (s, _) => s.unwrap_or(0.0),
            };
            let mut part = Part::new(share, weight);
            // While memory grows, one who does not grow is a bystander however large.
            part.enough = share.is_some_and(|s| s >= min_share) && growth.is_none_or(|g| g >= min_share);
            part.hidden = share.is_none() && self.tasks.contains_key(&task.id);
            part
        };
        Parts::new(tasks.iter().enumerate().map(part).collect(), percent)
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
