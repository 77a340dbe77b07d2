//! How much memory a tree has, with the pages that its processes share counted once.
//!
//! Only page tables tell what is shared, and walking them is dear. So they are read in rounds: each look reads a few
//! processes, the seemingly largest first, until all of them were read. In between, what was read stands, together with
//! what a process has grown since by memory of its own.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::table::{Stat, Table};

/// One look reads page tables for no longer than this, and for one process of a round and one newcomer in any case.
/// Those of 1 GiB take about 10 ms.
pub(super) const LONGEST_READ: Duration = Duration::from_millis(5);

/// So many times as long where a limit seems to be exceeded.
const DOUBT: u32 = 4;

type Key = (u32, u64);

/// The memory of one tree.
#[derive(Debug, Default)]
pub(super) struct Memory {
    read: HashMap<Key, Read>,
    /// Who has not been read in this round. Those that came after it began do not hold it up.
    waiting: HashSet<Key>,
    round: u64,
    in_doubt: bool,
}

/// What the page tables of one process showed. Sizes are in bytes.
#[derive(Debug)]
struct Read {
    round: u64,
    resident: u64,
    anonymous: Option<u64>,
    proportional: u64,
}

/// One process at this look.
struct Size<'a> {
    stat: &'a Stat,
    resident: u64,
    /// What it seems to have; the resident size until it is read.
    seems: u64,
}

impl Size<'_> {
    fn key(&self) -> Key {
        (self.stat.pid, self.stat.start_time)
    }
}

