//! What all handles of one supervisor share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::cause::Cause;
use super::engine::{Action, Contribution, Engine, TaskId, TaskReading};
use super::incident::{Blamed, IncidentLog};
use super::passes::Passes;
use super::profile::Profiles;
use super::record::Record;
use super::sampling::{Busiest, Usages};
use super::session::Sessions;
use super::starting::Starts;
use super::state::Request;
use super::table::Table;
use super::watch::{Active, Begin};
use crate::clock::{Clock, Time};
use crate::errand::{Errands, InTurn, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Bus;
use crate::monitor::{ProcessTable, SampleObserver, Samples};
use crate::timer::{Alarm, Watched};

pub(crate) struct Inner {
    pub(crate) table: Table,
    /// Whether there is a watch thread. Without one the host drives time by `tick`.
    pub(crate) threaded: bool,
    pub(crate) observing: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Alarm,
    pub(crate) bus: Bus,
    /// Samples only: a token that outlives the supervisor must not keep the monitor running.
    pub(crate) samples: Samples,
    pub(crate) profiles: Profiles,
    pub(crate) engine: Mutex<Engine>,
    pub(crate) incidents: IncidentLog,
    pub(crate) sessions: Sessions,
    /// How long a forced task is looked for before it is reported as still running.
    pub(crate) verify: Duration,
    /// Cancellations that the watch thread has not seen yet.
    pub(crate) inbox: Mutex<VecDeque<Begin>>,
    /// Cancellations in progress. Held during a pass.
    pub(crate) active: Mutex<Vec<Active>>,
    /// What the last looks saw, by task; only sampling replaces it.
    pub(crate) usage: ArcSwap<Usages>,
    /// Keeps the samples coming.
    pub(crate) observer: OnceLock<SampleObserver>,
    /// All processes as they were when a host limit was first broken, so that an incident can name the busiest.
    pub(crate) spike: Mutex<Option<Arc<ProcessTable>>>,
    /// The busiest processes as they were last read; locked only where host code may run.
    pub(crate) top: Mutex<Option<Busiest>>,
    /// Where `on_cancel` handlers run.
    pub(crate) handlers: Errands,
    /// Where stoppers of the host run, wakers of its futures, and drops of what it gave.
    pub(crate) stoppers: Errands,
    /// Where incidents are completed, handed to their file and told on the bus, in their order.
    pub(crate) telling: InTurn,
    /// Where log lines are written: the log's subscriber is host code and may block.
    pub(crate) log: InTurn,
    /// When host code that had no thread is tried again.
    pub(crate) retry: AtomicU64,
    /// Commands that are executed and not on the table yet.
    pub(crate) starts: Starts,
    pub(crate) closing: AtomicBool,
    pub(crate) passes: Passes,
}

impl Inner {
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Refuses new tasks once the supervisor was shut down.
    pub(crate) fn open(&self) -> Result<()> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::ShutDown, "no task is started: the supervisor was shut down"));
        }
        Ok(())
    }

    #[cold]
    pub(crate) fn publish_start(&self, record: &Record) {
        let profile = record.profile();
        let data = serde_json::json!({
            "id": record.id, "name": record.name, "profile": profile.name(),
            "level": profile.level(), "executor": record.executor.kind(),
        });
        self.bus.publish("task.started", Some(record.id.to_string()), data);
    }

    /// A task ended by itself.
    pub(crate) fn finished(&self, record: &Record) {
        self.table.remove(record);
        record.notify_waiting();
        if self.closing.load(Ordering::SeqCst) {
            // The watch thread leaves after the last task.
            self.alarm.ring();
        }
        if self.bus.wants("task.finished") {
            self.publish_finish(record);
        }
    }

    /// The processes of a task cannot be looked at, so that only its durations hold, or can be again.
    pub(crate) fn publish_unseen(&self, record: &Record, reason: Option<&str>) -> bool {
        let data = serde_json::json!({
            "source": "task", "task": record.id, "recovered": reason.is_none(), "reason": reason,
        });
        self.bus.publish("monitor.degraded", Some(record.id.to_string()), data);
        true
    }

    #[cold]
    fn publish_finish(&self, record: &Record) {
        let data = serde_json::json!({
            "id": record.id, "name": record.name, "profile": record.profile().name(),
            "seconds": self.now().since(record.started).as_secs_f64(),
        });
        self.bus.publish("task.finished", Some(record.id.to_string()), data);
    }

    /// A task ended after it was asked to; its cancellation is still to be settled.
    pub(crate) fn left(self: &Arc<Self>) {
        self.alarm.ring();
        // After the watch thread has left, a task that lingered settles its own end.
        if self.passes.is_closed() {
            self.pass(self.now());
        }
    }

    /// Cancels a task. Returns whether this call did.
    pub(crate) fn cancel(&self, record: &Arc<Record>, cause: Cause, blame: Vec<Contribution>) -> bool {
        // The first cause stands. Whoever gave it may not have come to ask yet, and is not waited for.
        record.blame(cause);
        match record.state.request() {
            Request::Won => {}
            Request::Already => return false,
            Request::TooLate => {
                self.left_uncancelled(record.id);
                return false;
            }
        }
        record.notify();
        // The names come after the request, which must not wait for them.
        let blame = self.named(blame);
        self.inbox.lock().push_back(Begin { record: record.clone(), at: self.now(), blame });
        self.alarm.ring();
        true
    }

    /// Cancels a task without a grace, or ends the grace that it has. Returns whether this call cancelled it.
    pub(crate) fn kill(&self, record: &Arc<Record>, cause: Cause) -> bool {
        record.hurry();
        let won = self.cancel(record, cause, Vec::new());
        self.alarm.ring();
        won
    }

    /// The ranking with the names of the tasks.
    pub(crate) fn named(&self, blame: Vec<Contribution>) -> Vec<Blamed> {
        if blame.is_empty() {
            return Vec::new();
        }
        let mut records = Vec::new();
        self.table.collect(&mut records);
        let name = |id| records.iter().find(|r| r.id == id).map(|r| r.name.to_string()).unwrap_or_default();
        blame.into_iter().map(|c| Blamed { name: name(c.task), contribution: c }).collect()
    }

    /// Runs what tells of an incident, off every thread that decides. A supervisor without threads runs it here.
    pub(crate) fn telling(&self, work: Work) {
        if !self.threaded {
            work();
        } else if self.telling.run(work) {
            // The watch thread tries again; nothing else may be due to it.
            self.alarm.ring();
        }
    }

    /// Runs what calls or drops a value of the host's, on a thread where that may block.
    pub(crate) fn apart(&self, work: Work) {
        if self.stoppers.run(work) {
            self.alarm.ring();
        }
    }

    /// Does what the engine decided.
    pub(crate) fn apply(self: &Arc<Self>, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Cancel { task, breach, blame } => {
                    // One that is being cancelled for another reason is waited for: its own stop will be verified.
                    match self.table.get(task) {
                        Some(record) if !record.state.ended_by_itself() => {
                            self.cancel(&record, Cause::Breach(breach), blame);
                        }
                        _ => self.left_uncancelled(task),
                    }
                }
                Action::Record { task, breach, blame, reason } => {
                    self.record_breach(task, breach, blame, reason)
                }
            }
        }
    }

    /// A task that the engine may have said to cancel left by itself: nothing of it is to be waited for.
    fn left_uncancelled(&self, task: TaskId) {
        let mut engine = self.engine.lock();
        engine.verified(task, self.now());
        engine.forget(task);
    }

    /// Holds one task against its own limits between two samples.
    pub(crate) fn check_between(self: &Arc<Self>, record: &Record) {
        // The percentage is the last sample's, which has been judged.
        let mut engine = self.engine.lock();
        let reading = TaskReading { cpu_percent: None, ..self.reading(record) };
        let action = engine.check_task(self.now(), &reading);
        drop(engine);
        self.apply(action.into_iter().collect());
    }

    pub(crate) fn task(&self, id: TaskId) -> Result<Arc<Record>> {
        self.table
            .get(id)
            .ok_or_else(|| Error::new(ErrorKind::UnknownTask, format!("no task with id {id} is running")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::monitor::Monitor;
    use crate::supervisor::engine::HostReading;
    use crate::supervisor::{Profile, Supervisor};

    const S: Duration = Duration::from_secs(1);

    fn by_hand() -> (ManualClock, Supervisor) {
        let clock = ManualClock::new();
        let monitor = Monitor::builder().clock(Arc::new(clock.clone())).manual().unwrap();
        let supervisor = Supervisor::builder().clock(clock.clone()).monitor(monitor).manual().unwrap();
        (clock, supervisor)
    }

    fn profile() -> Profile {
        Profile::builder("p").host_max_cpu_percent(80.0).build().unwrap()
    }

    /// Has the engine nominate a task, and returns what it decided.
    fn nominate(inner: &Inner, record: &Record) -> Vec<Action> {
        let reading = TaskReading { cpu_percent: Some(180.0), ..inner.reading(record) };
        let host = HostReading { cpu_percent: Some(99.0), cpu_capacity: 2.0, ..HostReading::default() };
        let mut engine = inner.engine.lock();
        let begun = inner.now();
        let tasks = std::slice::from_ref(&reading);
        let actions = (0..9).flat_map(|n| engine.observe(begun + S * n, &host, tasks)).collect();
        assert!(engine.is_waiting());
        actions
    }

    #[test]
    fn a_task_that_is_being_cancelled_for_another_reason_is_waited_for() {
        let (clock, supervisor) = by_hand();
        let task = supervisor.start("hog", profile()).unwrap();
        let inner = supervisor.inner();
        let actions = nominate(inner, task.record());
        assert!(matches!(&actions[..], [Action::Cancel { .. }]), "{actions:?}");
        // The host is faster.
        assert!(task.cancel("no longer wanted"));
        inner.apply(actions);
        clock.advance(S);
        supervisor.tick();
        assert!(inner.engine.lock().is_waiting(), "its stop is not verified yet");
        drop(task);
        supervisor.tick();
        assert!(!inner.engine.lock().is_waiting());
        assert_eq!(supervisor.incidents(9).len(), 1);
    }

    #[test]
    fn a_task_that_left_before_the_decision_was_carried_out_is_not_waited_for() {
        let (_, supervisor) = by_hand();
        let task = supervisor.start("hog", profile()).unwrap();
        let inner = supervisor.inner();
        let actions = nominate(inner, task.record());
        drop(task);
        inner.apply(actions);
        assert!(!inner.engine.lock().is_waiting());
    }

    #[test]
    fn a_task_that_left_while_the_decision_was_carried_out_is_not_waited_for() {
        let (_, supervisor) = by_hand();
        let task = supervisor.start("hog", profile()).unwrap();
        let (inner, record) = (supervisor.inner(), task.record().clone());
        nominate(inner, &record);
        assert!(inner.engine.lock().is_waiting());
        drop(task);
        // As `apply` does that found the task still there.
        assert!(!inner.cancel(&record, Cause::Shutdown, Vec::new()));
        assert!(!inner.engine.lock().is_waiting());
    }

    /// After its last pass the watch thread may be asked to pass once more, and find that a task which lingered does.
    #[test]
    fn the_watch_thread_leaves_although_a_task_that_ends_late_passes_in_its_place() {
        let (_, supervisor) = by_hand();
        let inner = supervisor.inner();
        inner.passes.pass(|| {
            // For whom it missed it passes once more.
            if !inner.passes.is_closed() {
                assert!(inner.pass(inner.now()), "while tasks run it goes on");
                inner.passes.close(|| ());
                assert!(!inner.pass(inner.now()));
            }
        });
    }
}
