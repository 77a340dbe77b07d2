//! How long a bound has been broken.

use std::time::Duration;

use crate::clock::Time;

/// Adds up the time for which a bound was seen to be broken.
///
/// Time counts between two known breaking samples that follow each other. A clean sample starts over. An
/// unknown sample keeps what was counted, and the spans on both sides of it do not count: nobody knows
/// what happened in them.
///
/// Small, because there may be five for each of ten thousand profiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    /// Nanoseconds; [`STILL`] while it does not run.
    held: u64,
    /// The sample before, if it was a breaking one; otherwise never.
    last: Time,
}

const STILL: u64 = u64::MAX;

impl Default for Timer {
    fn default() -> Self {
        Timer { held: STILL, last: Time::NEVER }
    }
}

impl Timer {
    /// A breaking sample.
    pub(super) fn broken(&mut self, at: Time) {
        if self.last != Time::NEVER {
            let more = at.as_nanos().saturating_sub(self.last.as_nanos());
            self.held = self.held.saturating_add(more).min(STILL - 1);
        } else if !self.is_running() {
            self.held = 0;
        }
        self.last = at;
    }

    /// A sample without a value.
    pub(super) fn unknown(&mut self) {
        self.last = Time::NEVER;
    }

    /// A sample within the bound.
    pub(super) fn clean(&mut self) {
        *self = Timer::default();
    }

    /// Whether the last known sample was a breaking one.
    pub(super) fn is_running(&self) -> bool {
        self.held != STILL
    }

    /// The time counted so far.
    pub(super) fn held(&self) -> Duration {
        Duration::from_nanos(self.held_nanos())
    }

    /// As [`held`](Self::held), in nanoseconds: what ten thousand timers are compared by.
    pub(super) fn held_nanos(&self) -> u64 {
        if self.is_running() { self.held } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(n: u64) -> Time {
        Time::ZERO + Duration::from_secs(n)
    }

    #[test]
    fn time_counts_between_breaking_samples_that_follow_each_other() {
        let mut t = Timer::default();
        let broken = |t: &mut Timer, at| {
            t.broken(at);
            t.held()
        };
        assert_eq!(broken(&mut t, s(10)), Duration::ZERO);
        assert_eq!(broken(&mut t, s(12)), Duration::from_secs(2));
        t.unknown();
        assert!(t.is_running());
        assert_eq!(broken(&mut t, s(600)), Duration::from_secs(2), "the gap does not count");
        assert_eq!(broken(&mut t, s(601)), Duration::from_secs(3));
        t.clean();
        assert!(!t.is_running());
        assert_eq!(broken(&mut t, s(700)), Duration::ZERO);
    }
}
