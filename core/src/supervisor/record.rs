//! What the supervisor keeps of one task.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};

use super::cause::{Cancelled, Cause};
use super::engine::TaskId;
use super::executor::Executor;
use super::home::Home;
use super::outcome::Outcome;
use super::profile::Profile;
use super::state::{Finish, State};
use super::table::Place;
use crate::clock::Time;
use crate::errand;

/// What runs once after a cancelled task was verified.
pub(crate) type Handler = Box<dyn FnOnce(Outcome) + Send>;

/// One task. Shared by its handle, its tokens, the table and a cancellation in progress.
pub(crate) struct Record {
    pub(crate) state: State,
    pub(crate) id: TaskId,
    pub(crate) name: Cow<'static, str>,
    /// Seldom replaced, and read where nobody hurries: neither the start, nor a check, nor the end looks at it.
    profile: RwLock<Profile>,
    pub(crate) started: Time,
    pub(crate) executor: Executor,
    pub(crate) place: Place,
    pub(crate) home: Arc<Home>,
    last_progress: AtomicU64,
    /// Whether its grace was cut short.
    hurried: AtomicBool,
    cause: OnceLock<Cause>,
    end: Mutex<End>,
    changed: Condvar,
}

/// What becomes known when a task ends.
#[derive(Default)]
struct End {
    handlers: Vec<Handler>,
    outcome: Option<Outcome>,
}

impl Record {
    pub(crate) fn new(
        id: TaskId,
        place: Place,
        name: Cow<'static, str>,
        profile: Profile,
        started: Time,
        executor: Executor,
        home: Arc<Home>,
    ) -> Self {
        Record {
            state: State::new(),
            id,
            name,
            profile: RwLock::new(profile),
            started,
            executor,
            place,
            home,
            last_progress: AtomicU64::new(started.as_nanos()),
            hurried: AtomicBool::new(false),
            cause: OnceLock::new(),
            end: Mutex::new(End::default()),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn last_progress(&self) -> Time {
        Time::from_nanos(self.last_progress.load(Ordering::Relaxed))
    }

    pub(crate) fn progress(&self, now: Time) {
        self.last_progress.fetch_max(now.as_nanos(), Ordering::Relaxed);
    }

    /// The profile that it is under now.
    pub(crate) fn profile(&self) -> Profile {
        self.profile.read().clone()
    }

    /// Puts it under another profile. For the table, which knows whether it still runs.
    pub(crate) fn set_profile(&self, profile: Profile) {
        let before = std::mem::replace(&mut *self.profile.write(), profile);
        drop(before);
    }

    /// The [`deadline`](Record::deadline) of a task that nobody else knows yet, without a lock.
    pub(crate) fn first_deadline(&mut self) -> Time {
        let (started, profile) = (self.started, self.profile.get_mut());
        deadline(profile, started, started)
    }

    /// The next moment at which a clock alone breaks one of its limits.
    pub(crate) fn deadline(&self) -> Time {
        if self.state.is_cancelled() {
            return Time::NEVER;
        }
        deadline(&self.profile.read(), self.started, self.last_progress())
    }

    /// Says why the task is about to be cancelled, unless a cause stands already.
    pub(crate) fn blame(&self, cause: Cause) {
        let _ = self.cause.set(cause);
    }

    /// Cuts the grace short, now or when the task is cancelled.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Ordering::Release);
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }

    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }

    #[cold]
    pub(crate) fn cancelled(&self) -> Cancelled {
        let cause = self.cause.get().cloned().unwrap_or(Cause::Shutdown);
        Cancelled::new(self.id, &self.name, cause)
    }

    /// Wakes whoever sleeps in [`Record::sleep`] or waits for the end.
    pub(crate) fn notify(&self) {
        drop(self.end.lock());
        self.changed.notify_all();
    }

    /// Wakes waiters at the end of a task, if there are any.
    pub(crate) fn notify_waiting(&self) {
        if self.state.is_awaited() {
            self.notify();
        }
    }

    /// Waits until the task has left, or was cancelled and its outcome is known.
    pub(crate) fn wait_end(&self, limit: Duration) -> bool {
        self.wait_until(limit, |end| self.state.is_finished() || end.outcome.is_some())
    }

    /// Waits until the task has left; returns whether it has.
    pub(crate) fn wait_finished(&self, limit: Duration) -> bool {
        self.wait_until(limit, |_| self.state.is_finished())
    }

