//! What a tree uses.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::super::{Input, TreeWatcher};
use super::{Cgroups, MODES, PATIENCE, Tree, part, shell, spawn, until, watched};

/// A driver in miniature: kills on the first look over the limit.
struct Enforcer {
    limit: u64,
    tree: OnceLock<Weak<Tree>>,
}

impl TreeWatcher for Enforcer {
    fn looked(&self) {
        if let Some(tree) = self.tree.get().and_then(Weak::upgrade)
            && tree.latest_use().memory_bytes > Some(self.limit)
        {
            tree.kill();
        }
    }
    fn unseen(&self, _: Option<&str>) -> bool {
        true
    }
    fn overdue(&self) {}
    fn lost(&self) {}
    fn gone(&self) {}
}

#[test]
fn a_hog_of_one_gib_a_second_is_dead_before_it_doubles_its_limit() {
    a_hog_is_dead_before_it_doubles_its_limit("hog");
}

/// The kernel shows no memory of a first thread that has left.
#[test]
fn a_hog_whose_first_thread_left_is_dead_before_it_doubles_its_limit() {
    a_hog_is_dead_before_it_doubles_its_limit("headless hog");
}

fn a_hog_is_dead_before_it_doubles_its_limit(part: &str) {
    for mode in MODES {
        let limit = 512 << 20;
        let mut command = part::command(part);
        command.memory_limit = Some(limit);
        command.cgroups = mode;
        let enforcer = Arc::new(Enforcer { limit, tree: OnceLock::new() });
        let weak = Arc::downgrade(&enforcer);
        let tree = Tree::spawn(command, Duration::from_secs(5), weak).unwrap();
        enforcer.tree.set(Arc::downgrade(&tree)).unwrap();
        let report = tree.wait_gone(PATIENCE).expect("gone");
        let exit = report.exit.unwrap();
        println!("{mode:?}: hog died at {} MiB", exit.max_rss_bytes >> 20);
        assert_eq!(exit.signal, Some(libc::SIGKILL));
        // The kernel keeps a part of this count for each core and leaves it out.
        let unseen = std::thread::available_parallelism().unwrap().get() as u64 * (256 << 10);
        assert!(exit.max_rss_bytes + unseen > limit && exit.max_rss_bytes < 2 * limit, "{exit:?}");
    }
}

#[test]
fn what_many_workers_share_is_counted_once() {
    counts_once("workers", 512 << 20, 201, 20);
}

#[test]
fn what_workers_share_that_come_and_go_is_counted_once() {
    counts_once("short-lived workers", 288 << 20, 5, 60);
}

fn counts_once(part: &str, limit: u64, processes: u64, more: usize) {
    let mut command = part::command(part);
    command.memory_limit = Some(limit);
    let (tree, seen) = watched(command);
    until("all work", || tree.latest_use().processes >= Some(processes));
    let looks = seen.looks.lock().len();
    until("some more looks", || seen.looks.lock().len() > looks + more);
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
    for look in seen.looks.lock().iter() {
        assert!(look.memory_bytes <= Some(limit), "{look:?}");
    }
}

/// Half a second of work in many short lives.
const SHORT_LIVES: &str = "i=0; while [ $i -lt 30 ]; do \
    ( j=0; while [ $j -lt 20000 ]; do j=$((j+1)); done ) ; i=$((i+1)); done ; exec sleep 60";

#[test]
fn children_that_lived_and_died_between_two_looks_are_counted() {
    for mode in MODES {
        let mut command = shell(SHORT_LIVES);
        command.cgroups = mode;
        let (tree, seen) = watched(command);
        until("the work is done", || tree.pids().iter().any(|p| p.name == "sleep"));
        let looks = seen.looks.lock().len();
        until("one more look", || seen.looks.lock().len() > looks + 1);
        let measured = tree.latest_use().cpu_time.unwrap();
        tree.kill();
        let report = tree.wait_gone(PATIENCE).expect("gone");
        // The kernel's own sum over everything that was reaped is the judge.
        let truth = report.exit.unwrap().cpu_time;
        println!("{mode:?}: measured {measured:?} of {truth:?}");
        assert!(truth > Duration::from_millis(200), "the load is too small to tell anything: {truth:?}");
        assert!(measured + Duration::from_millis(30) >= truth.mul_f64(0.95), "{measured:?} of {truth:?}");
        assert!(measured <= truth.mul_f64(1.05) + Duration::from_millis(30), "{measured:?} of {truth:?}");
        let looks = seen.looks.lock();
        assert!(looks.is_sorted_by_key(|l| l.cpu_time), "processor time ran backwards");
    }
}

#[test]
fn a_process_whose_first_thread_left_is_counted_with_its_work() {
    let mut command = part::command("headless work");
    command.cgroups = Cgroups::Off;
    let tree = spawn(command);
    until("the first thread leaves", || super::state(tree.main_pid()) == Some('Z'));
    until("its work is seen", || tree.latest_use().cpu_time > Some(Duration::from_millis(250)));
    let seen = tree.latest_use();
    assert_eq!(seen.processes, Some(1));
    assert!(seen.memory_bytes > Some(1 << 20), "{seen:?}");
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
}

#[test]
fn orphans_count_after_their_parent_is_gone() {
    let mut command =
        shell("(setsid sh -c 'j=0; while [ $j -lt 300000 ]; do j=$((j+1)); done' &) ; exec sleep 60");
    command.cgroups = Cgroups::Off;
    let tree = spawn(command);
    until("the orphan worked", || tree.latest_use().cpu_time > Some(Duration::from_millis(100)));
    until("it ended", || tree.latest_use().processes == Some(1));
    assert!(tree.latest_use().cpu_time > Some(Duration::from_millis(100)));
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
}

#[test]
fn every_event_is_told_once() {
    let mut command = shell("read line; sleep 0.1 & exit 4");
    command.stdin = Input::Piped;
    let (tree, seen) = watched(command);
    // What ends before the first look is not looked at.
    until("it is looked at", || !seen.looks.lock().is_empty());
    drop(tree.take_stdin());
    tree.wait_gone(PATIENCE).expect("gone");
    until("the end is told", || !seen.words.lock().is_empty());
    assert_eq!(*seen.words.lock(), ["gone"]);
    assert_eq!(tree.exit().unwrap().code, Some(4));
    assert!(!seen.looks.lock().is_empty());
    let report = tree.report().unwrap();
    assert_eq!(report.last_use.processes, Some(0));
    assert_eq!(report.exit, tree.exit());
}
