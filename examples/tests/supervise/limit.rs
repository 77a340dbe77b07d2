//! Limits, and what is told when one breaks.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use haltline::supervisor::{ActionTaken, Cause, Incident, Limit, Outcome};

use crate::run::{Mark, PATIENCE, is_alive, kib, pids, run, script, start, supervise, until};

#[test]
fn each_limit_stops_the_tree_and_one_line_says_which_and_what_was_seen() {
    let spin = "while :; do :; done";
    for (options, line, rule) in [
        (&["--max-duration", "200ms"][..], "sleep MARK", "max_duration: "),
        (&["--max-cpu-percent", "20", "--sustain", "300ms"], spin, "task.max_cpu_percent: "),
        (&["--max-cpu-seconds", "0.3"], spin, "task.max_cpu_seconds: 0."),
        (&["--max-output-mib", "2"], "yes MARK", "task.max_output_mib: "),
        (&["--max-output-mib", "2"], "yes MARK >&2", "task.max_output_mib: "),
        // None more than break it: one that is forked while the tree is asked to leave would not hear of it.
        (&["--max-processes", "3"], "for i in 1 2 3; do sleep MARK & done; wait", "task.max_processes: "),
    ] {
        let mark = Mark::new();
        let ran = run(script(options, &format!("{} # {}", line.replace("MARK", &mark.0), mark.0)));
        assert_eq!(ran.status, 124, "{rule}: {}", ran.stderr);
        // What the command itself writes there is cut wherever it was stopped.
        let (written, told) = ran.stderr.split_at(ran.stderr.find("supervise: ").unwrap_or(0));
        assert!(written.is_empty() || line.ends_with(">&2"), "{written}");
        assert_eq!(told.lines().count(), 1, "{told}");
        for says in ["supervise: cancelled \"sh\" (process ", rule, " over ", "; stopped after "] {
            assert!(told.contains(says), "{says}: {told}");
        }
        mark.assert_gone();
    }
}

#[test]
fn a_tree_that_ignores_the_request_is_killed_and_the_status_says_so() {
    let mark = Mark::new();
    let line = format!("trap '' TERM; sleep {0} & sleep {0}", mark.0);
    let ran = run(script(&["--max-duration", "300ms", "--grace", "200ms"], &line));
    assert_eq!(ran.status, 137, "{}", ran.stderr);
    assert!(ran.stderr.contains("; killed after 2"), "{}", ran.stderr);
    mark.assert_gone();
}

#[test]
fn a_flood_is_passed_on_exactly_until_it_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("incidents.jsonl");
    let words = ["--max-output-mib", "1", "--incidents", file.to_str().unwrap(), "--", "seq", "100000000"];
    let ran = run(supervise(words));
    assert_eq!(ran.status, 124, "{}", ran.stderr);
    let mut expected = Vec::new();
    for n in 1u32.. {
        if expected.len() >= ran.stdout.len() {
            break;
        }
        expected.extend(format!("{n}\n").bytes());
    }
    assert!(expected.starts_with(&ran.stdout), "what was passed on is not what was written");
    let observed = breach(&Incident::read_file(&file).unwrap()[0]).observed * 1024.0 * 1024.0;
    assert!(observed > f64::from(1 << 20) && ran.stdout.len() as f64 >= observed, "{observed}");
}

fn breach(incident: &Incident) -> &haltline::supervisor::Breach {
    match &incident.cause {
        Cause::Breach(breach) => breach,
        other => panic!("{other:?}"),
    }
}

