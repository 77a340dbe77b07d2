//! A running task under another profile.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use haltline::ErrorKind;
use haltline::clock::ManualClock;
use haltline::event::{Delivery, SubscribeOptions};
use haltline::monitor::Monitor;
use haltline::supervisor::profile::ProfileBuilder;
use haltline::supervisor::{Cause, Limit, Profile, Supervisor, Token};

const S: Duration = Duration::from_secs(1);

/// A supervisor driven by hand.
fn by_hand() -> (ManualClock, Supervisor) {
    let clock = ManualClock::new();
    let monitor = Monitor::builder().clock(Arc::new(clock.clone())).manual().unwrap();
    let supervisor = Supervisor::builder().clock(clock.clone()).monitor(monitor).manual().unwrap();
    (clock, supervisor)
}

/// One that runs by itself and samples every ten minutes, so that nothing is seen by chance.
fn seldom() -> Supervisor {
    let monitor = Monitor::builder().interval(600 * S).start().unwrap();
    Supervisor::builder().monitor(monitor).start().unwrap()
}

fn pass(clock: &ManualClock, supervisor: &Supervisor, time: Duration) {
    clock.advance(time);
    supervisor.tick();
    supervisor.tick();
}

fn built(name: &str, change: impl FnOnce(ProfileBuilder) -> ProfileBuilder) -> Profile {
    change(Profile::builder(name)).build().unwrap()
}

fn broken(token: &Token) -> Option<Limit> {
    match token.cause() {
        Some(Cause::Breach(breach)) => Some(breach.limit),
        _ => None,
    }
}

#[test]
fn a_longer_duration_holds_from_the_start_and_a_shorter_one_that_has_passed_breaches_at_once() {
    let (clock, supervisor) = by_hand();
    let task = supervisor.start("macro", built("first", |p| p.max_duration(10 * S))).unwrap();
    pass(&clock, &supervisor, 9 * S);
    task.replace_profile(built("longer", |p| p.max_duration(20 * S))).unwrap();
    pass(&clock, &supervisor, 10 * S);
    assert!(!task.is_cancelled());
    task.replace_profile(built("longest", |p| p.max_duration(60 * S))).unwrap();
    pass(&clock, &supervisor, 10 * S);
    assert!(!task.is_cancelled());
    task.replace_profile(built("shorter", |p| p.max_duration(29 * S))).unwrap();
    pass(&clock, &supervisor, Duration::ZERO);
    assert_eq!(broken(&task), Some(Limit::MaxDuration));
    let message = task.check().unwrap_err().to_string();
    assert!(message.contains("29 s over 29 s"), "{message}");
}

#[test]
fn an_idle_limit_that_was_not_there_counts_from_the_last_progress() {
    let (clock, supervisor) = by_hand();
    let task = supervisor.start("macro", built("first", |p| p)).unwrap();
    pass(&clock, &supervisor, 100 * S);
    task.progress().unwrap();
    task.replace_profile(built("idle", |p| p.task_max_idle(5 * S))).unwrap();
    pass(&clock, &supervisor, 4 * S);
    assert!(!task.is_cancelled());
    pass(&clock, &supervisor, S);
    assert_eq!(broken(&task), Some(Limit::TaskIdle));
}

#[test]
fn listings_events_and_incidents_name_the_profile_that_holds() {
    let (clock, supervisor) = by_hand();
    let told = supervisor.bus().subscribe("task.profile", SubscribeOptions::default()).unwrap();
    supervisor.profiles().insert(built("second", |p| p.max_duration(5 * S)));
    let task = supervisor.start("macro", "heal").unwrap();
    task.replace_profile("second").unwrap();
    assert_eq!(task.profile().name(), "second");
    assert_eq!(supervisor.active()[0].profile, "second");
    let Some(Delivery::Event(event)) = told.try_recv() else { panic!("no event") };
    assert_eq!((&event.data()["profile"], &event.data()["before"]), (&"second".into(), &"heal".into()));
    pass(&clock, &supervisor, 5 * S);
    drop(task);
    pass(&clock, &supervisor, S);
    assert_eq!(supervisor.incidents(1)[0].task.as_ref().unwrap().profile, "second");
}

