//! Real commands under supervision.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
#![cfg(target_os = "linux")]

mod child;

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use haltline::ErrorKind;
use haltline::monitor::Monitor;
use haltline::supervisor::{Cause, Input, Limit, Outcome, Output, Profile, Supervisor};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn supervisor() -> Supervisor {
    let monitor = Monitor::builder().interval(50 * MS).start().unwrap();
    Supervisor::builder().monitor(monitor).start().unwrap()
}

fn quick(name: &str) -> haltline::supervisor::profile::ProfileBuilder {
    Profile::builder(name).grace(200 * MS)
}

/// 100 MiB that twelve idle workers share.
fn share_with_workers() -> ! {
    let held = std::hint::black_box(vec![1u8; 100 << 20]);
    for _ in 0..12 {
        // SAFETY: both sides go on with system calls only.
        if unsafe { libc::fork() } == 0 {
            break;
        }
    }
    loop {
        std::thread::sleep(S);
        std::hint::black_box(&held);
    }
}

#[test]
fn idle_workers_are_not_blamed_for_memory_that_others_take() {
    if child::part().is_some() {
        share_with_workers();
    }
    let supervisor = supervisor();
    let profile = quick("workers").host_max_memory_percent(99.9).build().unwrap();
    let test = "idle_workers_are_not_blamed_for_memory_that_others_take";
    let task = child::command(&supervisor, test, "workers").spawn(&profile).unwrap();
    let begun = Instant::now();
    let counted = loop {
        assert!(begun.elapsed() < 20 * S, "the workers were never seen");
        let seen = supervisor.active().remove(0);
        if seen.pids.len() == 13 {
            break seen.memory_bytes.unwrap();
        }
        std::thread::sleep(10 * MS);
    };
    task.kill("seen");
    assert!((100 << 20..250 << 20).contains(&counted), "{} MiB", counted >> 20);
}

/// Seen from outside: by the process table, not by what haltline says.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < 60 * S, "never saw that {what}");
        std::thread::sleep(2 * MS);
    }
}

fn broken(cause: &Option<Cause>) -> Option<Limit> {
    match cause {
        Some(Cause::Breach(breach)) => Some(breach.limit),
        _ => None,
    }
}

#[test]
fn a_command_gives_its_output_and_its_status() {
    let supervisor = supervisor();
    let done =
        supervisor.command("sh").args(["-c", "echo out; echo err >&2; exit 3"]).output("craft").unwrap();
    assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(done.exit.code, Some(3));
    assert!(done.cancelled.is_none() && done.leftovers.is_empty());
    assert!(supervisor.active().is_empty());
}

#[test]
fn a_missing_command_and_one_that_cannot_run_are_told_apart() {
    let supervisor = supervisor();
    let error = supervisor.command("no-such-program-anywhere").output("craft").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    assert!(error.to_string().contains("no-such-program-anywhere"), "{error}");
    assert_eq!(
        supervisor.command("/etc/passwd").output("craft").unwrap_err().kind(),
        ErrorKind::CommandNotExecutable
    );
    assert!(supervisor.active().is_empty());
}

#[test]
fn a_command_that_ignores_the_request_is_killed_with_its_whole_tree() {
    let supervisor = supervisor();
    // A daemon by the book: session of its own, forked twice, its parent dead, and deaf to SIGTERM.
    let seconds = format!("97{}", std::process::id());
    let daemon = format!("trap \"\" TERM; sleep {seconds} & wait");
    let script = format!("trap '' TERM; (setsid sh -c '{daemon}' &) ; while :; do sleep 1; done");
    let profile = quick("p").build().unwrap();
    let task = supervisor.command("sh").args(["-c", &script]).spawn(&profile).unwrap();
    until("the daemon's child sleeps", || sleeper(&seconds).is_some());
    let deepest = sleeper(&seconds).unwrap();
    // The command, the daemon and the daemon's child, whatever the command sleeps by.
    until("the tree is known", || task.pids().len() >= 3 && task.pids().contains(&deepest));
    let pids = task.pids();
    assert!(task.cancel("enough"));
    let done = task.wait_timeout(20 * S).unwrap();
    assert_eq!(done.cancelled, Some(Cause::Asked("enough".into())));
    assert_eq!(done.outcome, Some(Outcome::Killed));
    for pid in pids {
        assert!(!is_alive(pid), "{pid} is alive");
    }
    let incident = &supervisor.incidents(1)[0];
    assert!(incident.forced_after_ms.unwrap() >= 200.0, "{incident:?}");
}

