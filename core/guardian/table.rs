//! The process table as `/proc` shows it; compiled into the guardian and into the library.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

/// One process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// The state letter: `R`, `S`, `D`, `T`, `Z` and so on.
    pub(crate) state: u8,
    /// The kernel's short name, padded with zeros.
    pub(crate) name: [u8; 16],
    /// Clock ticks that it used itself.
    pub(crate) ticks: u64,
    /// Clock ticks of the children that it waited for.
    pub(crate) child_ticks: u64,
    /// How often it touched memory that was not there for it, or not to be written.
    pub(crate) faults: u64,
    pub(crate) threads: u32,
    /// Clock ticks between boot and its start. With the id it names a process for ever.
    pub(crate) start_time: u64,
    /// About, as [`Table::resident_pages`] says.
    pub(crate) rss_pages: u64,
}

impl Stat {
    /// Whether it can still run; a zombie is only a record. A process whose first thread has left shows the
    /// same letter while its other threads go on.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x') || self.threads > 1
    }

    /// Reads the line of `/proc/<pid>/stat`. The name may hold spaces and brackets, so the last `)` ends it.
    pub(crate) fn parse(line: &[u8]) -> Option<Stat> {
        let open = line.iter().position(|b| *b == b'(')?;
        let close = line.iter().rposition(|b| *b == b')')?;
        let pid = id(line.get(..open)?.trim_ascii())?;
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(line.get(open + 1..close)?) {
            *to = *from;
        }
        let mut fields = [&b""[..]; 22];
        let words = line.get(close + 1..)?.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
        let mut count = 0;
        for (to, from) in fields.iter_mut().zip(words) {
            *to = from;
            count += 1;
        }
        if count < fields.len() {
            return None;
        }
        let field = |n: usize| counter(fields[n]);
        Some(Stat {
            pid,
            parent: id(fields[1])?,
            state: *fields[0].first()?,
            name,
            ticks: field(11)?.saturating_add(field(12)?),
            child_ticks: field(13)?.saturating_add(field(14)?),
            faults: field(7)?.saturating_add(field(9)?),
            threads: u32::try_from(field(17)?).unwrap_or(u32::MAX),
            start_time: number(fields[19])?,
            rss_pages: field(21)?,
        })
    }
}

fn number(word: &[u8]) -> Option<u64> {
    let digits = word.first().is_some_and(u8::is_ascii_digit);
    std::str::from_utf8(word).ok().filter(|_| digits)?.parse().ok()
}

/// Cut to its lower half, a number that is no id would name a stranger.
fn id(word: &[u8]) -> Option<u32> {
    number(word)?.try_into().ok()
}

/// Negative values, which some kernels show in counters, count as zero.
fn counter(word: &[u8]) -> Option<u64> {
    match word.strip_prefix(b"-") {
        Some(below_zero) => number(below_zero).map(|_| 0),
        None => number(word),
    }
}

/// What a walk through a tree saw.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Parents stand before their children. Zombies are in it.
    pub(crate) processes: Vec<Stat>,
    /// Whether the walk stopped at its budget: there are at least this many.
    pub(crate) cut: bool,
    /// Whether a part could not be read, as when this process is out of descriptors: what it would have shown is
    /// unknown.
    pub(crate) failed: bool,
}

/// What a read showed: `None` if there is no such process or it is not shown to this user, and an error if it could
/// not be read for a reason of ours.
fn seen<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    const NO_SUCH_PROCESS: i32 = 3;
    match read {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        Err(e) if e.raw_os_error() == Some(NO_SUCH_PROCESS) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The memory of a process in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Shared pages are divided among those who share them.
    pub(crate) proportional: u64,
    /// Pages that nobody else has.
    pub(crate) private: u64,
}

/// A process table: `/proc`, or a made-up one.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    root: PathBuf,
    lists_children: bool,
}

impl Table {
    /// The real one.
    pub(crate) fn system() -> Table {
        Table::at(PathBuf::from("/proc"))
    }

    /// The one under `root`.
    pub(crate) fn at(root: PathBuf) -> Table {
        let lists_children = root.join("thread-self/children").exists();
        Table { root, lists_children }
    }

    /// The process, if there is one with this id.
    pub(crate) fn stat(&self, pid: u32) -> Option<Stat> {
        self.read(pid).ok().flatten()
    }

    /// The same, and an error where it is not known whether there is one.
    pub(crate) fn read(&self, pid: u32) -> io::Result<Option<Stat>> {
        self.record(&format!("{pid}/stat"), pid)
    }

    fn record(&self, path: &str, id: u32) -> io::Result<Option<Stat>> {
        let mut line = [0; 1024];
        let read = File::open(self.root.join(path)).and_then(|mut f| f.read(&mut line));
        let Some(n) = seen(read)? else { return Ok(None) };
        Ok(line.get(..n).and_then(Stat::parse).filter(|s| s.pid == id))
    }

