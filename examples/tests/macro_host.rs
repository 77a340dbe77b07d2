//! Runs the README's first command as a user would.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure here is the failure of the test")]

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    for rule in [
        "max_duration",
        "host.max_cpu_percent",
        "host.max_memory_percent",
        "host.min_fps",
        "host.max_latency_ms",
        "host.max_response_ms",
        "task.max_processes",
        "task.max_idle",
    ] {
        // On a machine that others keep busy the program says that it could not check this one.
        let shown = [format!("cancelled by {rule}, "), format!("not checked: {rule} (")];
        assert!(shown.iter().any(|s| text.contains(s)), "{rule}");
    }
    assert_eq!(text.matches("survived to the end").count(), 6);
    assert!(text.contains(" checks hold") && !text.contains("FAILED") && !text.contains('\x1b'));
    assert!(std::fs::read_to_string(&incidents).unwrap().lines().count() >= 8);
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
    let kill = Command::new("kill").args(["-INT", &host.id().to_string()]).status().unwrap();
    assert!(kill.success());
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
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(help.status.success() && text(&help).contains("--seed N"));
}
