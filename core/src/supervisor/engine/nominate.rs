//! Finds the culprit of one host limit that is in breach.

use super::blame::cpu::Ledger;
use super::blame::memory::Growth;
use super::blame::rank::{self, Line, Verdict};
use super::metric::{HOST_LIMITS, MEMORY};
use super::task_limit::Troubles;
use super::watch::{InBreach, Watch, Watches};
use super::{Breach, Contribution, EngineSettings, HostReading, TaskReading, WhyNot};
use crate::clock::Time;
use crate::supervisor::profile::{Blame, Level};

/// All that a nomination looks at.
pub(super) struct Scene<'a> {
    pub(super) at: Time,
    pub(super) host: &'a HostReading,
    pub(super) values: &'a [Option<f64>; 5],
    pub(super) tasks: &'a [TaskReading],
    pub(super) settings: &'a EngineSettings,
    pub(super) troubles: &'a Troubles,
    pub(super) watches: &'a Watches,
    pub(super) ledger: &'a Ledger,
    pub(super) growth: &'a Growth,
}

/// Who is to blame.
pub(super) enum Finding {
    /// The task at this place in the readings.
    Culprit { index: usize, breach: Breach, blame: Vec<Contribution> },
    /// Nobody under supervision.
    External { breach: Breach, blame: Vec<Contribution> },
    /// It cannot be said yet, or was said already.
    TooEarly,
}

/// What one task contributes.
#[derive(Clone, Copy)]
struct Part {
    share: Option<f64>,
    weight: f64,
    /// Whether it is more than the minimum.
    enough: bool,
    /// Whether the share is unknown in this sample only.
    hidden: bool,
}

/// Where one task stands.
#[derive(Clone, Copy)]
struct Standing<'a> {
    /// Whether it may still be cancelled.
    active: bool,
    /// The timers of its profile.
    watch: Option<&'a Watch>,
}

impl Standing<'_> {
    /// Whether it may be cancelled and its own profile's bound is broken now.
    fn is_candidate(&self, limit: usize) -> bool {
        self.active && self.watch.is_some_and(|w| w.is_broken(limit))
    }
}

/// Shares are added as integers, so that the order of the tasks cannot change a sum.
const UNIT: f64 = 1e12;

#[derive(Default)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, share: Option<f64>) {
        self.0 = self.0.saturating_add((share.unwrap_or(0.0) * UNIT) as u64);
    }

    /// What is left of the whole, 0 to 1.
    fn rest(&self) -> f64 {
        1.0 - (self.0 as f64 / UNIT).min(1.0)
    }
}

