//! What happens to trees when something happens to their host, and what the host notices of its trees.

use std::io::{BufRead, BufReader, Write};
use std::process::ChildStdout;
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{
    Cgroups, INTERVAL, Output, PATIENCE, Recorder, Tree, exists, marker, part, runs, shell, sleepers, spawn,
    until,
};

fn say(word: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "says {word}").unwrap();
    out.flush().unwrap();
}

/// What the part said, without the harness's own lines.
fn hear(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the part ended without a word");
        if let Some((_, word)) = line.split_once("says ") {
            return word.trim().to_owned();
        }
    }
}

fn mode(argument: &str) -> (Cgroups, String) {
    let (mode, mark) = argument.split_once(' ').unwrap();
    let mode = match mode {
        "auto" => Cgroups::Auto,
        "v1" => Cgroups::V1,
        _ => Cgroups::Off,
    };
    (mode, mark.to_owned())
}

pub(super) fn play(part: &str, argument: &str) {
    match part {
        "host" => host(argument, false),
        "forked-host" => host(argument, true),
        "quiet-host" => quiet_host(),
        "subreaper" => subreaper(),
        "threadless-host" => threadless_host(argument),
        "forked-handle" => forked_handle(),
        other => panic!("no part {other:?}"),
    }
}

/// A host with a tree that ignores SIGTERM; it waits to be killed.
fn host(argument: &str, forks: bool) {
    let (mode, mark) = mode(argument);
    let mut command = shell(&format!("trap '' TERM ; setsid sleep {mark} & sleep {mark}"));
    command.cgroups = mode;
    // Without looks after the first, whose end is waited for: a look would wake a guardian that was stopped.
    let interval = Duration::from_secs(3600);
    let tree = Tree::spawn(command, interval, Weak::<Recorder>::new()).unwrap();
    until("both sleep", || sleepers(&mark).len() == 2);
    until("the first look is over", || tree.latest_use().processes.is_some());
    if forks {
        // SAFETY: the child only sleeps. It holds copies of every descriptor of the host.
        let child = unsafe { libc::fork() };
        if child == 0 {
            std::thread::sleep(Duration::from_secs(60));
            // SAFETY: ends this process.
            unsafe { libc::_exit(0) };
        }
        say(&format!("{} {child}", tree.guardian_pid()));
    } else {
        say(&format!("{} 0", tree.guardian_pid()));
    }
    std::thread::sleep(Duration::from_secs(60));
}

#[derive(PartialEq)]
enum Blow {
    Host,
    /// The guardian is stopped first.
    HostOfStopped,
    /// The host and all in its process group, as a shell or a job runner kills.
    Group,
}

fn kill_a_host(part_name: &str, blow: Blow) {
    for name in ["auto", "v1", "off"] {
        let mark = marker();
        let (mut child, out) = part::child(part_name, &format!("{name} {mark}"));
        let ids: Vec<u32> = hear(&mut BufReader::new(out)).split(' ').map(|n| n.parse().unwrap()).collect();
        assert_eq!(sleepers(&mark).len(), 2);
        let prefix = format!("haltline-{}-", child.id());
        if blow == Blow::HostOfStopped {
            // SAFETY: the guardian lives as long as its tree, which was just seen.
            unsafe { libc::kill(ids[0] as i32, libc::SIGSTOP) };
            until("the guardian is stopped", || super::state(ids[0]) == Some('T'));
        }
        if blow == Blow::Group {
            // SAFETY: the group is that of a child that was not waited for.
            assert_eq!(unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) }, 0);
        } else {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        until("the tree is gone", || sleepers(&mark).is_empty());
        until("the guardian left", || !runs(ids[0]));
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"] {
            let Ok(entries) = std::fs::read_dir(root) else { continue };
            let left = entries.flatten().find(|e| e.file_name().to_string_lossy().starts_with(&prefix));
            assert!(left.is_none(), "{left:?}");
        }
        if let Some(copy) = ids.get(1).filter(|p| **p != 0) {
            assert!(exists(*copy), "the fork of the host outlived it, as this test needs");
            // SAFETY: a child of our child, alive as just seen.
            unsafe { libc::kill(*copy as i32, libc::SIGKILL) };
        }
    }
}

#[test]
fn a_host_killed_by_sigkill_takes_its_tree_along() {
    kill_a_host("host", Blow::Host);
}

/// The command's own processes are of the group and go with it; one in a session of its own is left to the guardian.
#[test]
fn a_host_killed_with_its_whole_process_group_takes_its_tree_along() {
    kill_a_host("host", Blow::Group);
}

#[test]
fn a_stopped_guardian_wakes_when_its_host_is_killed() {
    kill_a_host("host", Blow::HostOfStopped);
}

#[test]
fn a_host_that_had_forked_takes_its_tree_along_too() {
    kill_a_host("forked-host", Blow::Host);
}

