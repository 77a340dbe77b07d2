//! The order of blame.

use std::cmp::Ordering;

use crate::supervisor::engine::{Contribution, TaskId, WhyNot};
use crate::supervisor::profile::Level;

/// One task in a ranking.
#[derive(Clone, Debug)]
pub(in super::super) struct Line {
    pub(in super::super) task: TaskId,
    /// Its place in the readings.
    pub(in super::super) index: usize,
    pub(in super::super) share: Option<f64>,
    /// What it is ranked by.
    pub(in super::super) weight: f64,
    /// Breaks a tie; the same for all where the level does not count.
    pub(in super::super) level: Level,
    pub(in super::super) why_not: Option<WhyNot>,
    /// It may become eligible with time: whoever ranks below it waits.
    pub(in super::super) soon: bool,
}

/// How a ranking came out.
pub(in super::super) enum Verdict {
    /// The task at this place in the readings is nominated.
    Nominated(usize),
    /// One that ranks above all eligible ones has not yet been measured for its sustain time.
    TooEarly,
    /// Nobody is eligible.
    Nobody,
}

/// The most lines a ranking shows.
const SHOWN: usize = 10;

/// The largest weight first, then the higher level, then the older task; unknown shares last.
fn compare(a: &Line, b: &Line) -> Ordering {
    b.share
        .is_some()
        .cmp(&a.share.is_some())
        .then_with(|| b.weight.total_cmp(&a.weight))
        .then_with(|| b.level.cmp(&a.level))
        .then_with(|| a.task.cmp(&b.task))
}

/// Who is nominated: the first eligible line, unless one above it is to be waited for.
pub(in super::super) fn verdict(lines: &[Line]) -> Verdict {
    let first = |wanted: fn(&Line) -> bool| lines.iter().filter(|l| wanted(l)).min_by(|a, b| compare(a, b));
    let eligible = first(|l| l.why_not.is_none());
    let soon = first(|l| l.soon);
    match (eligible, soon) {
        (Some(e), Some(s)) if compare(s, e) == Ordering::Less => Verdict::TooEarly,
        (Some(e), _) => Verdict::Nominated(e.index),
        (None, Some(_)) => Verdict::TooEarly,
        (None, None) => Verdict::Nobody,
    }
}

/// The largest contributors with their ranks, and the nominated one wherever it stands.
pub(in super::super) fn ranking(mut lines: Vec<Line>, nominated: Option<usize>) -> Vec<Contribution> {
    let mut shown = Vec::with_capacity(SHOWN + 1);
    let nominee = nominated.and_then(|i| lines.iter().find(|l| l.index == i)).cloned();
    let ahead = nominee.as_ref().map(|n| lines.iter().filter(|l| compare(l, n) == Ordering::Less).count());
    if lines.len() > SHOWN {
        lines.select_nth_unstable_by(SHOWN, compare);
        lines.truncate(SHOWN);
    }
    lines.sort_unstable_by(compare);
    shown.extend(lines.iter().enumerate().map(|(i, line)| contribution(line, i)));
    if let (Some(nominee), Some(ahead)) = (nominee, ahead)
        && ahead >= SHOWN
    {
        shown.push(contribution(&nominee, ahead));
    }
    shown
}

fn contribution(line: &Line, ahead: usize) -> Contribution {
    Contribution {
        task: line.task,
        rank: u32::try_from(ahead + 1).unwrap_or(u32::MAX),
        share: line.share.unwrap_or(0.0),
        eligible: line.why_not.is_none(),
        why_not: line.why_not,
    }
}