#[test]
fn what_would_be_refused_at_the_start_is_refused_later_and_changes_nothing() {
    let (clock, supervisor) = by_hand();
    let task = supervisor.start("macro", "attack").unwrap();
    let error = task.replace_profile("trafel").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownProfile);
    assert!(error.to_string().contains("travel"), "{error}");
    let error = task.replace_profile(built("p", |p| p.task_max_memory_mib(64.0))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitRefused);
    assert!(error.to_string().contains("task.max_memory_mib"), "{error}");
    assert_eq!(task.profile().name(), "attack");

    let short = built("short", |p| p.max_duration(S));
    task.cancel("enough");
    let error = task.replace_profile(&short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTask);
    assert!(error.to_string().contains("\"macro\" was cancelled"), "{error}");
    let other = supervisor.start("other", "attack").unwrap();
    let token = other.token().clone();
    drop(other);
    let error = token.replace_profile(&short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTask);
    assert!(error.to_string().contains("\"other\" has finished"), "{error}");
    pass(&clock, &supervisor, 2 * S);
    assert!(!token.is_cancelled() && token.profile().name() == "attack");
}

#[test]
fn the_watch_thread_hears_of_an_earlier_deadline() {
    let supervisor = seldom();
    let task = supervisor.start("macro", built("first", |p| p.max_duration(3600 * S))).unwrap();
    // It sleeps by now until the hour is over.
    std::thread::sleep(Duration::from_millis(50));
    task.replace_profile(built("soon", |p| p.max_duration(Duration::from_millis(100)))).unwrap();
    assert!(task.sleep(20 * S).is_err(), "cancelled while it sleeps");
    assert_eq!(broken(&task), Some(Limit::MaxDuration));
}

#[cfg(target_os = "linux")]
mod process {
    use super::*;
    use haltline::supervisor::{Output, ProcessTask};

    fn sh(supervisor: &Supervisor, script: &str, profile: &Profile) -> ProcessTask {
        supervisor.command("sh").args(["-c", script]).stdout(Output::Null).spawn(profile).unwrap()
    }

    #[test]
    fn new_bounds_of_a_tree_reach_whoever_looks_at_it() {
        let supervisor = seldom();
        let plain = built("plain", |p| p);
        let cases = [
            (Limit::TaskMemoryMib, built("memory", |p| p.task_max_memory_mib(0.1))),
            (Limit::TaskProcesses, built("processes", |p| p.task_max_processes(1))),
        ];
        for (limit, profile) in cases {
            let task = sh(&supervisor, "sleep 1000 & sleep 1000 & wait", &plain);
            let begun = std::time::Instant::now();
            while task.pids().len() < 3 {
                assert!(begun.elapsed() < 20 * S, "never saw the tree");
                std::thread::yield_now();
            }
            task.replace_profile(&profile).unwrap();
            let done = task.wait_timeout(60 * S).unwrap();
            assert!(matches!(&done.cancelled, Some(Cause::Breach(b)) if b.limit == limit), "{done:?}");
        }
    }

    #[test]
    fn output_that_is_not_counted_cannot_be_limited_later_and_what_is_counted_can() {
        let supervisor = seldom();
        let small = built("small", |p| p.task_max_output_mib(0.001));
        let task = sh(&supervisor, "sleep 1000", &built("plain", |p| p));
        let error = task.replace_profile(&small).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitRefused);
        let text = error.to_string();
        assert!(text.contains("task.max_output_mib") && text.contains("not counted"), "{text}");
        let advisory = built("advisory", |p| {
            p.task_max_output_mib(0.001).task_max_processes(9).advisory(&[Limit::TaskOutputMib])
        });
        task.replace_profile(&advisory).unwrap();
        task.kill("seen enough");
        task.wait_timeout(20 * S).unwrap();

        let task =
            sh(&supervisor, "while echo line; do :; done", &built("large", |p| p.task_max_output_mib(1e6)));
        task.replace_profile(&small).unwrap();
        let done = task.wait_timeout(60 * S).unwrap();
        assert!(
            matches!(&done.cancelled, Some(Cause::Breach(b)) if b.limit == Limit::TaskOutputMib),
            "{done:?}"
        );
    }
}