impl Memory {
    /// Whether a round has begun and not ended.
    pub(super) fn is_reading(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the tree seems to be over its limit, and more must be read to be sure.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Forgets what was read: the tree is too small for it to matter.
    pub(super) fn forget(&mut self) {
        *self = Memory { round: self.round, ..Memory::default() };
    }

    /// What the processes have in all, each given with its resident size.
    ///
    /// More than `limit` is said only if this round's readings alone show it, or all of them are there: an older one
    /// may count pages that were shared since.
    pub(super) fn measure(
        &mut self,
        table: &Table,
        page: u64,
        processes: &[(u64, &Stat)],
        limit: Option<u64>,
        longest: Duration,
    ) -> u64 {
        let mut sizes: Vec<Size<'_>> = processes
            .iter()
            .map(|(resident, stat)| Size { stat, resident: *resident, seems: *resident })
            .collect();
        sizes.iter_mut().for_each(|size| size.seems = self.seems(table, page, size));
        sizes.sort_by_key(|size| Reverse(size.seems));
        let keys: HashSet<Key> = sizes.iter().map(Size::key).collect();
        self.read.retain(|key, _| keys.contains(key));
        self.waiting.retain(|key| keys.contains(key));
        if self.waiting.is_empty() {
            self.round += 1;
            self.waiting = keys;
        }
        let longest = if self.in_doubt { longest * DOUBT } else { longest };
        let ratio = self.read_some(table, page, &mut sizes, longest);
        let (mut all, mut sure) = (0u64, 0u64);
        for size in &sizes {
            let read = self.read.get(&size.key());
            if read.is_some_and(|read| read.round == self.round) {
                sure = sure.saturating_add(size.seems);
            }
            let part = if read.is_some() { size.seems } else { (size.resident as f64 * ratio) as u64 };
            all = all.saturating_add(part);
        }
        let told = match limit {
            Some(limit) if self.is_reading() => all.min(limit.max(sure)),
            _ => all,
        };
        self.in_doubt = told < all;
        told
    }

    /// Reads those that this round has not read, in turn one of those it waits for and one newcomer. Returns which part
    /// of their resident size is theirs.
    fn read_some(&mut self, table: &Table, page: u64, sizes: &mut [Size<'_>], longest: Duration) -> f64 {
        let begun = Instant::now();
        let unread =
            sizes.iter_mut().filter(|s| self.read.get(&s.key()).is_none_or(|r| r.round != self.round));
        let (members, newcomers): (Vec<_>, Vec<_>) = unread.partition(|s| self.waiting.contains(&s.key()));
        let (mut members, mut newcomers) = (members.into_iter(), newcomers.into_iter());
        let (mut resident, mut proportional) = (0u64, 0u64);
        loop {
            let mut found = false;
            for size in [members.next(), newcomers.next()].into_iter().flatten() {
                found = true;
                size.seems = table.proportional_memory(size.stat).unwrap_or_else(|| {
                    // It is leaving and has no memory any more, or its size is all that may be read.
                    let now = table.stat(size.stat.pid).filter(|s| s.start_time == size.stat.start_time);
                    now.and_then(|now| table.resident_pages(&now)).unwrap_or(0).saturating_mul(page)
                });
                resident = resident.saturating_add(size.resident);
                proportional = proportional.saturating_add(size.seems);
                self.waiting.remove(&size.key());
                let read = Read {
                    round: self.round,
                    resident: size.resident,
                    anonymous: table.anonymous_pages(size.stat).map(|n| n.saturating_mul(page)),
                    proportional: size.seems,
                };
                self.read.insert(size.key(), read);
            }
            if !found || begun.elapsed() >= longest {
                break;
            }
        }
        if resident == 0 { 1.0 } else { (proportional as f64 / resident as f64).min(1.0) }
    }

    fn seems(&self, table: &Table, page: u64, size: &Size<'_>) -> u64 {
        let Some(read) = self.read.get(&(size.stat.pid, size.stat.start_time)) else { return size.resident };
        let grown = size.resident.saturating_sub(read.resident);
        if grown == 0 {
            return read.proportional.min(size.resident);
        }
        // A file that several processes map makes each of them grow; memory of its own is nobody else's.
        let own = table.anonymous_pages(size.stat).map(|n| n.saturating_mul(page)).zip(read.anonymous);
        read.proportional.saturating_add(own.map_or(grown, |(now, then)| now.saturating_sub(then).min(grown)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A process in a made-up table, with as many pages of 1 MiB in memory.
    fn put(root: &Path, pid: u32, resident: u64, proportional: u64) -> (u64, Stat) {
        let folder = root.join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        let line = format!("{pid} (a) S 1 3 4 5 6 7 8 9 10 11 1 1 1 1 16 17 1 19 1000 21 {resident}\n");
        fs::write(folder.join("stat"), &line).unwrap();
        fs::write(folder.join("statm"), format!("1 {resident} 0 0 0 0 0\n")).unwrap();
        fs::write(folder.join("smaps_rollup"), format!("Pss: {} kB\n", proportional << 10)).unwrap();
        (resident * MIB, Stat::parse(line.as_bytes()).unwrap())
    }

    struct Tree {
        folder: tempfile::TempDir,
        table: Table,
        memory: Memory,
        processes: Vec<(u64, Stat)>,
    }

    impl Tree {
        fn new() -> Tree {
            let folder = tempfile::tempdir().unwrap();
            let table = Table::at(folder.path().to_owned());
            Tree { folder, table, memory: Memory::default(), processes: Vec::new() }
        }

        /// Adds a process, or changes one.
        fn put(&mut self, pid: u32, resident: u64, proportional: u64) {
            self.processes.retain(|(_, stat)| stat.pid != pid);
            self.processes.push(put(self.folder.path(), pid, resident, proportional));
        }

        /// A look that reads as little as one may; returns MiB.
        fn look(&mut self, limit: Option<u64>) -> u64 {
            let sizes: Vec<(u64, &Stat)> = self.processes.iter().map(|(n, stat)| (*n, stat)).collect();
            let limit = limit.map(|mib| mib * MIB);
            self.memory.measure(&self.table, MIB, &sizes, limit, Duration::ZERO) / MIB
        }
    }

    #[test]
    fn one_look_reads_few_and_reckons_the_others_by_them() {
        let mut tree = Tree::new();
        (1..=100).for_each(|pid| tree.put(pid, 1000, 10));
        for look in 1..=100 {
            assert_eq!(tree.look(Some(2000)), 1000);
            assert_eq!(tree.memory.read.len(), look);
            assert_eq!(tree.memory.is_reading(), look < 100);
        }
    }

    #[test]
    fn growth_of_its_own_counts_at_once_and_that_of_shared_files_when_it_is_read() {
        let mut tree = Tree::new();
        (1..=10).for_each(|pid| tree.put(pid, 100, 10));
        (0..10).for_each(|_| assert_eq!(tree.look(Some(300)), 100));
        tree.put(7, 600, 510);
        // It seems to be the largest, so it is read first, and that one reading is over the limit.
        assert_eq!(tree.look(Some(300)), 510);
        let mut tree = Tree::new();
        (1..=10).for_each(|pid| tree.put(pid, 100, 10));
        (0..10).for_each(|_| assert_eq!(tree.look(Some(1000)), 100));
        for pid in 1..=10 {
            tree.put(pid, 900, 90);
            fs::write(tree.folder.path().join(format!("{pid}/statm")), "1 900 800 0 0 0 0\n").unwrap();
        }
        let seen: Vec<u64> = (0..10).map(|_| tree.look(Some(1000))).collect();
        assert_eq!(seen, [180, 260, 340, 420, 500, 580, 660, 740, 820, 900]);
    }

    #[test]
    fn what_older_readings_show_breaks_no_limit_before_the_round_is_over() {
        let mut tree = Tree::new();
        (1..=4).for_each(|pid| tree.put(pid, 100, 100));
        (0..4).for_each(|_| assert_eq!(tree.look(Some(500)), 400));
        // Each has forked since, and shares all it has with its children.
        (1..=8).for_each(|pid| tree.put(pid, 100, 50));
        tree.put(9, 200, 200);
        for _ in 0..2 {
            assert_eq!((tree.look(Some(500)), tree.memory.is_in_doubt()), (500, true));
        }
        (1..=8).for_each(|pid| tree.put(pid, 100, 100));
        let most = (0..20).map(|_| tree.look(Some(500))).max();
        assert_eq!(most, Some(1000), "they are seen to share nothing any more");
    }

    #[test]
    fn newcomers_that_never_stay_cannot_keep_a_round_from_its_end() {
        let mut tree = Tree::new();
        (1..=4).for_each(|pid| tree.put(pid, 1, 1));
        tree.look(Some(100));
        let mut ended = 0;
        for pid in 10..50 {
            tree.processes.retain(|(_, stat)| stat.pid < 10);
            (0..10).for_each(|n| tree.put(pid * 10 + n, 50, 50));
            ended += u32::from(tree.look(Some(100)) == 504);
        }
        assert!(ended >= 8, "{ended}");
    }

    #[test]
    fn a_process_that_has_just_left_counts_nothing_and_one_that_may_not_be_read_all_of_it() {
        let mut tree = Tree::new();
        (1..=2).for_each(|pid| tree.put(pid, 100, 50));
        fs::remove_dir_all(tree.folder.path().join("1")).unwrap();
        fs::remove_file(tree.folder.path().join("2/smaps_rollup")).unwrap();
        assert_eq!((0..3).map(|_| tree.look(None)).last(), Some(100));
    }
}