/// Takes one GiB a second and does not listen.
fn take_one_gib_a_second() -> ! {
    const STEP: usize = 4 << 20;
    // SAFETY: no handler is involved.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    let (mut held, begun) = (Vec::new(), Instant::now());
    loop {
        let due = begun.elapsed().as_secs_f64() * f64::from(1 << 30);
        while ((held.len() * STEP) as f64) < due {
            held.push(std::hint::black_box(vec![1u8; STEP]));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_hog_of_one_gib_a_second_that_ignores_sigterm_is_dead_before_it_doubles_its_limit() {
    // This program plays the hog too, started again for this test alone.
    const HOG: &str = "HALTLINE_TEST_HOG";
    let test = "limit::a_hog_of_one_gib_a_second_that_ignores_sigterm_is_dead_before_it_doubles_its_limit";
    if std::env::var_os(HOG).is_some() {
        take_one_gib_a_second();
    }
    if kib("/proc/meminfo", "MemAvailable").unwrap() < 2 << 20 {
        println!("not checked: the memory hog (less than 2 GiB of memory are available)");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let mut command = supervise(["--max-memory-mib", "512", "--"]);
    command.arg(&program).args(["--exact", test, "--nocapture"]).env(HOG, "1");
    let mut one = start(command);
    // The children of the guardian, which is no child of ours, are found by their program.
    let hogs = || {
        let others = |pid: &u32| *pid != std::process::id();
        pids()
            .filter(others)
            .filter(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|p| p == program))
    };
    let begun = Instant::now();
    let mut peak = 0;
    while one.child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE);
        for pid in hogs() {
            peak = peak.max(kib(&format!("/proc/{pid}/status"), "VmHWM").unwrap_or(0));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let ran = one.wait();
    println!("peak of the hog: {} MiB; {}", peak >> 10, ran.stderr.trim());
    assert_eq!(ran.status, 137, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("task.max_memory_mib: ") && ran.stderr.contains("killed after"),
        "{}",
        ran.stderr
    );
    // The kernel's figure is behind by what it has not added up yet, and the last millisecond is not seen.
    assert!((400 << 10..1024 << 10).contains(&peak), "peak {} MiB", peak >> 10);
    assert_eq!(hogs().count(), 0);
}

#[test]
fn a_burst_of_forks_runs_dry() {
    let mark = Mark::new();
    let line = format!("trap '' TERM; while :; do sleep {} & done", mark.0);
    let ran = run(script(&["--max-processes", "16", "--grace", "0"], &line));
    assert_eq!(ran.status, 137, "{}", ran.stderr);
    assert!(ran.stderr.contains("task.max_processes: "), "{}", ran.stderr);
    mark.assert_gone();
}

#[test]
fn what_a_command_left_behind_may_be_killed_under_a_limit_and_the_status_stays_its_own() {
    let mark = Mark::new();
    let line = format!("trap '' TERM; sleep {0} & sleep 0.1; exit 4", mark.0);
    let ran = run(script(&["--grace", "3s", "--max-duration", "1500ms"], &line));
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("cancelled \"sh\""), "the limit broke meanwhile: {}", ran.stderr);
    assert!(ran.stderr.contains("left a process behind"), "{}", ran.stderr);
    mark.assert_gone();
}

#[test]
fn the_incident_file_tells_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("incidents.jsonl");
    let path = file.to_str().unwrap();
    let words =
        ["--incidents", path, "--max-duration", "200ms", "--", "sh", "-c", "sleep 1000", "--token=hunter2"];
    assert_eq!(run(supervise(words)).status, 124);
    assert_eq!(run(supervise(["--incidents", path, "true"])).status, 0);
    let words = ["--incidents", path, "--max-duration", "100ms", "--observe", "--", "sleep", "0.4"];
    assert_eq!(run(supervise(words)).status, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let incidents = Incident::read_file(&file).unwrap();
    let task = incidents[0].task.as_ref().unwrap();
    assert_eq!((task.name.as_str(), task.profile.as_str()), ("sh", "command-line"));
    assert_eq!(incidents[0].outcome, Some(Outcome::Stopped));
    assert_eq!(breach(&incidents[0]).limit, Limit::MaxDuration);
    assert_eq!((incidents[1].action, incidents[1].outcome), (ActionTaken::Record, None));
}

#[test]
fn incidents_onto_a_full_disk_change_no_status_and_are_reported() {
    let words = ["--incidents", "/dev/full", "--max-duration", "100ms", "--", "sleep", "1000"];
    let ran = run(supervise(words));
    assert_eq!(ran.status, 124, "{}", ran.stderr);
    assert!(ran.stderr.contains("incidents are missing in their file"), "{}", ran.stderr);
}

#[test]
fn observing_cancels_nothing_and_quiet_says_nothing() {
    let ran = run(supervise(["--observe", "--max-duration", "100ms", "--", "sh", "-c", "sleep 0.3; exit 5"]));
    assert_eq!(ran.status, 5);
    assert!(ran.stderr.contains(" over 0.1 s") && ran.stderr.contains("only observing"));
    let ran = run(supervise(["--quiet", "--max-duration", "100ms", "sleep", "1000"]));
    assert_eq!((ran.status, ran.stderr.as_str()), (124, ""));
}

#[test]
fn observing_still_stops_what_the_command_leaves_behind_and_the_help_says_so() {
    let ran = run(supervise(["--observe", "--", "sh", "-c", "sleep 1000 & exit 5"]));
    assert_eq!(ran.status, 5);
    // By its number and its name, which is the shell's until it has begun to sleep.
    assert!(ran.stderr.contains("left a process behind, now stopped: "), "{}", ran.stderr);
    let help = String::from_utf8(run(supervise(["--help"])).stdout).unwrap();
    let observe = help.split("--observe").nth(1).and_then(|rest| rest.split("--quiet").next()).unwrap();
    assert!(observe.contains("leaves behind") && observe.contains("guardian"), "{observe}");
}

/// A group of the older kind in which a frozen process cannot even be killed.
struct Cell(PathBuf);

impl Cell {
    fn new() -> Option<Cell> {
        let name = format!("haltline-test-{}", std::process::id());
        let cell = Cell(PathBuf::from("/sys/fs/cgroup/freezer").join(name));
        (std::fs::create_dir(&cell.0).is_ok() && cell.0.join("freezer.state").exists()).then_some(cell)
    }
}

/// Also after a test that failed: a frozen process and its group would stay for ever.
impl Drop for Cell {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("freezer.state"), "THAWED");
        let begun = Instant::now();
        while std::fs::remove_dir(&self.0).is_err() && self.0.exists() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_tree_that_cannot_be_killed_ends_in_125_with_its_process_ids() {
    let Some(cell) = Cell::new() else {
        println!("not checked: a tree that is still running (no freezer of the older kind can be used)");
        return;
    };
    let mark = Mark::new();
    let one =
        start(supervise(["--max-duration", "4s", "--grace", "100ms", "--quiet", "--", "sleep", &mark.0]));
    let sleeper = mark.await_sleepers(1)[0];
    std::fs::write(cell.0.join("cgroup.procs"), sleeper.to_string()).unwrap();
    std::fs::write(cell.0.join("freezer.state"), "FROZEN").unwrap();
    // Its output stays open, so only the program itself is awaited here.
    let mut one = one;
    let status = until("supervise gives up", || one.child.try_wait().unwrap());
    std::fs::write(cell.0.join("freezer.state"), "THAWED").unwrap();
    until("the guardian kills it after all", || (!is_alive(sleeper)).then_some(()));
    let ran = one.wait();
    assert_eq!(status.code(), Some(125), "{}", ran.stderr);
    assert!(ran.stderr.contains("still running after"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("process {sleeper}")), "{}", ran.stderr);
}
