//! The limits on one task.

use super::*;
use crate::supervisor::limit::Limit;

fn limit_of(action: Option<Action>) -> Option<Limit> {
    match action {
        Some(Action::Cancel { breach, .. }) => Some(breach.limit),
        _ => None,
    }
}

#[test]
fn each_task_limit_cancels_on_one_valid_sample() {
    type Change = fn(&mut Settings);
    type Use = fn(&mut TaskReading);
    let cases: [(Change, Use, Limit); 6] = [
        (|p| p.max_duration = Some(Duration::from_secs(5)), |_| (), Limit::MaxDuration),
        (|p| p.task.max_idle = Some(Duration::from_secs(5)), |_| (), Limit::TaskIdle),
        (
            |p| p.task.max_cpu_seconds = Some(2.0),
            |t| t.cpu_time = Some(Duration::from_secs(3)),
            Limit::TaskCpuSeconds,
        ),
        (|p| p.task.max_memory_mib = Some(512.0), |t| t.memory_bytes = Some(GIB), Limit::TaskMemoryMib),
        (|p| p.task.max_processes = Some(4), |t| t.processes = Some(5), Limit::TaskProcesses),
        (|p| p.task.max_output_mib = Some(1.0), |t| t.output_bytes = Some(2 << 20), Limit::TaskOutputMib),
    ];
    for (change, used, limit) in cases {
        let mut t = task(1, &profile(change));
        used(&mut t);
        let mut engine = Engine::new(EngineSettings::default());
        assert_eq!(limit_of(engine.check_task(s(5.0), &t)), Some(limit));
        assert_eq!(engine.check_task(s(6.0), &t), None, "{limit}: never twice");
        assert_eq!(engine.observe(s(7.0), &HostReading::default(), &[t.clone()]), []);
    }
}

#[test]
fn a_duration_ends_at_its_deadline_and_not_before() {
    let t = task(1, &profile(|p| p.max_duration = Some(Duration::from_secs(5))));
    let mut engine = Engine::new(EngineSettings::default());
    assert_eq!(engine.check_task(s(4.999), &t), None);
    assert!(engine.check_task(s(5.0), &t).is_some());
}

#[test]
fn progress_keeps_an_idle_limit_away() {
    let mut t = task(1, &profile(|p| p.task.max_idle = Some(Duration::from_secs(5))));
    let mut engine = Engine::new(EngineSettings::default());
    t.last_progress = s(8.0);
    assert_eq!(engine.check_task(s(12.0), &t), None);
    assert_eq!(limit_of(engine.check_task(s(13.0), &t)), Some(Limit::TaskIdle));
}

#[test]
fn cpu_percent_must_be_broken_for_the_whole_sustain_time() {
    let mut t = task(1, &profile(|p| p.task.max_cpu_percent = Some(100.0)));
    let mut engine = Engine::new(EngineSettings::default());
    let mut at = |second: f64, percent: Option<f64>| {
        t.cpu_percent = percent;
        !engine.observe(s(second), &HostReading::default(), &[t.clone()]).is_empty()
    };
    assert!(!at(1.0, Some(150.0)));
    assert!(!at(3.0, Some(150.0)));
    assert!(!at(3.5, Some(90.0)), "a pause starts over");
    assert!(!at(4.0, Some(150.0)));
    assert!(!at(6.0, None), "unknown does not start over");
    assert!(!at(60.0, Some(150.0)), "and does not count");
    assert!(!at(62.0, Some(150.0)));
    assert!(at(63.0, Some(150.0)));
}

#[test]
fn values_that_are_no_numbers_are_unknown_and_zero_is_a_bound() {
    let mut engine = Engine::new(EngineSettings::default());
    let mut t = task(1, &profile(|p| p.task.max_cpu_percent = Some(0.0)));
    for (i, odd) in [f64::NAN, f64::INFINITY, -1.0, f64::NEG_INFINITY].into_iter().enumerate() {
        t.cpu_percent = Some(odd);
        assert_eq!(engine.observe(s(i as f64 * 100.0), &HostReading::default(), &[t.clone()]), []);
    }
    t.cpu_percent = Some(0.1);
    assert_eq!(engine.check_task(s(500.0), &t), None);
    assert_eq!(limit_of(engine.check_task(s(503.0), &t)), Some(Limit::TaskCpuPercent));
    let zero = task(2, &profile(|p| p.max_duration = Some(Duration::ZERO)));
    assert_eq!(limit_of(engine.check_task(s(0.0), &zero)), Some(Limit::MaxDuration));
}

#[test]
fn what_the_executor_cannot_enforce_is_recorded_once() {
    let mut t = task(1, &profile(|p| p.task.max_memory_mib = Some(1.0)));
    (t.executor, t.memory_bytes) = (ExecutorKind::Thread, Some(GIB));
    let mut engine = Engine::new(EngineSettings::default());
    let mut all = Vec::new();
    for i in 0..20 {
        // Under the bound for a while: an advisory record does not come again.
        t.memory_bytes = Some(if (5..10).contains(&i) { 0 } else { GIB });
        all.extend(engine.observe(s(f64::from(i)), &HostReading::default(), &[t.clone()]));
    }
    assert_eq!(cancelled(&all), NOBODY);
    assert_eq!(recorded(&all), [(Some(1), NotCancelled::Advisory)]);
}

#[test]
fn without_auto_cancel_each_episode_is_recorded_once() {
    for observe in [false, true] {
        let mut t = task(
            1,
            &profile(|p| {
                p.auto_cancel = observe;
                p.task.max_memory_mib = Some(1.0);
            }),
        );
        let (settings, why) = if observe {
            (observing(), NotCancelled::Observing)
        } else {
            (EngineSettings::default(), NotCancelled::AutoCancelOff)
        };
        let mut engine = Engine::new(settings);
        let mut all = Vec::new();
        for i in 0..20 {
            t.memory_bytes = Some(if (5..10).contains(&i) { 0 } else { GIB });
            all.extend(engine.observe(s(f64::from(i)), &HostReading::default(), &[t.clone()]));
        }
        assert_eq!(cancelled(&all), NOBODY);
        assert_eq!(recorded(&all), [(Some(1), why), (Some(1), why)]);
    }
}

#[test]
fn a_task_without_trouble_leaves_no_trace() {
    let mut engine = Engine::new(EngineSettings::default());
    let mut t = task(1, &profile(|p| p.task.max_cpu_percent = Some(100.0)));
    t.cpu_percent = Some(150.0);
    engine.observe(s(1.0), &HostReading::default(), &[t.clone()]);
    assert_eq!(engine.remembered(), 1);
    engine.observe(s(2.0), &HostReading::default(), &[]);
    assert_eq!(engine.remembered(), 0);
}
