//! A day of ten thousand tasks in virtual time, judged by the load generator's own record.
//!
//! The tasks are real ones of a supervisor without threads: they start, are cancelled, leave, and have their stop
//! verified and recorded as in any host, by a clock that the day moves. Only what they use is invented.

mod generator;
mod machine;

use std::collections::{BTreeMap, HashMap};

use super::super::metric;
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::monitor::Monitor;
use crate::supervisor::limit::Limit;
use crate::supervisor::{Supervisor, Task};
use generator::{DAY, Day, HARMS, Harm, Plan, TASKS};
use machine::{Machine, at};

const SETTLE: u64 = 2;

fn profiles() -> Vec<Profile> {
    let with_sustain = |seconds| {
        profile(|p| {
            p.sustain = Duration::from_secs(seconds);
            // Whoever is asked leaves, if late.
            p.grace = Duration::from_secs(60);
            p.host.max_cpu_percent = Some(80.0);
            p.host.max_memory_percent = Some(85.0);
            p.host.min_fps = Some(15.0);
            p.host.max_latency_ms = Some(500.0);
        })
    };
    [2, 3, 5].into_iter().map(with_sustain).collect()
}

fn limit_of(harm: Harm) -> usize {
    let limit = match harm {
        Harm::Cpu => Limit::HostCpuPercent,
        Harm::Memory => Limit::HostMemoryPercent,
        Harm::Frames => Limit::HostFps,
        Harm::Latency => Limit::HostLatencyMs,
    };
    metric::HOST_LIMITS.iter().position(|l| *l == limit).unwrap()
}

/// What the day showed.
#[derive(Default)]
struct Diary {
    started: usize,
    most_at_once: usize,
    /// Since when each culprit's own metric was truly broken while it did harm.
    broke: BTreeMap<TaskId, u64>,
    /// Samples since then that hid its metric or its own use.
    hidden: HashMap<TaskId, u64>,
    nominated: BTreeMap<TaskId, u64>,
    bystanders: Vec<TaskId>,
    /// Where the settle windows ended, in order.
    settled: Vec<u64>,
    external: usize,
    /// Cancellations while only outside load did harm.
    blamed_for_outside: Vec<TaskId>,
}

