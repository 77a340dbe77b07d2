//! Finds the culprit of one host limit that is in breach.

use std::rc::Rc;

use super::blame::cpu::Ledger;
use super::blame::memory::Growth;
use super::blame::part::{Part, Parts, Sum};
use super::blame::rank::{self, Rank};
use super::change::Changes;
use super::metric::{HOST_LIMITS, MEMORY};
use super::watch::{InBreach, Look, Watches};
use super::{Breach, Contribution, EngineSettings, HostReading, TaskReading, WhyNot};
use crate::clock::Time;
use crate::supervisor::profile::Level;

/// One sample, and where its tasks stand.
pub(super) struct Sample<'a> {
    pub(super) at: Time,
    pub(super) host: &'a HostReading,
    pub(super) values: &'a [Option<f64>; 5],
    pub(super) tasks: &'a [TaskReading],
    /// In the order of the tasks.
    pub(super) standings: &'a [Standing],
}

/// All that a nomination looks at.
pub(super) struct Scene<'a> {
    pub(super) sample: &'a Sample<'a>,
    pub(super) settings: &'a EngineSettings,
    pub(super) watches: &'a Watches,
    pub(super) changes: &'a Changes,
    pub(super) ledger: &'a Ledger,
    pub(super) growth: &'a Growth,
}

/// Contributions of this sample that were measured for one limit and hold for another: four of the five limits
/// are ranked by processor time, mostly over the same window.
#[derive(Default)]
pub(super) struct Measured(Vec<(Scope, Rc<Parts>)>);

/// The place of a window, and where tasks are nested the limit too: whose use it is depends on it.
type Scope = (usize, Option<usize>);

/// Who is to blame.
pub(super) enum Finding {
    /// The task at this place in the readings.
    Culprit { index: usize, breach: Breach, blame: Vec<Contribution> },
    /// Nobody under supervision.
    External { breach: Breach, blame: Vec<Contribution> },
    /// It cannot be said yet, or was said already.
    TooEarly,
}

/// Where one task stands in this pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Whether it may still be cancelled.
    pub(super) active: bool,
    /// Whether it was asked to stop and how that ends is not yet known.
    pub(super) leaving: bool,
    /// What its profile's timers say.
    pub(super) look: Look,
}

/// What is known of a limit once all contributions to it were added up.
struct Judgement<'a> {
    limit: usize,
    parts: &'a [Part],
    /// The host's value without the tasks that could be cancelled for this limit now, if nobody else had to wait.
    outside: Option<f64>,
    /// The host's value once those have left that were asked to.
    later: Option<f64>,
}

impl Judgement<'_> {
    /// CPU and memory: what is in breach is used, and every task uses a part of it.
    fn is_by_use(&self) -> bool {
        self.limit <= MEMORY
    }

    /// All but memory are ranked by processor time.
    fn is_by_clock(&self) -> bool {
        self.limit != MEMORY
    }

    fn is_enough(&self, part: &Part) -> bool {
        part.enough && (part.busy || self.is_by_use())
    }
}