    /// Whether exactly this process can still run.
    pub(crate) fn is_alive(&self, pid: u32, start_time: u64) -> bool {
        self.stat(pid).is_some_and(|s| s.start_time == start_time && s.is_alive())
    }

    /// All descendants of `top`, without `top`, up to `budget` of them.
    ///
    /// A process is taken only if the parent that it names is in the tree: its id was read a moment before
    /// its record, and may belong to a stranger by now.
    pub(crate) fn descendants(&self, top: u32, budget: usize) -> Walk {
        if !self.lists_children {
            return self.scan(top, budget);
        }
        let mut walk = Walk::default();
        let first = match self.read(top) {
            Ok(Some(first)) => first,
            Ok(None) => return walk,
            Err(_) => return Walk { failed: true, ..walk },
        };
        let mut members = HashSet::from([top]);
        let mut children = Vec::new();
        let mut next = 0;
        let mut parent = (first.pid, first.threads);
        loop {
            children.clear();
            walk.failed |= self.children(parent.0, parent.1, &mut children).is_err();
            for pid in children.drain(..) {
                if members.contains(&pid) {
                    continue;
                }
                if walk.processes.len() >= budget {
                    walk.cut = true;
                    return walk;
                }
                match self.read(pid) {
                    Ok(Some(stat)) if members.contains(&stat.parent) => {
                        members.insert(pid);
                        walk.processes.push(stat);
                    }
                    Ok(_) => {}
                    Err(_) => walk.failed = true,
                }
            }
            let Some(stat) = walk.processes.get(next) else { return walk };
            parent = (stat.pid, stat.threads);
            next += 1;
        }
    }

    /// Children are listed by the thread that made them.
    fn children(&self, pid: u32, threads: u32, into: &mut Vec<u32>) -> io::Result<()> {
        if threads <= 1 {
            return self.children_of_thread(pid, pid, into);
        }
        for tid in self.threads(pid)? {
            self.children_of_thread(pid, tid, into)?;
        }
        Ok(())
    }

    fn threads(&self, pid: u32) -> io::Result<Vec<u32>> {
        let Some(entries) = seen(fs::read_dir(self.root.join(format!("{pid}/task"))))? else {
            return Ok(Vec::new());
        };
        Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
    }

    fn children_of_thread(&self, pid: u32, tid: u32, into: &mut Vec<u32>) -> io::Result<()> {
        let text = seen(fs::read_to_string(self.root.join(format!("{pid}/task/{tid}/children"))))?;
        into.extend(
            text.iter().flat_map(|t| t.split_ascii_whitespace()).filter_map(|w| w.parse::<u32>().ok()),
        );
        Ok(())
    }

    /// The same by looking at every process, for kernels that do not list children.
    fn scan(&self, top: u32, budget: usize) -> Walk {
        let mut walk = Walk::default();
        let mut all = Vec::new();
        match self.pids() {
            Ok(pids) => {
                for pid in pids {
                    match self.read(pid) {
                        Ok(stat) => all.extend(stat),
                        Err(_) => walk.failed = true,
                    }
                }
            }
            Err(_) => walk.failed = true,
        }
        all.sort_by_key(|s| s.start_time);
        let mut members = HashSet::from([top]);
        // A parent may be younger than its child after the child was handed to a new parent, so repeat
        // until a pass finds nothing.
        loop {
            let before = walk.processes.len();
            for stat in &all {
                if stat.pid != top && members.contains(&stat.parent) && !members.contains(&stat.pid) {
                    if walk.processes.len() >= budget {
                        walk.cut = true;
                        return walk;
                    }
                    members.insert(stat.pid);
                    walk.processes.push(stat.clone());
                }
            }
            if walk.processes.len() == before {
                return walk;
            }
        }
    }

    fn pids(&self) -> io::Result<Vec<u32>> {
        let entries = fs::read_dir(&self.root)?;
        Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
    }

    /// About how many pages `of` had in memory when it was read; `None` if that is unknown. The system counts them for
    /// each core and adds up only what is many, so the sum is off by up to 32 pages a core, and more with many cores.
    ///
    /// A first thread that has left shows no memory, while the others go on with all of it.
    pub(crate) fn resident_pages(&self, of: &Stat) -> Option<u64> {
        if of.rss_pages > 0 || of.threads <= 1 {
            return Some(of.rss_pages);
        }
        if let Some(thread) = self.thread_with_memory(of.pid) {
            return Some(thread.rss_pages);
        }
        (!self.is_alive(of.pid, of.start_time)).then_some(0)
    }

    /// A thread that shows the memory of its process.
    fn thread_with_memory(&self, pid: u32) -> Option<Stat> {
        // Those that were listed may have left and started others.
        const ATTEMPTS: u32 = 3;
        (0..ATTEMPTS).find_map(|_| {
            let threads = self.threads(pid).ok()?;
            let record = |tid: u32| self.record(&format!("{pid}/task/{tid}/stat"), tid).ok().flatten();
            threads.into_iter().filter_map(record).find(|thread| thread.rss_pages > 0)
        })
    }

