//! The driver of deadlines and of stopping: a thin loop around the table, the engine and the ladders.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::cause::Cause;
use super::engine::{Breach, Contribution, NotCancelled, TaskId};
use super::incident::{ActionTaken, Blamed, Incident, SCHEMA, SamplePoint, TaskSummary};
use super::inner::Inner;
use super::ladder::{Ladder, Step};
use super::limit::Limit;
use super::outcome::Outcome;
use super::record::Record;
use crate::clock::Time;
use crate::errand;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::TopProcess;
use crate::timer::{Alarm, Watched};

/// Samples kept in an incident before the decision.
const SAMPLES_BEFORE: usize = 12;
/// Samples kept after it.
const SAMPLES_AFTER: usize = 12;

/// Log lines that may wait for a subscriber that blocks; later ones are given up.
const LOG_LINES: usize = 1024;

/// The busiest processes, once they were read.
type Top = Arc<OnceLock<Vec<TopProcess>>>;

/// A cancellation that was asked for.
pub(crate) struct Begin {
    pub(crate) record: Arc<Record>,
    pub(crate) at: Time,
    pub(crate) blame: Vec<Blamed>,
}

/// A cancellation in progress.
pub(crate) struct Active {
    pub(crate) record: Arc<Record>,
    ladder: Ladder,
    asked: Time,
    forced: Option<Time>,
    /// When the ladder wants to be looked at again.
    look: Time,
    lingering: bool,
    incident: Incident,
    top: Top,
}

impl Watched for Inner {
    fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn due(&self) -> Time {
        let active = self.active.lock().iter().map(|a| a.look).min().unwrap_or(Time::NEVER);
        let inbox = if self.inbox.lock().is_empty() { Time::NEVER } else { Time::ZERO };
        let retry = Time::from_nanos(self.retry.load(Ordering::Relaxed));
        self.table.earliest().min(active).min(inbox).min(retry)
    }

    fn pass(self: &Arc<Self>, now: Time) -> bool {
        let passed = self.passes.pass(|| self.pass_alone(&mut self.active.lock(), now));
        // Once all is closed, those that end pass for themselves: nobody would wake the watch thread again.
        passed.unwrap_or_else(|| !self.passes.is_closed())
    }
}

impl Inner {
    fn pass_alone(self: &Arc<Self>, active: &mut Vec<Active>, now: Time) -> bool {
        // Before the table is looked at: what is no longer being started is there.
        let closing = self.closing.load(Ordering::Acquire) && !self.starts.any();
        for record in self.table.due(now) {
            self.check_between(&record);
            self.table.renote(&record, now);
        }
        if self.closing.load(Ordering::Acquire) {
            self.cancel_all(&Cause::Shutdown);
        }
        // One by one, so that not even a panic loses more than what it came from.
        while let Some(begin) = self.next_begin() {
            active.push(self.begin(begin));
        }
        active.retain_mut(|one| self.step(one, now));
        self.retry_host_code(now);
        let busy = active.iter().any(|a| !a.lingering);
        // Who is asked to stop and has not come into the inbox yet is in the table all the same.
        let all_known = self.inbox.lock().is_empty() && self.table.len() == active.len();
        let over = closing && !busy && all_known;
        if over {
            // Whoever left before it could see that settles nothing itself: its end is looked for once more.
            self.passes.close(|| active.retain_mut(|one| self.step(one, now)));
        }
        !over
    }

    fn next_begin(&self) -> Option<Begin> {
        self.inbox.lock().pop_front()
    }

    /// Host code that found no thread gets another chance, here and a little later.
    fn retry_host_code(&self, now: Time) {
        let (handlers, stoppers) = (self.handlers.retry(), self.stoppers.retry());
        let (telling, log) = (self.telling.retry(), self.log.retry());
        let again = if handlers || stoppers || telling || log { now + errand::RETRY } else { Time::NEVER };
        self.retry.store(again.as_nanos(), Ordering::Relaxed);
    }