fn live(seed: u64) -> (Diary, BTreeMap<TaskId, Plan>) {
    let mut day = Day::new(seed);
    let plans: BTreeMap<TaskId, Plan> = day.tasks.iter().map(|p| (p.id, p.clone())).collect();
    let mut coming = std::mem::take(&mut day.tasks).into_iter().peekable();
    let (profiles, mut machine, mut diary) = (profiles(), Machine::default(), Diary::default());
    let clock = ManualClock::new();
    let monitor = Monitor::builder().clock(Arc::new(clock.clone())).manual().unwrap();
    let builder = Supervisor::builder().clock(clock.clone()).monitor(monitor);
    let supervisor = builder.settle(Duration::from_secs(SETTLE)).manual().unwrap();
    let inner = supervisor.inner();
    let mut tasks: HashMap<TaskId, Task> = HashMap::new();

    for now in 1..DAY {
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), at(now));
        while let Some(plan) = coming.next_if(|p| p.start < now) {
            let task = supervisor.start("of the day", &profiles[plan.profile]).unwrap();
            assert_eq!(task.id(), plan.id, "the plan counts as the supervisor does");
            tasks.insert(plan.id, task);
            machine.start(plan);
            diary.started += 1;
        }
        machine.running.retain(|r| {
            let left = r.gone_at.is_some_and(|t| t <= now);
            if left {
                diary.settled.push(now + SETTLE);
            }
            let stays = !left && (r.plan.end > now || r.gone_at.is_some());
            if !stays {
                drop(tasks.remove(&r.plan.id));
            }
            stays
        });
        supervisor.tick();
        diary.most_at_once = diary.most_at_once.max(machine.running.len());

        let second = machine.second(now, &mut day, &profiles);
        let (truth, told) = (metric::values(&second.truth), metric::values(&second.host));
        for (running, reading) in machine.running.iter().zip(&second.tasks) {
            let Some((harm, _)) = running.plan.harm.filter(|(_, from)| now >= *from) else { continue };
            let (id, i, profile) = (running.plan.id, limit_of(harm), &profiles[running.plan.profile]);
            let limit = metric::HOST_LIMITS[i];
            if limit.is_broken(profile.bound(limit).unwrap(), truth[i].unwrap()) {
                diary.broke.entry(id).or_insert(now);
                let hidden = told[i].is_none() || told[0].is_none() || reading.cpu_time.is_none();
                *diary.hidden.entry(id).or_default() += u64::from(hidden);
            } else if !diary.nominated.contains_key(&id) {
                // Another one left and took the breach away: this one's is still to come.
                diary.broke.remove(&id);
                diary.hidden.remove(&id);
            }
        }

        for reading in second.tasks.iter().filter(|t| t.cancelling) {
            assert!(tasks[&reading.id].is_cancelled());
        }
        let actions = inner.engine.lock().observe(clock.now(), &second.host, &second.tasks);
        if !actions.is_empty() {
            inner.apply(actions.clone());
            supervisor.tick();
        }
        for id in cancelled(&actions) {
            let running = machine.running.iter_mut().find(|r| r.plan.id == id).unwrap();
            assert!(running.gone_at.is_none() && diary.nominated.insert(id, now).is_none(), "{id} twice");
            running.gone_at = Some(now + running.plan.leaves);
            if running.plan.harm.is_none_or(|(_, from)| now < from) {
                diary.bystanders.push(id);
            }
            let alone = !plans.values().any(|p| p.harm.is_some_and(|(_, f)| f <= now && p.end > now));
            if alone {
                diary.blamed_for_outside.push(id);
            }
        }
        diary.external += recorded(&actions).iter().filter(|r| r.1 == NotCancelled::External).count();
    }
    assert_eq!(supervisor.status().active as usize, machine.running.len());
    drop(tasks);
    supervisor.tick();
    let status = supervisor.status();
    assert_eq!(status.stopped as usize, diary.nominated.len(), "every stop was verified");
    assert_eq!((status.killed, status.still_running, status.active), (0, 0, 0));
    assert_eq!((status.started, status.recorded as usize), (TASKS as u64, diary.external));
    (diary, plans)
}

#[test]
fn a_day_of_ten_thousand_tasks_costs_every_culprit_and_no_bystander() {
    let began = std::time::Instant::now();
    let (diary, plans) = live(2026);
    let sustain = |p: &Plan| profiles()[p.profile].sustain().as_secs();

    let (mut lone, mut overlapping, mut slowest) = (0, 0, 0);
    let mut by_harm: BTreeMap<Harm, usize> = BTreeMap::new();
    for (id, broke) in &diary.broke {
        let plan = &plans[id];
        let when = diary.nominated.get(id);
        let Some(when) = when else { panic!("{id} was never nominated: {plan:?}, broke at {broke}") };
        // Overlapping breaches are counted from the end of the settle window before.
        let settled = diary.settled.iter().copied().filter(|s| s <= when && s > broke).max();
        let from = if plan.lone { *broke } else { settled.unwrap_or(*broke) };
        // An unknown sample hides the span on either side of it.
        let late = (when - from).saturating_sub(sustain(plan) + 2 * diary.hidden[id]);
        assert!(
            late <= 2,
            "{id} {late} samples late: {plan:?}, broke {broke}, settled {settled:?}, went {when}"
        );
        slowest = slowest.max(late);
        *(if plan.lone { &mut lone } else { &mut overlapping }) += 1;
        *by_harm.entry(plan.harm.unwrap().0).or_default() += 1;
    }
    println!(
        "{} tasks, at most {} at once; culprits: {lone} alone, {overlapping} overlapping, {by_harm:?}; \
         slowest {slowest} samples after its sustain time; {} external; bystanders {}; {:.1?}",
        diary.started,
        diary.most_at_once,
        diary.external,
        diary.bystanders.len(),
        began.elapsed(),
    );
    assert_eq!(diary.bystanders, NOBODY);
    assert_eq!(diary.blamed_for_outside, NOBODY);
    assert_eq!(diary.started, TASKS);
    assert!(diary.external > 0 && lone > 100 && overlapping > 100);
    assert!(HARMS.iter().all(|h| by_harm.get(h).is_some_and(|n| *n > 20)));
}