static CHILD_SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_child_signal(_: libc::c_int) {
    CHILD_SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// A host that counts SIGCHLD and waits for any child of its own.
fn quiet_host() {
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGCHLD, count_child_signal as *const () as usize) };
    let nobody = || {
        let mut status = 0;
        // SAFETY: the status is written by the call.
        let found = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        found == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
    };
    for _ in 0..20 {
        let tree = spawn(shell("(setsid sleep 0.01 &) ; exit 3"));
        assert!(nobody(), "a child is there while a tree runs");
        tree.wait_gone(PATIENCE).expect("gone");
        assert!(nobody());
    }
    let mut nowhere = shell("");
    nowhere.program = "/nonexistent/haltline".into();
    assert!(Tree::spawn(nowhere, INTERVAL, Weak::<Recorder>::new()).is_err());
    assert!(nobody());
    assert_eq!(CHILD_SIGNALS.load(Ordering::Relaxed), 0);
    say("quiet");
}

#[test]
fn a_host_gets_no_sigchld_and_has_no_children() {
    let (mut child, out) = part::child("quiet-host", "");
    assert_eq!(hear(&mut BufReader::new(out)), "quiet");
    assert!(child.wait().unwrap().success());
}

/// A host to which orphans are handed. The guardians are among them.
fn subreaper() {
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    for round in 0..10 {
        let tree = spawn(shell("(setsid sleep 0.01 &) ; exit 3"));
        let guardian = tree.guardian_pid();
        tree.wait_gone(PATIENCE).expect("gone");
        until("no zombie of a guardian", || !exists(guardian));
        let mut nowhere = shell("");
        nowhere.program = "/nonexistent/haltline".into();
        assert!(Tree::spawn(nowhere, INTERVAL, Weak::<Recorder>::new()).is_err(), "round {round}");
    }
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap();
    say(if children.trim().is_empty() { "clean" } else { &children });
}

#[test]
fn a_host_that_is_a_subreaper_keeps_no_zombies() {
    let (mut child, out) = part::child("subreaper", "");
    assert_eq!(hear(&mut BufReader::new(out)), "clean");
    assert!(child.wait().unwrap().success());
}

/// A host whose forked child has a copy of a handle, drops it, and runs a tree of its own.
fn forked_handle() {
    let mark = marker();
    let tree = spawn(shell(&format!("exec sleep {mark}")));
    until("it sleeps", || sleepers(&mark).len() == 1);
    // SAFETY: the child uses what is made to work after a fork, and ends without running anything else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        tree.kill();
        tree.terminate();
        let silent = tree.exit().is_none() && tree.pids().is_empty();
        drop(tree);
        let own = spawn(shell("exit 5"));
        let code = own.wait_gone(PATIENCE).and_then(|r| r.exit).and_then(|e| e.code);
        // SAFETY: ends this process.
        unsafe { libc::_exit(if silent && code == Some(5) { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: our own child; the status is written by the call.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0, "the child could not use its own tree");
    assert_eq!(sleepers(&mark).len(), 1, "the parent's tree lives");
    tree.kill();
    tree.wait_gone(PATIENCE).expect("gone");
    say("apart");
}

#[test]
fn a_forked_child_leaves_its_parents_trees_alone_and_can_have_its_own() {
    let (mut child, out) = part::child("forked-handle", "");
    assert_eq!(hear(&mut BufReader::new(out)), "apart");
    assert!(child.wait().unwrap().success());
}

/// A host that gets no thread: a stack as large as its environment asks for does not fit into its memory.
fn threadless_host(argument: &str) {
    let (mode, mark) = mode(argument);
    for captured in [false, true] {
        let mut command = shell(&format!("trap '' TERM ; setsid sleep {mark} & sleep {mark}"));
        command.cgroups = mode;
        command.grace = Duration::from_secs(60);
        if captured {
            command.stdout = Output::Capture(10);
        }
        let error = Tree::spawn(command, INTERVAL, Weak::<Recorder>::new()).unwrap_err();
        // Any that names it: the shell may not have come to its sleepers.
        let holds_mark = |line: &Vec<u8>| String::from_utf8_lossy(line).contains(&mark);
        let lines = std::fs::read_dir("/proc").unwrap().flatten();
        let left = lines.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok()).filter(holds_mark);
        say(&format!("{} {}", error.kind().slug(), left.count()));
    }
}

#[test]
fn a_command_that_cannot_be_followed_does_not_outlive_the_error() {
    for mode in ["auto", "v1", "off"] {
        let (mut child, out) = part::child_with(
            "threadless-host",
            &format!("{mode} {}", marker()),
            &[("RUST_TEST_THREADS", "1"), ("RUST_MIN_STACK", "70000000000000")],
        );
        let mut out = BufReader::new(out);
        assert_eq!(hear(&mut out), "spawn-failed 0");
        assert_eq!(hear(&mut out), "spawn-failed 0");
        assert!(child.wait().unwrap().success());
    }
}
