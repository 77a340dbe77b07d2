//! Frames per second, purely: ticks and time in, a rate out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::history::nearest_rank;
use crate::clock::Time;

/// Ticks that are remembered. Above this many frames in one window the rate is taken over a shorter span.
const CAPACITY: usize = 512;

/// Counts frames and knows the difference between slow, stalled and paused.
///
/// A state machine without a clock: every call takes the time, so it can be tested and replayed.
#[derive(Clone, Debug)]
pub struct FrameMeter {
    ring: Box<[Time; CAPACITY]>,
    len: usize,
    next: usize,
    paused: bool,
    window: Duration,
    stall_after: Duration,
}

/// The times between frames over a window, in milliseconds. A gap that is still open counts once it is
/// longer than every closed one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FrameTimes {
    /// The median.
    pub p50_ms: f64,
    /// 95 of 100 gaps are at most this.
    pub p95_ms: f64,
    /// 99 of 100 gaps are at most this.
    pub p99_ms: f64,
    /// The longest gap.
    pub max_ms: f64,
}

impl Default for FrameMeter {
    /// One second of window; no frame for one second is a stall.
    fn default() -> Self {
        FrameMeter::new(Duration::from_secs(1), Duration::from_secs(1))
    }
}

impl FrameMeter {
    /// A meter that averages over `window` and calls a gap of `stall_after` or more a stall.
    pub fn new(window: Duration, stall_after: Duration) -> Self {
        FrameMeter {
            ring: Box::new([Time::ZERO; CAPACITY]),
            len: 0,
            next: 0,
            paused: false,
            window: window.max(Duration::from_millis(1)),
            stall_after: stall_after.max(Duration::from_millis(1)),
        }
    }

    /// A frame was finished at `at`. Ignored while paused.
    pub fn tick(&mut self, at: Time) {
        if self.paused {
            return;
        }
        // Two threads that tick may take their times in one order and arrive in the other.
        let at = self.last().map_or(at, |last| at.max(last));
        self.ring[self.next] = at;
        self.next = (self.next + 1) % CAPACITY;
        self.len = (self.len + 1).min(CAPACITY);
    }

    /// From now on no frames are expected: the rate is unknown, and a missing frame is no stall.
    pub fn pause(&mut self) {
        self.paused = true;
        self.len = 0;
    }

    /// Frames are expected again. The span until the first one counts as a gap, so that a host that never
    /// comes back from a pause shows as stalled. Does nothing if the meter is not paused.
    pub fn resume(&mut self, at: Time) {
        if self.paused {
            self.paused = false;
            self.tick(at);
        }
    }

    /// Whether the meter is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// How long no frame has come, if that is a stall.
    pub fn stalled(&self, now: Time) -> Option<Duration> {
        let gap = now.since(self.last()?);
        (gap >= self.stall_after).then_some(gap)
    }

    /// Frames per second at `now`, or `None` while paused or before two frames were seen.
    ///
    /// The open gap since the last frame counts as soon as it is longer than the average gap, so the rate
    /// falls while a frame is missing; in a stall it is one over the gap.
    pub fn fps(&self, now: Time) -> Option<f64> {
        let last = self.last()?;
        let first = self.index_of_first(now);
        let gaps = (self.len - 1 - first) as f64;
        let closed = last.since(self.at(first)).as_secs_f64();
        let open = now.since(self.at(first)).as_secs_f64();
        let mut fps = f64::INFINITY;
        if closed > 0.0 {
            // The second term is the rate if the next frame came this very moment: it can be no better.
            fps = (gaps / closed).min((gaps + 1.0) / open);
        }
        if let Some(gap) = self.stalled(now) {
            fps = fps.min(1.0 / gap.as_secs_f64());
        }
        fps.is_finite().then_some(fps)
    }

    /// The times between frames in the window before `now`, or `None` while there is none.
    pub fn frame_times(&self, now: Time) -> Option<FrameTimes> {
        let last = self.last()?;
        let mut gaps = Vec::with_capacity(self.len);
        for i in self.index_of_first(now)..self.len - 1 {
            gaps.push(self.at(i + 1).since(self.at(i)).as_secs_f64() * 1e3);
        }
        gaps.sort_unstable_by(f64::total_cmp);
        let open = now.since(last).as_secs_f64() * 1e3;
        if gaps.last().is_some_and(|longest| open > *longest)
            || (gaps.is_empty() && self.stalled(now).is_some())
        {
            gaps.push(open);
        }
        let max_ms = *gaps.last()?;
        let rank = |p| nearest_rank(&gaps, p);
        Some(FrameTimes { p50_ms: rank(0.50), p95_ms: rank(0.95), p99_ms: rank(0.99), max_ms })
    }

    fn last(&self) -> Option<Time> {
        (self.len > 0).then(|| self.ring[(self.next + CAPACITY - 1) % CAPACITY])
    }