    /// Sleeps for `time` or until the task is cancelled; returns whether it is cancelled.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        self.wait_until(time, |_| self.state.is_cancelled())
    }

    /// Waits until `seen` holds; returns whether it does.
    fn wait_until(&self, limit: Duration, seen: impl Fn(&End) -> bool) -> bool {
        let until = std::time::Instant::now().checked_add(limit);
        self.state.await_end();
        let mut end = self.end.lock();
        while !seen(&end) {
            match until {
                Some(until) if self.changed.wait_until(&mut end, until).timed_out() => return seen(&end),
                Some(_) => {}
                None => self.changed.wait(&mut end),
            }
        }
        true
    }

    /// Adds a handler; gives it back if the outcome is already known.
    pub(crate) fn on_cancel(&self, handler: Handler) -> Result<(), (Handler, Outcome)> {
        let mut end = self.end.lock();
        if let Some(outcome) = end.outcome {
            return Err((handler, outcome));
        }
        end.handlers.push(handler);
        drop(end);
        if self.state.handle() {
            self.drop_handlers();
        }
        Ok(())
    }

    /// Drops the handlers of a task that ended by itself. They may hold its token, which would keep both for ever.
    #[cold]
    fn drop_handlers(&self) {
        let handlers = std::mem::take(&mut self.end.lock().handlers);
        self.dispose(handlers);
    }

    /// Drops what belongs to the host, on a thread of its own where the calling thread must not run host code.
    fn dispose(&self, value: impl Send + 'static) {
        if errand::is_watcher() {
            self.home.inner.apart(Box::new(move || drop(value)));
        }
    }

    /// Publishes the outcome and hands out the handlers, which are there once. Whoever sees the outcome finds that they
    /// were handed out: `hand_out` must not wait for them, nor run them.
    pub(crate) fn settle(&self, outcome: Outcome, hand_out: impl FnOnce(Vec<Handler>)) {
        let mut end = self.end.lock();
        end.outcome = Some(outcome);
        let handlers = std::mem::take(&mut end.handlers);
        if !handlers.is_empty() {
            hand_out(handlers);
        }
        drop(end);
        self.changed.notify_all();
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.end.lock().outcome
    }

    /// Waits until the outcome of a cancellation is known.
    pub(crate) fn wait_outcome(&self, limit: Duration) -> Option<Outcome> {
        self.wait_until(limit, |end| {
            end.outcome.is_some() || (self.state.is_finished() && !self.state.is_cancelled())
        });
        self.outcome()
    }

    /// Whether the task is seen to be gone: by its own word, or by what its executor sees.
    pub(crate) fn is_gone(&self) -> bool {
        self.executor.is_gone().unwrap_or_else(|| self.state.is_finished())
    }

    /// Marks the task as gone and takes it off the table.
    pub(crate) fn finish(&self) -> Finish {
        let finish = self.state.finish();
        self.executor.left();
        match finish {
            Finish::ByItself => {
                self.home.inner.finished(self);
                if self.state.is_handled() {
                    self.drop_handlers();
                }
            }
            Finish::AfterCancel => self.home.inner.left(),
            Finish::Already => {}
        }
        finish
    }
}

fn deadline(profile: &Profile, started: Time, last_progress: Time) -> Time {
    let end = profile.max_duration().map_or(Time::NEVER, |d| started + d);
    let idle = profile.task().max_idle.map_or(Time::NEVER, |d| last_progress + d);
    end.min(idle)
}

/// The last holder may be a thread that watches.
impl Drop for Record {
    fn drop(&mut self) {
        let handlers = &mut self.end.get_mut().handlers;
        if (self.executor.holds_host_value() || !handlers.is_empty()) && errand::is_watcher() {
            let handlers = std::mem::take(handlers);
            // What stays is a thread that never began.
            let executor = std::mem::replace(&mut self.executor, Executor::Thread(Arc::default()));
            self.dispose((executor, handlers));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::supervisor::Supervisor;

    /// Between its cause and its request the first may stand for a while; what the second is followed by may be an end.
    #[test]
    fn a_cancellation_does_not_wait_for_an_earlier_one_that_has_only_given_its_cause() {
        let supervisor = Supervisor::builder().manual().unwrap();
        let task = supervisor.start("work", "craft").unwrap();
        let first = Cause::Asked("first".to_owned());
        task.token().record().blame(first.clone());
        assert!(task.cancel("second"));
        assert_eq!((task.is_cancelled(), task.cause()), (true, Some(first)));
    }
}
