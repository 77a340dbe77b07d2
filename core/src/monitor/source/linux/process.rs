//! What this process uses.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::baseline::Baseline;
use super::text::{self, Kept};
use crate::clock::Time;
use crate::monitor::ProcessUse;

#[derive(Debug)]
pub(super) struct ProcessFiles {
    stat: Kept,
    fd_folder: PathBuf,
    kept_folder: Option<(File, bool)>,
    baseline: Baseline<Duration>,
    page_size: u64,
}

impl ProcessFiles {
    pub(super) fn new(proc_root: &Path) -> Self {
        ProcessFiles {
            stat: Kept::new(proc_root.join("self/stat")),
            fd_folder: proc_root.join("self/fd"),
            kept_folder: None,
            baseline: Baseline::default(),
            page_size: system(libc::_SC_PAGESIZE, 4096),
        }
    }

    pub(super) fn read(&mut self, at: Time, buffer: &mut Vec<u8>) -> io::Result<Option<ProcessUse>> {
        // The clock counts nanoseconds where the file counts steps of 10 ms.
        let cpu = cpu_time();
        let (threads, pages) = threads_and_pages(self.stat.read(buffer)?)
            .ok_or_else(|| text::malformed(self.stat.path(), "24 fields were expected"))?;
        Ok(self.baseline.step(at, &cpu).map(|(span, before)| ProcessUse {
            cpu_percent: cpu.saturating_sub(*before).as_secs_f64() / span.as_secs_f64() * 100.0,
            memory_bytes: pages.saturating_mul(self.page_size),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            open_files: None,
        }))
    }

    /// Open files. Since Linux 6.2 the folder's size is their number; before, its entries are counted.
    pub(super) fn open_files(&mut self) -> io::Result<u32> {
        let named = |e| text::name(&self.fd_folder, e);
        let (folder, is_proc) = match &mut self.kept_folder {
            Some(kept) => kept,
            none => {
                let folder = File::open(&self.fd_folder).map_err(named)?;
                let system = rustix::fs::fstatfs(&folder).map_err(|e| named(e.into()))?;
                none.insert((folder, system.f_type == rustix::fs::PROC_SUPER_MAGIC))
            }
        };
        let size = rustix::fs::fstat(&*folder).map_err(|e| named(e.into()))?.st_size;
        let count = if size > 0 && *is_proc {
            size as u64
        } else {
            // The folder that is being listed is itself open.
            std::fs::read_dir(&self.fd_folder).map_err(named)?.count().saturating_sub(1) as u64
        };
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// A constant of the running system.
pub(in crate::monitor) fn system(name: libc::c_int, usual: u64) -> u64 {
    // SAFETY: sysconf takes any number and touches no memory of ours; it answers -1 to one it does not know.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|v| *v > 0).unwrap_or(usual)
}

fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// Fields 20 and 24. The second field is the program's name in brackets and may hold blanks and brackets.
fn threads_and_pages(stat: &[u8]) -> Option<(u64, u64)> {
    let after_name = stat.iter().rposition(|b| *b == b')')? + 1;
    let mut fields = text::words(&stat[after_name..]).skip(17);
    let threads = text::number(fields.next()?)?;
    let pages = text::number(fields.nth(3)?)?;
    Some((threads, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_named_to_confuse_is_read_right() {
        let stat =
            b"6454 (a) 1 (b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 7 18 19 20 380 18446744073709551615";
        assert_eq!(threads_and_pages(stat), Some((7, 380)));
        assert_eq!(threads_and_pages(b"6454 (cat) R 1 2"), None);
    }

    #[test]
    fn an_opened_file_is_counted() {
        let mut files = ProcessFiles::new(Path::new("/proc"));
        let before = files.open_files().unwrap();
        let opened: Vec<File> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = files.open_files().unwrap();
        // Other tests of this program open and close files at the same time.
        assert!(after >= before + 25, "{before} then {after} with {} more", opened.len());
    }
}
