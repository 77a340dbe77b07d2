//! A reused id is never signalled, and a stranger is never counted: proved on made-up process tables.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::super::look::{Limits, Meter};
use super::super::signal::{self, Parents, is_meant};
use super::super::table::{Stat, Table};
use super::super::{ProcessId, TreeUse};
use crate::clock::Time;

fn line(pid: u32, name: &str, state: char, parent: u32, threads: u32, start: u64) -> String {
    format!(
        "{pid} ({name}) {state} {parent} 1 1 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 {threads} 0 {start} 999 7 0 0\n"
    )
}

struct Made(tempfile::TempDir);

impl Made {
    fn new(lists_children: bool) -> Made {
        let made = Made(tempfile::tempdir().unwrap());
        if lists_children {
            fs::create_dir_all(made.path().join("thread-self")).unwrap();
            fs::write(made.path().join("thread-self/children"), "").unwrap();
        }
        made
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, pid: u32, parent: u32, start: u64, children: &str) {
        let task = self.path().join(format!("{pid}/task/{pid}"));
        fs::create_dir_all(&task).unwrap();
        fs::write(self.path().join(format!("{pid}/stat")), line(pid, "a b) c", 'S', parent, 1, start))
            .unwrap();
        fs::write(task.join("children"), children).unwrap();
    }

    /// A process whose record was spoilt.
    fn put_again(&self, pid: u32, parent: u32, start: u64) {
        fs::remove_dir(self.path().join(format!("{pid}/stat"))).unwrap();
        self.put(pid, parent, start, "");
    }

    fn table(&self) -> Table {
        Table::at(self.path().into())
    }

    fn tree(&self, top: u32) -> Vec<u32> {
        self.table().descendants(top, 100).processes.iter().map(|s| s.pid).collect()
    }
}

