//! The limits on the machine: who is nominated, when, and who is not.

use super::*;
use crate::supervisor::engine::{EngineSettings, WhyNot};
use crate::supervisor::limit::Limit;

#[test]
fn the_hog_goes_and_healthy_tasks_of_the_same_profile_stay() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    for id in 1..=10 {
        m.add(id, &p, 0.05);
    }
    assert_eq!(m.run(&mut e, 10), []);
    m.add(11, &p, 3.4);
    let actions = m.run(&mut e, 4);
    let [Action::Cancel { task: 11, breach, blame }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(breach.limit, Limit::HostCpuPercent);
    assert!((breach.bound, breach.sustained_s) == (80.0, 3.0) && breach.observed > 95.0);
    assert_eq!(blame.len(), 10);
    assert!((blame[0].task, blame[0].rank, blame[0].eligible) == (11, 1, true) && blame[0].share > 0.8);
    assert_eq!((blame[1].task, blame[1].rank, blame[1].why_not), (1, 2, Some(WhyNot::BelowMinimumShare)));
}

#[test]
fn one_nomination_until_it_is_verified_and_settled() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 2.0);
    m.add(2, &p, 1.9);
    assert_eq!(cancelled(&m.run(&mut e, 4)), [1]);
    assert_eq!(m.run(&mut e, 60), [], "not verified: nobody else goes");
    m.task(1).cancelling = true;
    e.verified(1, s(m.now));
    // It would not leave. Two seconds to settle, three to be sure.
    assert_eq!(m.run(&mut e, 4), []);
    assert_eq!(cancelled(&m.run(&mut e, 1)), [2]);
}

#[test]
fn outside_load_is_recorded_once_and_cancels_nobody() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 0.5);
    m.outside = 3.4;
    let all = m.run(&mut e, 60);
    assert_eq!((cancelled(&all), recorded(&all)), (vec![], vec![(None, NotCancelled::External)]));
    m.outside = 0.0;
    m.run(&mut e, 5);
    m.outside = 3.4;
    assert_eq!(recorded(&m.run(&mut e, 10)), [(None, NotCancelled::External)], "a new episode");
}

#[test]
fn on_a_full_machine_it_counts_what_is_wanted_and_not_what_each_gets() {
    // Whoever leaves makes room for the load from outside only.
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 2.0);
    m.outside = 7.0;
    let all = m.run(&mut e, 60);
    assert!(m.tasks[0].0.cpu_percent.unwrap() > 40.0, "a share above the least");
    assert_eq!((cancelled(&all), recorded(&all)), (vec![], vec![(None, NotCancelled::External)]));
    // Each of two hogs fills the machine by itself; with both gone there is room.
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.outside = 1.0;
    m.add(1, &p, 6.0);
    m.add(2, &p, 5.0);
    assert_eq!(cancelled(&m.run(&mut e, 5)), [1]);
    m.remove(1);
    e.verified(1, s(m.now));
    assert_eq!(cancelled(&m.run(&mut e, 10)), [2]);
}

#[test]
fn a_hog_is_found_after_a_long_outside_load_gave_way_to_it() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.outside = 3.8;
    m.add(1, &p, 0.1);
    assert_eq!(cancelled(&m.run(&mut e, 600)), NOBODY);
    m.outside = 0.2;
    m.add(2, &p, 3.6);
    assert_eq!(cancelled(&m.run(&mut e, 6)), [2]);
}

#[test]
fn a_small_old_task_does_not_go_for_a_large_young_one() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 0.7);
    m.outside = 2.6;
    m.run(&mut e, 2);
    m.outside = 0.0;
    m.add(2, &p, 2.9);
    assert_eq!(cancelled(&m.run(&mut e, 10)), [2]);
}

/// A machine of which this much is used by two tasks on one thread, the second inside of the first, and the rest from
/// outside. Each task tells of the whole thread.
fn nested(outer: &Profile, inner: &Profile, load: f64, all: f64) -> Machine {
    let mut m = Machine::new();
    m.add(1, outer, load);
    m.add(2, inner, load);
    m.task(2).inside = Some(1);
    // The machine adds up all loads, and this one is there once.
    m.outside = all - 2.0 * load;
    m
}

#[test]
fn what_a_nested_task_uses_is_blamed_on_it_alone_and_counted_once() {
    let p = cpu_profile();
    let all = nested(&p, &p, 1.0, 3.6).run(&mut Engine::new(EngineSettings::default()), 10);
    let [Action::Cancel { task: 2, blame, .. }] = &all[..] else { panic!("{all:?}") };
    assert_eq!((blame[1].task, blame[1].share), (1, 0.0));
    let all = nested(&p, &p, 0.7, 4.0).run(&mut Engine::new(EngineSettings::default()), 10);
    assert_eq!((cancelled(&all), recorded(&all)), (vec![], vec![(None, NotCancelled::External)]));
}

#[test]
fn what_a_nested_task_uses_that_has_no_such_limit_or_keeps_it_is_blamed_on_the_one_around_it() {
    for inner in [profile(|_| ()), profile(|p| p.host.max_cpu_percent = Some(95.0))] {
        let mut m = nested(&cpu_profile(), &inner, 1.0, 3.6);
        let all = m.run(&mut Engine::new(EngineSettings::default()), 10);
        let [Action::Cancel { task: 1, blame, .. }] = &all[..] else { panic!("{all:?}") };
        assert_eq!((blame[1].task, blame[1].share), (2, 0.0));
    }
}

#[test]
fn what_nested_tasks_used_that_have_ended_stays_with_the_one_around_them() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 1.0);
    m.outside = 1.6;
    let mut all = Vec::new();
    for id in 2..10 {
        m.add(id, &p, 1.0);
        m.task(id).inside = Some(1);
        all.extend(m.run(&mut e, 2));
        m.remove(id);
    }
    assert_eq!(cancelled(&all), [1], "{all:?}");
}

