//! Trees of real processes.

mod host;
mod measure;
mod part;
mod reuse;
mod shape;
mod start;
mod stop;
mod stream;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Cgroups, Command, Output, Tree, TreeUse, TreeWatcher};

/// Long enough for a loaded machine; nothing waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(50);
const MODES: [Cgroups; 3] = [Cgroups::Auto, Cgroups::V1, Cgroups::Off];

/// Polls until `condition` holds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never saw: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A number of seconds that no other process sleeps for, by which a sleeper is found in the process table
/// whatever became of its parents, session or environment.
fn marker() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("9{:07}{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The ids of the sleepers with this marker, by a search that shares no code with what is tested.
fn sleepers(marker: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        if words.first() == Some(&&b"sleep"[..]) && words.get(1) == Some(&marker.as_bytes()) {
            found.push(pid);
        }
    }
    found
}

/// Whether the process exists, a zombie included.
fn exists(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

/// Whether the process runs. A guardian's zombie is for init to take, at its leisure.
fn runs(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The state letter of a process.
fn state(pid: u32) -> Option<char> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(") ")?.1.chars().next()
}

/// When a process began. With its id it tells which one it is.
fn began(pid: u32) -> Option<u64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args = vec!["-c".into(), script.into()];
    command.stdin = super::Input::Null;
    command.stdout = Output::Null;
    command.stderr = Output::Null;
    command.grace = Duration::from_millis(200);
    command
}

fn spawn(command: Command) -> Arc<Tree> {
    Tree::spawn(command, INTERVAL, Weak::<Recorder>::new()).unwrap()
}

/// Whether the tree is in a group as its mode wants. A machine without groups says so.
fn check_mode(tree: &Tree, mode: Cgroups) {
    let grouped = tree.is_grouped();
    match mode {
        Cgroups::Off => assert!(!grouped),
        _ if !grouped => println!("not checked: {mode:?} groups (none can be made here)"),
        _ => {}
    }
}

#[derive(Default)]
pub(super) struct Recorder {
    tree: OnceLock<Weak<Tree>>,
    /// What each look saw; nothing while the tree was being started.
    looks: Mutex<Vec<TreeUse>>,
    /// All else that was told.
    words: Mutex<Vec<&'static str>>,
}

impl TreeWatcher for Recorder {
    fn looked(&self) {
        let tree = self.tree.get().and_then(Weak::upgrade);
        self.looks.lock().push(tree.map(|t| t.latest_use()).unwrap_or_default());
    }
    fn unseen(&self, _: Option<&str>) -> bool {
        true
    }
    fn overdue(&self) {
        self.words.lock().push("overdue");
    }
    fn lost(&self) {
        self.words.lock().push("lost");
    }
    fn gone(&self) {
        self.words.lock().push("gone");
    }
}

fn watched(command: Command) -> (Arc<Tree>, Arc<Recorder>) {
    watched_every(INTERVAL, command)
}

fn watched_every(interval: Duration, command: Command) -> (Arc<Tree>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let weak: Weak<Recorder> = Arc::downgrade(&recorder);
    let tree = Tree::spawn(command, interval, weak).unwrap();
    recorder.tree.set(Arc::downgrade(&tree)).unwrap();
    (tree, recorder)
}
