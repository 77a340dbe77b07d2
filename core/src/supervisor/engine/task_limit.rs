//! The limits on what one task uses.

use std::time::Duration;

use super::id_map::IdMap;
use super::metric::known;
use super::timer::Timer;
use super::{Action, Breach, Mode, NotCancelled, TaskId, TaskReading};
use crate::clock::Time;
use crate::supervisor::limit::Limit;
use crate::supervisor::profile::Profile;

/// What is remembered of tasks in trouble. A task that keeps its limits has no entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    by_task: IdMap<Trouble>,
}

/// What is remembered of one task.
#[derive(Clone, Debug, Default)]
struct Trouble {
    pass: u64,
    cpu: Timer,
    /// One bit a limit: told of as advisory; never told of again.
    advised: u16,
    /// One bit a limit: told of in this episode.
    told: u16,
    /// This engine said to cancel it.
    nominated: bool,
    /// Its cancellation ended, with whatever outcome.
    verified: bool,
}

impl Trouble {
    fn is_over(&self) -> bool {
        !self.cpu.is_running() && self.advised == 0 && self.told == 0 && !self.nominated && !self.verified
    }
}

/// Where a reading comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A sample of everything: what has no value could not be read.
    Sample(u64),
    /// A look at one task between samples: what has no value was not looked at.
    Check,
}

/// A limit is broken, whole, or nothing is known.
enum Look {
    Unknown,
    Whole,
    Broken { bound: f64, observed: f64 },
}

impl Troubles {
    /// What the task's own limits ask for. At most one action: a cancellation before a record.
    ///
    /// Also returns whether the task may still be cancelled.
    pub(super) fn decide(
        &mut self,
        at: Time,
        task: &TaskReading,
        mode: Mode,
        source: Source,
    ) -> (Option<Action>, bool) {
        let mut trouble = if self.by_task.is_empty() { None } else { self.by_task.get_mut(&task.id) };
        if let (Some(trouble), Source::Sample(pass)) = (&mut trouble, source) {
            trouble.pass = pass;
        }
        if task.cancelling || trouble.as_ref().is_some_and(|t| t.nominated) {
            return (None, false);
        }
        if trouble.is_none() && !breaks_any(at, task) {
            return (None, true);
        }
        let trouble = self.by_task.entry(task.id).or_default();
        if let Source::Sample(pass) = source {
            trouble.pass = pass;
        }
        let action = trouble.decide(at, task, mode, source);
        let active = !trouble.nominated;
        if trouble.is_over() {
            self.by_task.remove(&task.id);
        }
        (action, active)
    }

    /// The engine said to cancel `task`.
    pub(super) fn nominate(&mut self, task: TaskId) {
        self.by_task.entry(task).or_default().nominated = true;
    }

    /// The cancellation of `task` ended, whoever asked for it.
    pub(super) fn verified(&mut self, task: TaskId, pass: u64) {
        let trouble = self.by_task.entry(task).or_default();
        trouble.verified = true;
        trouble.pass = pass;
    }

    /// The task left one profile for another. Returns false, and does nothing, if this engine said to cancel it.
    pub(super) fn replace_profile(&mut self, task: TaskId, from: &Profile, to: &Profile) -> bool {
        let Some(trouble) = self.by_task.get_mut(&task) else { return true };
        if trouble.nominated {
            return false;
        }
        for limit in Limit::ALL.into_iter().filter(|limit| from.bound(*limit) != to.bound(*limit)) {
            let bit = 1u16 << limit as u16;
            trouble.told &= !bit;
            trouble.advised &= !bit;
            if limit == Limit::TaskCpuPercent {
                trouble.cpu.clean();
            }
        }
        if trouble.is_over() {
            self.by_task.remove(&task);
        }
        true
    }

    /// Whether the task may still be cancelled.
    pub(super) fn is_active(&self, task: &TaskReading) -> bool {
        !task.cancelling && !self.get(task).is_some_and(|t| t.nominated)
    }

    /// Whether the task was asked to stop and how that ends is not yet known.
    pub(super) fn is_leaving(&self, task: &TaskReading) -> bool {
        let trouble = self.get(task);
        (task.cancelling || trouble.is_some_and(|t| t.nominated)) && !trouble.is_some_and(|t| t.verified)
    }

    fn get(&self, task: &TaskReading) -> Option<&Trouble> {
        // Most of the time nobody is in trouble, and then nobody is to be looked up.
        if self.by_task.is_empty() { None } else { self.by_task.get(&task.id) }
    }

