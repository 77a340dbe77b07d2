//! The orderly end of a supervisor.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cause::Cause;
use super::executor::process;
use super::incident::TaskSummary;
use super::outcome::Outcome;
use super::record::Record;
use super::supervisor::Supervisor;
use crate::errand::join_by;
use crate::error::{Error, ErrorKind, Result};
use crate::timer::Watched;

/// Longer than any process lives.
pub(super) const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long the last log lines may take: a subscriber that hangs is no reason to wait for ever.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

impl Supervisor {
    pub(super) fn watched_by(&self, thread: JoinHandle<()>) {
        *self.0.watch.lock() = Some(thread);
    }

    /// Cancels every task, starts no more, and waits until each stop is verified and written and every `on_cancel`
    /// handler has returned. Returns what was not seen to stop; if nothing, the threads of all this have left too, unless
    /// the subscriber of the log hangs. After an error it can be called again, and returns then what the calls before
    /// have found as well.
    ///
    /// A command that another thread is just starting is a task all the same, and is cancelled.
    ///
    /// Called by a handler or a [`Stopper`](super::Stopper), it does not wait for those.
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut) if some stop was not verified, some start not over, or some handler not back,
    /// within `limit`; [`Io`](ErrorKind::Io) if incidents could not be written.
    ///
    /// # Blocking
    /// For at most `limit`.
    pub fn shutdown(&self, limit: Duration) -> Result<Vec<TaskSummary>> {
        // Copied and not taken: another thread may ask for the same at the same time.
        let mut records = self.0.ending.lock().clone();
        let left = self.end_by(limit, &mut records);
        let mut ending = self.0.ending.lock();
        match &left {
            Ok(_) => ending.clear(),
            Err(_) => {
                ending.append(&mut records);
                keep_each_once(&mut ending);
            }
        }
        left
    }

    /// Adds the running tasks to `records`, and ends them all.
    fn end_by(&self, limit: Duration, records: &mut Vec<Arc<Record>>) -> Result<Vec<TaskSummary>> {
        let inner = self.inner();
        // A limit beyond what the clock can hold is no limit.
        let begun = Instant::now();
        let until = begun.checked_add(limit).unwrap_or(begun + FOREVER);
        inner.closing.store(true, Ordering::SeqCst);
        inner.cancel_all(&Cause::Shutdown);
        inner.alarm.ring();
        // Kept at once: one of these may be settled and gone before the starts are over.
        inner.table.collect(records);
        if !inner.starts.wait(until) {
            return Err(timed_out(
                "a command was still being started at the end of the time given".to_owned(),
            ));
        }
        inner.cancel_all(&Cause::Shutdown);
        inner.table.collect(records);
        keep_each_once(records);
        let mut late = 0;
        for record in records.iter() {
            if !inner.threaded {
                inner.pass(inner.now());
            }
            let left = until.saturating_duration_since(Instant::now());
            late += usize::from(record.wait_outcome(left).is_none() && !record.state.is_finished());
        }
        if late > 0 {
            return Err(timed_out(format!(
                "not verified to have stopped in the time given: {late} of {} tasks",
                records.len()
            )));
        }
        inner.alarm.ring();
        // What was not written is told at the end: the rest of the shutdown does not depend on it.
        let written = inner.flush(until);
        // Handlers are started by this thread, so they are all known once it has left.
        let watch = self.0.watch.lock().take();
        if let Some(Err(thread)) = watch.map(|thread| join_by(thread, until)) {
            *self.0.watch.lock() = Some(thread);
            return Err(timed_out("the last stop was not settled in the time given".to_owned()));
        }
        if !inner.handlers.wait(until) {
            return Err(timed_out("an on_cancel handler has not returned in the time given".to_owned()));
        }
        let now = inner.now();
        records.retain(|r| r.outcome() == Some(Outcome::StillRunning));
        if records.is_empty() {
            // What a stopper stops is gone, so it has nothing left to do; were it slow to leave, nothing is lost.
            inner.stoppers.wait(until);
            inner.telling.wait(until);
            inner.log.wait(until.min(Instant::now() + LOG_PATIENCE));
            process::leave(until);
        }
        written?;
        Ok(records.iter().map(|r| inner.summary(r, now)).collect())
    }
}