#[test]
fn a_kill_ends_the_grace_of_a_task_that_is_being_cancelled() {
    let supervisor = supervisor();
    let profile = Profile::builder("p").grace(1000 * S).build().unwrap();
    let task = supervisor
        .command("sh")
        .args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
        .stdout(Output::Piped)
        .spawn(&profile)
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(&mut task.take_stdout().unwrap(), &mut ready).unwrap();
    assert!(task.cancel("enough"));
    assert_eq!(task.wait_outcome(300 * MS), None, "it has a grace");
    assert!(!task.kill("at once"), "it was cancelled before");
    let done = task.wait_timeout(20 * S).unwrap();
    assert_eq!(done.outcome, Some(Outcome::Killed));
    assert_eq!(done.cancelled, Some(Cause::Asked("enough".into())));
    assert!(task.wait_cleared(20 * S), "the guardian leaves too");
    assert!(!is_alive(task.pid()));
}

#[test]
fn a_command_that_kills_its_guardian_first_of_all_is_stopped_all_the_same() {
    let supervisor = supervisor();
    for cgroup in [true, false] {
        for _ in 0..20 {
            let mut command = supervisor.command("sh").args(["-c", "kill -KILL $PPID; exec sleep 1000"]);
            if !cgroup {
                command = command.without_cgroup();
            }
            let task = command.spawn(quick("p").build().unwrap()).unwrap();
            let done = task.wait_timeout(20 * S).unwrap();
            assert_eq!((done.exit.code, done.exit.signal), (None, None), "nobody saw how it ended");
            assert_eq!(done.cancelled, Some(Cause::GuardianKilled));
            // By the time that its group can be looked into, the command may be gone or not have joined.
            let outcome = done.outcome.unwrap();
            assert!(outcome == Outcome::StillRunning || (cgroup && outcome == Outcome::Killed), "{outcome}");
            assert!(!is_alive(task.pid()));
        }
    }
}

#[test]
fn a_command_that_stops_its_guardian_first_of_all_holds_no_start_up() {
    let supervisor = supervisor();
    let begun = Instant::now();
    for _ in 0..20 {
        let task = supervisor
            .command("sh")
            .args(["-c", "kill -STOP $PPID; exec sleep 1000"])
            .spawn(quick("p").build().unwrap())
            .unwrap();
        assert!(task.cancel("test"));
        let done = task.wait_timeout(20 * S).unwrap();
        assert!(matches!(done.outcome, Some(Outcome::Stopped | Outcome::Killed)), "{done:?}");
        assert!(!is_alive(task.pid()));
    }
    assert!(begun.elapsed() < 30 * S, "{:?}", begun.elapsed());
}

#[test]
fn what_a_command_leaves_behind_is_stopped_and_named_and_its_status_is_its_own() {
    let supervisor = supervisor();
    let done = supervisor
        .command("sh")
        .args(["-c", "setsid sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done; exit 7"])
        .output(quick("p").build().unwrap())
        .unwrap();
    assert_eq!(done.exit.code, Some(7));
    assert_eq!(done.leftovers.len(), 1, "{:?}", done.leftovers);
    assert_eq!(done.leftovers[0].1, "sleep");
    assert!(!is_alive(done.leftovers[0].0));
    assert!(done.cancelled.is_none());
}

