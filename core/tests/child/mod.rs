//! A test that goes on in a process of its own: this test program, started again for that test alone.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[cfg(target_os = "linux")]
use haltline::supervisor::{Output, Supervisor};

/// Names what the child is to do.
const PART: &str = "HALTLINE_TEST_PART";

/// What this process is to do as the child of a test. Nothing in the test itself.
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Runs the named test again in a child, because it changes its whole process.
pub(crate) fn run(test: &str) {
    run_copy(test, &std::env::current_exe().unwrap(), |child| child);
}

/// The same as nobody, from a place that nobody can read: the limit on threads does not hold for root.
#[cfg(target_os = "linux")]
pub(crate) fn run_as_nobody(test: &str) {
    use std::os::unix::process::CommandExt;

    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
    }
    run_copy(test, &program, |child| match is_root {
        true => child.uid(65534).gid(65534),
        false => child,
    });
}

fn run_copy(test: &str, program: &Path, change: impl FnOnce(&mut Command) -> &mut Command) {
    let mut child = Command::new(program);
    child.args(["--exact", test, "--nocapture"]).env(PART, "all of it").current_dir("/");
    let done = change(&mut child).output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
}

/// A supervised command that comes into the named test again to play `part`.
#[cfg(target_os = "linux")]
pub(crate) fn command(supervisor: &Supervisor, test: &str, part: &str) -> haltline::supervisor::Command {
    let program = std::env::current_exe().unwrap();
    // The harness's own lines would stand among those of the test.
    supervisor.command(program).args(["--exact", test, "--nocapture"]).env(PART, part).stdout(Output::Null)
}

/// Takes `step` MiB every 20 ms until it holds `most`, in case nobody stops it, and keeps them.
pub(crate) fn hold(step: usize, most: usize) -> ! {
    let mut held = Vec::new();
    loop {
        if held.len() * step < most {
            held.push(std::hint::black_box(vec![1u8; step << 20]));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
