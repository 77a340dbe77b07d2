//! The way down: asked, forced, verified. Pure: time and what was seen in, the next step out.

use std::time::Duration;

use crate::clock::Time;
use crate::supervisor::outcome::Outcome;

/// How often a thing that does not announce its end is looked at once the verdict `StillRunning` stands.
const LATE_LOOK: Duration = Duration::from_millis(250);

/// Where one cancellation stands.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    grace: Duration,
    verify: Duration,
    rung: Rung,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    Asked {
        at: Time,
    },
    /// `real` is false for a task that can only be asked.
    Forced {
        at: Time,
        real: bool,
    },
    /// Reported as still running; it may yet leave.
    Lingering {
        real: bool,
        look: Time,
    },
    Done,
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing before this moment, unless the task is seen to leave.
    Wait(Time),
    /// End it by force, say so with [`Ladder::forced`], and step again.
    Force,
    /// The outcome is known. After `StillRunning` the ladder goes on and may say `Stopped` or `Killed` later.
    Outcome(Outcome),
    /// Nothing more, ever.
    Done,
}

impl Ladder {
    /// The ladder of a task that was asked to stop at `at`.
    pub(crate) fn new(at: Time, grace: Duration, verify: Duration) -> Self {
        Ladder { grace, verify, rung: Rung::Asked { at } }
    }

    /// The next step, given whether the task is seen to be gone.
    pub(crate) fn step(&mut self, now: Time, gone: bool) -> Step {
        match self.rung {
            Rung::Asked { .. } if gone => self.end(Outcome::Stopped),
            Rung::Asked { at } if now >= at + self.grace => Step::Force,
            Rung::Asked { at } => Step::Wait(at + self.grace),
            Rung::Forced { real, .. } | Rung::Lingering { real, .. } if gone => {
                self.end(if real { Outcome::Killed } else { Outcome::Stopped })
            }
            Rung::Forced { at, real } if !real || now >= at + self.verify => {
                self.rung = Rung::Lingering { real, look: now + LATE_LOOK };
                Step::Outcome(Outcome::StillRunning)
            }
            Rung::Forced { at, .. } => Step::Wait(at + self.verify),
            Rung::Lingering { real, look } => {
                let look = if now >= look { now + LATE_LOOK } else { look };
                self.rung = Rung::Lingering { real, look };
                Step::Wait(look)
            }
            Rung::Done => Step::Done,
        }
    }

    /// Says that force was used at `now`, and whether this kind of task can be forced at all.
    pub(crate) fn forced(&mut self, now: Time, real: bool) {
        if let Rung::Asked { .. } = self.rung {
            self.rung = Rung::Forced { at: now, real };
        }
    }

    /// Ends the grace now: the next step of a task that has not left is force.
    pub(crate) fn hurry(&mut self) {
        self.grace = Duration::ZERO;
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        self.rung = Rung::Done;
        Step::Outcome(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    fn ladder(grace: u32) -> Ladder {
        Ladder::new(Time::ZERO, S * grace, S)
    }

    #[test]
    fn a_task_that_leaves_in_its_grace_is_stopped() {
        let mut l = ladder(5);
        assert_eq!(l.step(Time::ZERO + S, false), Step::Wait(Time::ZERO + S * 5));
        assert_eq!(l.step(Time::ZERO + S * 2, true), Step::Outcome(Outcome::Stopped));
        assert_eq!(l.step(Time::ZERO + S * 3, true), Step::Done);
    }

    #[test]
    fn a_task_that_stays_is_forced_and_seen_to_be_killed() {
        let mut l = ladder(5);
        let t = Time::ZERO + S * 5;
        assert_eq!(l.step(t, false), Step::Force);
        l.forced(t, true);
        assert_eq!(l.step(t, false), Step::Wait(t + S));
        assert_eq!(l.step(t + S / 2, true), Step::Outcome(Outcome::Killed));
    }

    #[test]
    fn without_grace_force_is_the_first_step() {
        assert_eq!(ladder(0).step(Time::ZERO, false), Step::Force);
    }

    #[test]
    fn a_hurried_task_is_forced_in_the_middle_of_its_grace() {
        let mut l = ladder(3600);
        assert_eq!(l.step(Time::ZERO + S, false), Step::Wait(Time::ZERO + S * 3600));
        l.hurry();
        assert_eq!(l.step(Time::ZERO + S, false), Step::Force);
    }

    #[test]
    fn a_task_that_cannot_be_forced_is_still_running_and_may_stop_later() {
        let mut l = ladder(5);
        let t = Time::ZERO + S * 5;
        assert_eq!(l.step(t, false), Step::Force);
        l.forced(t, false);
        assert_eq!(l.step(t, false), Step::Outcome(Outcome::StillRunning));
        assert!(matches!(l.step(t, false), Step::Wait(_)));
        assert_eq!(l.step(t + S * 60, true), Step::Outcome(Outcome::Stopped));
    }

    proptest! {
        /// Outcomes only move forward: at most `StillRunning` and then one final outcome, which is the last step.
        #[test]
        fn outcomes_only_move_forward(
            grace in 0u64..4000, verify in 0u64..4000, real: bool,
            looks in prop::collection::vec((0u64..900, any::<bool>()), 1..40),
        ) {
            let mut l = Ladder::new(Time::ZERO, Duration::from_millis(grace), Duration::from_millis(verify));
            let (mut now, mut seen, mut forced) = (Time::ZERO, Vec::new(), 0);
            for (wait, gone) in looks {
                now = now + Duration::from_millis(wait);
                match l.step(now, gone) {
                    Step::Force => { forced += 1; l.forced(now, real); }
                    Step::Outcome(o) => seen.push(o),
                    Step::Wait(until) => prop_assert!(until > now),
                    Step::Done => prop_assert!(matches!(seen.last(), Some(Outcome::Stopped | Outcome::Killed))),
                }
            }
            prop_assert!(forced <= 1);
            prop_assert!(seen.len() <= 2);
            if seen.len() == 2 { prop_assert_eq!(seen[0], Outcome::StillRunning); }
            if !real { prop_assert!(!seen.contains(&Outcome::Killed)); }
        }
    }
}