#[test]
fn every_limit_of_a_process_is_enforced() {
    if child::part().is_some() {
        child::hold(8, 1024);
    }
    let supervisor = supervisor();
    let hog = child::command(&supervisor, "every_limit_of_a_process_is_enforced", "hog");
    let script = |line: &str| supervisor.command("sh").args(["-c", line]);
    let cases = [
        (Limit::TaskMemoryMib, quick("p").task_max_memory_mib(100.0), hog),
        (
            Limit::TaskProcesses,
            quick("p").task_max_processes(4),
            script("for i in 1 2 3 4 5 6; do sleep 1000 & done; wait"),
        ),
        (Limit::TaskOutputMib, quick("p").task_max_output_mib(1.0), supervisor.command("yes")),
        (Limit::TaskCpuSeconds, quick("p").task_max_cpu_seconds(0.3), script("while :; do :; done")),
    ];
    for (limit, profile, command) in cases {
        let task = command.stdout(Output::Null).spawn(profile.build().unwrap()).unwrap();
        let done = task.wait_timeout(30 * S).unwrap();
        assert_eq!(broken(&done.cancelled), Some(limit));
        assert!(matches!(done.outcome, Some(Outcome::Stopped | Outcome::Killed)));
        assert!(!is_alive(task.pid()));
    }
}

#[test]
fn a_limit_of_more_processes_than_a_usual_look_counts_is_enforced() {
    let supervisor = supervisor();
    // Looks at so many take long on a crowded machine; the time ends a test that would fail.
    let profile = quick("p").task_max_processes(2100).max_duration(60 * S).build().unwrap();
    let burst = "i=0; while [ $i -lt 2150 ]; do sleep 1000 & i=$((i+1)); done; wait";
    let done = supervisor.command("sh").args(["-c", burst]).output(&profile).unwrap();
    if String::from_utf8_lossy(&done.stderr).contains("annot fork") {
        return eprintln!("not checked: limits of more than 2048 processes (so many cannot be started here)");
    }
    assert_eq!(broken(&done.cancelled), Some(Limit::TaskProcesses), "{done:?}");
}

#[test]
fn dropping_the_supervisor_stops_its_process_trees() {
    let supervisor = supervisor();
    let task = supervisor.command("sleep").arg("1000").spawn(quick("p").build().unwrap()).unwrap();
    let pid = task.pid();
    drop(supervisor);
    let done = task.wait_timeout(20 * S).unwrap();
    assert_eq!(done.cancelled, Some(Cause::Shutdown));
    assert!(!is_alive(pid));
}

#[test]
fn a_shutdown_waits_until_every_tree_is_gone() {
    let supervisor = supervisor();
    let profile = quick("p").build().unwrap();
    let tasks: Vec<_> =
        (0..8).map(|_| supervisor.command("sleep").arg("1000").spawn(&profile).unwrap()).collect();
    assert!(supervisor.shutdown(30 * S).unwrap().is_empty());
    assert!(tasks.iter().all(|t| !is_alive(t.pid())));
    assert_eq!(supervisor.status().active, 0);
}

/// The process that sleeps for this many seconds, by a search of the process table.
fn sleeper(seconds: &str) -> Option<u32> {
    let line = format!("sleep\0{seconds}\0");
    let ids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    ids.into_iter()
        .find(|pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == line.as_bytes()))
}

#[test]
fn a_shutdown_leaves_no_command_behind_that_was_just_being_started() {
    for round in 0..3 {
        let supervisor = supervisor();
        let seconds = format!("98{}{round}", std::process::id());
        // The start goes on until the guardian, which the command stops, is woken.
        let script = format!("trap '' TERM; kill -STOP $PPID; exec sleep {seconds}");
        let command = supervisor.command("sh").args(["-c".to_owned(), script]);
        let starter = std::thread::spawn(move || command.spawn(quick("p").grace(S).build().unwrap()));
        let begun = Instant::now();
        while sleeper(&seconds).is_none() {
            assert!(begun.elapsed() < 20 * S, "the command never ran");
        }
        assert!(supervisor.shutdown(30 * S).unwrap().is_empty());
        assert_eq!(sleeper(&seconds), None, "runs on after the shutdown");
        let task = starter.join().unwrap().expect("what was executed is a task");
        assert_eq!(task.cause(), Some(Cause::Shutdown));
        assert_eq!(supervisor.incidents(9).len(), 1);
        assert_eq!(supervisor.command("true").output("heal").unwrap_err().kind(), ErrorKind::ShutDown);
    }
}

