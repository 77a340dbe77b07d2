//! What all processes had used at one moment, and the difference of two such moments.

use std::cmp::Ordering;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::monitor::TopProcess;

/// What each process had used when it was read. Two tables tell who used most in between.
///
/// # Example
/// ```
/// use haltline::monitor::ProcessTable;
///
/// let before = ProcessTable::read()?;
/// // The spike happens here.
/// let after = ProcessTable::read()?;
/// for process in after.by_cpu(&before, 5) {
///     println!("{} {} {:.0} %", process.pid, process.name, process.cpu_percent);
/// }
/// # Ok::<(), haltline::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProcessTable {
    pub(super) at: Instant,
    pub(super) rows: Vec<Row>,
}

/// One process. Sorted by id.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) pid: u32,
    /// Tells two processes apart that had the same id one after the other.
    pub(super) started: u64,
    pub(super) name: String,
    pub(super) cpu: Duration,
    pub(super) age: Duration,
    pub(super) memory_bytes: u64,
}

impl ProcessTable {
    /// Reads all processes that this user may see.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if their list cannot be read. One that leaves meanwhile is
    /// passed over.
    pub fn read() -> Result<ProcessTable> {
        ProcessTable::read_at(Path::new("/proc"))
    }

    pub(in crate::monitor) fn read_at(proc_root: &Path) -> Result<ProcessTable> {
        let mut rows = super::rows(proc_root)?;
        rows.sort_unstable_by_key(|row| row.pid);
        Ok(ProcessTable { at: Instant::now(), rows })
    }

    /// How many processes there were.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none was seen.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The `n` processes that used most CPU since `before`, the largest first. One that began in between
    /// counts with all it used.
    pub fn by_cpu(&self, before: &ProcessTable, n: usize) -> Vec<TopProcess> {
        let span = self.at.saturating_duration_since(before.at).as_secs_f64();
        let used = |row: &Row| {
            let earlier = before.rows.binary_search_by_key(&row.pid, |r| r.pid).ok().map(|i| &before.rows[i]);
            let earlier = earlier.filter(|r| r.started == row.started).map_or(Duration::ZERO, |r| r.cpu);
            row.cpu.saturating_sub(earlier).as_secs_f64()
        };
        let percent = |row: &Row| if span > 0.0 { used(row) / span * 100.0 } else { 0.0 };
        top(self.rows.iter().map(|row| (row, percent(row))), n, |a, b| b.1.total_cmp(&a.1))
    }

    /// The `n` processes with most resident memory, the largest first. Their CPU is the average since they
    /// began.
    pub fn by_memory(&self, n: usize) -> Vec<TopProcess> {
        let percent = |row: &Row| {
            let age = row.age.as_secs_f64();
            if age > 0.0 { row.cpu.as_secs_f64() / age * 100.0 } else { 0.0 }
        };
        let rows = self.rows.iter().map(|row| (row, percent(row)));
        top(rows, n, |a, b| b.0.memory_bytes.cmp(&a.0.memory_bytes))
    }
}

type Ranked<'a> = (&'a Row, f64);

fn top<'a>(
    rows: impl Iterator<Item = Ranked<'a>>,
    n: usize,
    order: impl Fn(&Ranked<'a>, &Ranked<'a>) -> Ordering,
) -> Vec<TopProcess> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| order(a, b).then(b.0.memory_bytes.cmp(&a.0.memory_bytes)));
    rows.truncate(n);
    let process = |(row, cpu_percent): Ranked<'_>| TopProcess {
        pid: row.pid,
        name: row.name.clone(),
        cpu_percent,
        memory_bytes: row.memory_bytes,
    };
    rows.into_iter().map(process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, started: u64, cpu_ms: u64, memory_bytes: u64) -> Row {
        let cpu = Duration::from_millis(cpu_ms);
        Row { pid, started, name: format!("p{pid}"), cpu, age: Duration::from_secs(10), memory_bytes }
    }

    #[test]
    fn use_is_counted_between_the_tables_and_never_from_a_former_owner_of_the_id() {
        let at = Instant::now();
        let before = ProcessTable { at, rows: vec![row(1, 5, 9_000, 10), row(2, 5, 800, 30)] };
        let after = ProcessTable {
            at: at + Duration::from_secs(1),
            rows: vec![row(1, 5, 9_100, 10), row(2, 77, 900, 30), row(3, 80, 500, 20)],
        };
        let top = after.by_cpu(&before, 2);
        assert_eq!(top.iter().map(|p| p.pid).collect::<Vec<_>>(), [2, 3]);
        assert!((top[0].cpu_percent - 90.0).abs() < 1e-9);
        assert_eq!(after.by_memory(1)[0].pid, 2);
        assert_eq!(after.by_cpu(&after.clone(), 9).len(), 3);
    }
}
