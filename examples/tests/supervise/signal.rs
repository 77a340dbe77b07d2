//! Signals that stop supervise.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::run::{Mark, PROGRAM, is_alive, script, start};

#[test]
fn the_stopping_signals_stop_the_tree_and_give_their_own_status() {
    for (signal, name, status) in
        [(Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143), (Signal::HUP, "SIGHUP", 129)]
    {
        for (deaf, outcome) in [(false, "stopped after"), (true, "killed after")] {
            let mark = Mark::new();
            let trap = if deaf { "trap '' TERM;" } else { "" };
            let one = start(script(&["--grace", "200ms"], &format!("{trap} sleep {0} & sleep {0}", mark.0)));
            mark.await_sleepers(2);
            one.signal(signal);
            let ran = one.wait();
            assert_eq!(ran.status, status, "{}", ran.stderr);
            assert!(ran.stderr.contains("cancelled \"sh\"") && ran.stderr.contains(name), "{}", ran.stderr);
            assert!(ran.stderr.contains(outcome), "{}", ran.stderr);
            mark.assert_gone();
        }
    }
}

#[test]
fn a_second_interrupt_kills_at_once() {
    let mark = Mark::new();
    let one = start(script(&["--grace", "1h"], &format!("trap '' TERM INT; sleep {0} & sleep {0}", mark.0)));
    mark.await_sleepers(2);
    one.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    assert!(is_alive(one.pid()), "it has a grace of an hour");
    one.signal(Signal::INT);
    let ran = one.wait();
    assert_eq!(ran.status, 130, "{}", ran.stderr);
    assert!(ran.stderr.contains("killed after"), "{}", ran.stderr);
    mark.assert_gone();
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let mark = Mark::new();
    let mut command = Command::new("sh");
    let line = format!("trap '' HUP; exec {PROGRAM} -- sleep {}", mark.0);
    command.args(["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let one = start(command);
    mark.await_sleepers(1);
    one.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(mark.sleepers().len(), 1, "nohup is respected");
    one.signal(Signal::TERM);
    assert_eq!(one.wait().status, 143);
    mark.assert_gone();
}
