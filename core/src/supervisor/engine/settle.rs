//! One nomination at a time, and not too many a minute.

use std::collections::VecDeque;
use std::time::Duration;

use super::TaskId;
use super::id_map::IdSet;
use crate::clock::Time;

/// Holds host nominations back from a cancellation until it was verified and the metrics had time to answer.
#[derive(Clone, Debug)]
pub(super) struct Settle {
    span: Duration,
    waiting: IdSet,
    until: Option<Time>,
}

impl Settle {
    pub(super) fn new(span: Duration) -> Self {
        Settle { span, waiting: IdSet::default(), until: None }
    }

    /// `task` was nominated.
    pub(super) fn hold(&mut self, task: TaskId) {
        self.waiting.insert(task);
        self.until = None;
    }

    /// The cancellation of `task` ended. Does nothing if nobody waits for it.
    pub(super) fn ended(&mut self, task: TaskId, at: Time) {
        if self.waiting.remove(&task) && self.waiting.is_empty() {
            self.until = Some(at + self.span);
        }
    }

    /// Whether the settle time has just ended; true once for each hold.
    pub(super) fn is_over(&mut self, at: Time) -> bool {
        let over = self.until.is_some_and(|until| at >= until);
        if over {
            self.until = None;
        }
        over
    }

    /// Whether the end of a cancellation is still to come.
    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether nominations are held back.
    pub(super) fn is_holding(&self) -> bool {
        !self.waiting.is_empty() || self.until.is_some()
    }
}

/// Counts nominations in a sliding minute.
#[derive(Clone, Debug)]
pub(super) struct Cap {
    most: usize,
    recent: VecDeque<Time>,
}

impl Cap {
    const SPAN: Duration = Duration::from_secs(60);

    pub(super) fn new(most: u32) -> Self {
        Cap { most: most as usize, recent: VecDeque::new() }
    }

    /// Counts one nomination, or returns false if the minute is full.
    pub(super) fn take(&mut self, at: Time) -> bool {
        while self.recent.front().is_some_and(|t| at.since(*t) >= Self::SPAN) {
            self.recent.pop_front();
        }
        let free = self.recent.len() < self.most;
        if free {
            self.recent.push_back(at);
        }
        free
    }
}