#[test]
fn streams_may_be_files_and_standard_error_may_follow_standard_output() {
    let supervisor = supervisor();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both");
    std::fs::write(folder.path().join("in"), "fed\n").unwrap();
    let counted = Profile::builder("counted").task_max_output_mib(1.0).build().unwrap();
    for profile in [quick("free").build().unwrap(), counted] {
        let file = Arc::new(File::create(&path).unwrap());
        let input = Arc::new(File::open(folder.path().join("in")).unwrap());
        let task = supervisor
            .command("sh")
            .args(["-c", "echo first; echo second >&2; cat"])
            .stdin(Input::File(input))
            .stdout(Output::File(file.clone()))
            .stderr(Output::Stdout)
            .spawn(&profile)
            .unwrap();
        let done = task.wait_timeout(20 * S).unwrap();
        assert!(done.exit.success() && done.stdout.is_empty());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\nfed\n");
        // The host's own descriptor is still its own.
        (&*file).write_all(b"after\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\nfed\nafter\n");
    }
    let both = supervisor.command("sh").args(["-c", "echo a; echo b >&2; echo c"]).stderr(Output::Stdout);
    let done = both.output("craft").unwrap();
    assert_eq!((&*done.stdout, &*done.stderr), (&b"a\nb\nc\n"[..], &b""[..]));
    let circle = supervisor.command("true").stdout(Output::Stdout).spawn("craft");
    assert_eq!(circle.err().map(|e| e.kind()), Some(ErrorKind::InvalidArgument));
}

#[test]
fn output_that_cannot_be_written_is_lost_and_told() {
    let supervisor = supervisor();
    let profile = quick("full").task_max_output_mib(5.0).build().unwrap();
    let full = Arc::new(File::options().write(true).open("/dev/full").unwrap());
    let command = supervisor.command("sh").args(["-c", "echo hi"]).stdout(Output::File(full));
    let done = command.output(&profile).unwrap();
    assert_eq!((done.dropped, done.cancelled), (3, None));
    assert_eq!(done.output_error.as_deref(), Some("No space left on device (os error 28)"));
}

/// 120,000 bytes do not fit into one pipe, but into two.
const WRITES: [&str; 2] = ["-c", "head -c 120000 /dev/zero; eval \"$0\""];

#[test]
fn a_stopped_command_whose_output_nobody_reads_has_ended_and_says_what_is_lost() {
    let supervisor = supervisor();
    let profile = quick("unread").task_max_output_mib(5.0).build().unwrap();
    let command = supervisor.command("sh").args(WRITES).arg("exec sleep 1000");
    let task = command.stdout(Output::Piped).spawn(&profile).unwrap();
    let mut out = task.take_stdout().unwrap();
    until("all is written", || {
        std::fs::read_to_string(format!("/proc/{}/comm", task.pid())).is_ok_and(|name| name == "sleep\n")
    });
    task.cancel("enough");
    let done = task.wait_timeout(20 * S).unwrap();
    assert_eq!(done.outcome, Some(Outcome::Stopped));
    assert!(done.output_error.is_some_and(|why| why.contains("not read within 2s")), "{:?}", done.dropped);
    // Nothing holds the pipe open any more.
    let mut passed = Vec::new();
    out.read_to_end(&mut passed).unwrap();
    assert_eq!(passed.len() as u64 + done.dropped, 120_000);
}

#[test]
fn the_output_of_a_command_that_ended_by_itself_waits_for_its_reader() {
    let supervisor = supervisor();
    let profile = quick("slow").task_max_output_mib(5.0).build().unwrap();
    let task =
        supervisor.command("sh").args(WRITES).arg("true").stdout(Output::Piped).spawn(&profile).unwrap();
    let mut out = task.take_stdout().unwrap();
    // Longer than the output of a stopped command may wait.
    let late = task.wait_timeout(3 * S).unwrap_err();
    assert!(late.kind() == ErrorKind::TimedOut && late.to_string().contains("has ended"), "{late}");
    let mut passed = Vec::new();
    out.read_to_end(&mut passed).unwrap();
    let done = task.wait_timeout(20 * S).unwrap();
    assert_eq!((passed.len(), done.dropped, done.output_error), (120_000, 0, None));
}
