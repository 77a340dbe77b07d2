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
    /// Far cheaper to read than `stat`, which also tells the threads.
    statm: Kept,
    thread_folder: PathBuf,
    fd_folder: PathBuf,
    kept_thread_folder: Option<File>,
    kept_fd_folder: Option<(File, bool)>,
    baseline: Baseline<Duration>,
    page_size: u64,
}

impl ProcessFiles {
    pub(super) fn new(proc_root: &Path) -> Self {
        ProcessFiles {
            statm: Kept::new(proc_root.join("self/statm")),
            thread_folder: proc_root.join("self/task"),
            fd_folder: proc_root.join("self/fd"),
            kept_thread_folder: None,
            kept_fd_folder: None,
            baseline: Baseline::default(),
            page_size: system(libc::_SC_PAGESIZE, 4096),
        }
    }

    pub(super) fn read(&mut self, at: Time, buffer: &mut Vec<u8>) -> io::Result<Option<ProcessUse>> {
        // The clock counts nanoseconds where the file counts steps of 10 ms.
        let cpu = cpu_time();
        let pages = resident_pages(self.statm.read_piece(buffer)?)
            .ok_or_else(|| text::malformed(self.statm.path(), "two numbers were expected"))?;
        let threads = self.threads()?;
        Ok(self.baseline.step(at, &cpu).map(|(span, before)| ProcessUse {
            cpu_percent: cpu.saturating_sub(*before).as_secs_f64() / span.as_secs_f64() * 100.0,
            memory_bytes: pages.saturating_mul(self.page_size),
            threads,
            open_files: None,
        }))
    }

    /// Threads. Each is a folder, so the number of links to the folder that holds them tells how many there are.
    fn threads(&mut self) -> io::Result<u32> {
        let named = |e| text::name(&self.thread_folder, e);
        let folder = match &mut self.kept_thread_folder {
            Some(kept) => kept,
            none => none.insert(File::open(&self.thread_folder).map_err(named)?),
        };
        let links = rustix::fs::fstat(&*folder).map_err(|e| named(e.into()))?.st_nlink;
        let threads = match (links as u64).saturating_sub(2) {
            // Some systems that imitate Linux do not count links.
            0 => std::fs::read_dir(&self.thread_folder).map_err(named)?.count() as u64,
            threads => threads,
        };
        Ok(u32::try_from(threads).unwrap_or(u32::MAX))
    }

    /// Open files. Since Linux 6.2 the folder's size is their number; before, its entries are counted.
    pub(super) fn open_files(&mut self) -> io::Result<u32> {
        let named = |e| text::name(&self.fd_folder, e);
        let (folder, is_proc) = match &mut self.kept_fd_folder {
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

/// A constant of the running system. Asked of the C library: the other way, through the auxiliary vector, crashes under
/// valgrind.
pub(crate) fn system(name: libc::c_int, usual: u64) -> u64 {
    // SAFETY: sysconf takes any number and touches no memory of ours; it answers -1 to one it does not know.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|v| *v > 0).unwrap_or(usual)
}

fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// The second number.
pub(super) fn resident_pages(statm: &[u8]) -> Option<u64> {
    text::number(text::words(statm).nth(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_pages_are_the_second_number() {
        assert_eq!(resident_pages(b"765 422 394 5 0 123 0\n"), Some(422));
        assert_eq!(resident_pages(b"765"), None);
        assert_eq!(resident_pages(b"765 -1"), None);
    }

    #[test]
    fn a_started_thread_is_counted() {
        let mut files = ProcessFiles::new(Path::new("/proc"));
        let before = files.threads().unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Arc::new(std::sync::Mutex::new(held));
        let wait = || {
            let held = held.clone();
            std::thread::spawn(move || held.lock().unwrap().recv().is_ok())
        };
        let threads: Vec<_> = (0..50).map(|_| wait()).collect();
        let after = files.threads().unwrap();
        drop(release);
        threads.into_iter().for_each(|t| assert!(!t.join().unwrap()));
        // Other tests of this program start and end threads at the same time.
        assert!(after >= before + 25, "{before} then {after}");
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
