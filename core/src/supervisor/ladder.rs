//! The way down: asked, forced, verified. Pure: time and what was seen in, the next step out.

use std::time::Duration;

use crate::clock::Time;
use crate::supervisor::outcome::Outcome;

/// How often a thing that does not announce its end is looked at once the verdict `StillRunning` stands.
const LATE_LOOK: Duration = Duration::from_millis(250);
/// How often the time to verify begins, as long as the tree is smaller at each end: killing a burst of forks takes long
/// on a crowded machine.
const MOST_WINDOWS: u32 = 4;

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
    /// `real` is false for a task that can only be asked. `at` is when the time to verify began, for the time
    /// `windows`; `left` is how many processes there were then.
    Forced {
        at: Time,
        real: bool,
        left: Option<u64>,
        windows: u32,
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

    /// The next step, given whether the task is seen to be gone, and if it is a process tree how many processes the
    /// last look at it saw.
    pub(crate) fn step(&mut self, now: Time, gone: bool, left: Option<u64>) -> Step {
        match self.rung {
            Rung::Asked { .. } if gone => self.end(Outcome::Stopped),
            Rung::Asked { at } if now >= at + self.grace => Step::Force,
            Rung::Asked { at } => Step::Wait(at + self.grace),
            Rung::Forced { real, .. } | Rung::Lingering { real, .. } if gone => {
                self.end(if real { Outcome::Killed } else { Outcome::Stopped })
            }
            Rung::Forced { at, real: true, left: before, windows }
                if now >= at + self.verify
                    && windows < MOST_WINDOWS
                    && !self.verify.is_zero()
                    && left.zip(before).is_some_and(|(left, before)| left < before) =>
            {
                self.rung = Rung::Forced { at: now, real: true, left, windows: windows + 1 };
                Step::Wait(now + self.verify)
            }
            Rung::Forced { at, real, .. } if !real || now >= at + self.verify => {
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

    /// Says that force was used at `now`, whether this kind of task can be forced at all, and how many processes
    /// there were.
    pub(crate) fn forced(&mut self, now: Time, real: bool, left: Option<u64>) {
        if let Rung::Asked { .. } = self.rung {
            self.rung = Rung::Forced { at: now, real, left, windows: 1 };
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
        assert_eq!(l.step(Time::ZERO + S, false, None), Step::Wait(Time::ZERO + S * 5));
        assert_eq!(l.step(Time::ZERO + S * 2, true, None), Step::Outcome(Outcome::Stopped));
        assert_eq!(l.step(Time::ZERO + S * 3, true, None), Step::Done);
    }

    #[test]
    fn a_task_that_stays_is_forced_and_seen_to_be_killed() {
        let mut l = ladder(5);
        let t = Time::ZERO + S * 5;
        assert_eq!(l.step(t, false, None), Step::Force);
        l.forced(t, true, None);
        assert_eq!(l.step(t, false, None), Step::Wait(t + S));
        assert_eq!(l.step(t + S / 2, true, None), Step::Outcome(Outcome::Killed));
    }

    #[test]
    fn a_tree_that_grows_smaller_is_looked_for_longer_and_not_for_ever() {
        let t = Time::ZERO;
        let forced = |left| {
            let mut l = ladder(0);
            assert_eq!(l.step(t, false, left), Step::Force);
            l.forced(t, true, left);
            assert_eq!(l.step(t, false, left), Step::Wait(t + S));
            l
        };
        let still = Step::Outcome(Outcome::StillRunning);
        let mut l = forced(Some(900));
        for n in 1..4 {
            assert_eq!(l.step(t + S * n, false, Some(900 - u64::from(n))), Step::Wait(t + S * (n + 1)));
        }
        assert_eq!(l.step(t + S * 4, false, Some(1)), still, "four times is all");

        let mut l = forced(Some(900));
        assert_eq!(l.step(t + S, false, Some(500)), Step::Wait(t + S * 2));
        assert_eq!(l.step(t + S * 2, false, Some(500)), still, "no fewer than before");
        for (before, after) in [(Some(1), Some(1)), (Some(1), Some(2)), (None, Some(1)), (Some(1), None)] {
            assert_eq!(forced(before).step(t + S, false, after), still, "{before:?} to {after:?}");
        }
        let mut l = forced(Some(2));
        assert_eq!(l.step(t + S, false, Some(1)), Step::Wait(t + S * 2));
        assert_eq!(l.step(t + S * 3 / 2, true, Some(0)), Step::Outcome(Outcome::Killed));
    }

    #[test]
    fn without_grace_force_is_the_first_step() {
        assert_eq!(ladder(0).step(Time::ZERO, false, None), Step::Force);
    }

    #[test]
    fn a_hurried_task_is_forced_in_the_middle_of_its_grace() {
        let mut l = ladder(3600);
        assert_eq!(l.step(Time::ZERO + S, false, None), Step::Wait(Time::ZERO + S * 3600));
        l.hurry();
        assert_eq!(l.step(Time::ZERO + S, false, None), Step::Force);
    }

    #[test]
    fn a_task_that_cannot_be_forced_is_still_running_and_may_stop_later() {
        let mut l = ladder(5);
        let t = Time::ZERO + S * 5;
        assert_eq!(l.step(t, false, None), Step::Force);
        l.forced(t, false, None);
        assert_eq!(l.step(t, false, None), Step::Outcome(Outcome::StillRunning));
        assert!(matches!(l.step(t, false, None), Step::Wait(_)));
        assert_eq!(l.step(t + S * 60, true, None), Step::Outcome(Outcome::Stopped));
    }

    proptest! {
        /// Outcomes only move forward: at most `StillRunning` and then one final outcome, which is the last step.
        #[test]
        fn outcomes_only_move_forward(
            grace in 0u64..4000, verify in 0u64..4000, real: bool,
            looks in prop::collection::vec((0u64..900, any::<bool>(), any::<Option<u64>>()), 1..40),
        ) {
            let mut l = Ladder::new(Time::ZERO, Duration::from_millis(grace), Duration::from_millis(verify));
            let (mut now, mut seen, mut forced) = (Time::ZERO, Vec::new(), 0);
            for (wait, gone, left) in looks {
                now = now + Duration::from_millis(wait);
                match l.step(now, gone, left) {
                    Step::Force => { forced += 1; l.forced(now, real, left); }
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
