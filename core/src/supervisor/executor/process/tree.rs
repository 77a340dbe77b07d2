//! The handle of a supervised process tree.

use std::fmt;
use std::fs::File;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::core::{Core, Known, leftover};
use super::look::Limits;
use super::output::Ends;
use super::table::{Stat, Table};
use super::wire::Order;
use super::{Bounds, Captured, Command, Exit, Leftover, Lost, TreeReport, TreeUse, TreeWatcher, spawn};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::stopper::Stopper;

/// A command that runs, with everything that descends from it.
///
/// Dropping it while the tree runs stops the tree: SIGTERM, the command's grace, SIGKILL. In a forked child
/// every call does nothing: the tree belongs to the process that started it.
pub(crate) struct Tree {
    core: Arc<Core>,
    ends: Mutex<Ends>,
}

impl Tree {
    /// Starts `command`, which is looked at every `interval`; returns once it was executed.
    ///
    /// # Errors
    /// `CommandNotFound`, `CommandNotExecutable`, `InvalidArgument`, `SpawnFailed` or `Io`.
    pub(crate) fn spawn(
        command: Command,
        interval: Duration,
        watcher: Weak<dyn TreeWatcher>,
    ) -> Result<Arc<Tree>> {
        let (core, ends) = spawn::spawn(&command, interval, watcher)?;
        Ok(Arc::new(Tree { core, ends: Mutex::new(ends) }))
    }

    /// What the last look saw. Before the first one everything is unknown.
    pub(crate) fn latest_use(&self) -> TreeUse {
        if !self.core.is_ours() {
            return TreeUse::default();
        }
        let mut seen = self.core.known.lock().last_use;
        seen.output_bytes = self.core.flow.bytes();
        seen
    }

    /// The ids of the processes that could run at the last look.
    pub(crate) fn seen_pids(&self) -> Vec<u32> {
        if !self.core.is_ours() || self.core.is_gone() {
            return Vec::new();
        }
        self.core.known.lock().alive.iter().map(|s| s.pid).collect()
    }

    /// Whether output is counted, which is settled when the tree starts.
    pub(crate) fn counts_output(&self) -> bool {
        self.core.flow.counts()
    }

    /// Measures the tree against other bounds, from now on. Never blocks.
    pub(crate) fn set_bounds(&self, bounds: Bounds) {
        if self.core.is_ours() {
            self.core.flow.set_limit(bounds.output);
            let Bounds { memory, host_memory, processes, .. } = bounds;
            self.core.set_limits(Limits { memory, host_memory, processes });
        }
    }

