//! A thread of its own under supervision. It can be asked to leave and not be forced.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::thread_clock::ThreadClock;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::state::Finish;
use crate::supervisor::task::Token;

/// The clock of a supervised thread, known once the thread has begun.
#[derive(Debug, Default)]
pub(crate) struct ThreadState {
    clock: OnceLock<Arc<ThreadClock>>,
}

impl ThreadState {
    pub(crate) fn began(&self) {
        let _ = self.clock.set(ThreadClock::current());
    }

    pub(crate) fn clock(&self) -> Option<&Arc<ThreadClock>> {
        self.clock.get()
    }
}

/// A thread that runs as a supervised task. Dropping the handle detaches the thread; it stays supervised.
///
/// Only the thread itself is measured, not threads that it starts.
#[derive(Debug)]
pub struct ThreadTask<T> {
    thread: JoinHandle<T>,
    token: Token,
}

impl<T> ThreadTask<T> {
    pub(crate) fn new(thread: JoinHandle<T>, token: Token) -> Self {
        ThreadTask { thread, token }
    }

    /// The token of the task.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Waits for the thread's end and returns what its closure returned.
    ///
    /// # Errors
    /// [`Panicked`](ErrorKind::Panicked) if the closure panicked.
    ///
    /// # Blocking
    /// Until the thread ends, for ever if it never does.
    pub fn join(self) -> Result<T> {
        self.thread.join().map_err(|panic| {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            Error::new(ErrorKind::Panicked, format!("task {:?} panicked: {text}", self.token.name()))
        })
    }
}

impl<T> std::ops::Deref for ThreadTask<T> {
    type Target = Token;
    fn deref(&self) -> &Token {
        &self.token
    }
}

/// A thread that the host starts by its own means, as a supervised task. The task ends when this is dropped.
///
/// As with any thread it can be asked to leave and not be forced.
#[derive(Debug)]
#[must_use = "the task ends when this is dropped"]
pub struct HostThread {
    state: Arc<ThreadState>,
    token: Token,
}

impl HostThread {
    pub(crate) fn new(state: Arc<ThreadState>, token: Token) -> Self {
        HostThread { state, token }
    }

    /// The token of the task.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Ends the task. Returns whether it ended by itself, that is, without having been asked to stop.
    pub fn finish(self) -> bool {
        self.token.record().finish() == Finish::ByItself
    }

    /// Says that the calling thread is the one. Its processor time is unknown until then; only the first call counts.
    pub fn began(&self) {
        self.state.began();
    }
}

impl std::ops::Deref for HostThread {
    type Target = Token;
    fn deref(&self) -> &Token {
        &self.token
    }
}

impl Drop for HostThread {
    fn drop(&mut self) {
        self.token.record().finish();
    }
}
