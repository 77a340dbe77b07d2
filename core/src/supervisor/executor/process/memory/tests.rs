//! The memory of made-up trees.

use std::fs;
use std::path::Path;

use super::*;

const MIB: u64 = 1 << 20;

/// A process in a made-up table, with as many pages of 1 MiB in memory, and of these some that it alone has.
fn put(
    root: &Path,
    [pid, parent]: [u32; 2],
    resident: u64,
    proportional: u64,
    private: u64,
    faults: u64,
) -> (u64, Stat) {
    let folder = root.join(pid.to_string());
    fs::create_dir_all(&folder).unwrap();
    let line =
        format!("{pid} (a) S {parent} 3 4 5 6 7 {faults} 9 0 11 1 1 1 1 16 17 1 19 1000 21 {resident}\n");
    fs::write(folder.join("stat"), &line).unwrap();
    fs::write(folder.join("statm"), format!("1 {resident} 0 0 0 0 0\n")).unwrap();
    let (proportional, private) = (proportional << 10, private << 10);
    let rollup = format!("Pss: {proportional} kB\nPrivate_Clean: 0 kB\nPrivate_Dirty: {private} kB\n");
    fs::write(folder.join("smaps_rollup"), rollup).unwrap();
    (resident * MIB, Stat::parse(line.as_bytes()).unwrap())
}

struct Tree {
    folder: tempfile::TempDir,
    table: Table,
    memory: Memory,
    processes: Vec<(u64, Stat)>,
    /// Of those that are added.
    parent: u32,
}

impl Tree {
    fn new() -> Tree {
        let folder = tempfile::tempdir().unwrap();
        let table = Table::at(folder.path().to_owned());
        Tree { folder, table, memory: Memory::default(), processes: Vec::new(), parent: 99 }
    }

    /// Adds a process, or changes one. It shares all it has, or nothing.
    fn put(&mut self, pid: u32, resident: u64, proportional: u64) {
        let private = if proportional == resident { resident } else { 0 };
        self.put_partly(pid, resident, proportional, private, 0);
    }

    /// The same with a part of its own, and how many pages it has touched anew.
    fn put_partly(&mut self, pid: u32, resident: u64, proportional: u64, private: u64, faults: u64) {
        self.processes.retain(|(_, stat)| stat.pid != pid);
        let ids = [pid, self.parent];
        self.processes.push(put(self.folder.path(), ids, resident, proportional, private, faults));
    }

    /// A look that reads as little as one may; returns MiB.
    fn look(&mut self, limit: Option<u64>) -> u64 {
        self.look_for(limit, Duration::ZERO)
    }

    fn look_for(&mut self, limit: Option<u64>, longest: Duration) -> u64 {
        let sizes: Vec<(u64, &Stat)> = self.processes.iter().map(|(n, stat)| (*n, stat)).collect();
        let limit = limit.map(|mib| mib * MIB);
        self.memory.measure(&self.table, MIB, &sizes, limit, longest) / MIB
    }
}

#[test]
fn one_look_reads_few_and_reckons_the_others_by_them() {
    let mut tree = Tree::new();
    (1..=100).for_each(|pid| tree.put(pid, 1000, 10));
    for look in 1..=100 {
        assert_eq!(tree.look(Some(2000)), 1000);
        assert_eq!(tree.memory.known.values().filter(|known| known.is_read).count(), look);
        assert_eq!(tree.memory.is_reading(), look < 100);
    }
}

