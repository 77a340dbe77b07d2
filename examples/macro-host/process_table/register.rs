//! The register: a file in which each process of a macro enters itself as its first act.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::stat::Stat;

/// The label of a process whose parent is dead.
pub(crate) const ORPHAN: &str = "orphan";

/// One process as it saw itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) pid: u32,
    /// When it started, in the kernel's count: tells it from a later process with the same id.
    pub(super) start: u64,
    pub(super) session: u32,
}

/// Enters the calling process.
pub(crate) fn enter(register: &Path, label: &str) -> io::Result<()> {
    let own = Stat::of(std::process::id()).ok_or_else(|| io::Error::other("this process is not listed"))?;
    let line = format!("{label} {} {} {} {}\n", std::process::id(), own.start, own.parent, own.session);
    // One write of a short line to a file that is open for appending is never torn.
    OpenOptions::new().append(true).open(register)?.write_all(line.as_bytes())
}

pub(super) fn read(register: &Path) -> io::Result<Vec<Entry>> {
    let entry = |line: &str| {
        let [label, pid, start, _parent, session] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let label = label.to_owned();
        Some(Entry {
            label,
            pid: pid.parse().ok()?,
            start: start.parse().ok()?,
            session: session.parse().ok()?,
        })
    };
    let text = fs::read_to_string(register)?;
    text.lines()
        .map(|l| entry(l).ok_or_else(|| io::Error::other(format!("the register holds {l:?}"))))
        .collect()
}
