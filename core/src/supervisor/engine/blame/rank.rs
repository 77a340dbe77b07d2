//! The order of blame.

use std::cmp::Ordering;

use super::part::Part;
use crate::supervisor::engine::TaskId;
use crate::supervisor::profile::Level;

/// Where one task stands in a ranking.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Rank {
    pub(in super::super) task: TaskId,
    /// Its place in the readings.
    pub(in super::super) index: usize,
    known: bool,
    weight: f64,
    /// Breaks a tie; the same for all where the level does not count.
    level: Level,
}

impl Rank {
    pub(in super::super) fn new(task: TaskId, index: usize, part: &Part, level: Level) -> Self {
        Rank { task, index, known: part.share.is_some(), weight: part.weight, level }
    }

    /// The largest weight first, then the higher level, then the older task; unknown shares last.
    fn compare(&self, other: &Rank) -> Ordering {
        other
            .known
            .cmp(&self.known)
            .then_with(|| other.weight.total_cmp(&self.weight))
            .then_with(|| other.level.cmp(&self.level))
            .then_with(|| self.task.cmp(&other.task))
    }

    /// Whether it ranks above the other.
    pub(in super::super) fn is_above(&self, other: &Rank) -> bool {
        self.compare(other) == Ordering::Less
    }
}

/// The most lines a ranking shows.
const SHOWN: usize = 10;

/// The largest contributors in their order, and the nominated one wherever it stands, each with its number.
/// `rank` tells of the task at a place in the readings.
pub(in super::super) fn ranking(
    parts: &[Part],
    nominated: Option<usize>,
    rank: impl Fn(usize) -> Rank,
) -> Vec<(u32, Rank)> {
    let mut first: Vec<Rank> = Vec::with_capacity(SHOWN);
    for (index, part) in parts.iter().enumerate() {
        if let Some(last) = first.get(SHOWN - 1) {
            // Nearly all are told from the last line by their weight alone: nothing else of them is looked at.
            if last.known && part.weight < last.weight || !rank(index).is_above(last) {
                continue;
            }
            first.pop();
        }
        let new = rank(index);
        let place = first.partition_point(|r| r.is_above(&new));
        first.insert(place, new);
    }
    let number = |ahead: usize| u32::try_from(ahead + 1).unwrap_or(u32::MAX);
    let mut shown: Vec<(u32, Rank)> = first.iter().enumerate().map(|(i, r)| (number(i), *r)).collect();
    if let Some(nominee) = nominated.filter(|n| !first.iter().any(|r| r.index == *n)).map(&rank) {
        let ahead = (0..parts.len()).filter(|i| rank(*i).is_above(&nominee)).count();
        shown.push((number(ahead), nominee));
    }
    shown
}
