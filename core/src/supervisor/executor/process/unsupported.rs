//! Systems without a guardian: nothing is started that could not be stopped.

use std::fs::File;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Bounds, Captured, Command, Exit, Leftover, Lost, TreeReport, TreeUse, TreeWatcher};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::stopper::Stopper;

/// A tree that cannot exist here.
#[derive(Debug)]
pub(crate) enum Tree {}

impl Tree {
    pub(crate) fn spawn(
        command: Command,
        _interval: Duration,
        _watcher: Weak<dyn TreeWatcher>,
    ) -> Result<Arc<Tree>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "cannot run {:?}: process tasks need Linux; this system has no way to find every process of a tree",
                command.program
            ),
        ))
    }

    pub(crate) fn latest_use(&self) -> TreeUse {
        match *self {}
    }

    pub(crate) fn seen_pids(&self) -> Vec<u32> {
        match *self {}
    }

    pub(crate) fn counts_output(&self) -> bool {
        match *self {}
    }

    pub(crate) fn set_bounds(&self, _: Bounds) {
        match *self {}
    }

    pub(crate) fn pids(&self) -> Vec<Leftover> {
        match *self {}
    }

    pub(crate) fn main_pid(&self) -> u32 {
        match *self {}
    }

    pub(crate) fn guardian_pid(&self) -> u32 {
        match *self {}
    }

    pub(crate) fn signal(&self, _number: i32) -> Result<()> {
        match *self {}
    }

    pub(crate) fn exit(&self) -> Option<Exit> {
        match *self {}
    }

    pub(crate) fn leftovers(&self) -> Vec<Leftover> {
        match *self {}
    }

    pub(crate) fn report(&self) -> Option<TreeReport> {
        match *self {}
    }

    pub(crate) fn wait_cleared(&self, _: Duration) -> bool {
        match *self {}
    }

    pub(crate) fn wait_output(&self, _timeout: Duration) -> bool {
        match *self {}
    }

    pub(crate) fn lost_output(&self) -> Option<Lost> {
        match *self {}
    }

    pub(crate) fn take_stdin(&self) -> Option<File> {
        match *self {}
    }

    pub(crate) fn take_stdout(&self) -> Option<File> {
        match *self {}
    }

    pub(crate) fn take_stderr(&self) -> Option<File> {
        match *self {}
    }

    pub(crate) fn captured_stdout(&self) -> Captured {
        match *self {}
    }

    pub(crate) fn captured_stderr(&self) -> Captured {
        match *self {}
    }
}

impl Stopper for Tree {
    fn request(&self) {
        match *self {}
    }

    fn force(&self) -> bool {
        match *self {}
    }

    fn is_gone(&self) -> bool {
        match *self {}
    }
}

/// There is no thread that follows trees.
pub(crate) fn leave(_until: std::time::Instant) {}