#[test]
fn while_a_nested_task_is_leaving_nobody_goes_for_what_it_used() {
    let p = cpu_profile();
    let (mut m, mut e) = (nested(&p, &profile(|_| ()), 1.0, 3.6), Engine::new(EngineSettings::default()));
    m.task(2).cancelling = true;
    assert_eq!(cancelled(&m.run(&mut e, 10)), NOBODY);
}

#[test]
fn a_load_that_goes_with_one_who_is_leaving_anyway_is_not_told_as_one_from_outside() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 4.0);
    m.add(2, &p, 3.0);
    m.outside = 0.1;
    m.run(&mut e, 1);
    // Asked to leave by somebody else; the other fits into the machine alone.
    m.task(1).cancelling = true;
    assert_eq!(m.run(&mut e, 10), []);
}

#[test]
fn a_load_from_outside_is_told_without_waiting_for_those_who_take_longer_to_be_in_breach() {
    let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
    let patient = profile(|p| (p.host.max_cpu_percent, p.sustain) = (Some(80.0), Duration::from_secs(60)));
    m.add(1, &cpu_profile(), 1.0);
    m.add(2, &patient, 1.0);
    m.outside = 5.0;
    assert_eq!(recorded(&m.run(&mut e, 10)), [(None, NotCancelled::External)]);
}

#[test]
fn a_hog_without_the_limit_is_not_paid_for_by_another() {
    let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
    m.add(1, &profile(|_| ()), 3.4);
    m.add(2, &cpu_profile(), 0.5);
    let all = m.run(&mut e, 10);
    assert_eq!((cancelled(&all), recorded(&all)), (vec![], vec![(None, NotCancelled::External)]));
    let [Action::Record { blame, .. }] = &all[..] else { panic!() };
    assert_eq!((blame[0].task, blame[0].why_not), (1, Some(WhyNot::NoSuchLimit)));
}

#[test]
fn slow_frames_are_blamed_on_processor_use_and_never_on_an_idle_task() {
    let p = profile(|p| p.host.min_fps = Some(15.0));
    let risky = profile(|p| (p.host.min_fps, p.level) = (Some(15.0), Level::Dangerous));
    let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
    m.add(1, &p, 0.02);
    m.host.fps = Some(5.0);
    let all = m.run(&mut e, 10);
    assert_eq!((cancelled(&all), recorded(&all)), (vec![], vec![(None, NotCancelled::External)]));
    m.add(2, &p, 1.0);
    m.add(3, &risky, 1.0);
    assert_eq!(cancelled(&m.run(&mut e, 6)), [3], "at equal use the dangerous one goes");
}

#[test]
fn unknown_samples_neither_break_nor_clear() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 3.9);
    m.run(&mut e, 3);
    m.host.cpu_percent = None;
    for _ in 0..100 {
        m.now += 1.0;
        assert_eq!(m.look(&mut e), []);
    }
    assert_eq!(m.run(&mut e, 1), [], "the span beside an unknown sample does not count");
    assert_eq!(cancelled(&m.run(&mut e, 1)), [1]);
}

#[test]
fn without_processor_times_percentages_serve_and_without_both_nobody_goes() {
    for percent_known in [true, false] {
        let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
        m.add(1, &p, 3.5);
        m.add(2, &p, 0.1);
        let mut all = Vec::new();
        for _ in 0..10 {
            m.step(&mut Engine::new(EngineSettings::default()));
            m.host.cpu_busy = None;
            m.tasks.iter_mut().for_each(|(t, _)| {
                t.cpu_time = None;
                t.cpu_percent = t.cpu_percent.filter(|_| percent_known);
            });
            all.extend(m.look(&mut e));
        }
        let expected = if percent_known { vec![1] } else { vec![] };
        assert_eq!(cancelled(&all), expected);
    }
}

#[test]
fn blame_any_cancels_all_that_have_the_limit_at_once() {
    let any = profile(|p| (p.host.max_cpu_percent, p.blame) = (Some(80.0), Blame::Any));
    let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
    for id in 1..=30 {
        m.add(id, &any, 0.01);
    }
    m.add(31, &profile(|p| p.blame = Blame::Any), 0.0);
    m.add(32, &cpu_profile(), 1.0);
    m.outside = 3.0;
    assert_eq!(cancelled(&m.run(&mut e, 4)), (1..=30).collect::<Vec<_>>());
    assert_eq!(m.run(&mut e, 10), []);
}

#[test]
fn nominations_per_minute_are_capped_and_the_cap_is_told_once() {
    let settings = EngineSettings { max_cancellations_per_minute: 2, ..Default::default() };
    let (mut m, mut e, p) = (Machine::new(), Engine::new(settings), cpu_profile());
    for id in 1..=4 {
        m.add(id, &p, 3.5);
    }
    m.host.cpu_capacity = 4.0;
    let (mut gone, mut told) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let actions = m.step(&mut e);
        told.extend(recorded(&actions));
        for id in cancelled(&actions) {
            gone.push(id);
            m.remove(id);
            e.verified(id, s(m.now));
            e.forget(id);
        }
    }
    assert_eq!((gone, told), (vec![1, 2], vec![(Some(3), NotCancelled::Capped)]));
    assert_eq!(cancelled(&m.run(&mut e, 30)), [3], "a minute later it goes on");
}

#[test]
fn observe_mode_names_the_culprit_once_an_episode() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(observing()), cpu_profile());
    m.add(1, &p, 3.9);
    let all = m.run(&mut e, 60);
    assert_eq!((cancelled(&all), recorded(&all)), (vec![], vec![(Some(1), NotCancelled::Observing)]));
}
