//! The engine: one state machine over readings and time.

use super::blame::cpu::Ledger;
use super::blame::memory::Growth;
use super::change::Changes;
use super::episode::Episode;
use super::metric;
use super::nominate::{Finding, Measured, Sample, Scene, Standing};
use super::settle::{Cap, Settle};
use super::task_limit::{Source, Troubles};
use super::watch::{InBreach, Watches};
use super::{
    Action, Breach, Contribution, EngineSettings, HostReading, Mode, NotCancelled, TaskId, TaskReading,
};
use crate::clock::Time;
use crate::supervisor::profile::{Blame, Profile};

/// Decides who is cancelled. Pure: no clock, no thread, no randomness, so recorded readings give the same
/// actions again.
///
/// # Task limits
/// Decided at once and for each task alone, in [`observe`](Self::observe) and
/// [`check_task`](Self::check_task). `task.max_cpu_percent` must be broken for the profile's sustain time;
/// every other task limit breaks on one known value.
///
/// # Host limits
/// Each profile has a timer for each of its host limits. A limit that was broken for the whole sustain time
/// nominates one task: the largest contributor among those whose own profile is in breach, that ran for the
/// sustain time, and that have at least [`min_share`](EngineSettings::min_share).
///
/// - CPU: the task's part of the processor time used over the last sustain time. What a task
///   [inside](TaskReading::inside) of it used is not its part, if that one's own bound is broken or it is leaving.
/// - Memory: its part of the memory in use. While the host's memory grows (by one percent or more in a
///   minute) the rank is half that share and half its part of the growth, and a task needs the minimum share
///   of both.
/// - Frames, latency and response: as CPU, then the higher level; and the task must use
///   [`min_core_percent`](EngineSettings::min_core_percent) of a core.
///
/// The breach is external if nobody is eligible, or, for CPU and memory, if the rest of the machine alone
/// breaks the bound; tasks that nobody may cancel for this limit belong to the rest.
///
/// A nomination waits while a larger contributor is still too young to be judged, or may hide behind a
/// reading that is unknown for a moment, and while tasks that are leaving already are expected to bring the
/// metric back. After a nomination no other follows until it is
/// [`verified`](Self::verified) and [`settle`](EngineSettings::settle) has passed; then every sustain time is
/// measured anew. If several limits are in breach, the one broken longest is judged first.
///
/// # Unknown values
/// `None`, NaN, infinite and negative values are unknown: they neither break nor clear a limit, and the time
/// around them does not count towards a sustain time.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: EngineSettings,
    pass: u64,
    now: Time,
    troubles: Troubles,
    watches: Watches,
    changes: Changes,
    ledger: Ledger,
    growth: Growth,
    settle: Settle,
    cap: Cap,
    episodes: [Episode; 5],
    /// Where each task of the present sample stands, in the order of the readings. Kept for its room alone.
    standings: Vec<Standing>,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(settings: EngineSettings) -> Self {
        Engine {
            settle: Settle::new(settings.settle),
            cap: Cap::new(settings.max_cancellations_per_minute),
            settings,
            pass: 0,
            now: Time::ZERO,
            troubles: Troubles::default(),
            watches: Watches::default(),
            changes: Changes::default(),
            ledger: Ledger::default(),
            growth: Growth::default(),
            episodes: Default::default(),
            standings: Vec::new(),
        }
    }

    /// Decides over one sample of the host and of all running tasks.
    ///
    /// The order of `tasks` does not matter. Actions of task limits come first, by task id.
    pub fn observe(&mut self, at: Time, host: &HostReading, tasks: &[TaskReading]) -> Vec<Action> {
        self.pass += 1;
        self.now = self.now.max(at);
        if self.settle.is_over(at) {
            self.watches.reset();
            self.ledger.clear();
        }
        let values = metric::values(host);
        let mut actions = Vec::new();

        self.watches.begin(self.pass, tasks.len());
        let mut standings = std::mem::take(&mut self.standings);
        standings.clear();
        for task in tasks {
            let (action, active) =
                self.troubles.decide(at, task, self.settings.mode, Source::Sample(self.pass));
            actions.extend(action);
            let leaving = !active && self.troubles.is_leaving(task);
            let look = self.watches.look(at, &task.profile, active, &values);
            standings.push(Standing { active, leaving, look });
        }
        self.watches.finish();
        self.troubles.prune(self.pass);
        self.changes.prune(at);
        actions.sort_by_key(subject);

        for (limit, episode) in self.episodes.iter_mut().enumerate() {
            if values[limit].is_some() && !self.watches.is_broken(limit) {
                episode.end();
            }
        }
        let sustain = self.watches.cpu_sustain();
        self.ledger.note(at, host, tasks, sustain, self.watches.began());
        self.growth.note(at, host, tasks);

        let sample = Sample { at, host, values: &values, tasks, standings: &standings };
        self.cancel_any(&sample, &mut actions);
        if !self.settle.is_holding() {
            let mut measured = Measured::default();
            for found in self.watches.in_breach(Blame::Culprit) {
                if self.nominate(found, &sample, &mut measured, &mut actions) {
                    break;
                }
            }
        }
        self.standings = standings;
        actions
    }

    /// Whether some running task's host limit was broken at the last known value, for however short a time.
    pub fn is_host_broken(&self) -> bool {
        (0..self.episodes.len()).any(|limit| self.watches.is_broken(limit))
    }

    /// Decides over the limits of one task between samples. A value that is `None` was not looked at.
    pub fn check_task(&mut self, at: Time, task: &TaskReading) -> Option<Action> {
        self.now = self.now.max(at);
        self.troubles.decide(at, task, self.settings.mode, Source::Check).0
    }

    /// The cancellation of `task` ended, with whatever outcome and whoever asked for it. To be told of every
    /// cancellation: from then on a task that is still listed counts as load that cannot be removed.
    pub fn verified(&mut self, task: TaskId, at: Time) {
        self.now = self.now.max(at);
        self.troubles.verified(task, self.pass);
        self.settle.ended(task, at);
    }

    /// Puts a running task under another profile; its next reading comes with that one. Bounds that did not change
    /// keep the time for which they have been broken, changed ones are measured anew. Returns false, and changes
    /// nothing, if it was decided already to cancel the task.
    pub fn replace_profile(&mut self, at: Time, task: TaskId, from: &Profile, to: &Profile) -> bool {
        self.now = self.now.max(at);
        if !self.troubles.replace_profile(task, from, to) {
            return false;
        }
        self.watches.carry_over(from, to);
        self.changes.note(at, task, from, to);
        true
    }

    /// Forgets a task that is no longer listed. To be told of every task that was cancelled, once it left
    /// the readings; the others are forgotten by themselves.
    pub fn forget(&mut self, task: TaskId) {
        self.troubles.forget(task);
        // If nobody verified it, the metric still gets its time to settle.
        self.settle.ended(task, self.now);
    }

    /// The older behaviour: everyone whose profile has the limit and says `blame: "any"`.
    fn cancel_any(&mut self, sample: &Sample<'_>, actions: &mut Vec<Action>) {
        for found in self.watches.in_breach(Blame::Any) {
            let scene = self.scene(sample);
            let mut hit: Vec<(&TaskReading, Breach)> = sample
                .tasks
                .iter()
                .enumerate()
                .filter(|(_, t)| t.profile.blame() == Blame::Any && self.troubles.is_active(t))
                .filter_map(|(i, t)| Some((t, scene.breach(i, found.limit)?)))
                .collect();
            hit.sort_by_key(|(t, _)| t.id);
            for (task, breach) in hit {
                actions.extend(self.decide(task, found.limit, breach, Vec::new()));
            }
        }
    }

    /// Judges one limit; returns whether that ended the search.
    fn nominate(
        &mut self,
        found: InBreach,
        sample: &Sample<'_>,
        measured: &mut Measured,
        actions: &mut Vec<Action>,
    ) -> bool {
        let told = self.episodes[found.limit].told_external();
        let finding = self.scene(sample).judge(found, told, measured);
        match finding {
            Finding::TooEarly => false,
            Finding::External { breach, blame } => {
                if self.episodes[found.limit].tell_external() {
                    let reason = NotCancelled::External;
                    actions.push(Action::Record { task: None, breach, blame, reason });
                }
                false
            }
            Finding::Culprit { index, breach, blame } => {
                let task = &sample.tasks[index];
                let enforced = self.settings.mode == Mode::Enforce && task.profile.auto_cancel();
                if enforced && !self.cap.take(sample.at) {
                    if self.episodes[found.limit].tell_capped() {
                        let reason = NotCancelled::Capped;
                        actions.push(Action::Record { task: Some(task.id), breach, blame, reason });
                    }
                    return true;
                }
                actions.extend(self.decide(task, found.limit, breach, blame));
                enforced
            }
        }
    }

    /// Cancels a task for a host limit, or records once an episode why not.
    fn decide(
        &mut self,
        task: &TaskReading,
        limit: usize,
        breach: Breach,
        blame: Vec<Contribution>,
    ) -> Option<Action> {
        let reason = match self.settings.mode {
            _ if !task.profile.auto_cancel() => NotCancelled::AutoCancelOff,
            Mode::Observe => NotCancelled::Observing,
            Mode::Enforce => {
                self.troubles.nominate(task.id);
                self.settle.hold(task.id);
                return Some(Action::Cancel { task: task.id, breach, blame });
            }
        };
        let new = self.episodes[limit].tell_task(task.id);
        new.then_some(Action::Record { task: Some(task.id), breach, blame, reason })
    }

    fn scene<'a>(&'a self, sample: &'a Sample<'a>) -> Scene<'a> {
        Scene {
            sample,
            settings: &self.settings,
            watches: &self.watches,
            changes: &self.changes,
            ledger: &self.ledger,
            growth: &self.growth,
        }
    }
}

/// The task an action is about.
fn subject(action: &Action) -> Option<TaskId> {
    match action {
        Action::Cancel { task, .. } => Some(*task),
        Action::Record { task, .. } => *task,
    }
}

#[cfg(test)]
impl Engine {
    /// Whether a nomination is still to be verified.
    pub(in crate::supervisor) fn is_waiting(&self) -> bool {
        self.settle.is_waiting()
    }

    /// How many tasks have an entry.
    pub(super) fn remembered(&self) -> usize {
        self.troubles.len()
    }
}
