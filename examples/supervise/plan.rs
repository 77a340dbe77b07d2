//! What a signal to supervise does to the tree. Pure: signals and time in, what to do out.

use std::time::{Duration, Instant};

/// A signal as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) number: i32,
    /// Whether it is the interrupt; a second one means now.
    pub(crate) is_interrupt: bool,
    /// Whether the terminal sent it, and so to the command as well.
    pub(crate) from_terminal: bool,
}

/// What to do to the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    Cancel,
    Kill,
}

/// A command that the terminal has interrupted may be tidying up: SIGTERM comes no sooner than this.
const HEAD_START: Duration = Duration::from_secs(1);

/// Where a stop by signal stands.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The first signal; it decides the exit status.
    pub(crate) signal: Option<i32>,
    head_start: Duration,
    cancel_at: Option<Instant>,
}

impl Plan {
    /// `grace` is that of the profile: whoever wants a command gone sooner gets it sooner.
    pub(crate) fn new(grace: Duration) -> Plan {
        Plan { head_start: HEAD_START.min(grace), ..Plan::default() }
    }

    /// A signal came. `stopping` says whether the tree is being cancelled for whatever reason.
    pub(crate) fn hear(&mut self, signal: Received, stopping: bool, now: Instant) -> Act {
        let again = self.signal.is_some() || stopping;
        self.signal.get_or_insert(signal.number);
        if again {
            return if signal.is_interrupt { self.at_once() } else { self.no_later() };
        }
        if signal.from_terminal && !self.head_start.is_zero() {
            self.cancel_at = Some(now + self.head_start);
            return Act::Nothing;
        }
        Act::Cancel
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Act {
        if self.cancel_at.is_some_and(|at| now >= at) { self.no_later() } else { Act::Nothing }
    }

    /// When [`tick`](Plan::tick) is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.cancel_at
    }

    fn at_once(&mut self) -> Act {
        self.cancel_at = None;
        Act::Kill
    }

    fn no_later(&mut self) -> Act {
        if self.cancel_at.take().is_some() { Act::Cancel } else { Act::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn signal(number: i32, from_terminal: bool) -> Received {
        Received { number, is_interrupt: number == 2, from_terminal }
    }

    #[test]
    fn a_signal_that_only_supervise_got_is_passed_on_at_once() {
        let (mut plan, now) = (Plan::new(5 * S), Instant::now());
        assert_eq!(plan.hear(signal(15, false), false, now), Act::Cancel);
        assert_eq!(plan.signal, Some(15));
        assert_eq!(plan.due(), None);
    }

    #[test]
    fn a_command_that_the_terminal_interrupted_has_a_moment_to_leave_by_itself() {
        let (mut plan, now) = (Plan::new(5 * S), Instant::now());
        assert_eq!(plan.hear(signal(2, true), false, now), Act::Nothing);
        assert_eq!(plan.tick(now + HEAD_START / 2), Act::Nothing);
        assert_eq!(plan.tick(now + HEAD_START), Act::Cancel);
        assert_eq!(plan.tick(now + 2 * HEAD_START), Act::Nothing, "once");
        let mut plan = Plan::new(Duration::ZERO);
        assert_eq!(plan.hear(signal(2, true), false, now), Act::Cancel, "no grace, no head start");
    }

    #[test]
    fn a_second_interrupt_kills_and_other_repeats_do_not() {
        let (mut plan, now) = (Plan::new(5 * S), Instant::now());
        assert_eq!(plan.hear(signal(2, false), false, now), Act::Cancel);
        assert_eq!(plan.hear(signal(1, false), true, now), Act::Nothing);
        assert_eq!(plan.hear(signal(2, true), true, now), Act::Kill);
        assert_eq!(plan.signal, Some(2), "the first decides the status");

        let mut plan = Plan::new(5 * S);
        assert_eq!(plan.hear(signal(2, true), false, now), Act::Nothing);
        assert_eq!(plan.hear(signal(2, true), false, now), Act::Kill, "also in the head start");

        let mut plan = Plan::new(5 * S);
        assert_eq!(plan.hear(signal(2, true), false, now), Act::Nothing);
        assert_eq!(plan.hear(signal(15, false), false, now), Act::Cancel, "which ends the head start");
    }

    #[test]
    fn an_interrupt_while_a_limit_stops_the_tree_kills_it() {
        let mut plan = Plan::new(5 * S);
        assert_eq!(plan.hear(signal(2, true), true, Instant::now()), Act::Kill);
    }
}
