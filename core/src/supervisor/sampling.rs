//! Turns tasks into readings for the engine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{HostReading, TaskId, TaskReading};
use super::executor::Executor;
use super::executor::process::TreeUse;
use super::executor::thread_clock::ThreadClock;
use super::inner::Inner;
use super::nesting::{self, Stay};
use super::record::Record;
use crate::clock::Time;
use crate::monitor::{ProcessTable, Sample, TopProcess};

/// Processes named in an incident.
const TOP: usize = 5;
/// How often they are read at most.
const TOP_EVERY: Duration = Duration::from_millis(500);

/// The busiest processes since a spike began, and when they were read.
pub(crate) type Busiest = (Arc<ProcessTable>, Time, Vec<TopProcess>);

/// What the looks at one task have shown so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time since the first look; for a process tree since its start.
    total: Option<Duration>,
    /// Percent of one core between the last two looks.
    pub(crate) percent: Option<f64>,
    /// The nearest task around it whose processor time includes its own.
    inside: Option<TaskId>,
    /// Whether coroutines took turns with it since the look before: what it used then is unknown.
    shared: bool,
    turns: u64,
    /// The raw clock at the last look.
    raw: Option<Duration>,
    at: Time,
}

impl Usage {
    /// Takes in a raw clock that never runs backwards while the same thing is measured.
    fn look(&mut self, raw: Option<Duration>, now: Time, from_start: bool) {
        let spent = match (self.raw, raw) {
            (Some(before), Some(raw)) => Some(raw.saturating_sub(before)),
            _ => None,
        };
        let elapsed = now.since(self.at).as_secs_f64();
        self.percent = spent.filter(|_| elapsed > 0.0).map(|s| s.as_secs_f64() / elapsed * 100.0);
        self.total = match (from_start, raw) {
            (true, raw) => raw.or(self.total),
            // The first look only sets the mark: what came before it is unknown, not zero.
            (false, _) => match (self.total, spent) {
                (Some(total), spent) => Some(total + spent.unwrap_or_default()),
                (None, Some(spent)) => Some(spent),
                (None, None) => None,
            },
        };
        if raw.is_some() {
            self.raw = raw;
            self.at = now;
        }
    }

    /// Takes in a look at its thread.
    fn look_at_thread(&mut self, seen: &ThreadLook, shared: bool) {
        if shared {
            // What was used in between is nobody's: only the mark moves on.
            self.raw = None;
        }
        self.look(seen.time, seen.at, false);
        (self.shared, self.turns) = (shared, seen.turns);
    }

    /// Whether coroutines took turns with it since the last look.
    fn is_shared(&self, record: &Record, seen: &ThreadLook) -> bool {
        takes_turns(record) && self.raw.is_some() && self.turns != seen.turns
    }

    /// Processor time since the first look, if all of it is known to be the task's own.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        self.total.filter(|_| !self.shared)
    }

    /// As [`cpu_time`](Usage::cpu_time), and zero at the first look, so that what comes after it is counted from there:
    /// the task around it counts from there too. Of one that takes turns it is not known yet whether it does.
    fn cpu_time_since_seen(&self, record: &Record) -> Option<Duration> {
        let first = self.raw.filter(|_| self.total.is_none() && !takes_turns(record));
        self.cpu_time().or(first.map(|_| Duration::ZERO))
    }

    /// Takes in the last look at a process tree. Trees are looked at on a thread with a time of its own, so
    /// the look's own moment counts: between two samples there may be two looks, or none.
    fn look_at_tree(&mut self, seen: &TreeUse) {
        if seen.at > self.at {
            self.look(seen.cpu_time, seen.at, true);
        }
    }
}

/// What a look at a thread saw. Each is read once, so that all tasks on it are charged from one reading.
struct ThreadLook {
    time: Option<Duration>,
    at: Time,
    /// What its coroutines have to tell.
    turns: u64,
}

/// What the looks at all tasks have shown so far.
pub(crate) type Usages = HashMap<TaskId, Usage>;

