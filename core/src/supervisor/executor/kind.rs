//! One task's executor: what measures it and what stops it.

use std::sync::Arc;

use super::custom::Custom;
use super::future::FutureState;
use super::process::{Tree, TreeUse, TreeWatcher};
use super::section::Section;
use super::thread::ThreadState;
use crate::supervisor::limit::ExecutorKind;
use crate::supervisor::outcome::Outcome;
use crate::supervisor::stopper::Stopper;

/// How a task runs.
pub(crate) enum Executor {
    Cooperative(Section),
    Future(Arc<FutureState>),
    Thread(Arc<ThreadState>),
    Process(Box<ProcessWork>),
    Custom(Arc<Custom>),
}

/// A process tree as a task has it.
pub(crate) struct ProcessWork {
    pub(crate) tree: Arc<Tree>,
    /// The command with secrets masked.
    pub(crate) command: Vec<String>,
    /// The variables set for it, with secrets masked.
    pub(crate) env: Vec<(String, String)>,
    /// Kept for as long as the task is; the tree itself only holds it weakly.
    pub(crate) _watcher: Arc<dyn TreeWatcher>,
}

impl Executor {
    pub(crate) fn kind(&self) -> ExecutorKind {
        match self {
            Executor::Cooperative(_) => ExecutorKind::Cooperative,
            Executor::Future(_) => ExecutorKind::Future,
            Executor::Thread(_) => ExecutorKind::Thread,
            Executor::Process(..) => ExecutorKind::Process,
            Executor::Custom(_) => ExecutorKind::Custom,
        }
    }

    /// Whether the work is seen to be gone by other means than its own word.
    pub(crate) fn is_gone(&self) -> Option<bool> {
        match self {
            Executor::Process(work) => Some(work.tree.is_gone()),
            Executor::Custom(custom) => Some(custom.is_gone()),
            _ => None,
        }
    }

    /// Asks the work to stop. The token says so already. `errand` runs host code on a thread of its own.
    pub(crate) fn request(
        &self,
        errand: impl FnOnce(Box<dyn FnOnce() + Send>),
        changed: impl Fn() + Send + Sync + 'static,
    ) {
        match self {
            Executor::Cooperative(_) | Executor::Thread(_) => {}
            Executor::Future(future) => {
                let future = future.clone();
                errand(Box::new(move || future.wake()));
            }
            Executor::Process(work) => work.tree.request(),
            Executor::Custom(custom) => {
                let custom = custom.clone();
                errand(Box::new(move || custom.drive(Box::new(changed))));
            }
        }
    }

    /// Ends the work by force. Returns whether there is force for it.
    pub(crate) fn force(&self, errand: impl FnOnce(Box<dyn FnOnce() + Send>)) -> bool {
        match self {
            Executor::Cooperative(_) | Executor::Thread(_) => false,
            Executor::Future(future) => {
                future.force();
                let future = future.clone();
                errand(Box::new(move || future.wake()));
                true
            }
            Executor::Process(work) => work.tree.force(),
            Executor::Custom(custom) => {
                if custom.force() {
                    let custom = custom.clone();
                    errand(Box::new(move || custom.overtake()));
                }
                custom.may_have_force()
            }
        }
    }

    /// Whether force was used, once it was asked for: a host's stopper answers late that it has none, and a future may
    /// come to its own end first.
    pub(crate) fn used_force(&self) -> bool {
        match self {
            Executor::Custom(custom) => custom.was_forced(),
            Executor::Future(future) => !future.left_by_itself(),
            _ => true,
        }
    }

    /// The outcome of work that was seen to be gone, given what the ladder takes it for.
    pub(crate) fn judge(&self, outcome: Outcome) -> Outcome {
        match self {
            _ if !self.used_force() => Outcome::Stopped,
            Executor::Process(work) => match work.tree.report() {
                Some(end) if !end.proved => Outcome::StillRunning,
                // It is killed at once, so whether the ladder came to force says nothing.
                Some(end) if end.guardian_killed => Outcome::Killed,
                _ => outcome,
            },
            _ => outcome,
        }
    }

    /// Whether a process may be left that nobody could know of, because the guardian was killed.
    pub(crate) fn is_unproved(&self) -> bool {
        match self {
            Executor::Process(work) => work.tree.report().is_some_and(|r| !r.proved),
            _ => false,
        }
    }

    /// What the last look at its process tree saw.
    pub(crate) fn tree_use(&self) -> Option<TreeUse> {
        match self {
            Executor::Process(work) => Some(work.tree.latest_use()),
            _ => None,
        }
    }

    /// The processes of its tree at the last look.
    pub(crate) fn seen_pids(&self) -> Vec<u32> {
        match self {
            Executor::Process(work) => work.tree.seen_pids(),
            _ => Vec::new(),
        }
    }

    /// The processes of its tree now. Reads the process table.
    pub(crate) fn pids(&self) -> Vec<u32> {
        match self {
            Executor::Process(work) => work.tree.pids().iter().map(|p| p.id.pid).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether dropping it may run code of the host's: a waker or a stopper.
    pub(crate) fn holds_host_value(&self) -> bool {
        matches!(self, Executor::Future(_) | Executor::Custom(_))
    }

    /// Its command with secrets masked.
    pub(crate) fn command(&self) -> Vec<String> {
        match self {
            Executor::Process(work) => work.command.clone(),
            _ => Vec::new(),
        }
    }

    /// The variables that were set for it, with secrets masked.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        match self {
            Executor::Process(work) => work.env.clone(),
            _ => Vec::new(),
        }
    }

    /// The task has left.
    pub(crate) fn left(&self) {
        if let Executor::Cooperative(section) = self {
            section.end();
        }
    }

    /// Tells a host's stopper loop that the task said itself that it is finished.
    pub(crate) fn finished(&self) {
        if let Executor::Custom(custom) = self {
            custom.finished();
        }
    }
}
