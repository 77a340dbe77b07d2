//! The control group of one tree; compiled into the guardian and into the library.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A group made for one tree and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// One directory, or with the older kind one for each hierarchy, the freezer's first.
    pub(crate) directories: Vec<PathBuf>,
    /// Whether it is of the older kind.
    pub(crate) is_v1: bool,
}

impl Group {
    /// The files through which a process joins.
    pub(crate) fn doors(&self) -> Vec<PathBuf> {
        self.directories.iter().map(|d| d.join("cgroup.procs")).collect()
    }

    /// Kills all members at once where the kernel can, and returns whether it did. Elsewhere it freezes them, so that
    /// they cannot fork away from the signals that follow; [`thaw`](Group::thaw) then lets those take effect.
    pub(crate) fn kill(&self) -> bool {
        let Some(directory) = self.directories.first() else { return false };
        if self.is_v1 {
            let _ = fs::write(directory.join("freezer.state"), "FROZEN");
            return false;
        }
        fs::write(directory.join("cgroup.kill"), "1").is_ok()
    }

    /// Whether anything in it can still run, as the kernel counts; false where that is not known.
    pub(crate) fn is_populated(&self) -> bool {
        let Some(directory) = self.directories.first().filter(|_| !self.is_v1) else { return false };
        let events = fs::read_to_string(directory.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|l| l == "populated 1")
    }

    /// Lets frozen members run, and so die.
    pub(crate) fn thaw(&self) {
        if let (true, Some(directory)) = (self.is_v1, self.directories.first()) {
            let _ = fs::write(directory.join("freezer.state"), "THAWED");
        }
    }

    /// The members, those of groups below included; `None` if not all of them could be read.
    pub(crate) fn members(&self) -> Option<Vec<u32>> {
        let mut pids = Vec::new();
        collect(self.directories.first()?, 0, &mut pids).then_some(pids)
    }

    /// Removes the group. Returns whether it is gone; it stays while it has members.
    pub(crate) fn remove(&self) -> bool {
        // Every directory, also after one that stays.
        self.directories.iter().filter(|d| !remove(d, 0)).count() == 0
    }
}

const DEEPEST: u32 = 16;

/// Returns whether all of it was read. A group that was removed meanwhile had no members.
fn collect(directory: &Path, depth: u32, into: &mut Vec<u32>) -> bool {
    let mut whole = match fs::read_to_string(directory.join("cgroup.procs")) {
        Ok(text) => {
            into.extend(text.split_ascii_whitespace().filter_map(|w| w.parse::<u32>().ok()));
            true
        }
        Err(_) => !directory.exists(),
    };
    match subgroups(directory) {
        Ok(all) => {
            for below in all {
                whole &= depth < DEEPEST && collect(&below, depth + 1, into);
            }
        }
        Err(_) => whole &= !directory.exists(),
    }
    whole
}

fn remove(directory: &Path, depth: u32) -> bool {
    if fs::remove_dir(directory).is_ok() || !directory.exists() {
        return true;
    }
    if depth < DEEPEST {
        for below in subgroups(directory).unwrap_or_default() {
            remove(&below, depth + 1);
        }
    }
    fs::remove_dir(directory).is_ok() || !directory.exists()
}

fn subgroups(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.flatten();
    Ok(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect())
}