    /// Cancels every running task that was not cancelled yet; returns how many.
    pub(crate) fn cancel_all(&self, cause: &Cause) -> usize {
        let mut records = Vec::new();
        self.table.collect(&mut records);
        records.into_iter().filter(|r| self.cancel(r, cause.clone(), Vec::new())).count()
    }

    /// Sends the request and sets up the ladder and the draft of the incident.
    fn begin(self: &Arc<Self>, begin: Begin) -> Active {
        let Begin { record, at, blame } = begin;
        let cause = record.cause().cloned().unwrap_or(Cause::Shutdown);
        let over_memory = matches!(&cause, Cause::Breach(b) if b.limit == Limit::TaskMemoryMib);
        let grace = if over_memory { std::time::Duration::ZERO } else { record.profile().grace() };
        let woken = Arc::downgrade(self);
        let changed = move || {
            if let Some(inner) = woken.upgrade() {
                inner.alarm.ring();
            }
        };
        // Before the request: the processes that the record is to name may be gone right after it.
        let incident = self.draft(Some(&record), cause, at, blame);
        record.executor.request(|work| self.apart(work), changed);
        let top = self.read_top(&incident.cause);
        Active {
            ladder: Ladder::new(at, grace, self.verify),
            asked: at,
            forced: None,
            look: at,
            lingering: false,
            incident,
            top,
            record,
        }
    }

    /// Takes as many steps as are due. Returns whether the cancellation goes on.
    fn step(self: &Arc<Self>, one: &mut Active, now: Time) -> bool {
        if one.record.is_hurried() {
            one.ladder.hurry();
        }
        loop {
            let left = one.record.executor.tree_use().and_then(|t| t.processes);
            match one.ladder.step(now, one.record.is_gone(), left) {
                Step::Wait(until) => {
                    one.look = until;
                    return true;
                }
                Step::Force => {
                    let real = one.record.executor.force(|work| self.apart(work));
                    one.forced = real.then_some(now);
                    one.ladder.forced(now, real, left);
                }
                Step::Outcome(outcome) => self.settle(one, outcome, now),
                Step::Done => return false,
            }
        }
    }