    /// What its page tables show.
    pub(crate) fn shares(&self, of: &Stat) -> Option<Shares> {
        let text = fs::read_to_string(self.folder_with_memory(of)?.join("smaps_rollup")).ok()?;
        let bytes = |name: &str| {
            let size = text.lines().find_map(|l| l.strip_prefix(name))?;
            size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        let own = bytes("Private_Clean:").zip(bytes("Private_Dirty:"));
        let proportional = bytes("Pss:")?;
        let private = own.map_or(0, |(clean, dirty)| clean.saturating_add(dirty)).min(proportional);
        Some(Shares { proportional, private })
    }

    /// The pages in memory, and those of them that are of no file and of no shared memory. Newer systems count here to
    /// the page (seen on Linux 6.18).
    pub(crate) fn pages(&self, of: &Stat) -> Option<(u64, u64)> {
        let text = fs::read_to_string(self.folder_with_memory(of)?.join("statm")).ok()?;
        let mut words = text.split_ascii_whitespace().skip(1);
        let (resident, shared) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
        Some((resident, resident.saturating_sub(shared)))
    }

    fn folder_with_memory(&self, of: &Stat) -> Option<PathBuf> {
        let process = self.root.join(of.pid.to_string());
        match of.rss_pages {
            0 if of.threads > 1 => {
                Some(process.join("task").join(self.thread_with_memory(of.pid)?.pid.to_string()))
            }
            _ => Some(process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pid: &str, parent: &str, ticks: &str, threads: &str, start_time: &str) -> Option<Stat> {
        let line = format!(
            "{pid} (a ) b) S {parent} 3 4 5 6 7 8 9 10 11 {ticks} {ticks} -5 {ticks} 16 17 {threads} 19 {start_time} 21 50 0"
        );
        Stat::parse(line.as_bytes())
    }

    #[test]
    fn a_number_that_is_no_id_names_nobody() {
        let stat = parse("77", "1", "150", "2", "1000").unwrap();
        assert_eq!((stat.pid, stat.parent, stat.threads, stat.start_time), (77, 1, 2, 1000));
        assert_eq!((stat.ticks, stat.child_ticks, stat.rss_pages), (300, 150, 50));
        // Cut to 32 bits, the first is process 1.
        for wrong in ["4294967297", "-1", "+1", "x"] {
            assert_eq!(parse(wrong, "1", "1", "1", "1"), None, "{wrong:?}");
            assert_eq!(parse("77", wrong, "1", "1", "1"), None, "{wrong:?}");
        }
        for wrong in ["-1", "+1", "18446744073709551616", "x"] {
            assert_eq!(parse("77", "1", "1", "1", wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn counters_at_their_end_neither_wrap_nor_panic() {
        let most = u64::MAX.to_string();
        let stat = parse("77", "1", &most, &most, "1").unwrap();
        assert_eq!((stat.ticks, stat.child_ticks, stat.threads), (u64::MAX, u64::MAX, u32::MAX));
        assert_eq!(parse("77", "1", "-3", "1", "1").unwrap().ticks, 0);
        assert_eq!(parse("77", "1", "-x", "1", "1"), None);
    }

    #[test]
    fn memory_that_the_first_thread_does_not_show_is_read_from_another_or_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let table = Table::at(folder.path().to_owned());
        let write = |path: &str, id: u32, state: &str, pages: u32| {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let line = format!("{id} (a) {state} 1 3 4 5 6 7 8 9 10 11 1 1 1 1 16 17 2 19 1000 21 {pages}\n");
            fs::write(file, line).unwrap();
        };
        write("7/stat", 7, "Z", 0);
        write("7/task/7/stat", 7, "Z", 0);
        let first = table.stat(7).unwrap();
        assert!(first.is_alive());
        assert_eq!(table.resident_pages(&first), None, "no thread shows it");
        write("7/task/8/stat", 8, "S", 50);
        assert_eq!(table.resident_pages(&first), Some(50));
        fs::write(folder.path().join("7/task/8/smaps_rollup"), "Pss: 100 kB\n").unwrap();
        assert_eq!(table.shares(&first), Some(Shares { proportional: 100 << 10, private: 0 }));
        fs::remove_dir_all(folder.path().join("7")).unwrap();
        assert_eq!(table.resident_pages(&first), Some(0), "it has ended");
    }

    #[test]
    fn a_size_that_does_not_fit_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let table = Table::at(folder.path().to_owned());
        fs::create_dir(folder.path().join("7")).unwrap();
        let stat = parse("7", "1", "1", "1", "1").unwrap();
        for (line, bytes) in
            [("Pss:  50 kB", Some(50 << 10)), ("Pss: 18446744073709551615 kB", None), ("Rss: 1 kB", None)]
        {
            fs::write(folder.path().join("7/smaps_rollup"), format!("0-f ---p [rollup]\n{line}\n")).unwrap();
            assert_eq!(table.shares(&stat).map(|s| s.proportional), bytes, "{line}");
        }
    }
}