impl Inner {
    /// Looks at every task and lets the engine decide. Runs after each sample of the monitor.
    pub(crate) fn observe(self: &Arc<Self>, sample: &Sample) {
        if self.passes.is_closed() {
            return;
        }
        let mut records = Vec::new();
        self.table.collect(&mut records);
        self.measure(&records);
        // Under the lock, so that no profile is replaced between a reading and the decision over it.
        let mut engine = self.engine.lock();
        let readings: Vec<TaskReading> = records.iter().map(|r| self.reading(r)).collect();
        let actions = engine.observe(sample.at, &host_reading(sample), &readings);
        let broken = engine.is_host_broken();
        drop(engine);
        self.note_spike(broken);
        self.apply(actions);
    }

    /// Remembers all processes when a host limit is first broken, and forgets them when none is any more.
    fn note_spike(&self, broken: bool) {
        let mut spike = self.spike.lock();
        if !broken {
            *spike = None;
        } else if spike.is_none() {
            *spike = ProcessTable::read().ok().map(Arc::new);
        }
    }

    /// The processes that used most since a host limit was first broken. Empty while none is. Reads the whole process
    /// table, which takes long just when it is large.
    /// Incidents that come close together share what one of them read.
    pub(crate) fn top_processes(&self) -> Vec<TopProcess> {
        let Some(before) = self.spike.lock().clone() else { return Vec::new() };
        let mut last = self.top.lock();
        match &*last {
            Some((since, at, top)) if Arc::ptr_eq(since, &before) && self.now().since(*at) < TOP_EVERY => {
                top.clone()
            }
            _ => {
                let top = ProcessTable::read().map_or_else(|_| Vec::new(), |now| now.by_cpu(&before, TOP));
                *last = Some((before, self.now(), top.clone()));
                top
            }
        }
    }

    /// Reads the clocks of all given tasks.
    fn measure(&self, records: &[Arc<Record>]) {
        let before = self.usage.load();
        let threads = self.look_at_threads(records);
        let mut stays = Vec::new();
        let mut usage = Usages::with_capacity(records.len());
        for record in records {
            // Clocks are read one after another, well after the sample: each has its own moment.
            let now = self.now();
            let mut one = before.get(&record.id).cloned().unwrap_or_default();
            one.inside = None;
            match &record.executor {
                Executor::Cooperative(_) | Executor::Thread(_) => {
                    if let Some(thread) = thread_of(record)
                        && let Some(seen) = threads.get(&key(thread))
                    {
                        let shared = one.is_shared(record, seen);
                        one.look_at_thread(seen, shared);
                        stays.push(Stay::of(key(thread), record.started, record.id).taking_turns(shared));
                    }
                }
                Executor::Future(future) => {
                    let (time, poll) = future.look();
                    one.look(Some(time), now, true);
                    stays.extend(poll.map(|poll| {
                        Stay::of(key(&poll.thread), poll.since, record.id).polled(poll.around, !poll.runs())
                    }));
                }
                Executor::Process(work) => one.look_at_tree(&work.tree.latest_use()),
                Executor::Custom(_) => {}
            }
            usage.insert(record.id, one);
        }
        nesting::inside(&stays, |task, around| {
            if let Some(usage) = usage.get_mut(&task) {
                usage.inside = Some(around);
            }
        });
        self.usage.store(Arc::new(usage));
    }

    /// Looks at every thread that a task runs on.
    fn look_at_threads(&self, records: &[Arc<Record>]) -> HashMap<usize, ThreadLook> {
        let mut threads = HashMap::new();
        for thread in records.iter().filter_map(|record| thread_of(record)) {
            threads.entry(key(thread)).or_insert_with(|| ThreadLook {
                time: thread.read(),
                at: self.now(),
                turns: thread.turns().look(),
            });
        }
        threads
    }

    /// What the looks at one task have shown so far.
    pub(crate) fn usage_of(&self, id: TaskId) -> Usage {
        self.usage.load().get(&id).cloned().unwrap_or_default()
    }

