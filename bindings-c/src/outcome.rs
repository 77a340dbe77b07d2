//! How a cancellation ended, for C.

use haltline::supervisor::Outcome;

/// How a cancellation ended, as observed and not as assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum hl_outcome {
    /// There was no cancellation, or its end is not known yet.
    HL_OUTCOME_NONE = 0,
    /// The task left by itself after it was asked.
    HL_OUTCOME_STOPPED = 1,
    /// The task was ended by force and was seen to be gone.
    HL_OUTCOME_KILLED = 2,
    /// The task was asked, and forced where that is possible, and was not seen to leave. It stays listed, and may
    /// still become one of the two above. Also a command whose guardian was killed where no cgroup held its processes:
    /// those that were known are gone, nobody can tell of others, and it is not listed any more.
    HL_OUTCOME_STILL_RUNNING = 3,
    /// An advisory limit broke and nothing could be done.
    HL_OUTCOME_UNENFORCEABLE = 4,
}

impl From<Option<Outcome>> for hl_outcome {
    fn from(outcome: Option<Outcome>) -> Self {
        match outcome {
            None => hl_outcome::HL_OUTCOME_NONE,
            Some(Outcome::Stopped) => hl_outcome::HL_OUTCOME_STOPPED,
            Some(Outcome::Killed) => hl_outcome::HL_OUTCOME_KILLED,
            Some(Outcome::StillRunning) => hl_outcome::HL_OUTCOME_STILL_RUNNING,
            Some(Outcome::Unenforceable) => hl_outcome::HL_OUTCOME_UNENFORCEABLE,
        }
    }
}