#[test]
fn growth_of_its_own_counts_at_once_and_that_of_shared_files_when_it_is_read() {
    let mut tree = Tree::new();
    (1..=10).for_each(|pid| tree.put(pid, 100, 10));
    (0..10).for_each(|_| assert_eq!(tree.look(Some(300)), 100));
    tree.put_partly(7, 600, 510, 500, 0);
    // It seems to be the largest, so it is read first, and that one reading is over the limit: what it has alone,
    // and what all of them share.
    assert_eq!(tree.look(Some(300)), 600);
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
fn what_the_page_tables_of_one_showed_that_left_right_after_is_not_counted() {
    let mut tree = Tree::new();
    tree.put(2, 256, 128);
    // Its size is read after its page tables, and it had left in between; of what they shared the other has a part alone
    // by then.
    fs::write(tree.folder.path().join("2/statm"), "0 0 0 0 0 0 0\n").unwrap();
    tree.put_partly(1, 256, 158, 61, 0);
    let told = tree.look_for(Some(270), Duration::from_secs(1));
    assert!(told <= 270, "{told}");
}

#[test]
fn what_older_readings_show_breaks_no_limit_before_the_round_is_over() {
    let mut tree = Tree::new();
    (1..=4).for_each(|pid| tree.put(pid, 100, 100));
    (0..4).for_each(|_| assert_eq!(tree.look(Some(500)), 400));
    // Each has forked since, and shares all it has with its children.
    (1..=8).for_each(|pid| tree.put(pid, 100, 50));
    tree.put(9, 100, 100);
    for _ in 0..2 {
        assert_eq!((tree.look(Some(500)), tree.memory.is_in_doubt()), (500, true));
    }
    assert_eq!((0..20).map(|_| tree.look(Some(500))).max(), Some(500));
    (1..=8).for_each(|pid| tree.put_partly(pid, 100, 100, 100, 100));
    let most = (0..20).map(|_| tree.look(Some(500))).max();
    assert_eq!(most, Some(900), "they are seen to share nothing any more");
}

#[test]
fn workers_that_are_forked_within_a_round_do_not_count_what_their_parent_was_read_with() {
    let mut tree = Tree::new();
    tree.put(1, 1000, 1000);
    tree.put(2, 2, 2);
    assert_eq!(tree.look(Some(1500)), 1002);
    // There are still 1000 MiB in ten of the workers, and again in ten others.
    for workers in [10..20, 20..30, 30..40] {
        tree.processes.retain(|(_, stat)| stat.pid < 10);
        tree.put(1, 1000, 91);
        workers.for_each(|pid| tree.put(pid, 1000, 91));
        for _ in 0..3 {
            let seen = tree.look(Some(1500));
            assert!(seen <= 1500, "{seen}");
        }
    }
    let seen: Vec<u64> = (0..30).map(|_| tree.look(Some(1500))).collect();
    assert!(seen.iter().all(|seen| *seen <= 1500), "{seen:?}");
    assert_eq!(seen.last(), Some(&1003), "what is rounded up is 11 times 91");
    // All that one of them shares is there, whoever else has it.
    (10..20).for_each(|n| tree.put_partly(n + 20, 1001, 92, 1, 1));
    assert_eq!(tree.look(Some(900)), 1001);
}

#[test]
fn a_file_that_all_map_within_a_round_counts_once() {
    let mut tree = Tree::new();
    let folder = tree.folder.path().to_owned();
    let file = |pid| fs::write(folder.join(format!("{pid}/statm")), "1 1000 1000 0 0 0 0\n").unwrap();
    (2..=10).for_each(|pid| tree.put(pid, 1, 1));
    tree.put(1, 1000, 1000);
    file(1);
    tree.look(Some(1500));
    for pid in 2..=10 {
        tree.put_partly(pid, 1000, 1000 / u64::from(pid), 0, 1000);
        file(pid);
        assert!(tree.look(Some(1500)) <= 1500);
    }
    (1..=10).for_each(|pid| tree.put(pid, 1000, 100));
    (1..=10).for_each(file);
    let seen: Vec<u64> = (0..30).map(|_| tree.look(Some(1500))).collect();
    assert!(seen.iter().all(|seen| *seen <= 1500), "{seen:?}");
    assert_eq!(seen.last(), Some(&1000));
}

#[test]
fn a_size_that_the_system_tells_only_about_takes_nothing_from_what_is_there() {
    let mut tree = Tree::new();
    (1..=4).for_each(|pid| tree.put(pid, 100, 100));
    for pid in 1..=4 {
        let line =
            format!("{pid} (a) S 99 3 4 5 6 7 0 9 0 11 1 1 1 1 16 17 1 19 1000 21 {}\n", 10 * (pid % 2));
        fs::write(tree.folder.path().join(format!("{pid}/stat")), line).unwrap();
    }
    assert_eq!((0..4).map(|_| tree.look(Some(300))).last(), Some(400));
}

#[test]
fn what_is_given_back_while_others_are_read_counts_nothing() {
    let mut tree = Tree::new();
    (1..=2).for_each(|pid| tree.put(pid, 400, 400));
    (0..2).for_each(|_| assert_eq!(tree.look(Some(1000)), 800));
    tree.put(1, 700, 700);
    assert_eq!(tree.look(Some(1000)), 1100);
    // It leaves after it was looked at.
    fs::remove_dir_all(tree.folder.path().join("1")).unwrap();
    assert_eq!((tree.look(Some(1000)), tree.memory.is_in_doubt()), (1000, true));
}

#[test]
fn a_child_that_runs_in_the_memory_of_its_parent_has_none() {
    let mut tree = Tree::new();
    tree.put(1, 700, 700);
    tree.put(2, 1, 1);
    (0..3).for_each(|_| assert_eq!(tree.look(Some(1000)), 701));
    tree.parent = 1;
    tree.put(3, 700, 700);
    assert!((0..9).all(|_| tree.look(Some(1000)) == 1000));
    // It could be as large by itself.
    tree.put_partly(3, 700, 700, 700, 700);
    assert_eq!((0..9).map(|_| tree.look(Some(1000))).last(), Some(1401));
}

#[test]
fn newcomers_that_never_stay_cannot_keep_a_round_from_its_end_and_are_found() {
    let mut tree = Tree::new();
    (1..=4).for_each(|pid| tree.put(pid, 1, 1));
    let mut ended = 0;
    for pid in 10..50 {
        tree.processes.retain(|(_, stat)| stat.pid < 10);
        (0..10).for_each(|n| tree.put(pid * 10 + n, 50, 50));
        assert_eq!((tree.look(Some(100)), tree.memory.is_in_doubt()), (100, true));
        ended += u32::from(!tree.memory.is_reading());
    }
    assert!(ended >= 8, "{ended}");
    assert_eq!(tree.look_for(Some(100), Duration::from_secs(60)), 504);
}

#[test]
fn a_tree_that_changes_little_is_left_alone_between_two_rounds() {
    /// Reads all, and has a long rest before it.
    fn rested(limit: Option<u64>) -> Tree {
        let mut tree = Tree::new();
        (1..=10).for_each(|pid| tree.put(pid, 1000, 100));
        (0..10).for_each(|_| assert_eq!(tree.look(limit), 1000));
        tree.memory.rested = Some(Instant::now() + Duration::from_secs(3600));
        (0..10).for_each(|_| assert_eq!((tree.look(limit), tree.memory.is_reading()), (1000, false)));
        tree
    }
    let reads = |tree: &mut Tree, limit| {
        tree.look(limit);
        tree.memory.is_reading()
    };
    for limit in [None, Some(1500)] {
        let mut tree = rested(limit);
        tree.put(10, 1000, 100);
        tree.put(11, 1000, 90);
        assert!(!reads(&mut tree, None), "one more is little");
        tree.put(12, 1000, 90);
        assert!(reads(&mut tree, None));
        let mut tree = rested(limit);
        tree.memory.rested = Some(Instant::now());
        assert!(reads(&mut tree, limit));
    }
    let mut tree = rested(Some(1500));
    // Of what it shares it has written to a part, which its size does not show.
    tree.put_partly(1, 1000, 550, 500, 500);
    assert!(!reads(&mut tree, Some(1500)), "it cannot be over its limit");
    tree.put_partly(1, 1000, 551, 501, 501);
    assert!(reads(&mut tree, Some(1500)));
    let mut tree = rested(Some(1500));
    // The others may share what was this one's.
    tree.processes.remove(0);
    tree.put_partly(2, 1000, 551, 501, 501);
    assert!(reads(&mut tree, Some(1500)));
}

#[test]
fn a_process_that_has_just_left_counts_nothing_and_one_that_may_not_be_read_all_of_it() {
    let mut tree = Tree::new();
    (1..=2).for_each(|pid| tree.put(pid, 100, 50));
    fs::remove_dir_all(tree.folder.path().join("1")).unwrap();
    fs::remove_file(tree.folder.path().join("2/smaps_rollup")).unwrap();
    assert_eq!((0..3).map(|_| tree.look(None)).last(), Some(100));
}
