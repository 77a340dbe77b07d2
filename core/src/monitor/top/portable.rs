//! All processes through `sysinfo`.

use std::path::Path;
use std::time::Duration;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::table::Row;
use crate::error::{Error, ErrorKind, Result};

pub(super) fn rows(_: &Path) -> Result<Vec<Row>> {
    let mut system = System::new().map_err(|e| {
        Error::new(ErrorKind::Unsupported, "the system does not list its processes").because(e)
    })?;
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let row = |process: &sysinfo::Process| Row {
        pid: process.pid().as_u32(),
        started: process.start_time(),
        name: process.name().to_string_lossy().into_owned(),
        cpu: Duration::from_millis(process.accumulated_cpu_time()),
        age: Duration::from_secs(process.run_time()),
        memory_bytes: process.memory(),
    };
    Ok(system.processes().values().map(row).collect())
}
