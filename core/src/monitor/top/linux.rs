//! All processes from `/proc`.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::table::Row;
use crate::error::{Error, Result};
use crate::monitor::source::linux::{number, stat, system};

pub(super) fn rows(proc_root: &Path) -> Result<Vec<Row>> {
    let tried = || format!("reading {}", proc_root.display());
    let folder = fs::read_dir(proc_root).map_err(|e| Error::io(tried(), e))?;
    let tick = Duration::from_secs(1) / system(libc::_SC_CLK_TCK, 100) as u32;
    let page = system(libc::_SC_PAGESIZE, 4096);
    let uptime = uptime(proc_root);
    let mut rows = Vec::new();
    let mut text = Vec::new();
    for entry in folder {
        let entry = entry.map_err(|e| Error::io(tried(), e))?;
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        text.clear();
        let read = fs::File::open(entry.path().join("stat")).and_then(|mut f| f.read_to_end(&mut text));
        // One that left meanwhile is no failure.
        if read.is_ok() {
            rows.extend(row(pid, &text, tick, page, uptime));
        }
    }
    Ok(rows)
}

pub(super) fn row(pid: u32, line: &[u8], tick: Duration, page: u64, uptime: Duration) -> Option<Row> {
    let (name, fields) = stat(line)?;
    let mut fields = fields.skip(11);
    let mut next = |skip: usize| number(fields.nth(skip)?);
    let (user, system, started, pages) = (next(0)?, next(0)?, next(6)?, next(1)?);
    // 32 bits of ticks last 497 days, or eight days on 64 cores.
    let ticks = |n: u64| Duration::from_nanos(n.saturating_mul(tick.as_nanos() as u64));
    Some(Row {
        pid,
        started,
        name: String::from_utf8_lossy(name).into_owned(),
        cpu: ticks(user.saturating_add(system)),
        age: uptime.saturating_sub(ticks(started)),
        memory_bytes: pages.saturating_mul(page),
    })
}

fn uptime(proc_root: &Path) -> Duration {
    let text = fs::read_to_string(proc_root.join("uptime")).unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|s| s.parse().ok());
    seconds.and_then(|s: f64| Duration::try_from_secs_f64(s).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_by_its_fields() {
        let stat = b"77 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 1000 20 25 22";
        let row = row(77, stat, Duration::from_millis(10), 4096, Duration::from_secs(30)).unwrap();
        assert_eq!((row.name.as_str(), row.cpu, row.started), ("a ) b", Duration::from_secs(2), 1000));
        assert_eq!((row.age, row.memory_bytes), (Duration::from_secs(20), 25 * 4096));
        // After 500 days neither its use nor its age stands still.
        let stat = b"77 (a) S 1 2 3 4 5 6 7 8 9 10 4320000000 1 13 14 15 16 17 18 4320000000 20 25 22";
        let uptime = Duration::from_secs(43_200_030);
        let row = super::row(77, stat, Duration::from_millis(10), 4096, uptime).unwrap();
        assert_eq!((row.cpu.as_millis(), row.age), (43_200_000_010, Duration::from_secs(30)));
        assert!(super::row(1, b"1 ()", Duration::ZERO, 1, Duration::ZERO).is_none());
    }
}