    /// What is known of one task now.
    pub(crate) fn reading(&self, record: &Record) -> TaskReading {
        let usage = self.usage_of(record.id);
        let tree = record.executor.tree_use();
        TaskReading {
            id: record.id,
            profile: record.profile(),
            executor: record.executor.kind(),
            started: record.started,
            last_progress: record.last_progress(),
            cancelling: record.state.is_cancelled(),
            cpu_time: tree.as_ref().and_then(|t| t.cpu_time).max(usage.cpu_time_since_seen(record)),
            cpu_percent: usage.percent,
            inside: usage.inside,
            memory_bytes: tree.as_ref().and_then(|t| t.memory_bytes),
            processes: tree.as_ref().and_then(|t| t.processes),
            output_bytes: tree.as_ref().and_then(|t| t.output_bytes),
        }
    }
}

/// Threads are told apart by the address of their clock, which the records keep alive.
fn key(thread: &Arc<ThreadClock>) -> usize {
    Arc::as_ptr(thread) as usize
}

/// The clock of the thread that a task runs on, where it runs on one.
fn thread_of(record: &Record) -> Option<&Arc<ThreadClock>> {
    match &record.executor {
        Executor::Cooperative(section) => Some(section.thread()),
        Executor::Thread(thread) => thread.clock(),
        _ => None,
    }
}

/// Whether other coroutines run on its thread in between.
fn takes_turns(record: &Record) -> bool {
    matches!(&record.executor, Executor::Cooperative(section) if section.takes_turns())
}

/// What the engine needs of a sample.
fn host_reading(sample: &Sample) -> HostReading {
    HostReading {
        cpu_percent: sample.cpu.as_ref().map(|c| c.percent),
        cpu_busy: sample.cpu.as_ref().map(|c| c.busy),
        cpu_demand_percent: sample.cpu.as_ref().and_then(|c| c.demand_percent),
        cpu_capacity: sample.cpu.as_ref().map_or(0.0, |c| c.capacity),
        memory_percent: sample.memory.as_ref().map(|m| m.percent),
        memory_used_bytes: sample.memory.as_ref().map(|m| m.used_bytes),
        memory_limit_bytes: sample.memory.as_ref().map_or(0, |m| m.limit_bytes),
        fps: sample.signals.fps,
        latency_ms: sample.signals.latency_ms,
        response_ms: sample.signals.response_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn what_came_before_the_first_look_is_unknown_and_not_zero() {
        let mut u = Usage::default();
        u.look(Some(S * 100), Time::ZERO + S, false);
        assert_eq!((u.total, u.percent), (None, None));
        u.look(Some(S * 101), Time::ZERO + S * 3, false);
        assert_eq!(u.total, Some(S));
        assert_eq!(u.percent, Some(50.0));
    }

    #[test]
    fn the_use_of_a_tree_is_reckoned_between_its_own_looks() {
        let ms = Duration::from_millis;
        let seen = |n: u64| TreeUse { cpu_time: Some(ms(n)), at: Time::ZERO + ms(n), ..TreeUse::default() };
        let mut u = Usage::default();
        // A tree that keeps one core busy, sampled every 100 ms and looked at nearly as often.
        let mut percents = Vec::new();
        for look in [99, 99, 301, 399, 399, 601] {
            u.look_at_tree(&seen(look));
            percents.extend(u.percent);
        }
        assert_eq!(percents, [100.0; 4]);
        assert_eq!(u.total, Some(ms(601)));
    }

    #[test]
    fn a_failed_look_is_unknown_and_loses_nothing() {
        let mut u = Usage::default();
        u.look(Some(S), Time::ZERO, false);
        u.look(Some(S * 2), Time::ZERO + S, false);
        u.look(None, Time::ZERO + S * 2, false);
        assert_eq!((u.total, u.percent), (Some(S), None));
        u.look(Some(S * 4), Time::ZERO + S * 3, false);
        assert_eq!((u.total, u.percent), (Some(S * 3), Some(100.0)));
    }
}
