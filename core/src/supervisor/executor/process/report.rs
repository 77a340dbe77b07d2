//! What is known about a tree.

use std::time::Duration;

use crate::clock::Time;

/// A process, named so that its id cannot be mistaken for a later holder of the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    /// Clock ticks between boot and its start.
    pub(crate) start_time: u64,
}

/// A process with the kernel's short name of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) id: ProcessId,
    pub(crate) name: String,
}

/// What a tree was seen to use. `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeUse {
    /// Processor time since the start; never runs backwards.
    pub(crate) cpu_time: Option<Duration>,
    /// Bytes; where a limit on memory makes it matter, pages shared inside the tree count once.
    pub(crate) memory_bytes: Option<u64>,
    /// Processes that can run and were seen: of a burst of forks, and of thousands, there are more.
    pub(crate) processes: Option<u64>,
    /// Bytes written to standard output and error, if they are counted.
    pub(crate) output_bytes: Option<u64>,
    /// When the tree was looked at.
    pub(crate) at: Time,
}

/// How the main process ended. Both `code` and `signal` are `None` if nobody was there to see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Its exit code, if it left by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Processor time of the main process and the children that it waited for.
    pub cpu_time: Duration,
    /// The largest resident size that it had, in bytes.
    pub max_rss_bytes: u64,
    /// When its end was seen.
    pub at: Time,
}

impl Exit {
    /// Whether it left by itself with code zero.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// The end of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeReport {
    pub(crate) exit: Option<Exit>,
    /// The last figures, the processor time of every reaped process included.
    pub(crate) last_use: TreeUse,
    /// Whether the guardian was killed. Then every process that was known is gone, and what the tree forked
    /// in secret since the last look is known only where a group held it.
    pub(crate) guardian_killed: bool,
    /// Whether it is proved that nothing is left, and not only that nothing known is.
    pub(crate) proved: bool,
    pub(crate) at: Time,
}

/// Standard output or error, as far as it was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    /// Bytes beyond the cap.
    pub(crate) dropped: u64,
}

/// Output that could not be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) bytes: u64,
    pub(crate) because: String,
}

/// Is told about a tree, on the thread that follows all trees. No lock is held; it must not block. It may be
/// called before the spawn that starts the tree has returned.
pub(crate) trait TreeWatcher: Send + Sync {
    /// After every look.
    fn looked(&self);
    /// A look showed nothing, for this reason, or shows something again; told at each change. Returns whether somebody
    /// was there to be told.
    fn unseen(&self, reason: Option<&str>) -> bool;
    /// The main process left others behind, and they have not left in their grace.
    fn overdue(&self);
    /// The guardian was killed while the tree ran. The tree is killed as far as it is known.
    fn lost(&self);
    /// The whole tree was seen to be gone.
    fn gone(&self);
}