impl Scene<'_> {
    /// Judges one host limit. `told` is whether it is known to be external: nobody needs the ranking again.
    pub(super) fn judge(&self, found: InBreach, told: bool, measured: &mut Measured) -> Finding {
        let measured = self.measure(found, measured);
        let mut judgement = Judgement { limit: found.limit, parts: &measured.of, outside: None, later: None };

        let (mut free, mut leaving) = (Sum::default(), Sum::default());
        let (mut culprit_leaves, mut hidden) = (false, Vec::new());
        // Whoever could be nominated, now or soon. Rarely more than the minimum share has room for.
        let mut candidates = Vec::new();
        for (index, (part, standing)) in measured.of.iter().zip(self.sample.standings).enumerate() {
            if standing.leaving {
                leaving.add(part);
                culprit_leaves |= judgement.is_enough(part);
            } else if standing.look.is_broken(found.limit) {
                hidden.extend(part.hidden.then_some(index));
                free.add(part);
                if judgement.is_enough(part) {
                    candidates.push(index);
                }
            }
        }
        if culprit_leaves && !judgement.is_by_use() {
            return Finding::TooEarly;
        }
        let whole = measured.whole.filter(|_| judgement.is_by_use());
        judgement.outside = whole.and(measured.demand).map(|d| d * free.rest());
        judgement.later = whole.filter(|_| !leaving.is_zero()).map(|w| w * leaving.rest());

        let (mut eligible, mut soon): (Option<Rank>, Option<Rank>) = (None, None);
        for index in candidates {
            let first = match self.why_not(&judgement, index) {
                (None, _) => &mut eligible,
                (Some(_), true) => &mut soon,
                (Some(_), false) => continue,
            };
            let rank = self.rank(&judgement, index);
            if first.as_ref().is_none_or(|f| rank.is_above(f)) {
                *first = Some(rank);
            }
        }
        match (eligible, soon) {
            // One that ranks above all eligible ones has not yet been measured for its sustain time.
            (Some(e), Some(s)) if s.is_above(&e) => Finding::TooEarly,
            // Somebody's use is unknown in this very sample, and what nobody is known to use would make that
            // one the larger contributor: the next sample will tell.
            (Some(e), _) if !hidden.is_empty() && Some(measured.all.rest()) >= measured.of[e.index].share => {
                Finding::TooEarly
            }
            // What runs inside of it is unknown in this very sample, and is taken for its own use: the next one will tell.
            (Some(e), _) if judgement.is_by_clock() && self.ledger.is_around(e.index, &hidden) => {
                Finding::TooEarly
            }
            (Some(e), _) => match self.breach(e.index, found.limit) {
                Some(breach) => {
                    Finding::Culprit { index: e.index, breach, blame: self.blame(&judgement, Some(e.index)) }
                }
                None => Finding::TooEarly,
            },
            (None, Some(_)) => Finding::TooEarly,
            (None, None) if told => Finding::TooEarly,
            (None, None) => {
                // The breach that has lasted longest stands for all; then the lowest bound.
                let observed = self.sample.values[found.limit].unwrap_or(0.0);
                let breach = Breach::new(HOST_LIMITS[found.limit], found.bound, observed, found.held());
                Finding::External { breach, blame: self.blame(&judgement, None) }
            }
        }
    }

    /// The breach as the profile of the task at this place sees it.
    pub(super) fn breach(&self, index: usize, limit: usize) -> Option<Breach> {
        let (task, look) = (&self.sample.tasks[index], self.sample.standings[index].look);
        let watch = self.watches.get(look).filter(|w| look.is_broken(limit) && w.is_in_breach(limit))?;
        let bound = task.profile.bound(HOST_LIMITS[limit])?;
        Some(Breach::new(HOST_LIMITS[limit], bound, self.sample.values[limit]?, watch.held(limit)))
    }

    /// What each task contributes.
    fn measure(&self, found: InBreach, measured: &mut Measured) -> Rc<Parts> {
        let Sample { at, host, values, tasks, standings } = *self.sample;
        if found.limit == MEMORY {
            return Rc::new(self.growth.parts(host, tasks, values[MEMORY], self.settings.min_share));
        }
        let window = self.ledger.window(at, host, found.sustain());
        let scope = (window.place(), self.ledger.is_nested().then_some(found.limit));
        if let Some((_, parts)) = measured.0.iter().find(|(known, _)| *known == scope) {
            return parts.clone();
        }
        // One that leaves already is expected to take its use along. The bound of one that may not be cancelled any more
        // is not watched.
        let blamed = |index: usize| {
            let Standing { active, leaving, look } = standings[index];
            let limit = HOST_LIMITS[found.limit];
            let broken = || Some(limit.is_broken(tasks[index].profile.bound(limit)?, values[found.limit]?));
            leaving || if active { look.is_broken(found.limit) } else { broken() == Some(true) }
        };
        let parts = Rc::new(window.parts(tasks, self.settings, blamed));
        measured.0.push((scope, parts.clone()));
        parts
    }

    fn rank(&self, judgement: &Judgement<'_>, index: usize) -> Rank {
        let task = &self.sample.tasks[index];
        let level = if judgement.is_by_use() { Level::Safe } else { task.profile.level() };
        Rank::new(task.id, index, &judgement.parts[index], level)
    }

    /// The ranking as records show it.
    fn blame(&self, judgement: &Judgement<'_>, nominated: Option<usize>) -> Vec<Contribution> {
        let ranking = rank::ranking(judgement.parts, nominated, |index| self.rank(judgement, index));
        let contribution = |(number, rank): (u32, Rank)| {
            let (why_not, _) = self.why_not(judgement, rank.index);
            let share = judgement.parts[rank.index].share.unwrap_or(0.0);
            Contribution { task: rank.task, rank: number, share, eligible: why_not.is_none(), why_not }
        };
        ranking.into_iter().map(contribution).collect()
    }

    /// Why the task cannot be nominated, and whether that may change with time alone.
    fn why_not(&self, judgement: &Judgement<'_>, index: usize) -> (Option<WhyNot>, bool) {
        let (task, standing) = (&self.sample.tasks[index], self.sample.standings[index]);
        let part = &judgement.parts[index];
        let limit = HOST_LIMITS[judgement.limit];
        if !standing.active {
            return (Some(WhyNot::Cancelling), false);
        }
        let Some(bound) = task.profile.bound(limit) else {
            return (Some(WhyNot::NoSuchLimit), false);
        };
        let look = standing.look;
        let Some(watch) = self.watches.get(look).filter(|_| look.is_broken(judgement.limit)) else {
            return (Some(WhyNot::NotInBreach), false);
        };
        if part.share.is_none() {
            return (Some(WhyNot::Unknown), false);
        }
        if !judgement.is_enough(part) {
            return (Some(WhyNot::BelowMinimumShare), false);
        }
        // Those who are leaving are expected to bring the metric back: first see them gone.
        let solved = judgement.later.is_some_and(|l| !limit.is_broken(bound, l));
        if solved {
            return (Some(WhyNot::NotInBreach), true);
        }
        if judgement.outside.is_some_and(|o| limit.is_broken(bound, o)) {
            return (Some(WhyNot::OutsideLoad), false);
        }
        if !watch.is_in_breach(judgement.limit) {
            return (Some(WhyNot::NotInBreach), true);
        }
        let at = self.sample.at;
        if at.since(task.started) < task.profile.sustain() || self.changes.is_new(at, task, judgement.limit) {
            return (Some(WhyNot::TooYoung), true);
        }
        (None, false)
    }
}
