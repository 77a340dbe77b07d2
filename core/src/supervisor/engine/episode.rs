//! What was already said about a host metric while it stays broken.

use super::TaskId;
use super::id_map::IdSet;

/// From the first broken sample of a host metric until a known one within the bounds of all profiles.
#[derive(Clone, Debug, Default)]
pub(super) struct Episode {
    external: bool,
    capped: bool,
    told: IdSet,
}

impl Episode {
    /// Whether an external breach is still to be told; once told, no more.
    pub(super) fn tell_external(&mut self) -> bool {
        !std::mem::replace(&mut self.external, true)
    }

    /// Whether an external breach was told of.
    pub(super) fn told_external(&self) -> bool {
        self.external
    }

    /// Whether reaching the cap is still to be told; once told, no more.
    pub(super) fn tell_capped(&mut self) -> bool {
        !std::mem::replace(&mut self.capped, true)
    }

    /// Whether `task` is still to be told of; once told, no more.
    pub(super) fn tell_task(&mut self, task: TaskId) -> bool {
        self.told.insert(task)
    }

    /// The metric came back.
    pub(super) fn end(&mut self) {
        self.external = false;
        self.capped = false;
        self.told.clear();
    }
}