impl Scene<'_> {
    /// Judges one host limit. `told` is whether it is known to be external: nobody needs the ranking again.
    pub(super) fn judge(&self, found: InBreach, told: bool) -> Finding {
        let limit = HOST_LIMITS[found.limit];
        let by_use = found.limit <= MEMORY;
        let (parts, value) = self.measure(found);

        // Without the tasks that could be cancelled for this limit now; and once those have left that
        // were asked to.
        let (mut all, mut free, mut leaving) = (Sum::default(), Sum::default(), Sum::default());
        let (mut culprit_leaves, mut hidden) = (false, false);
        let standings = self.standings();
        for ((task, part), standing) in self.tasks.iter().zip(&parts).zip(&standings) {
            all.add(part.share);
            let candidate = standing.is_candidate(found.limit);
            hidden |= part.hidden && candidate;
            if !standing.active && self.troubles.is_leaving(task) {
                leaving.add(part.share);
                culprit_leaves |= part.enough;
            } else if candidate {
                free.add(part.share);
            }
        }
        if culprit_leaves && !by_use {
            return Finding::TooEarly;
        }
        let outside = value.filter(|_| by_use).map(|v| v * free.rest());
        let later = value.filter(|_| by_use && leaving.0 > 0).map(|v| v * leaving.rest());

        let mut lines = Vec::with_capacity(self.tasks.len());
        for (index, (task, part)) in self.tasks.iter().zip(&parts).enumerate() {
            let (why_not, soon) = self.why_not(task, *part, standings[index], found.limit, outside, later);
            let level = if by_use { Level::Safe } else { task.profile.level() };
            let (share, weight) = (part.share, part.weight);
            lines.push(Line { task: task.id, index, share, weight, level, why_not, soon });
        }
        match rank::verdict(&lines) {
            Verdict::TooEarly => Finding::TooEarly,
            Verdict::Nobody if told => Finding::TooEarly,
            // Somebody's use is unknown in this very sample, and what nobody is known to use would make that
            // one the larger contributor: the next sample will tell.
            Verdict::Nominated(index) if hidden && Some(all.rest()) >= parts[index].share => {
                Finding::TooEarly
            }
            Verdict::Nominated(index) => match self.breach(&self.tasks[index], found.limit) {
                Some(breach) => Finding::Culprit { index, breach, blame: rank::ranking(lines, Some(index)) },
                None => Finding::TooEarly,
            },
            Verdict::Nobody => {
                // The breach that has lasted longest stands for all; then the lowest bound.
                let worst = self
                    .tasks
                    .iter()
                    .zip(&standings)
                    .filter(|(t, st)| t.profile.blame() == Blame::Culprit && st.is_candidate(found.limit))
                    .filter_map(|(t, _)| self.breach(t, found.limit))
                    .min_by(|a, b| b.sustained_s.total_cmp(&a.sustained_s).then(a.bound.total_cmp(&b.bound)));
                let bound = worst.unwrap_or_else(|| Breach::new(limit, 0.0, 0.0, found.held));
                Finding::External { breach: bound, blame: rank::ranking(lines, None) }
            }
        }
    }

    /// The breach as the profile of `task` sees it.
    pub(super) fn breach(&self, task: &TaskReading, limit: usize) -> Option<Breach> {
        let watch = self.watches.get(&task.profile).filter(|w| w.is_in_breach(limit))?;
        let bound = task.profile.bound(HOST_LIMITS[limit])?;
        Some(Breach::new(HOST_LIMITS[limit], bound, self.values[limit]?, watch.held(limit)))
    }

    /// Where each task stands. Neighbours often share a profile: its timers are then looked up once.
    fn standings(&self) -> Vec<Standing<'_>> {
        let mut last = None;
        let stand = |task: &TaskReading| {
            let serial = task.profile.0.serial;
            let watch = match last {
                Some((s, watch)) if s == serial => watch,
                _ => self.watches.get(&task.profile),
            };
            last = Some((serial, watch));
            Standing { active: self.troubles.is_active(task), watch }
        };
        self.tasks.iter().map(stand).collect()
    }

    /// What each task contributes, and the host's value that the shares are parts of.
    fn measure(&self, found: InBreach) -> (Vec<Part>, Option<f64>) {
        let min = self.settings.min_share;
        if found.limit == MEMORY {
            let shares = self.growth.shares(self.host, self.tasks);
            let part = |task| {
                let share = shares.as_ref().and_then(|s| s.share(task));
                let growth = shares.as_ref().and_then(|s| s.growth_share(task));
                let weight = match (share, growth) {
                    (Some(s), Some(g)) => 0.5 * s + 0.5 * g,
                    (s, _) => s.unwrap_or(0.0),
                };
                // While memory grows, one who does not grow is a bystander however large.
                let enough = share.is_some_and(|s| s >= min) && growth.is_none_or(|g| g >= min);
                Part { share, weight, enough, hidden: share.is_none() && self.growth.knew(task) }
            };
            return (self.tasks.iter().map(part).collect(), self.values[MEMORY]);
        }
        let window = self.ledger.window(self.at, self.host, found.sustain);
        let signal = found.limit > MEMORY;
        let part = |task| {
            let used = window.use_of(task);
            let busy_core = used.core_percent.is_some_and(|p| p >= self.settings.min_core_percent);
            let enough = used.share.is_some_and(|s| s >= min) && (busy_core || !signal);
            let hidden = used.share.is_none() && window.knew(task);
            Part { share: used.share, weight: used.share.unwrap_or(0.0), enough, hidden }
        };
        (self.tasks.iter().map(part).collect(), window.host_percent())
    }

    /// Why the task cannot be nominated, and whether that may change with time alone.
    fn why_not(
        &self,
        task: &TaskReading,
        part: Part,
        standing: Standing<'_>,
        limit: usize,
        outside: Option<f64>,
        later: Option<f64>,
    ) -> (Option<WhyNot>, bool) {
        if !standing.active {
            return (Some(WhyNot::Cancelling), false);
        }
        let Some(bound) = task.profile.bound(HOST_LIMITS[limit]) else {
            return (Some(WhyNot::NoSuchLimit), false);
        };
        let Some(watch) = standing.watch.filter(|w| w.is_broken(limit)) else {
            return (Some(WhyNot::NotInBreach), false);
        };
        if part.share.is_none() {
            return (Some(WhyNot::Unknown), false);
        }
        if !part.enough {
            return (Some(WhyNot::BelowMinimumShare), false);
        }
        if outside.is_some_and(|o| HOST_LIMITS[limit].is_broken(bound, o)) {
            return (Some(WhyNot::OutsideLoad), false);
        }
        // Those who are leaving are expected to bring the metric back: first see them gone.
        let solved = later.is_some_and(|l| !HOST_LIMITS[limit].is_broken(bound, l));
        if solved || !watch.is_in_breach(limit) {
            return (Some(WhyNot::NotInBreach), true);
        }
        if self.at.since(task.started) < task.profile.sustain() {
            return (Some(WhyNot::TooYoung), true);
        }
        (None, false)
    }
}
