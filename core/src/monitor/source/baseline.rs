//! What a counter is compared with to make a rate of it.

use std::time::Duration;

use crate::clock::Time;

/// No rate is taken over a shorter span: the kernel counts processor time in steps of 10 ms, so at 10 ms
/// every percentage would be 0 or 100. The margin below 100 ms allows for a timer that fires early.
pub(in crate::monitor) const SHORTEST: Duration = Duration::from_millis(90);

/// Two earlier readings of a counter. A rate is taken against the one before the last, as long as that
/// gives a span that means something: with an interval of 100 ms or more it is the sample before; with a
/// shorter one, or when somebody samples on demand in between, it lies 90 to 180 ms back.
#[derive(Debug)]
pub(super) struct Baseline<T> {
    older: Option<(Time, T)>,
    newer: Option<(Time, T)>,
}

impl<T> Default for Baseline<T> {
    fn default() -> Self {
        Baseline { older: None, newer: None }
    }
}

impl<T: Clone> Baseline<T> {
    /// What to compare `reading` with and how long ago that was; `None` while that is too recent.
    pub(super) fn step(&mut self, at: Time, reading: &T) -> Option<(Duration, &T)> {
        // The first reading stands in both places.
        let older = self.older.get_or_insert_with(|| (at, reading.clone()));
        let newer = self.newer.get_or_insert_with(|| (at, reading.clone()));
        if at.since(newer.0) >= SHORTEST {
            std::mem::swap(older, newer);
            newer.0 = at;
            newer.1.clone_from(reading);
        }
        let span = at.since(older.0);
        (span >= SHORTEST).then_some((span, &older.1))
    }

    /// Forgets what was read: the counter now means something else.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_reading_gives_no_rate() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.step(ms(0), &7), None);
        assert_eq!(baseline.step(ms(10), &8), None, "10 ms is too short to mean anything");
        assert_eq!(baseline.step(ms(100), &9), Some((Duration::from_millis(100), &7)));
    }

    #[test]
    fn a_rate_is_taken_since_the_sample_before() {
        let mut baseline = Baseline::default();
        baseline.step(ms(0), &0);
        baseline.step(ms(1_000), &10);
        assert_eq!(baseline.step(ms(2_000), &30), Some((Duration::from_secs(1), &10)));
        // A look right after a sample repeats that sample's span instead of dividing by nothing.
        assert_eq!(baseline.step(ms(2_001), &30), Some((Duration::from_millis(1_001), &10)));
        assert_eq!(baseline.step(ms(3_000), &40), Some((Duration::from_secs(1), &30)));
    }

    #[test]
    fn fast_sampling_looks_back_far_enough() {
        let mut baseline = Baseline::default();
        for at in (0..5_000).step_by(10) {
            if let Some((span, reading)) = baseline.step(ms(at), &at) {
                assert!((90..=190).contains(&span.as_millis()), "{span:?}");
                assert_eq!(ms(*reading) + span, ms(at));
            } else {
                assert!(at < 90);
            }
        }
    }
}