    /// The `i`th remembered tick, oldest first.
    fn at(&self, i: usize) -> Time {
        self.ring[(self.next + CAPACITY - self.len + i) % CAPACITY]
    }

    /// The last tick at or before the start of the window, so that the window is covered whole, or the
    /// oldest one; but always with one gap after it if there are two ticks.
    fn index_of_first(&self, now: Time) -> usize {
        let start = now - self.window;
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = (low + high) / 2;
            if self.at(middle) <= start { low = middle + 1 } else { high = middle }
        }
        low.saturating_sub(1).min(self.len.saturating_sub(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn steady(every_ms: u64, until_ms: u64) -> FrameMeter {
        let mut meter = FrameMeter::default();
        for at in (0..=until_ms).step_by(every_ms as usize) {
            meter.tick(ms(at));
        }
        meter
    }

    #[test]
    fn a_steady_rate_is_exact_at_any_moment_between_two_frames() {
        let meter = steady(50, 5_000);
        for after in [0, 1, 25, 49, 50] {
            let fps = meter.fps(ms(5_000 + after)).unwrap();
            assert!((fps - 20.0).abs() < 1e-6, "{fps} fps {after} ms after a frame");
        }
    }

    #[test]
    fn a_rate_is_unknown_before_two_frames() {
        let mut meter = FrameMeter::default();
        assert_eq!(meter.fps(ms(0)), None);
        meter.tick(ms(10));
        assert_eq!(meter.fps(ms(20)), None);
        meter.tick(ms(20));
        assert!((meter.fps(ms(20)).unwrap() - 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_missing_frame_drives_the_rate_towards_zero_and_never_up() {
        let meter = steady(16, 4_000);
        let mut before = meter.fps(ms(4_000)).unwrap();
        for later in (4_001..30_000).step_by(7) {
            let fps = meter.fps(ms(later)).unwrap();
            // The window slides over whole frames, which may shift the rate by less than one frame.
            assert!(fps < before + 1.0, "{before} to {fps} at {later}");
            before = fps;
        }
        let halfway = meter.fps(ms(4_500)).unwrap();
        assert!(
            (25.0..40.0).contains(&halfway),
            "half the window without a frame is half the rate: {halfway}"
        );
        assert!(before < 0.05, "{before}");
        assert_eq!(meter.stalled(ms(4_999)), None);
        assert_eq!(meter.stalled(ms(5_000)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn one_frame_and_then_nothing_is_a_stall() {
        let mut meter = FrameMeter::default();
        meter.tick(ms(0));
        assert_eq!(meter.fps(ms(999)), None);
        assert_eq!(meter.fps(ms(4_000)), Some(0.25));
    }

    #[test]
    fn a_pause_is_neither_slow_nor_stalled() {
        let mut meter = steady(16, 1_000);
        meter.pause();
        assert_eq!(meter.fps(ms(9_000)), None);
        assert_eq!(meter.stalled(ms(9_000)), None);
        meter.tick(ms(9_500));
        assert_eq!(meter.fps(ms(9_600)), None, "a frame while paused does not count");
        meter.resume(ms(10_000));
        for i in 1..=10 {
            meter.tick(ms(10_000 + i * 100));
        }
        let fps = meter.fps(ms(11_000)).unwrap();
        assert!((fps - 10.0).abs() < 1e-6, "the pause is not in the rate: {fps}");
    }

    #[test]
    fn a_host_that_never_comes_back_from_a_pause_stalls() {
        let mut meter = steady(16, 1_000);
        meter.pause();
        meter.resume(ms(60_000));
        assert_eq!(meter.stalled(ms(62_000)), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_rate_above_what_is_remembered_is_still_right() {
        let mut meter = FrameMeter::default();
        for i in 0..20_000u64 {
            meter.tick(Time::from_nanos(i * 100_000));
        }
        let fps = meter.fps(Time::from_nanos(19_999 * 100_000)).unwrap();
        assert!((fps - 10_000.0).abs() < 1e-3, "{fps}");
    }

    #[test]
    fn slow_frames_show_in_the_percentiles() {
        let mut meter = FrameMeter::new(Duration::from_secs(10), Duration::from_secs(1));
        let mut at = 0;
        for i in 0..200 {
            at += if i % 20 == 0 { 120 } else { 10 };
            meter.tick(ms(at));
        }
        let times = meter.frame_times(ms(at)).unwrap();
        assert_eq!((times.p50_ms, times.p99_ms), (10.0, 120.0));
        assert_eq!(meter.frame_times(ms(at + 700)).unwrap().max_ms, 700.0);
    }

    #[test]
    fn ticks_at_one_moment_or_backwards_do_no_harm() {
        let mut meter = FrameMeter::default();
        for at in [5, 5, 3, 5] {
            meter.tick(ms(at));
        }
        assert_eq!(meter.fps(ms(5)), None);
        meter.tick(ms(15));
        assert!(meter.fps(ms(10)).unwrap().is_finite());
    }
}
