//! The process table as `/proc` shows it; compiled into the guardian and into the library.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
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
    pub(crate) threads: u32,
    /// Clock ticks between boot and its start. With the id it names a process for ever.
    pub(crate) start_time: u64,
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
        let pid = number(line.get(..open)?.trim_ascii())? as u32;
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
        let field = |n: usize| number(fields[n]);
        Some(Stat {
            pid,
            parent: field(1)? as u32,
            state: *fields[0].first()?,
            name,
            ticks: field(11)? + field(12)?,
            child_ticks: field(13)? + field(14)?,
            threads: field(17)? as u32,
            start_time: field(19)?,
            rss_pages: field(21)?,
        })
    }
}

/// Negative values, which some kernels show in counters, count as zero.
fn number(word: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(word).ok()?;
    if text.starts_with('-') { Some(0) } else { text.parse().ok() }
}

/// What a walk through a tree saw.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Parents stand before their children. Zombies are in it.
    pub(crate) processes: Vec<Stat>,
    /// Whether the walk stopped at its budget: there are at least this many.
    pub(crate) cut: bool,
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
        let mut line = [0; 1024];
        let mut file = File::open(self.root.join(format!("{pid}/stat"))).ok()?;
        let n = file.read(&mut line).ok()?;
        Stat::parse(line.get(..n)?).filter(|s| s.pid == pid)
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
        let Some(first) = self.stat(top) else { return walk };
        let mut members = HashSet::from([top]);
        let mut children = Vec::new();
        let mut next = 0;
        let mut parent = (first.pid, first.threads);
        loop {
            children.clear();
            self.children(parent.0, parent.1, &mut children);
            for pid in children.drain(..) {
                if members.contains(&pid) {
                    continue;
                }
                if walk.processes.len() >= budget {
                    walk.cut = true;
                    return walk;
                }
                if let Some(stat) = self.stat(pid).filter(|s| members.contains(&s.parent)) {
                    members.insert(pid);
                    walk.processes.push(stat);
                }
            }
            let Some(stat) = walk.processes.get(next) else { return walk };
            parent = (stat.pid, stat.threads);
            next += 1;
        }
    }

    /// Children are listed by the thread that made them.
    fn children(&self, pid: u32, threads: u32, into: &mut Vec<u32>) {
        if threads <= 1 {
            return self.children_of_thread(pid, pid, into);
        }
        let Ok(entries) = fs::read_dir(self.root.join(format!("{pid}/task"))) else { return };
        for tid in entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()) {
            self.children_of_thread(pid, tid, into);
        }
    }

    fn children_of_thread(&self, pid: u32, tid: u32, into: &mut Vec<u32>) {
        if let Ok(text) = fs::read_to_string(self.root.join(format!("{pid}/task/{tid}/children"))) {
            into.extend(text.split_ascii_whitespace().filter_map(|w| w.parse::<u32>().ok()));
        }
    }

    /// The same by looking at every process, for kernels that do not list children.
    fn scan(&self, top: u32, budget: usize) -> Walk {
        let mut all: Vec<Stat> = self.pids().into_iter().filter_map(|pid| self.stat(pid)).collect();
        all.sort_by_key(|s| s.start_time);
        let mut walk = Walk::default();
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

    fn pids(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
    }

    /// Memory in bytes of which shared pages are divided among those who share them.
    pub(crate) fn proportional_memory(&self, pid: u32) -> Option<u64> {
        let text = fs::read_to_string(self.root.join(format!("{pid}/smaps_rollup"))).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("Pss:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }
}
