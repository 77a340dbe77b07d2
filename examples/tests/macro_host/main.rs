//! Runs the README's first command as a user would.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure here is the failure of the test")]

mod terminal;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use haltline::supervisor::{Cause, Incident, Limit};

const PROGRAM: &str = env!("CARGO_BIN_EXE_macro-host");

/// The scene measures this machine: one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder that is removed again.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("macro-host-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The ids of processes whose command line holds `wanted`.
fn processes_with(wanted: &str) -> Vec<u32> {
    let holds = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(wanted))
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).filter(holds).collect()
}

#[test]
fn only_those_that_misbehave_are_cancelled_and_nothing_is_left() {
    let _machine = machine();
    let folder = Folder::new("scene");
    let incidents = folder.0.join("incidents.jsonl");
    let begun = Instant::now();
    let output =
        Command::new(PROGRAM).args(["--seed", "11", "--incidents"]).arg(&incidents).output().unwrap();
    let text = text(&output);
    println!("{text}");
    assert!(output.status.success(), "{:?}", output.status);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let left_out = assert_told(&text);
    assert!(!text.contains('\x1b'));
    assert!(std::fs::read_to_string(&incidents).unwrap().lines().count() + left_out >= 8);
    for line in text.lines().filter_map(|l| l.trim().strip_prefix("not checked: ")) {
        // Said again where the gate repeats it.
        println!("not checked: macro-host, {line}");
    }
}

const TASK_RULES: [&str; 3] = ["max_duration", "task.max_processes", "task.max_idle"];
const HOST_RULES: [&str; 5] = [
    "host.max_cpu_percent",
    "host.max_memory_percent",
    "host.min_fps",
    "host.max_latency_ms",
    "host.max_response_ms",
];

/// Every act was shown or its reason told, every healthy macro survived, nothing failed. Returns how many acts
/// about the host were not shown.
fn assert_told(text: &str) -> usize {
    let shown = |rule: &str| text.contains(&format!("cancelled by {rule}, "));
    for rule in TASK_RULES {
        assert!(shown(rule), "{rule}");
    }
    let mut left_out = 0;
    for rule in HOST_RULES {
        let told = text.contains(&format!("  not checked: {rule} ("));
        assert_ne!(shown(rule) && !told, told, "{rule}");
        left_out += usize::from(told);
    }
    assert_eq!(text.matches("survived to the end").count(), 6);
    assert!(text.contains(" checks hold") && !text.contains("FAILED"));
    assert_eq!(text.contains("could not be shown beside other programs"), left_out > 0);
    left_out
}

/// Shells that use the processor for nothing.
struct Busy(Vec<Child>);

