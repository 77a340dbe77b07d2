//! Stopping what does not want to stop.

use std::time::{Duration, Instant};

use super::{Cgroups, MODES, PATIENCE, marker, part, shell, sleepers, spawn, until, watched};
use crate::supervisor::stopper::Stopper;

#[test]
fn a_tree_that_listens_leaves_when_it_is_asked() {
    let mark = marker();
    let tree = spawn(shell(&format!("setsid sleep {mark} & sleep {mark}")));
    until("both sleep", || sleepers(&mark).len() == 2);
    tree.request();
    let report = tree.wait_gone(PATIENCE).expect("gone");
    assert_eq!(report.exit.and_then(|e| e.signal), Some(libc::SIGTERM));
    assert_eq!(sleepers(&mark), [0u32; 0]);
}

#[test]
fn a_tree_that_ignores_sigterm_stays_until_it_is_killed() {
    for mode in MODES {
        let mark = marker();
        let mut command = shell(&format!("trap '' TERM ; sleep {mark} & sleep {mark}"));
        command.cgroups = mode;
        let tree = spawn(command);
        until("both sleep", || sleepers(&mark).len() == 2);
        tree.request();
        assert_eq!(tree.wait_gone(Duration::from_millis(150)), None);
        assert!(tree.force());
        let report = tree.wait_gone(PATIENCE).expect("gone");
        assert_eq!(report.exit.and_then(|e| e.signal), Some(libc::SIGKILL));
        assert_eq!(sleepers(&mark), [0u32; 0]);
    }
}

#[test]
fn a_request_that_comes_after_more_signals_than_fit_is_heard() {
    let mark = marker();
    let tree = spawn(shell(&format!("for n in $(seq 200) ; do sleep {mark} & done ; exec sleep {mark}")));
    until("all sleep", || sleepers(&mark).len() == 201);
    for _ in 0..5000 {
        // Those that do not fit are told so.
        let _ = tree.signal(libc::SIGURG);
    }
    tree.request();
    let report = tree.wait_gone(PATIENCE).expect("gone");
    assert_eq!(report.exit.and_then(|e| e.signal), Some(libc::SIGTERM));
    assert_eq!(sleepers(&mark), [0u32; 0]);
}

#[test]
fn a_number_that_is_no_signal_is_refused_by_name() {
    let tree = spawn(shell("exec sleep 1000"));
    for wrong in [0, -1, -9, 65, 999, i32::MAX, i32::MIN] {
        let error = tree.signal(wrong).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::InvalidArgument);
        assert!(error.message().contains(&wrong.to_string()), "{error}");
    }
    tree.signal(64).unwrap();
    assert_eq!(tree.wait_gone(PATIENCE).and_then(|r| r.exit).and_then(|e| e.signal), Some(64));
    // Of a command that has ended nothing is signalled, and a number is a signal or none all the same.
    assert!(tree.signal(1).is_ok() && tree.signal(0).is_err());
}

#[test]
fn a_stopped_tree_still_hears_that_it_is_asked() {
    let mark = marker();
    let tree = spawn(shell(&format!("exec sleep {mark}")));
    until("it sleeps", || sleepers(&mark).len() == 1);
    tree.signal(libc::SIGSTOP).unwrap();
    until("it is stopped", || super::state(tree.main_pid()) == Some('T'));
    tree.terminate();
    assert_eq!(tree.wait_gone(PATIENCE).and_then(|r| r.exit).and_then(|e| e.signal), Some(libc::SIGTERM));
}

#[test]
fn a_stopped_process_hears_that_it_is_asked_also_when_the_task_adopts_it() {
    let mut command = part::command("own-subreaper");
    command.cgroups = Cgroups::Off;
    let tree = spawn(command);
    until("all are there and one is stopped", || {
        let pids = tree.pids();
        pids.len() == 303 && pids.iter().any(|p| super::state(p.id.pid) == Some('T'))
    });
    tree.request();
    let report = tree.wait_gone(PATIENCE).expect("gone");
    assert_eq!(report.exit.and_then(|e| e.code), Some(42));
}

#[test]
fn processes_that_fork_faster_than_they_are_seen_are_killed() {
    for mode in MODES {
        let mut command = part::command("chains");
        command.cgroups = mode;
        let tree = spawn(command);
        until("the lines run", || tree.pids().len() > 8);
        let asked = Instant::now();
        tree.kill();
        let report = tree.wait_gone(PATIENCE).expect("gone");
        assert!(report.proved);
        println!("{mode:?}: chains gone after {:?}", asked.elapsed());
    }
}

#[test]
fn a_burst_of_forks_is_killed_while_it_grows() {
    for mode in MODES {
        let mut command = part::command("spread");
        command.cgroups = mode;
        let tree = spawn(command);
        until("it spreads", || tree.pids().len() > 50);
        let asked = Instant::now();
        tree.kill();
        let report = tree.wait_gone(PATIENCE).expect("gone");
        assert!(report.proved);
        println!("{mode:?}: burst gone after {:?}", asked.elapsed());
    }
}

/// A group that lets what joins it have this many processes and no more; a test must never start a bomb without one.
struct Cap(std::path::PathBuf);

