//! Tasks that were put under another profile while they run.

use super::metric::HOST_LIMITS;
use super::{TaskId, TaskReading, id_map::IdMap};
use crate::clock::Time;
use crate::supervisor::profile::Profile;

/// Since when the changed host limits hold for tasks that were put under another profile. Others may be under it
/// for long, and have its timers run: the newcomer is measured for its own sustain time first.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    by_task: IdMap<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    since: [Option<Time>; 5],
    /// From then on nothing of this counts.
    over: Time,
}

impl Changes {
    /// `task` left one profile for another.
    pub(super) fn note(&mut self, at: Time, task: TaskId, from: &Profile, to: &Profile) {
        let blank = Change { since: [None; 5], over: at };
        let change = self.by_task.entry(task).or_insert(blank);
        for (limit, since) in HOST_LIMITS.into_iter().zip(&mut change.since) {
            if from.bound(limit) != to.bound(limit) {
                *since = Some(at);
            }
        }
        let latest = change.since.iter().flatten().max();
        change.over = latest.map_or(at, |latest| *latest + to.sustain());
    }

    /// Whether the task is under this bound for less than the sustain time.
    pub(super) fn is_new(&self, at: Time, task: &TaskReading, limit: usize) -> bool {
        let since = self.by_task.get(&task.id).and_then(|change| change.since[limit]);
        since.is_some_and(|since| at.since(since) < task.profile.sustain())
    }

    /// Forgets what is over, tasks that are gone among it.
    pub(super) fn prune(&mut self, at: Time) {
        self.by_task.retain(|_, change| at < change.over);
    }
}
