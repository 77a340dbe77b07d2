//! How a cancellation ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a cancellation ended, as observed and not as assumed.
///
/// Outcomes only move forward: [`StillRunning`](Outcome::StillRunning) may become `Stopped` or `Killed`
/// later; the others are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The task left by itself after it was asked.
    Stopped,
    /// The task was ended by force and was seen to be gone.
    Killed,
    /// The task was asked, and forced where that is possible, and was not seen to leave. It stays listed.
    ///
    /// Also a process tree whose guardian was killed, where no cgroup held it: its known processes are gone, and
    /// nobody can tell whether one that it hid is. Its incident is [`unproved`](super::Incident::unproved), and it
    /// is not listed, because nothing more can be seen or done.
    StillRunning,
    /// An advisory limit broke and nothing could be done.
    Unenforceable,
}

impl Outcome {
    /// The name as records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Stopped => "stopped",
            Outcome::Killed => "killed",
            Outcome::StillRunning => "still_running",
            Outcome::Unenforceable => "unenforceable",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