    /// Lets nobody set other bounds for as long as the result is kept.
    #[cfg(test)]
    pub(crate) fn hold_bounds(&self) -> impl Drop + '_ {
        self.core.hold_limits()
    }

    /// The processes that can run now; empty once the tree is gone.
    pub(crate) fn pids(&self) -> Vec<Leftover> {
        if !self.core.is_ours() || self.core.is_gone() {
            return Vec::new();
        }
        let table = Table::system();
        let guardian = self.core.guardian;
        let mut alive = table.descendants(guardian.pid, usize::MAX).processes;
        // Asked after the walk: a guardian that was killed has no children, and its id may belong to another by now.
        if !table.is_alive(guardian.pid, guardian.start_time) {
            alive.clear();
        }
        for old in self.core.known.lock().alive.clone() {
            if !alive.iter().any(|s| s.pid == old.pid) {
                alive.extend(table.stat(old.pid).filter(|s| s.start_time == old.start_time));
            }
        }
        alive.iter().filter(|s| Stat::is_alive(s)).map(leftover).collect()
    }

    /// The id of the main process; after its end it may belong to another.
    pub(crate) fn main_pid(&self) -> u32 {
        self.core.main.pid
    }

    /// The id of the guardian.
    pub(crate) fn guardian_pid(&self) -> u32 {
        self.core.guardian.pid
    }

    /// SIGTERM to every process of the tree. Never blocks.
    pub(crate) fn terminate(&self) {
        if self.core.is_ours() {
            self.core.order(Order::Terminate);
        }
    }

    /// Kills until nothing is left. Never blocks.
    pub(crate) fn kill(&self) {
        if self.core.is_ours() {
            self.core.kill();
        }
    }

    /// One signal to the main process, while it runs. Never blocks.
    ///
    /// # Errors
    /// `InvalidArgument` if the number is no signal's, `Io` if it could not be sent.
    pub(crate) fn signal(&self, number: i32) -> Result<()> {
        let last = libc::SIGRTMAX();
        if !(1..=last).contains(&number) {
            let message = format!("{number} is no signal; pass a number from 1 to {last}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if !self.core.is_ours() {
            return Ok(());
        }
        self.core.signal(number).map_err(|e| {
            Error::io(format!("sending signal {number} to process {}", self.main_pid()), e.into())
        })
    }

    /// How the main process ended, once it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        if self.core.is_ours() { self.core.known.lock().exit } else { None }
    }

    /// What outlived the main process, as far as it was named.
    pub(crate) fn leftovers(&self) -> Vec<Leftover> {
        if self.core.is_ours() { self.core.known.lock().leftovers.clone() } else { Vec::new() }
    }

    /// The end of the tree, once all of it was seen to be gone.
    pub(crate) fn report(&self) -> Option<TreeReport> {
        if self.core.is_ours() { self.core.known.lock().report.clone() } else { None }
    }

    /// Waits for the main process. `None` after `timeout`.
    #[cfg(test)]
    pub(crate) fn wait_exit(&self, timeout: Duration) -> Option<Exit> {
        self.wait(timeout, |known| known.exit)
    }

    /// Waits until the whole tree was seen to be gone. `None` after `timeout`.
    #[cfg(test)]
    pub(crate) fn wait_gone(&self, timeout: Duration) -> Option<TreeReport> {
        self.wait(timeout, |known| known.report.clone())
    }

    /// Waits until nothing is left, not even the guardian and the group. False after `timeout`.
    pub(crate) fn wait_cleared(&self, timeout: Duration) -> bool {
        self.wait(timeout, |known| known.cleared.then_some(())).is_some()
    }

    fn wait<T>(&self, timeout: Duration, get: impl Fn(&Known) -> Option<T>) -> Option<T> {
        if !self.core.is_ours() {
            return None;
        }
        let until = Instant::now().checked_add(timeout);
        let mut known = self.core.known.lock();
        loop {
            if let Some(value) = get(&known) {
                return Some(value);
            }
            match until {
                Some(until) => {
                    if self.core.changed.wait_until(&mut known, until).timed_out() {
                        return get(&known);
                    }
                }
                None => self.core.changed.wait(&mut known),
            }
        }
    }

    /// Whether a control group holds the tree.
    #[cfg(test)]
    pub(crate) fn is_grouped(&self) -> bool {
        self.core.group.is_some()
    }

    #[cfg(test)]
    pub(super) fn group_directory(&self) -> Option<std::path::PathBuf> {
        self.core.group.as_ref()?.directories.first().cloned()
    }

    /// Waits until all output that passes through this process was passed on or is known to be lost. False after
    /// `timeout`.
    pub(crate) fn wait_output(&self, timeout: Duration) -> bool {
        self.core.is_ours() && self.core.flow.wait(timeout)
    }

    /// The output that could not be passed on, if any.
    pub(crate) fn lost_output(&self) -> Option<Lost> {
        if self.core.is_ours() { self.core.flow.lost() } else { None }
    }

    /// The writing end of standard input, if that is piped; once.
    pub(crate) fn take_stdin(&self) -> Option<File> {
        self.ends.lock().stdin.take()
    }

    /// The reading end of standard output, if that is piped; once.
    pub(crate) fn take_stdout(&self) -> Option<File> {
        self.ends.lock().stdout.take()
    }

    /// The reading end of standard error, if that is piped; once.
    pub(crate) fn take_stderr(&self) -> Option<File> {
        self.ends.lock().stderr.take()
    }

    /// Standard output so far, if it is captured. Complete after [`wait_output`](Tree::wait_output).
    pub(crate) fn captured_stdout(&self) -> Captured {
        self.captured(0)
    }

    /// Standard error so far, if it is captured.
    pub(crate) fn captured_stderr(&self) -> Captured {
        self.captured(1)
    }

    fn captured(&self, n: usize) -> Captured {
        let kept = self.ends.lock().captured.get(n).cloned().flatten();
        kept.map(|k| k.lock().clone()).unwrap_or_default()
    }
}

impl Stopper for Tree {
    fn request(&self) {
        self.terminate();
    }

    fn force(&self) -> bool {
        self.kill();
        true
    }

    fn is_gone(&self) -> bool {
        self.core.is_gone()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.core.is_ours() && !self.core.is_gone() {
            self.core.let_go();
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("main", &self.core.main)
            .field("guardian", &self.core.guardian)
            .field("gone", &self.core.is_gone())
            .finish_non_exhaustive()
    }
}
