//! What a host and a running task hold of a task.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::cause::{Cancelled, Cause};
use super::engine::TaskId;
use super::outcome::Outcome;
use super::profile::Profile;
use super::record::Record;
use super::state::Finish;

/// The cancel token of a task: cheap to clone, usable from any thread, valid after the task and the
/// supervisor are gone.
#[derive(Clone)]
pub struct Token(Arc<Record>);

impl Token {
    pub(crate) fn new(record: Arc<Record>) -> Self {
        Token(record)
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.0
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.0.id
    }

    /// The name that the task was started with.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The profile that the task is under: the one it started with, until
    /// [`replace_profile`](Token::replace_profile).
    pub fn profile(&self) -> Profile {
        self.0.profile()
    }

    /// Whether the task was asked to stop. One relaxed atomic load; never goes back to false.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.0.state.is_cancelled()
    }

    /// Whether the task has left.
    pub fn is_finished(&self) -> bool {
        self.0.state.is_finished()
    }

    /// Fails once the task was asked to stop. For the body of a loop: `token.check()?;`
    ///
    /// # Errors
    /// [`Cancelled`], which says why.
    #[inline]
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(self.0.cancelled()) } else { Ok(()) }
    }

    /// Reports progress, which `task.max_idle` counts from, and checks.
    ///
    /// # Errors
    /// [`Cancelled`], as [`check`](Token::check).
    pub fn progress(&self) -> Result<(), Cancelled> {
        self.0.progress(self.0.home.inner.now());
        self.check()
    }

    /// Sleeps, and wakes at once when the task is asked to stop.
    ///
    /// # Errors
    /// [`Cancelled`], as [`check`](Token::check).
    ///
    /// # Blocking
    /// For at most `time`.
    pub fn sleep(&self, time: Duration) -> Result<(), Cancelled> {
        if self.0.sleep(time) { Err(self.0.cancelled()) } else { Ok(()) }
    }

    /// Why the task was cancelled, if it was.
    pub fn cause(&self) -> Option<Cause> {
        if self.is_cancelled() { self.0.cause().cloned() } else { None }
    }

    /// Asks the task to stop; `reason` is recorded. The stop is verified in the background. Returns
    /// whether this call cancelled it: false if it was cancelled before or has finished.
    pub fn cancel(&self, reason: &str) -> bool {
        self.0.home.inner.cancel(&self.0, Cause::Asked(reason.to_owned()), Vec::new())
    }

    /// Like [`cancel`](Token::cancel) without a grace: force follows the request at once. If the task is being
    /// cancelled already, that ends its grace. Force exists for futures and processes, not for threads.
    pub fn kill(&self, reason: &str) -> bool {
        self.0.home.inner.kill(&self.0, Cause::Asked(reason.to_owned()))
    }

    /// Runs `handler` once if the task is cancelled, after the stop was verified, with the outcome; never if
    /// the task finishes by itself. Several handlers run in the order they were added. They run on a thread
    /// of their own, so one that blocks delays no other task. If the outcome is known already the handler
    /// runs now, on the calling thread. A handler that will not run is dropped when the task ends, so it may hold
    /// the task's own token.
    pub fn on_cancel(&self, handler: impl FnOnce(Outcome) + Send + 'static) {
        if let Err((handler, outcome)) = self.0.on_cancel(Box::new(handler)) {
            handler(outcome);
        }
    }

    /// The outcome of the cancellation, once it is known.
    pub fn outcome(&self) -> Option<Outcome> {
        self.0.outcome()
    }

    /// Waits until the outcome of the cancellation is known. Returns `None` when the task ended without one,
    /// or when `limit` has passed.
    ///
    /// # Blocking
    /// For at most `limit`.
    pub fn wait_outcome(&self, limit: Duration) -> Option<Outcome> {
        self.0.wait_outcome(limit)
    }

    /// Waits until the task has left. Returns whether it has.
    ///
    /// # Blocking
    /// For at most `limit`.
    pub fn wait_finished(&self, limit: Duration) -> bool {
        self.0.wait_finished(limit)
    }
}

/// As for [`Supervisor`](super::Supervisor).
impl std::panic::UnwindSafe for Token {}
impl std::panic::RefUnwindSafe for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.0.id)
            .field("name", &self.0.name)
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// A section of code on this thread that runs as a task. It ends when this is dropped.
///
/// The section must poll: nothing can force it. It cannot be moved to another thread, because the
/// processor time of the thread that started it is what the task is charged with. What runs in a nested section
/// counts towards the limits of the outer one too. A limit of the host blames the innermost one that still runs and whose
/// own bound is broken; what sections used that have ended stays with the one around them. Sections that take turns on
/// one thread without being nested, as those of coroutines do, are taken for nested ones unless they are
/// [started as such](super::Supervisor::start_in_coroutine).
#[derive(Debug)]
#[must_use = "the task ends when this is dropped"]
pub struct Task {
    token: Token,
    here: PhantomData<*const ()>,
}

impl Task {
    pub(crate) fn new(token: Token) -> Self {
        Task { token, here: PhantomData }
    }

    /// A token that other threads may hold.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Ends the task. Returns whether it ended by itself, that is, without having been asked to stop.
    pub fn finish(self) -> bool {
        self.end()
    }

    /// As [`finish`](Task::finish), for a holder that cannot give the task away. Only the first call counts.
    pub fn end(&self) -> bool {
        self.token.record().finish() == Finish::ByItself
    }
}

impl std::ops::Deref for Task {
    type Target = Token;
    fn deref(&self) -> &Token {
        &self.token
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.token.record().finish();
    }
}

/// A task that the host runs and stops through its own [`Stopper`](super::Stopper). It ends when this is dropped; but once
/// it was asked to stop, only the stopper, or [`finish`](CustomTask::finish), says that its work is gone.
#[derive(Debug)]
#[must_use = "the task ends when this is dropped"]
pub struct CustomTask {
    token: Token,
}

impl CustomTask {
    pub(crate) fn new(token: Token) -> Self {
        CustomTask { token }
    }

    /// The token of the task.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Ends the task: the host says that the work is gone. Returns whether it ended by itself, that is, without
    /// having been asked to stop.
    pub fn finish(self) -> bool {
        self.token.record().executor.finished();
        self.token.record().finish() == Finish::ByItself
    }
}

impl std::ops::Deref for CustomTask {
    type Target = Token;
    fn deref(&self) -> &Token {
        &self.token
    }
}

impl Drop for CustomTask {
    fn drop(&mut self) {
        // No word about the work: once it was asked to stop, only its stopper says that it is gone.
        self.token.record().finish();
    }
}
