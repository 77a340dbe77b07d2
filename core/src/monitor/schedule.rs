//! When the next sample is due, purely.

use std::time::{Duration, Instant};

/// The shortest interval at which the machine is sampled.
pub(super) const SHORTEST: Duration = Duration::from_millis(10);
/// The longest.
pub(super) const LONGEST: Duration = Duration::from_secs(600);
/// The first sample comes this soon, so that a host with a long interval is not blind at its start.
const FIRST: Duration = Duration::from_millis(100);

/// A fixed beat. A sample that came late does not shift the later ones, and missed ones are not made up.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    due: Instant,
}

impl Schedule {
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Schedule { interval, due: now + interval.min(FIRST) }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// A sample was taken; sets the next moment that lies after `now`.
    pub(super) fn taken(&mut self, now: Instant) {
        self.due += self.interval;
        if self.due <= now {
            self.due = now + self.interval;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_comes_soon_and_the_rest_keep_the_beat() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::from_secs(60));
        assert_eq!(schedule.due() - start, Duration::from_millis(100));
        schedule.taken(start + Duration::from_millis(130));
        assert_eq!(schedule.due() - start, Duration::from_millis(60_100));
    }

    #[test]
    fn missed_samples_are_not_made_up() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::from_millis(10));
        let late = start + Duration::from_secs(5);
        schedule.taken(late);
        assert_eq!(schedule.due(), late + Duration::from_millis(10));
    }
}
