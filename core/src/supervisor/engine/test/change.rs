//! Tasks that are put under another profile while they run.

use super::*;

/// Puts a task of the machine under another profile.
fn replace(m: &mut Machine, e: &mut Engine, id: TaskId, to: &Profile) -> bool {
    let at = s(m.now);
    let task = m.task(id);
    let from = std::mem::replace(&mut task.profile, to.clone());
    e.replace_profile(at, id, &from, to)
}

#[test]
fn a_bound_that_changed_is_measured_anew_though_others_have_been_under_it_for_long() {
    let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
    let (lax, strict) = (profile(|p| p.host.max_cpu_percent = Some(99.9)), cpu_profile());
    m.add(1, &lax, 3.4);
    m.add(2, &strict, 0.1);
    // The small task's bound is in breach all the time, and it is not to blame.
    assert_eq!(cancelled(&m.run(&mut e, 10)), NOBODY);
    assert!(replace(&mut m, &mut e, 1, &strict));
    assert_eq!(cancelled(&m.run(&mut e, 2)), NOBODY, "two seconds of three");
    assert_eq!(cancelled(&m.run(&mut e, 1)), [1]);
}

#[test]
fn time_under_a_bound_that_stays_the_same_counts_on() {
    let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
    let renamed = |fps| {
        profile(|p| {
            p.host.max_cpu_percent = Some(80.0);
            p.host.min_fps = Some(fps);
        })
    };
    m.add(1, &renamed(1.0), 3.4);
    // Replaced on every second sample, which must not put the breach off for ever.
    assert_eq!(cancelled(&m.run(&mut e, 2)), NOBODY);
    assert!(replace(&mut m, &mut e, 1, &renamed(2.0)));
    assert_eq!(cancelled(&m.run(&mut e, 1)), NOBODY);
    assert!(replace(&mut m, &mut e, 1, &renamed(3.0)));
    assert_eq!(cancelled(&m.run(&mut e, 1)), [1]);
}

#[test]
fn a_changed_percentage_of_the_task_starts_over_and_an_unchanged_one_does_not() {
    let over = |percent| profile(|p| p.task.max_cpu_percent = Some(percent));
    for (to, when) in [(120.0, 4), (100.0, 2)] {
        let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
        m.add(1, &over(100.0), 1.5);
        assert_eq!(cancelled(&m.run(&mut e, 2)), NOBODY);
        assert!(replace(&mut m, &mut e, 1, &over(to)));
        assert_eq!(cancelled(&m.run(&mut e, when - 1)), NOBODY, "{to}");
        assert_eq!(cancelled(&m.run(&mut e, 1)), [1], "{to}");
    }
}

#[test]
fn a_task_that_is_to_be_cancelled_takes_no_other_profile() {
    let (mut m, mut e, p) = (Machine::new(), Engine::new(EngineSettings::default()), cpu_profile());
    m.add(1, &p, 3.4);
    assert_eq!(cancelled(&m.run(&mut e, 4)), [1]);
    assert!(!replace(&mut m, &mut e, 1, &cpu_profile()));
}

#[test]
fn a_profile_whose_timers_were_freed_starts_from_nothing() {
    let (mut m, mut e) = (Machine::new(), Engine::new(EngineSettings::default()));
    let (first, second) = (cpu_profile(), cpu_profile());
    m.add(1, &first, 3.4);
    m.add(2, &second, 0.1);
    assert_eq!(cancelled(&m.run(&mut e, 3)), NOBODY);
    // The first profile has no task for a while; the second keeps the table from being empty.
    let (task, load) = m.tasks.remove(0);
    m.outside = 3.4;
    assert_eq!(cancelled(&m.run(&mut e, 5)), NOBODY);
    m.outside = 0.0;
    m.tasks.push((task, load));
    assert_eq!(cancelled(&m.run(&mut e, 3)), NOBODY, "measured anew");
    assert_eq!(cancelled(&m.run(&mut e, 1)), [1]);
}
