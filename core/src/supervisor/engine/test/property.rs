//! What holds for all readings whatever.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::supervisor::engine::metric;
use crate::supervisor::limit::Limit;

/// Readings and events of one run, all drawn at random.
#[derive(Clone, Debug)]
struct Script {
    settings: EngineSettings,
    profiles: Vec<Profile>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    wait_ms: u64,
    host: HostReading,
    tasks: Vec<TaskReading>,
    /// The nominated tasks whose cancellation ends before this step.
    verify: bool,
    forget: Option<TaskId>,
}

/// Mostly sensible, at times unknown or no number.
fn value(most: f64) -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        8 => (0.0..most).prop_map(Some),
        4 => (most * 0.8..most).prop_map(Some),
        1 => Just(None),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -1.0, f64::MAX]).prop_map(Some),
    ]
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let host = (
        option::of(0.0..100f64),
        option::of(0.0..100f64),
        option::of(0.0..60f64),
        option::of(0.0..900f64),
        option::of(0.0..900f64),
    );
    let task =
        (option::weighted(0.2, 0.0..400f64), option::weighted(0.2, 0.0..8e3), option::weighted(0.1, 0..9u64));
    (host, task, 0..6u64, prop::bool::weighted(0.8), prop::bool::weighted(0.2), 0..3u8).prop_map(
        |(host, task, sustain, auto_cancel, any, level)| {
            profile(|p| {
                p.sustain = Duration::from_secs(sustain);
                p.auto_cancel = auto_cancel;
                p.blame = if any { Blame::Any } else { Blame::Culprit };
                p.level = [Level::Safe, Level::Risky, Level::Dangerous][level as usize];
                p.host.max_cpu_percent = host.0;
                p.host.max_memory_percent = host.1;
                p.host.min_fps = host.2;
                p.host.max_latency_ms = host.3;
                p.host.max_response_ms = host.4;
                p.task.max_cpu_percent = task.0;
                p.task.max_memory_mib = task.1;
                p.task.max_processes = task.2;
            })
        },
    )
}

fn any_task(profiles: Vec<Profile>) -> impl Strategy<Value = TaskReading> {
    let used = (value(400.0), option::weighted(0.9, 0..200_000u64), option::weighted(0.9, 0..8 * GIB));
    let counted = (option::of(0..10u64), option::of(any::<u64>()));
    let around = option::weighted(0.3, 1..9u64);
    (1..9u64, used, counted, around, prop::bool::weighted(0.05), any::<bool>()).prop_map(
        move |(id, (percent, time, memory), (processes, output), around, cancelling, thread)| {
            let mut t = task(id, &profiles[id as usize % profiles.len()]);
            t.executor = if thread { ExecutorKind::Thread } else { ExecutorKind::Process };
            (t.cancelling, t.inside) = (cancelling, around);
            (t.cpu_percent, t.cpu_time) = (percent, time.map(Duration::from_millis));
            (t.memory_bytes, t.processes, t.output_bytes) = (memory, processes, output);
            t
        },
    )
}

fn any_step(profiles: Vec<Profile>) -> impl Strategy<Value = Step> {
    let machine = (value(100.0), option::weighted(0.9, 0..400_000u64), 0.0..8f64);
    let memory = (value(100.0), option::weighted(0.9, 0..16 * GIB));
    let signals = (value(60.0), value(1000.0), value(1000.0));
    let tasks = vec(any_task(profiles), 0..8).prop_map(|mut tasks| {
        tasks.sort_by_key(|t| t.id);
        tasks.dedup_by_key(|t| t.id);
        tasks
    });
    (
        0..3000u64,
        (machine, value(400.0)),
        memory,
        signals,
        tasks,
        any::<bool>(),
        option::weighted(0.1, 1..9u64),
    )
        .prop_map(|(wait_ms, (cpu, demand), memory, signals, tasks, verify, forget)| Step {
            wait_ms,
            host: HostReading {
                cpu_percent: cpu.0,
                cpu_busy: cpu.1.map(Duration::from_millis),
                cpu_demand_percent: demand,
                cpu_capacity: cpu.2,
                memory_percent: memory.0,
                memory_used_bytes: memory.1,
                memory_limit_bytes: 16 * GIB,
                fps: signals.0,
                latency_ms: signals.1,
                response_ms: signals.2,
            },
            tasks,
            verify,
            forget,
        })
}

prop_compose! {
    fn any_script(mode: Mode)(profiles in vec(any_profile(), 1..4))(
        steps in vec(any_step(profiles.clone()), 1..50),
        profiles in Just(profiles),
        settle in 0..4u64,
        most in 0..12u32,
    ) -> Script {
        let settings = EngineSettings {
            mode,
            settle: Duration::from_secs(settle),
            max_cancellations_per_minute: most,
            ..Default::default()
        };
        Script { settings, profiles, steps }
    }
}

