//! What the engine decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TaskId;
use crate::supervisor::limit::Limit;

/// A limit that stayed broken for its whole sustain time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Breach {
    /// Which limit.
    pub limit: Limit,
    /// Its bound, in the limit's unit.
    pub bound: f64,
    /// The value that broke it, in the limit's unit.
    pub observed: f64,
    /// How long it has been broken, in seconds; zero for limits that break on one sample.
    pub sustained_s: f64,
}

impl Breach {
    /// A breach of `limit`.
    pub fn new(limit: Limit, bound: f64, observed: f64, sustained: Duration) -> Self {
        Breach { limit, bound, observed, sustained_s: sustained.as_secs_f64() }
    }
}

/// One line of a blame ranking, the largest contributor first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Contribution {
    /// Which task.
    pub task: TaskId,
    /// 1 is the largest contributor.
    pub rank: u32,
    /// 0 to 1: its part of the machine's use of the metric.
    pub share: f64,
    /// Whether it could be nominated; if not, `why_not` says why.
    pub eligible: bool,
    /// Why it could not be nominated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<WhyNot>,
}

/// Why a contributor could not be nominated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyNot {
    /// Its profile does not have the limit.
    NoSuchLimit,
    /// Its share is below the minimum.
    BelowMinimumShare,
    /// It has not been running, or not under this bound, for the whole sustain time.
    TooYoung,
    /// It was asked to stop already.
    Cancelling,
    /// Its use of the metric is unknown.
    Unknown,
    /// The bound of its own profile is not broken, or not yet for the whole sustain time.
    NotInBreach,
    /// The metric would break the bound of its profile without all tasks that could be cancelled for it.
    OutsideLoad,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Cancel the task, and report the end with [`Engine::verified`](super::Engine::verified).
    Cancel {
        /// Which task.
        task: TaskId,
        /// Why.
        breach: Breach,
        /// The ranking that led to it; empty for task limits.
        blame: Vec<Contribution>,
    },
    /// Write a record; cancel nobody.
    Record {
        /// The task it is about, or `None` if nobody was to blame.
        task: Option<TaskId>,
        /// What broke.
        breach: Breach,
        /// Contributors, if any.
        blame: Vec<Contribution>,
        /// Why nobody is cancelled.
        reason: NotCancelled,
    },
}

/// Why a breach cancels nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotCancelled {
    /// No task contributes enough, or the metric would be in breach without all of them.
    External,
    /// The supervisor only observes.
    Observing,
    /// The profile says `auto_cancel: false`.
    AutoCancelOff,
    /// The limit is advisory for this executor.
    Advisory,
    /// The cap on cancellations per minute was reached.
    Capped,
}