fn keep_each_once(records: &mut Vec<Arc<Record>>) {
    records.sort_unstable_by_key(|record| record.id);
    records.dedup_by_key(|record| record.id);
}

fn timed_out(message: String) -> Error {
    Error::new(ErrorKind::TimedOut, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::state::Request;
    use crate::supervisor::watch::Begin;

    /// As bindings do, which wait in slices.
    #[test]
    fn a_task_whose_stop_is_not_proved_is_told_by_the_call_that_comes_to_the_end() {
        let supervisor = Supervisor::builder().manual().unwrap();
        let inner = supervisor.inner();
        let unproved = supervisor.start("unproved", "heal").unwrap();
        let slow = supervisor.start("slow", "heal").unwrap();
        assert_eq!(supervisor.shutdown(Duration::ZERO).unwrap_err().kind(), ErrorKind::TimedOut);
        let record = unproved.token().record().clone();
        drop(unproved);
        inner.pass(inner.now());
        // As it ends where a guardian was killed: it is not listed any more.
        record.settle(Outcome::StillRunning, drop);
        assert_eq!(supervisor.shutdown(Duration::ZERO).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(slow);
        let left = supervisor.shutdown(Duration::from_secs(20)).unwrap();
        assert_eq!(left.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["unproved"]);
    }

    #[test]
    fn two_threads_that_shut_down_at_once_are_both_told_what_is_left() {
        let supervisor = Supervisor::builder().manual().unwrap();
        let inner = supervisor.inner();
        let unproved = supervisor.start("unproved", "heal").unwrap();
        let slow = supervisor.start("slow", "heal").unwrap();
        let record = unproved.token().record().clone();
        supervisor.shutdown(Duration::ZERO).unwrap_err();
        drop(unproved);
        inner.pass(inner.now());
        record.settle(Outcome::StillRunning, drop);
        let known = Arc::strong_count(&record);
        std::thread::scope(|scope| {
            let end = || supervisor.shutdown(Duration::from_secs(20)).map(|left| left.len());
            let both = [scope.spawn(end), scope.spawn(end)];
            let begun = Instant::now();
            while Arc::strong_count(&record) < known + 2 && begun.elapsed() < Duration::from_secs(10) {
                std::thread::yield_now();
            }
            drop(slow);
            inner.pass(inner.now());
            for one in both {
                assert_eq!(one.join().unwrap().unwrap(), 1);
            }
        });
    }

    /// A shutdown waits for the handlers that were handed out once it sees the outcome; the watch thread, which hands them
    /// out, may have been waited for by another.
    #[test]
    fn who_sees_an_outcome_finds_its_handlers_handed_out() {
        let supervisor = Supervisor::builder().manual().unwrap();
        let task = supervisor.start("task", "heal").unwrap();
        task.on_cancel(|_| ());
        let record = task.token().record().clone();
        std::thread::scope(|scope| {
            let (told, seen) = std::sync::mpsc::channel();
            record.settle(Outcome::Stopped, |handlers| {
                let record = &record;
                scope.spawn(move || told.send(record.outcome()));
                assert!(seen.recv_timeout(Duration::from_millis(50)).is_err(), "seen before that");
                drop(handlers);
            });
            assert_eq!(seen.recv().unwrap(), Some(Outcome::Stopped));
        });
    }

    /// Between the moment at which a sample's thread has asked a task and the one at which it hands the cancellation
    /// over, that thread may be held up for long.
    #[test]
    fn the_watch_does_not_end_before_a_cancellation_that_is_on_its_way() {
        let supervisor = Supervisor::builder().manual().unwrap();
        let inner = supervisor.inner();
        let task = supervisor.start("late", "heal").unwrap();
        let record = task.token().record().clone();
        record.blame(Cause::Asked("by a sample".to_owned()));
        assert_eq!(record.state.request(), Request::Won);
        drop(task);
        inner.closing.store(true, Ordering::SeqCst);
        assert!(inner.pass(inner.now()), "there is something left to watch");
        inner.inbox.lock().push_back(Begin { record: record.clone(), at: inner.now(), blame: Vec::new() });
        assert!(!inner.pass(inner.now()));
        assert_eq!(record.outcome(), Some(Outcome::Stopped));
    }
}