/// What came of one step.
struct Came {
    at: Time,
    actions: Vec<Action>,
}

/// Plays a script; `order` may rearrange the tasks of a step. A task is not forgotten while it is listed
/// later on: that would be another task, and ids are never used twice.
fn play(script: &Script, order: impl Fn(usize, &mut Vec<TaskReading>)) -> (Vec<Came>, Vec<(TaskId, Time)>) {
    let mut engine = Engine::new(script.settings.clone());
    let (mut at, mut came, mut waiting, mut verified) = (s(10.0), Vec::new(), Vec::new(), Vec::new());
    for (i, step) in script.steps.iter().enumerate() {
        at = at + Duration::from_millis(step.wait_ms);
        if step.verify {
            for id in waiting.drain(..) {
                engine.verified(id, at);
                verified.push((id, at));
            }
        }
        if let Some(id) = step.forget
            && !script.steps[i..].iter().any(|s| s.tasks.iter().any(|t| t.id == id))
        {
            engine.forget(id);
            verified.push((id, at));
            waiting.retain(|w| *w != id);
        }
        let mut tasks = step.tasks.clone();
        order(i, &mut tasks);
        let actions = engine.observe(at, &step.host, &tasks);
        waiting.extend(cancelled(&actions));
        came.push(Came { at, actions });
    }
    (came, verified)
}

fn as_drawn(_: usize, _: &mut Vec<TaskReading>) {}

