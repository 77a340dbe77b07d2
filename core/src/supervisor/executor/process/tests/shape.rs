//! Every shape that a tree can take, in each mode.

use std::time::Duration;

use super::{MODES, PATIENCE, check_mode, marker, shell, sleepers, spawn, until};
use crate::supervisor::stopper::Stopper;

/// Runs `script`, in which MARK stands for the marker, until `count` sleepers are there; then all of them are
/// counted and found, killed and seen to be gone.
fn check(script: &str, count: usize) {
    for mode in MODES {
        let mark = marker();
        let mut command = shell(&script.replace("MARK", &mark));
        command.cgroups = mode;
        command.keep_leftovers = true;
        let tree = spawn(command);
        check_mode(&tree, mode);
        until("the sleepers", || sleepers(&mark).len() == count);
        for pid in sleepers(&mark) {
            assert!(tree.pids().iter().any(|p| p.id.pid == pid), "{mode:?}: {pid} is not in the tree");
        }
        assert!(!tree.is_gone());
        until("a look that counts them", || tree.latest_use().processes.is_some_and(|n| n >= count as u64));

        assert!(tree.force());
        let report = tree.wait_gone(PATIENCE).expect("gone");
        assert!(report.proved && !report.guardian_killed, "{mode:?}: {report:?}");
        assert_eq!(sleepers(&mark), [0u32; 0], "{mode:?}");
        assert!(tree.is_gone());
        assert_eq!(tree.pids(), []);
        let group = tree.group_directory();
        drop(tree);
        until("the group is removed", || !group.as_ref().is_some_and(|d| d.exists()));
    }
}

#[test]
fn a_plain_child_is_found_and_killed() {
    check("sleep MARK & wait", 1);
}

#[test]
fn a_command_that_is_one_process_is_found_and_killed() {
    check("exec sleep MARK", 1);
}

#[test]
fn a_process_in_a_session_of_its_own_is_found_and_killed() {
    check("setsid sleep MARK & setsid setsid sleep MARK & wait", 2);
}

#[test]
fn a_double_fork_is_found_and_killed() {
    check("( ( sleep MARK & ) & ) ; sleep MARK & wait", 2);
}

#[test]
fn a_process_with_a_cleared_environment_is_found_and_killed() {
    check("env -i setsid sleep MARK & wait", 1);
}

#[test]
fn processes_whose_main_process_is_dead_are_found_and_killed() {
    check("sleep MARK & (setsid sleep MARK &) ; exit 3", 2);
}

#[test]
fn a_daemon_grandchild_is_found_and_killed() {
    let daemon = "cd / && trap '' HUP TERM && (setsid sleep MARK </dev/null >/dev/null 2>&1 &) ; exit 0";
    check(&format!("sh -c \"{daemon}\" ; sleep MARK & wait"), 2);
}

#[test]
fn the_daemons_of_two_tasks_are_never_confused() {
    for mode in MODES {
        let start = |mark: &str| {
            let mut command = shell(&format!("(setsid sleep {mark} &) ; (setsid sleep {mark} &) ; exit 0"));
            command.keep_leftovers = true;
            command.cgroups = mode;
            spawn(command)
        };
        let (a, b) = (marker(), marker());
        let (first, second) = (start(&a), start(&b));
        until("four daemons", || sleepers(&a).len() == 2 && sleepers(&b).len() == 2);
        let ids = |tree: &super::Tree| {
            let mut ids: Vec<u32> = tree.pids().iter().map(|p| p.id.pid).collect();
            ids.sort_unstable();
            ids
        };
        let sorted = |mark: &str| {
            let mut ids = sleepers(mark);
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&first), sorted(&a));
        assert_eq!(ids(&second), sorted(&b));
        first.kill();
        first.wait_gone(PATIENCE).expect("gone");
        assert_eq!(sleepers(&a), [0u32; 0]);
        assert_eq!(sleepers(&b).len(), 2, "the bystander's daemons live");
        second.kill();
        second.wait_gone(PATIENCE).expect("gone");
        assert_eq!(sleepers(&b), [0u32; 0]);
    }
}

#[test]
fn what_outlives_the_main_process_is_stopped_and_named() {
    for mode in MODES {
        let mark = marker();
        let mut command = shell(&format!("trap '' TERM ; (setsid sleep {mark} &) ; exit 7"));
        command.cgroups = mode;
        let tree = spawn(command);
        let report = tree.wait_gone(PATIENCE).expect("gone");
        assert_eq!(report.exit.and_then(|e| e.code), Some(7));
        // The name may still be the shell's if the daemon had not been executed yet.
        assert_eq!(tree.leftovers().len(), 1, "{report:?}");
        assert_eq!(sleepers(&mark), [0u32; 0]);
    }
}

#[test]
fn a_tree_that_ends_by_itself_leaves_nothing_to_report() {
    let tree = spawn(shell("true"));
    assert_eq!(tree.wait_exit(PATIENCE).and_then(|e| e.code), Some(0));
    tree.wait_gone(PATIENCE).expect("gone");
    assert_eq!(tree.leftovers(), []);
    let guardian = tree.guardian_pid();
    until("the guardian leaves", || !super::runs(guardian));
    assert_eq!(tree.wait_exit(Duration::ZERO).and_then(|e| e.code), Some(0));
}