#[test]
fn a_record_is_read_whatever_the_name_holds() {
    let stat = Stat::parse(line(42, "x) R 1 (", 'S', 7, 3, 5000).as_bytes()).unwrap();
    assert_eq!((stat.pid, stat.parent, stat.threads, stat.start_time), (42, 7, 3, 5000));
    assert_eq!((stat.ticks, stat.child_ticks, stat.rss_pages), (30, 70, 7));
    for bad in ["", "42", "42 (x", "42 (x) S 1", "x (y) S 1 1 1 1", ")(", "1 )( 2"] {
        assert_eq!(Stat::parse(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn only_the_process_that_was_seen_is_meant() {
    let parse = |l: String| Stat::parse(l.as_bytes()).unwrap();
    let members = HashSet::from([10, 20]);
    let is_member = |pid| members.contains(&pid);
    let parents = Parents::Of(&is_member);
    let seen = parse(line(42, "x", 'S', 20, 1, 5000));

    assert!(is_meant(&seen, Some(&parse(line(42, "y", 'R', 20, 1, 5000))), &parents));
    // An orphan, handed to the guardian.
    assert!(is_meant(&seen, Some(&parse(line(42, "x", 'S', 10, 1, 5000))), &parents));
    // Ended.
    assert!(!is_meant(&seen, None, &parents));
    assert!(!is_meant(&seen, Some(&parse(line(42, "x", 'Z', 20, 1, 5000))), &parents));
    // The id belongs to a later process, even to one of the same tree.
    assert!(!is_meant(&seen, Some(&parse(line(42, "x", 'S', 20, 1, 5001))), &parents));
    // The same start, which is only as fine as a tick, and a stranger's parent.
    assert!(!is_meant(&seen, Some(&parse(line(42, "x", 'S', 1, 1, 5000))), &parents));
    assert!(is_meant(&seen, Some(&parse(line(42, "x", 'S', 1, 1, 5000))), &Parents::Unknown));
    assert!(!is_meant(&seen, Some(&parse(line(42, "x", 'S', 1, 1, 5001))), &Parents::Unknown));
}

#[test]
fn a_live_process_behind_a_reused_id_gets_no_signal() {
    let mut victim = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let table = Table::system();
    let me = std::process::id();
    let is_parent = |pid| pid == me;
    let parents = Parents::Of(&is_parent);
    let now = table.stat(victim.id()).unwrap();

    let earlier = Stat { start_time: now.start_time - 1, ..now.clone() };
    assert!(!signal::send(&table, &earlier, &parents, libc::SIGKILL));
    assert!(!signal::send(&table, &earlier, &Parents::Unknown, libc::SIGKILL));
    let is_stranger = |pid| pid == me + 1;
    assert!(!signal::send(&table, &now, &Parents::Of(&is_stranger), libc::SIGKILL));
    assert!(victim.try_wait().unwrap().is_none(), "the bystander lives");

    assert!(signal::send(&table, &now, &parents, libc::SIGKILL));
    victim.wait().unwrap();
    assert!(!signal::send(&table, &now, &parents, libc::SIGKILL));
}

#[test]
fn a_child_that_is_a_stranger_by_now_is_not_of_the_tree() {
    for lists_children in [true, false] {
        let made = Made::new(lists_children);
        made.put(10, 1, 100, "20 30");
        made.put(20, 10, 200, "40");
        // Listed below 10 a moment ago; now the id belongs to a child of init.
        made.put(30, 1, 300, "50");
        made.put(50, 30, 310, "");
        // Its parent 20 listed it, and it was handed to the guardian since.
        made.put(40, 10, 210, "");
        assert_eq!(made.tree(10), [20, 40], "lists children: {lists_children}");
    }
}

#[test]
fn a_table_that_changes_under_the_walk_or_turns_in_circles_ends_it() {
    let made = Made::new(true);
    made.put(10, 1, 100, "20 99 10 x");
    made.put(20, 10, 200, "10 20");
    assert_eq!(made.tree(10), [20]);
    assert_eq!(made.tree(77), [0u32; 0]);
}

/// Stands for a process that is out of descriptors: what is there cannot be read, for a reason of its own.
fn spoil(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

#[test]
fn a_tree_that_cannot_be_read_is_unknown_and_not_empty() {
    for lists_children in [true, false] {
        let made = Made::new(lists_children);
        made.put(10, 1, 100, "20");
        made.put(20, 10, 200, "");
        let guardian = ProcessId { pid: 10, start_time: 100 };
        let mut meter = Meter::of(made.table());
        let mut look =
            |limits| meter.look(guardian, None, limits, Time::ZERO + Duration::from_secs(1), |_| ()).0;
        assert_eq!(look(Limits::default()).processes, Some(1));
        let unknown = TreeUse { at: Time::ZERO + Duration::from_secs(1), ..TreeUse::default() };
        spoil(&made.path().join("20/stat"));
        assert_eq!(look(Limits::default()), unknown, "one that is there cannot be read");
        made.put_again(20, 10, 200);
        assert_eq!(look(Limits::default()).processes, Some(1));
        if lists_children {
            spoil(&made.path().join("10/task/10/children"));
            assert_eq!(look(Limits::default()), unknown, "who the children are cannot be read");
        }
        spoil(&made.path().join("10/stat"));
        assert_eq!(look(Limits::default()), unknown, "the guardian cannot be read");
        fs::remove_dir_all(made.path()).unwrap();
        assert_eq!(look(Limits::default()), unknown, "there is no process table");
    }
}

#[test]
fn a_process_that_was_known_and_cannot_be_looked_at_counts_as_running() {
    let made = Made::new(true);
    made.put(20, 10, 200, "");
    let known = [made.table().stat(20).unwrap()];
    let meter = Meter::of(made.table());
    assert_eq!(meter.refresh(&known, true).len(), 1);
    spoil(&made.path().join("20/stat"));
    assert_eq!(meter.refresh(&known, true).len(), 1);
    fs::remove_dir_all(made.path().join("20")).unwrap();
    assert_eq!(meter.refresh(&known, true).len(), 0);
}

#[test]
fn a_walk_stops_at_its_budget_and_says_so() {
    for lists_children in [true, false] {
        let made = Made::new(lists_children);
        made.put(10, 1, 100, "11 12 13");
        for pid in 11..14 {
            made.put(pid, 10, 200, "");
        }
        let walk = made.table().descendants(10, 2);
        assert_eq!((walk.processes.len(), walk.cut), (2, true));
        assert!(!made.table().descendants(10, 3).cut);
    }
}

#[test]
fn a_burst_of_forks_is_told_of_before_all_of_it_is_looked_at() {
    let made = Made::new(true);
    let children: Vec<u32> = (1000..1200).collect();
    made.put(10, 1, 100, &children.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    for pid in &children {
        made.put(*pid, 10, 200, "");
    }
    let told = Cell::new(None);
    let crowd = |count| {
        told.set(Some(count));
        // The rest of the burst: it is seen only by a walk that comes after this word.
        made.put(2000, 1199, 300, "");
        fs::write(made.path().join("1199/task/1199/children"), "2000").unwrap();
    };
    let limits = |processes| Limits { processes: Some(processes), ..Limits::default() };
    let guardian = ProcessId { pid: 10, start_time: 100 };
    let look =
        |most| Meter::of(made.table()).look(guardian, None, limits(most), Time::ZERO, crowd).0.processes;
    assert_eq!(look(200), Some(200));
    assert_eq!(told.get(), None, "as many as allowed are no crowd");
    assert_eq!(look(10), Some(201));
    assert_eq!(told.get(), Some(64), "the word came after the first few");
}