impl Cap {
    fn new(most: u32) -> Result<Cap, String> {
        // The older kind: joining it leaves the group that holds the tree as it is.
        let cap = Cap(format!("/sys/fs/cgroup/pids/haltline-test-cap-{}", marker()).into());
        let limit = cap.0.join("pids.max");
        let made = std::fs::create_dir(&cap.0).and_then(|()| std::fs::write(&limit, most.to_string()));
        made.map_err(|e| format!("{}: {e}", limit.display()))?;
        let set = std::fs::read_to_string(&limit).unwrap_or_default();
        if set.trim() == most.to_string() { Ok(cap) } else { Err(format!("{} is {set:?}", limit.display())) }
    }
}

impl Drop for Cap {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn an_exponential_fork_bomb_is_seen_and_killed_before_it_owns_the_machine() {
    for mode in MODES {
        let cap = match Cap::new(800) {
            Ok(cap) => cap,
            Err(why) => return println!("not checked: an exponential fork bomb (no cap for it: {why})"),
        };
        let mut command = part::command_with("bomb", cap.0.to_str().unwrap());
        command.cgroups = mode;
        command.process_limit = Some(20);
        let tree = spawn(command);
        until("more than its limit", || tree.latest_use().processes.is_some_and(|n| n > 20));
        let (asked, seen) = (Instant::now(), tree.latest_use().processes);
        tree.terminate();
        tree.kill();
        let report = tree.wait_gone(PATIENCE).expect("gone");
        let time = asked.elapsed();
        assert!(report.proved);
        println!("{mode:?}: a bomb seen with {seen:?} processes is gone after {time:?}");
        assert!(time < Duration::from_secs(3), "{mode:?}: {time:?}");
    }
}

#[test]
fn a_guardian_that_walked_through_many_has_an_ordinary_priority_again() {
    let mark = marker();
    let many =
        format!("for i in 1 2 3 4 5 6 7 8 9 10 ; do for j in 1 2 3 4 5 ; do sleep {mark} & done ; done");
    // One more, that listens.
    let tree = spawn(shell(&format!("setsid sleep {mark}.5 & trap '' TERM ; {many} ; wait")));
    until("all sleep", || sleepers(&mark).len() == 50);
    tree.terminate();
    until("the one that listens has left", || tree.pids().len() == 51);
    let policy = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", tree.guardian_pid())).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap().to_owned()
    };
    until("an ordinary priority", || policy() == libc::SCHED_OTHER.to_string());
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
    assert_eq!(sleepers(&mark), [0u32; 0]);
}

#[test]
fn a_process_whose_first_thread_left_is_not_taken_for_dead() {
    let mut command = part::command("threads");
    command.cgroups = Cgroups::Off;
    let tree = spawn(command);
    until("the first thread leaves", || super::state(tree.main_pid()) == Some('Z'));
    assert_eq!(tree.pids().len(), 1);
    assert!(!tree.is_gone());
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
}

#[test]
fn a_task_that_kills_its_guardian_is_killed_and_reported() {
    for mode in MODES {
        let mark = marker();
        let script = format!(
            "trap '' TERM ; setsid sleep {mark} & sleep {mark} & \
             sleep 0.3 ; kill -9 $PPID ; wait"
        );
        let mut command = shell(&script);
        command.cgroups = mode;
        let (tree, seen) = watched(command);
        let report = tree.wait_gone(PATIENCE).expect("gone");
        assert!(report.guardian_killed);
        assert_eq!(report.proved, tree.is_grouped(), "without a group a secret fork cannot be excluded");
        assert_eq!(report.exit.map(|e| (e.code, e.signal)), Some((None, None)));
        assert_eq!(sleepers(&mark), [0u32; 0], "{mode:?}");
        until("the watcher hears of both", || *seen.words.lock() == ["lost", "gone"]);
    }
}

#[test]
fn a_task_that_stops_its_guardian_is_killed_all_the_same() {
    let mark = marker();
    let script = format!("trap '' TERM ; sleep {mark} & while : ; do kill -STOP $PPID ; sleep 0.01 ; done");
    let mut command = shell(&script);
    command.cgroups = Cgroups::Off;
    let tree = spawn(command);
    until("it sleeps", || sleepers(&mark).len() == 1);
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
    assert_eq!(sleepers(&mark), [0u32; 0]);
}

#[test]
fn letting_go_of_a_tree_stops_it() {
    for mode in MODES {
        let mark = marker();
        let mut command = shell(&format!("trap '' TERM ; setsid sleep {mark} & sleep {mark}"));
        command.cgroups = mode;
        let tree = spawn(command);
        until("both sleep", || sleepers(&mark).len() == 2);
        let (guardian, group) = (tree.guardian_pid(), tree.group_directory());
        drop(tree);
        until("nothing is left", || sleepers(&mark).is_empty() && !super::runs(guardian));
        until("the group is removed", || !group.as_ref().is_some_and(|d| d.exists()));
    }
}

#[test]
fn orders_after_the_end_do_nothing() {
    let tree = spawn(shell("exit 0"));
    tree.wait_gone(PATIENCE).expect("gone");
    tree.terminate();
    tree.kill();
    tree.signal(libc::SIGUSR1).unwrap();
    assert!(tree.is_gone());
}
