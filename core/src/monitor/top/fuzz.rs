//! The parser of this folder as the fuzz targets call it.

use std::time::Duration;

/// A process as the ranking sees it.
#[derive(Debug)]
pub struct TopRow {
    /// Ticks between boot and its start.
    pub started: u64,
    /// Processor time used.
    pub cpu: Duration,
    /// How long it has been running, on a machine that runs for a hundred years.
    pub age: Duration,
}

/// `/proc/<pid>/stat`.
pub fn top_row(pid: u32, stat: &[u8], tick: Duration) -> Option<TopRow> {
    let row = super::linux::row(pid, stat, tick, 4096, crate::duration::LONGEST)?;
    Some(TopRow { started: row.started, cpu: row.cpu, age: row.age })
}
