//! Whole trees: daemons, guardians, several at once.

use rustix::process::Signal;

use crate::run::{Mark, PROGRAM, is_alive, run, script, start, supervise, until};

#[test]
fn daemons_are_stopped_and_named_and_the_status_stays_the_commands_own() {
    for (cgroup, environment) in [("auto", ""), ("off", ""), ("auto", "env -i "), ("off", "env -i ")] {
        let mark = Mark::new();
        // By the book: forked, a session of its own, forked again, its parents dead.
        let daemon = format!("(setsid sh -c '(exec {environment}sleep {}) &' &) ", mark.0);
        let mut command = script(&["--grace", "2s"], &format!("{daemon}; read x; exit 9"));
        let (stdin, open) = std::io::pipe().unwrap();
        command.stdin(stdin).env("HALTLINE_CGROUP", cgroup);
        let one = start(command);
        mark.await_sleepers(1);
        drop(open);
        let ran = one.wait();
        assert_eq!(ran.status, 9, "{}", ran.stderr);
        assert!(ran.stderr.contains("left a process behind, now stopped: "), "{}", ran.stderr);
        assert!(ran.stderr.contains("(sleep)"), "{}", ran.stderr);
        mark.assert_gone();
    }
}

#[test]
fn the_guardian_stops_the_tree_of_a_supervise_that_was_killed() {
    let mark = Mark::new();
    let line = format!("trap '' TERM; setsid sleep {0} & sleep {0}", mark.0);
    let one = start(script(&["--grace", "200ms"], &line));
    mark.await_sleepers(2);
    one.signal(Signal::KILL);
    // Its output ends when the last holder of it has.
    assert_eq!(one.wait().status, 137);
    until("the tree is gone", || mark.alive().is_empty().then_some(()));
}

#[test]
fn the_guardian_is_gone_when_supervise_is() {
    for _ in 0..5 {
        let ran = run(script(&[], "echo $PPID"));
        let guardian: u32 = String::from_utf8(ran.stdout).unwrap().trim().parse().unwrap();
        assert!(!is_alive(guardian));
    }
}

#[test]
fn a_command_that_kills_its_guardian_gains_nothing() {
    for (wait, cgroup) in [("", "auto"), ("", "off"), ("sleep 0.3; ", "auto"), ("sleep 0.3; ", "off")] {
        let mark = Mark::new();
        let line = format!("{wait}kill -KILL $PPID; sleep {0} & sleep {0}", mark.0);
        let mut command = script(&["--quiet"], &line);
        command.env("HALTLINE_CGROUP", cgroup);
        let ran = run(command);
        assert_eq!(ran.status, 125, "{}", ran.stderr);
        assert!(ran.stderr.contains("cancelled \"sh\""), "{}", ran.stderr);
        assert!(ran.stderr.contains("its guardian was killed; "), "{}", ran.stderr);
        assert!(cgroup == "auto" || ran.stderr.contains("one that it hid may run on"), "{}", ran.stderr);
        until("the tree is gone", || mark.alive().is_empty().then_some(()));
    }
}

#[test]
fn a_guardian_killed_during_a_cancellation_leaves_its_cause_and_what_is_proved() {
    let mark = Mark::new();
    let line = format!("trap 'kill -KILL $PPID' TERM; echo; sleep {0} & wait; wait", mark.0);
    let mut command = script(&["--max-duration", "500ms", "--grace", "600s"], &line);
    command.env("HALTLINE_CGROUP", "off");
    let ran = run(command);
    assert_eq!(ran.status, 125, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("max_duration: ") && ran.stderr.contains("over 0.5 s; still running after "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("one that it hid may run on"), "{}", ran.stderr);
    mark.assert_gone();
}

#[test]
fn one_supervise_runs_inside_another() {
    let ran = run(supervise(["--", PROGRAM, "--", PROGRAM, "--", "sh", "-c", "echo in; exit 9"]));
    assert_eq!((ran.status, ran.stdout.as_slice(), ran.stderr.as_str()), (9, &b"in\n"[..], ""));

    let mark = Mark::new();
    let inner = format!("{PROGRAM} --grace 5s -- sh -c 'setsid sleep {0} & sleep {0}'; exit 6", mark.0);
    let one = start(script(&["--max-duration", "1s", "--grace", "5s"], &inner));
    mark.await_sleepers(2);
    let ran = one.wait();
    assert_eq!(ran.status, 124, "{}", ran.stderr);
    mark.assert_gone();
}

#[test]
fn two_runs_at_once_do_not_touch_each_other() {
    let (stays, goes) = (Mark::new(), Mark::new());
    let line = |m: &Mark| format!("setsid sleep {0} & sleep {0}", m.0);
    let one = start(script(&[], &line(&stays)));
    stays.await_sleepers(2);
    let ran = run(script(&["--max-duration", "500ms"], &line(&goes)));
    assert_eq!(ran.status, 124, "{}", ran.stderr);
    goes.assert_gone();
    assert_eq!(stays.sleepers().len(), 2);
    one.signal(Signal::TERM);
    assert_eq!(one.wait().status, 143);
    stays.assert_gone();
}
