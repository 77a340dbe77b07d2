//! The last samples, bounded, and what a window of them adds up to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Metric, Sample};

/// The last samples, oldest first. Holds at most as many as its capacity; the oldest leaves first.
///
/// Samples are shared, so a clone is cheap: a snapshot costs one pointer a sample.
#[derive(Clone, Debug)]
pub struct History {
    samples: VecDeque<Arc<Sample>>,
    capacity: usize,
}

/// What one metric did over a window. Percentiles are by nearest rank, so each is a value that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// How many samples knew the metric. The others are left out, not counted as zero.
    pub count: usize,
    /// The average.
    pub mean: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// 95 of 100 values are at most this.
    pub p95: f64,
    /// 99 of 100 values are at most this.
    pub p99: f64,
}

impl History {
    /// An empty history for at most `capacity` samples; at least one is kept.
    pub fn new(capacity: usize) -> Self {
        History { samples: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Adds the newest sample, and forgets the oldest if there are too many.
    pub fn push(&mut self, sample: Arc<Sample>) {
        if self.samples.len() == self.capacity {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The newest sample.
    pub fn latest(&self) -> Option<&Arc<Sample>> {
        self.samples.back()
    }

    /// The samples, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Sample>> {
        self.samples.iter()
    }

    /// The last `n` samples, oldest first.
    pub fn recent(&self, n: usize) -> Vec<Arc<Sample>> {
        self.samples.iter().skip(self.samples.len().saturating_sub(n)).cloned().collect()
    }

    /// The samples that are at most `window` older than the newest one, oldest first.
    pub fn window(&self, window: Duration) -> Vec<Arc<Sample>> {
        self.within(window).cloned().collect()
    }

    /// What `metric` did over the last `window`, or `None` if no sample in it knew the metric.
    pub fn summary(&self, metric: &Metric, window: Duration) -> Option<Summary> {
        Summary::of(self.within(window).filter_map(|s| metric.of(s)).collect())
    }

    fn within(&self, window: Duration) -> impl Iterator<Item = &Arc<Sample>> {
        let newest = self.samples.back().map(|s| s.at).unwrap_or_default();
        self.samples.iter().filter(move |s| newest.since(s.at) <= window)
    }
}

impl Summary {
    /// Sums up `values`, or `None` if there is none. Values that are not finite are left out.
    pub fn of(mut values: Vec<f64>) -> Option<Summary> {
        values.retain(|v| v.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let count = values.len();
        let sum: f64 = values.iter().sum();
        // The sum of huge values may not fit where their average does.
        let mean =
            if sum.is_finite() { sum / count as f64 } else { values.iter().map(|v| v / count as f64).sum() };
        let rank = |p| nearest_rank(&values, p);
        Some(Summary { count, mean, min, max, p50: rank(0.50), p95: rank(0.95), p99: rank(0.99) })
    }
}

/// The value at the nearest rank of `p` (0 to 1). `sorted` holds at least one value.
pub(super) fn nearest_rank(sorted: &[f64], p: f64) -> f64 {
    let rank = (p * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    fn history(values: &[f64]) -> History {
        let mut history = History::new(100);
        for (second, value) in values.iter().enumerate() {
            let at = Time::ZERO + Duration::from_secs(second as u64);
            let mut sample = Sample::unknown(at, std::time::UNIX_EPOCH);
            sample.signals.fps = Some(*value);
            history.push(Arc::new(sample));
        }
        history
    }

    #[test]
    fn a_summary_counts_only_samples_that_know_the_metric() {
        let mut history = history(&[10.0, 30.0]);
        history.push(Arc::new(Sample::unknown(Time::ZERO + Duration::from_secs(2), std::time::UNIX_EPOCH)));
        let summary = history.summary(&Metric::Fps, Duration::from_secs(60)).unwrap();
        assert_eq!((summary.count, summary.mean, summary.min, summary.max), (2, 20.0, 10.0, 30.0));
        assert_eq!(history.summary(&Metric::CpuPercent, Duration::from_secs(60)), None);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let summary = Summary::of(values).unwrap();
        assert_eq!((summary.p50, summary.p95, summary.p99), (50.0, 95.0, 99.0));
        assert_eq!(Summary::of(vec![f64::NAN]), None);
        assert_eq!(Summary::of(vec![f64::MAX, f64::MAX]).unwrap().mean, f64::MAX);
    }

    #[test]
    fn a_window_reaches_back_from_the_newest_sample() {
        let history = history(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(history.window(Duration::from_secs(1)).len(), 2);
        assert_eq!(history.recent(3).len(), 3);
        assert_eq!(history.recent(99).len(), 4);
    }

    #[test]
    fn the_oldest_sample_leaves_a_full_history() {
        let mut history = History::new(0);
        for second in 0..3 {
            let at = Time::ZERO + Duration::from_secs(second);
            history.push(Arc::new(Sample::unknown(at, std::time::UNIX_EPOCH)));
        }
        assert_eq!(history.len(), 1);
        assert_eq!(history.latest().unwrap().at, Time::ZERO + Duration::from_secs(2));
    }
}