    /// Forgets a task.
    pub(super) fn forget(&mut self, task: TaskId) {
        self.by_task.remove(&task);
    }

    /// Forgets tasks that were not in the pass. Nominated ones stay until [`forget`](Self::forget): a list
    /// that was made before they started must not get them cancelled twice.
    pub(super) fn prune(&mut self, pass: u64) {
        self.by_task.retain(|_, t| t.nominated || t.pass == pass);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_task.len()
    }
}

impl Trouble {
    fn decide(&mut self, at: Time, task: &TaskReading, mode: Mode, source: Source) -> Option<Action> {
        let mut record = None;
        for limit in Limit::ALL {
            if limit.is_host() {
                continue;
            }
            let bit = 1u16 << limit as u16;
            let (bound, observed, sustained) = match look(limit, at, task) {
                Look::Broken { bound, observed } if limit == Limit::TaskCpuPercent => {
                    self.cpu.broken(at);
                    let held = self.cpu.held();
                    if held < task.profile.sustain() {
                        continue;
                    }
                    (bound, observed, held)
                }
                Look::Broken { bound, observed } => (bound, observed, Duration::ZERO),
                Look::Whole => {
                    self.told &= !bit;
                    if limit == Limit::TaskCpuPercent {
                        self.cpu.clean();
                    }
                    continue;
                }
                Look::Unknown => {
                    if limit == Limit::TaskCpuPercent && source != Source::Check {
                        self.cpu.unknown();
                    }
                    continue;
                }
            };
            let breach = || Breach::new(limit, bound, observed, sustained);
            let (reason, told) = if !task.executor.takes(limit) {
                (NotCancelled::Advisory, &mut self.advised)
            } else if !task.profile.auto_cancel() {
                (NotCancelled::AutoCancelOff, &mut self.told)
            } else if mode == Mode::Observe {
                (NotCancelled::Observing, &mut self.told)
            } else {
                self.nominated = true;
                return Some(Action::Cancel { task: task.id, breach: breach(), blame: Vec::new() });
            };
            // One record a call; what another limit has to say waits for the next sample.
            if record.is_none() && *told & bit == 0 {
                *told |= bit;
                record =
                    Some(Action::Record { task: Some(task.id), breach: breach(), blame: Vec::new(), reason });
            }
        }
        record
    }
}

/// Whether any task limit is broken by this reading: the one question asked while all is well.
fn breaks_any(at: Time, task: &TaskReading) -> bool {
    let limits = task.profile.task();
    let over = |bound: Option<f64>, value: Option<f64>| matches!((bound, value), (Some(b), Some(v)) if v > b);
    task.profile.max_duration().is_some_and(|d| at >= task.started + d)
        || limits.max_idle.is_some_and(|d| at >= task.last_progress + d)
        || over(limits.max_cpu_percent, known(task.cpu_percent))
        || over(limits.max_cpu_seconds, task.cpu_time.map(|d| d.as_secs_f64()))
        || over(limits.max_memory_mib, task.memory_bytes.map(mib))
        || over(limits.max_processes.map(|n| n as f64), task.processes.map(|n| n as f64))
        || over(limits.max_output_mib, task.output_bytes.map(mib))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn look(limit: Limit, at: Time, task: &TaskReading) -> Look {
    let elapsed = |from: Time, most: Option<Duration>| match most {
        Some(most) if at >= from + most => {
            Look::Broken { bound: most.as_secs_f64(), observed: at.since(from).as_secs_f64() }
        }
        _ => Look::Whole,
    };
    let observed = match limit {
        Limit::MaxDuration => return elapsed(task.started, task.profile.max_duration()),
        Limit::TaskIdle => return elapsed(task.last_progress, task.profile.task().max_idle),
        Limit::TaskCpuPercent => known(task.cpu_percent),
        Limit::TaskCpuSeconds => task.cpu_time.map(|d| d.as_secs_f64()),
        Limit::TaskMemoryMib => task.memory_bytes.map(mib),
        Limit::TaskProcesses => task.processes.map(|n| n as f64),
        Limit::TaskOutputMib => task.output_bytes.map(mib),
        _ => None,
    };
    match (task.profile.bound(limit), observed) {
        (None, _) => Look::Whole,
        (Some(_), None) => Look::Unknown,
        (Some(bound), Some(observed)) if limit.is_broken(bound, observed) => Look::Broken { bound, observed },
        _ => Look::Whole,
    }
}