impl Busy {
    fn with(count: usize) -> Busy {
        let shell =
            || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        Busy((0..count).map(|_| shell()).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for shell in &mut self.0 {
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}

#[test]
fn on_a_full_processor_it_says_that_the_processor_act_cannot_be_shown() {
    let _machine = machine();
    let folder = Folder::new("busy");
    let cores = std::thread::available_parallelism().unwrap().get();
    let _busy = Busy::with(cores + 1);
    let begun = Instant::now();
    let output = Command::new(PROGRAM)
        .args(["--require-all", "--incidents"])
        .arg(folder.0.join("incidents.jsonl"))
        .output()
        .unwrap();
    let text = text(&output);
    println!("{text}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(4));
    assert!(assert_told(&text) >= 1);
    let table = text.lines().find(|l| l.trim_start().starts_with("CPU ")).unwrap();
    assert!(table.ends_with("none fits"), "{table}");
    assert!(text.contains("cannot show host.max_cpu_percent here: other programs use "));
    assert!(text.contains("  not checked: host.max_cpu_percent (other programs use "));
}

/// The names of the macros that the lines about healthy ones tell.
fn healthy(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.split_once("  healthy: "));
    lines
        .flat_map(|(_, names)| names.split("), ").filter_map(|name| name.split_once(" (")))
        .map(|n| n.0)
        .collect()
}

#[test]
fn the_older_way_costs_bystanders_and_counts_them() {
    let _machine = machine();
    let folder = Folder::new("older");
    let file = folder.0.join("incidents.jsonl");
    let begun = Instant::now();
    let output = Command::new(PROGRAM).args(["--blame", "any", "--incidents"]).arg(&file).output().unwrap();
    let text = text(&output);
    println!("{text}");
    assert_eq!(output.status.code(), Some(0), "what it costs is told and not judged");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(text.contains(" checks hold") && !text.contains("FAILED"));
    let healthy = healthy(&text);
    assert_eq!(healthy.len(), 6, "{healthy:?}");
    let broken: Vec<(String, Limit)> = Incident::read_file(&file)
        .unwrap()
        .into_iter()
        .filter_map(|incident| match (incident.cause, incident.task) {
            (Cause::Breach(breach), Some(task)) => Some((task.name, breach.limit)),
            _ => None,
        })
        .collect();
    let cost: Vec<&str> =
        healthy.into_iter().filter(|name| broken.iter().any(|(task, _)| task == name)).collect();
    assert!(text.contains(&format!("  bystanders that the older way cost: {} of 6\n", cost.len())));
    for name in &cost {
        assert!(text.lines().any(|l| l.starts_with(&format!("    {name:<8}healthy "))), "{name}");
    }
    // All have each limit of the host, and but for the errand all run from the start on.
    match broken.iter().any(|(_, limit)| limit.is_host()) {
        true => assert!(cost.len() >= 5, "{cost:?}"),
        false => println!("not checked: the bystanders of the older way (other programs spoilt every act)"),
    }
}

/// Waits until two healthy processes and a first hog run; returns a text that their command lines hold.
fn wait_for_macros(host: &mut Child) -> String {
    // The register of a run carries the id of its host, and each process of a macro carries the register.
    let marked = format!("macro-host-{}-", host.id());
    let until = Instant::now() + Duration::from_secs(30);
    while processes_with(&marked).len() < 3 {
        assert!(Instant::now() < until && host.try_wait().unwrap().is_none(), "its processes do not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    marked
}

#[test]
fn an_interrupted_scene_leaves_no_process_behind() {
    let _machine = machine();
    let folder = Folder::new("interrupt");
    let mut host = Command::new(PROGRAM)
        .arg("--incidents")
        .arg(folder.0.join("incidents.jsonl"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let marked = wait_for_macros(&mut host);
    rustix::process::kill_process(rustix::process::Pid::from_child(&host), rustix::process::Signal::INT)
        .unwrap();
    let status = host.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(processes_with(&marked), [0u32; 0]);
}

#[test]
fn a_killed_host_leaves_no_process_behind() {
    let _machine = machine();
    let folder = Folder::new("kill");
    let mut host = Command::new(PROGRAM)
        .arg("--incidents")
        .arg(folder.0.join("incidents.jsonl"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let marked = wait_for_macros(&mut host);
    host.kill().unwrap();
    host.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !processes_with(&marked).is_empty() {
        assert!(Instant::now() < until, "left: {:?}", processes_with(&marked));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_it_does_not_know_it_refuses() {
    for wrong in [&["--sede", "3"][..], &["--seed", "x"], &["--blame", "nobody"], &["loose"]] {
        let output = Command::new(PROGRAM).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(text(&output).contains("--help"), "{}", text(&output));
    }
    let misspelt = Command::new(PROGRAM).args(["--blaem", "any"]).output().unwrap();
    assert!(text(&misspelt).contains("\"--blaem\"; did you mean \"--blame\"?"), "{}", text(&misspelt));
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(help.status.success() && text(&help).contains("--seed N"));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let version = Command::new(PROGRAM).arg("--version").output().unwrap();
    assert_eq!(version.status.code(), Some(0));
    let expected = format!("macro-host (haltline) {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version.stdout), expected);
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for named in ["--seed N", "--blame WHO", "--require-all", "--version", "not checked", "\n  4 "] {
        assert!(help.contains(named), "{named}");
    }
}

/// A file on which every write fails.
fn full() -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn what_cannot_be_written_ends_in_an_error_and_not_in_a_panic() {
    let folder = Folder::new("full");
    let incidents = folder.0.join("incidents.jsonl");
    let scene = ["--incidents", incidents.to_str().unwrap()];
    for words in [&["--help"][..], &["--version"], &scene] {
        let output = Command::new(PROGRAM).args(words).stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {said}");
        assert!(said.starts_with("macro-host: cannot write to standard output: "), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        // There is nowhere left to say it, and the status still does.
        let mute = Command::new(PROGRAM).args(words).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(mute.code(), Some(3), "{words:?}");
    }
    let mute = Command::new(PROGRAM).arg("--blaem").stderr(full()).status().unwrap();
    assert_eq!(mute.code(), Some(2));
}

#[test]
fn who_closes_the_pipe_after_the_help_has_read_enough() {
    for word in ["--help", "--version"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(PROGRAM).arg(word).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), ""), "{word}");
    }
}

#[test]
fn a_scene_that_nobody_reads_any_more_ends_and_leaves_no_process_behind() {
    let _machine = machine();
    let folder = Folder::new("pipe");
    let mut host = Command::new(PROGRAM)
        .arg("--incidents")
        .arg(folder.0.join("incidents.jsonl"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let marked = wait_for_macros(&mut host);
    drop(host.stdout.take());
    let output = host.wait_with_output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("macro-host: cannot write to standard output: "), "{said}");
    assert!(said.contains("every macro was stopped") && !said.contains("panicked"), "{said}");
    assert_eq!(processes_with(&marked), [0u32; 0]);
}

#[test]
fn an_incident_file_that_cannot_be_is_named_at_once() {
    for wrong in ["/dev/null/incidents.jsonl", "/proc"] {
        let output = Command::new(PROGRAM).args(["--incidents", wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{wrong}");
        assert!(output.stdout.is_empty(), "no baseline was taken: {}", text(&output));
        assert!(text(&output).contains(&format!("the incident file {wrong}: ")), "{}", text(&output));
    }
}