fn profile_of(script: &Script, id: TaskId) -> &Profile {
    &script.profiles[id as usize % script.profiles.len()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_task_is_cancelled_at_most_once_and_never_while_it_is_leaving(script in any_script(Mode::Enforce)) {
        let mut gone = std::collections::HashSet::new();
        for (came, step) in play(&script, as_drawn).0.iter().zip(&script.steps) {
            for id in cancelled(&came.actions) {
                prop_assert!(gone.insert(id), "{id} twice");
                let reading = step.tasks.iter().find(|t| t.id == id);
                prop_assert!(reading.is_some_and(|t| !t.cancelling && t.profile.auto_cancel()));
            }
        }
    }

    #[test]
    fn nobody_below_the_minimum_share_is_nominated(script in any_script(Mode::Enforce)) {
        for came in play(&script, as_drawn).0 {
            for action in came.actions {
                let Action::Cancel { task, breach, blame } = action else { continue };
                let p = profile_of(&script, task);
                if !breach.limit.is_host() || p.blame() == Blame::Any {
                    continue;
                }
                let line = blame.iter().find(|l| l.task == task);
                prop_assert!(line.is_some_and(|l| l.eligible && l.share >= script.settings.min_share));
                prop_assert!(breach.limit.is_broken(breach.bound, breach.observed));
                prop_assert!(breach.sustained_s >= p.sustain().as_secs_f64());
                prop_assert!(came.at >= Time::ZERO + p.sustain());
            }
        }
    }

    #[test]
    fn one_nomination_until_it_was_verified_and_settled(script in any_script(Mode::Enforce)) {
        let (came, verified) = play(&script, as_drawn);
        let mut held: Vec<TaskId> = Vec::new();
        for Came { at, actions } in came {
            let host: Vec<TaskId> = actions
                .iter()
                .filter_map(|a| match a {
                    Action::Cancel { task, breach, .. } if breach.limit.is_host() => Some(*task),
                    _ => None,
                })
                .collect();
            let mut nominated = host.clone();
            nominated.retain(|id| profile_of(&script, *id).blame() == Blame::Culprit);
            prop_assert!(nominated.len() <= 1);
            if !nominated.is_empty() {
                for id in &held {
                    let end = verified.iter().find(|(v, _)| v == id).map(|(_, end)| *end);
                    prop_assert!(end.is_some_and(|end| at >= end + script.settings.settle), "{id} not settled");
                }
            }
            held.extend(host);
        }
    }

    #[test]
    fn observe_mode_never_cancels(script in any_script(Mode::Observe)) {
        for came in play(&script, as_drawn).0 {
            prop_assert_eq!(cancelled(&came.actions), NOBODY);
        }
    }

    #[test]
    fn an_unknown_value_is_never_acted_upon(script in any_script(Mode::Enforce)) {
        for (came, step) in play(&script, as_drawn).0.iter().zip(&script.steps) {
            for action in &came.actions {
                let (id, breach) = match action {
                    Action::Cancel { task, breach, .. } => (Some(*task), breach),
                    Action::Record { task, breach, .. } => (*task, breach),
                };
                let read = step.tasks.iter().find(|t| Some(t.id) == id);
                let seen = match breach.limit {
                    Limit::TaskCpuPercent => metric::known(read.and_then(|t| t.cpu_percent)).is_some(),
                    Limit::TaskMemoryMib => read.is_some_and(|t| t.memory_bytes.is_some()),
                    Limit::TaskProcesses => read.is_some_and(|t| t.processes.is_some()),
                    limit => {
                        let place = metric::HOST_LIMITS.iter().position(|l| *l == limit);
                        place.is_some_and(|i| metric::values(&step.host)[i].is_some())
                    }
                };
                prop_assert!(seen, "{action:?}");
            }
        }
    }

    #[test]
    fn the_same_readings_give_the_same_decisions_in_any_order(script in any_script(Mode::Enforce), turn in 0..8usize) {
        let (first, _) = play(&script, as_drawn);
        let (again, _) = play(&script, as_drawn);
        let (turned, _) = play(&script, |i, tasks| {
            let by = (turn + i) % tasks.len().max(1);
            tasks.rotate_left(by);
            if i % 2 == 0 {
                tasks.reverse();
            }
        });
        for ((a, b), c) in first.iter().zip(&again).zip(&turned) {
            prop_assert_eq!(&a.actions, &b.actions);
            prop_assert_eq!(&a.actions, &c.actions);
        }
    }

    #[test]
    fn outside_load_that_breaks_the_bound_alone_cancels_nobody(
        outside in vec(3.21..4.0f64, 5..40),
        loads in vec(0.0..1.0f64, 1..8),
        memory in vec(0..GIB, 8),
    ) {
        let p = profile(|p| (p.host.max_cpu_percent, p.host.max_memory_percent) = (Some(80.0), Some(50.0)));
        let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
        for (i, load) in loads.iter().enumerate() {
            m.add(i as u64 + 1, &p, load / loads.len() as f64 * 0.79);
            m.task(i as u64 + 1).memory_bytes = Some(memory[i]);
        }
        let used = 9 * GIB + memory.iter().sum::<u64>();
        m.host.memory_used_bytes = Some(used);
        m.host.memory_percent = Some(used as f64 / (16 * GIB) as f64 * 100.0);
        for cores in outside {
            m.outside = cores;
            prop_assert_eq!(cancelled(&m.step(&mut e)), NOBODY);
        }
    }
    #[test]
    fn slow_frames_and_answers_cost_only_the_one_who_uses_most_and_enough(
        signal in 2..5usize,
        loads in vec(0.0..1.5f64, 1..8),
        outside in 0.0..4.0f64,
    ) {
        let (mut m, mut e) = slow(signal, &loads, outside);
        let total = outside + loads.iter().sum::<f64>();
        let least = EngineSettings::default();
        let enough = |load: f64| load / total >= least.min_share && load * 100.0 >= least.min_core_percent;
        let near = |load: f64| (load / total - least.min_share).abs() < 1e-6 || (load * 100.0 - least.min_core_percent).abs() < 1e-6;
        prop_assume!(!loads.iter().any(|l| near(*l)));
        let most = loads.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let culprit = most.filter(|(_, load)| enough(*load)).map(|(i, _)| i as TaskId + 1);
        let all = m.run(&mut e, 20);
        prop_assert_eq!(cancelled(&all), culprit.into_iter().collect::<Vec<_>>());
        let external = recorded(&all).contains(&(None, NotCancelled::External));
        prop_assert_eq!(external, culprit.is_none(), "{:?}", all);
    }

    #[test]
    fn slow_frames_and_answers_from_outside_cancel_nobody(
        signal in 2..5usize,
        // Together with others' load nobody has a tenth of it; or the machine is idle, and a large part is little.
        (outside, most) in prop_oneof![(3.3..4.0f64).prop_map(|o| (o, 0.33)), (0.0..0.3f64).prop_map(|o| (o, 0.099))],
        parts in vec(0.0..1.0f64, 1..8),
        changes in vec(0.9..1.0f64, 30),
    ) {
        let loads: Vec<f64> = parts.iter().map(|p| p * most).collect();
        let (mut m, mut e) = slow(signal, &loads, outside);
        for change in changes {
            for ((_, load), full) in m.tasks.iter_mut().zip(&loads) {
                *load = full * change;
            }
            prop_assert_eq!(cancelled(&m.step(&mut e)), NOBODY);
        }
    }
}

/// A machine with tasks of these loads in cores and one signal, by its place among the host limits, in breach.
fn slow(signal: usize, loads: &[f64], outside: f64) -> (Machine, Engine) {
    let p = profile(|p| {
        p.host.min_fps = Some(15.0);
        (p.host.max_latency_ms, p.host.max_response_ms) = (Some(500.0), Some(1000.0));
    });
    let mut m = Machine::new();
    for (id, load) in (1..).zip(loads) {
        m.add(id, &p, *load);
    }
    m.outside = outside;
    match metric::HOST_LIMITS[signal] {
        Limit::HostFps => m.host.fps = Some(5.0),
        Limit::HostLatencyMs => m.host.latency_ms = Some(900.0),
        _ => m.host.response_ms = Some(2000.0),
    }
    (m, Engine::new(EngineSettings::default()))
}