    /// The outcome is known: tells the engine, the task's handlers, the incident file and the bus.
    fn settle(self: &Arc<Self>, one: &mut Active, outcome: Outcome, now: Time) {
        let record = &one.record;
        let gone = outcome != Outcome::StillRunning;
        let outcome = if gone { record.executor.judge(outcome) } else { outcome };
        if !one.lingering {
            self.engine.lock().verified(record.id, now);
        }
        if gone {
            record.state.finish();
            self.table.remove(record);
            self.engine.lock().forget(record.id);
        }
        let ms = |t: Time| t.since(one.asked).as_secs_f64() * 1e3;
        let incident = &mut one.incident;
        incident.outcome = Some(outcome);
        incident.unproved = record.executor.is_unproved();
        incident.forced_after_ms = one.forced.filter(|_| record.executor.used_force()).map(ms);
        incident.verified_after_ms = Some(ms(now));
        incident.alive = if outcome == Outcome::StillRunning { record.executor.pids() } else { Vec::new() };
        if !one.lingering {
            let after = self.samples.recent(SAMPLES_AFTER);
            let after = after.iter().filter(|s| s.at > one.asked);
            incident.samples.extend(after.map(|s| SamplePoint::of(s, one.asked)));
        }
        let lingered = std::mem::replace(&mut one.lingering, !gone);
        let incident = self.incidents.keep(one.incident.clone(), lingered);
        self.tell(incident, one.top.clone());
        record.settle(outcome, |handlers| {
            self.handlers.run(Box::new(move || {
                for handler in handlers {
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler(outcome))).is_err() {
                        tracing::error!("an on_cancel handler panicked; the others still run");
                    }
                }
            }));
        });
    }

    /// Records a breach that cancels nobody.
    pub(crate) fn record_breach(
        self: &Arc<Self>,
        task: Option<TaskId>,
        breach: Breach,
        blame: Vec<Contribution>,
        reason: NotCancelled,
    ) {
        let record = task.and_then(|id| self.table.get(id));
        let cause = Cause::Breach(breach);
        let mut incident = self.draft(record.as_deref(), cause, self.clock.now(), self.named(blame));
        incident.action = ActionTaken::Record;
        incident.reason = Some(reason);
        if reason == NotCancelled::Advisory {
            incident.outcome = Some(Outcome::Unenforceable);
        }
        let top = self.read_top(&incident.cause);
        let incident = self.incidents.keep(incident, false);
        self.tell(incident, top);
    }

    /// Has the busiest processes read in the background, for a host limit.
    fn read_top(self: &Arc<Self>, cause: &Cause) -> Top {
        let top = Top::default();
        if matches!(cause, Cause::Breach(b) if b.limit.is_host()) {
            let (inner, into) = (self.clone(), top.clone());
            self.telling(Box::new(move || drop(into.set(inner.top_processes()))));
        }
        top
    }

    /// Completes an incident, hands it to its file and tells of it on the bus and in the log, in the background.
    fn tell(self: &Arc<Self>, mut incident: Arc<Incident>, top: Top) {
        let inner = self.clone();
        self.telling(Box::new(move || {
            if let Some(top) = top.get() {
                inner.incidents.add_top(&incident.id, top);
                Arc::make_mut(&mut incident).top.clone_from(top);
            }
            inner.incidents.write(&incident);
            let topic = match incident.action {
                ActionTaken::Cancel => "task.cancelled",
                ActionTaken::Record => "task.breach",
            };
            if inner.bus.wants(topic) {
                let subject = incident.task.as_ref().map(|t| t.id.to_string());
                // Numbers and texts: JSON can hold them.
                if let Ok(data) = serde_json::to_value(&*incident) {
                    inner.bus.publish(topic, subject, data);
                }
            }
            let line = move || tracing::warn!(topic, incident = %incident.id, "{}", incident.summary());
            inner.log.run_unless_full(LOG_LINES, Box::new(line));
        }));
    }

    /// Waits until every incident so far was told and written.
    pub(crate) fn flush(&self, until: Instant) -> Result<()> {
        if !self.telling.flush(until) {
            let late = "an incident was not told and written in the time given";
            return Err(Error::new(ErrorKind::TimedOut, late));
        }
        self.incidents.flush(until)
    }

    fn draft(&self, record: Option<&Record>, cause: Cause, at: Time, blame: Vec<Blamed>) -> Incident {
        let before = self.samples.recent(SAMPLES_BEFORE);
        Incident {
            schema: SCHEMA,
            id: crate::id::unique(),
            time: humantime::format_rfc3339_millis(crate::clock::spellable(self.clock.wall())).to_string(),
            session: self.sessions.at(record.map_or(at, |r| r.started)),
            task: record.map(|r| self.summary(r, at)),
            cause,
            action: ActionTaken::Cancel,
            reason: None,
            blame,
            samples: before.iter().map(|s| SamplePoint::of(s, at)).collect(),
            top: Vec::new(),
            outcome: None,
            forced_after_ms: None,
            verified_after_ms: None,
            unproved: false,
            alive: Vec::new(),
        }
    }

    /// A task as listings show it.
    pub(crate) fn summary(&self, record: &Record, now: Time) -> TaskSummary {
        let usage = self.usage_of(record.id);
        let tree = record.executor.tree_use();
        let profile = record.profile();
        TaskSummary {
            id: record.id,
            name: record.name.to_string(),
            profile: profile.name().to_owned(),
            level: profile.level(),
            executor: record.executor.kind(),
            age_s: now.since(record.started).as_secs_f64(),
            cancelling: record.state.is_cancelled(),
            cpu_percent: usage.percent,
            cpu_s: tree.as_ref().and_then(|t| t.cpu_time).max(usage.cpu_time()).map(|t| t.as_secs_f64()),
            memory_bytes: tree.as_ref().and_then(|t| t.memory_bytes),
            output_bytes: tree.as_ref().and_then(|t| t.output_bytes),
            pids: record.executor.seen_pids(),
            command: record.executor.command(),
            env: record.executor.env(),
            outcome: record.outcome(),
        }
    }
}
