//! The processor time of threads, sections and futures, and the limits on it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::task::Poll;
use std::time::{Duration, Instant};

use haltline::monitor::Monitor;
use haltline::supervisor::profile::ProfileBuilder;
use haltline::supervisor::{Cause, Limit, Outcome, Profile, Supervisor, Token};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn quick(name: &str) -> ProfileBuilder {
    Profile::builder(name).grace(50 * MS)
}

fn supervisor() -> Supervisor {
    let monitor = Monitor::builder().interval(20 * MS).start().unwrap();
    Supervisor::builder().monitor(monitor).start().unwrap()
}

/// Both limits on processor time, each in a profile of its own. Whoever spins is over the percentage, however many share
/// the machine.
fn limited() -> [(Limit, Profile); 2] {
    let patient = |name: &str| quick(name).grace(20 * S);
    [
        (Limit::TaskCpuSeconds, patient("seconds").task_max_cpu_seconds(0.1).build().unwrap()),
        (
            Limit::TaskCpuPercent,
            patient("percent").task_max_cpu_percent(5.0).sustain(200 * MS).build().unwrap(),
        ),
    ]
}

fn assert_broken(token: &Token, limit: Limit) {
    assert_eq!(token.wait_outcome(20 * S), Some(Outcome::Stopped), "{limit}");
    match token.cause() {
        Some(Cause::Breach(breach)) => assert_eq!(breach.limit, limit),
        other => panic!("{limit}: {other:?}"),
    }
}

#[test]
fn a_thread_over_its_cpu_seconds_or_percent_is_cancelled_and_an_idle_one_is_not() {
    let supervisor = supervisor();
    for (limit, profile) in limited() {
        let idle = supervisor.spawn("idle", &profile, |token| token.sleep(30 * S).is_err()).unwrap();
        let busy = supervisor.spawn("busy", &profile, |token| while token.check().is_ok() {}).unwrap();
        assert_broken(busy.token(), limit);
        assert!(!idle.token().is_cancelled());
        idle.token().cancel("done");
        assert!(idle.join().unwrap());
    }
}

#[test]
fn a_section_over_its_cpu_seconds_or_percent_is_cancelled_and_an_idle_one_is_not() {
    let supervisor = supervisor();
    for (limit, profile) in limited() {
        let (idle, profile_of_idle) = (supervisor.clone(), profile.clone());
        let (end, ended) = std::sync::mpsc::channel::<()>();
        // On a thread of its own, whose time is its own.
        let idle = std::thread::spawn(move || {
            let section = idle.start("idle", &profile_of_idle).unwrap();
            let _ = ended.recv();
            section.is_cancelled()
        });
        let section = supervisor.start("busy", &profile).unwrap();
        let token = section.token().clone();
        let until = Instant::now() + 20 * S;
        while section.check().is_ok() && Instant::now() < until {}
        drop(section);
        assert_broken(&token, limit);
        drop(end);
        assert!(!idle.join().unwrap());
    }
}

#[test]
fn a_future_over_its_cpu_seconds_or_percent_is_cancelled_and_an_idle_one_is_not() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let supervisor = supervisor();
    for (limit, profile) in limited() {
        let leaves =
            |token: Token| move || if token.is_cancelled() { Poll::Ready(()) } else { Poll::Pending };
        let idle = supervisor.supervise("idle", &profile, |token| {
            let left = leaves(token);
            std::future::poll_fn(move |_| left())
        });
        let busy = supervisor.supervise("busy", &profile, |token| {
            let left = leaves(token);
            std::future::poll_fn(move |context| {
                let begun = Instant::now();
                while begun.elapsed() < MS {}
                context.waker().wake_by_ref();
                left()
            })
        });
        let (idle, busy) = (idle.unwrap(), busy.unwrap());
        let (idle_token, busy_token) = (idle.token().clone(), busy.token().clone());
        let (idle, busy) = (runtime.spawn(idle), runtime.spawn(busy));
        assert_broken(&busy_token, limit);
        assert!(!idle_token.is_cancelled());
        idle_token.cancel("done");
        runtime.block_on(idle).unwrap().unwrap();
        runtime.block_on(busy).unwrap().unwrap();
    }
}

#[test]
fn a_thread_of_the_hosts_own_is_measured_once_it_has_begun() {
    let supervisor = supervisor();
    let profile = quick("p").task_max_cpu_seconds(0.1).build().unwrap();
    let task = supervisor.host_thread("busy", &profile).unwrap();
    let token = task.token().clone();
    let thread = std::thread::spawn(move || {
        task.began();
        while task.token().check().is_ok() {}
    });
    assert_eq!(token.wait_outcome(20 * S), Some(Outcome::Stopped));
    assert!(token.is_finished());
    thread.join().unwrap();
}

#[test]
fn a_hog_that_opens_a_section_for_each_step_is_charged_for_them() {
    let supervisor = supervisor();
    let roomy = Profile::builder("roomy").build().unwrap();
    let tight = quick("tight").task_max_cpu_seconds(0.2).build().unwrap();
    let steps = supervisor.clone();
    let hog = supervisor
        .spawn("hog", &tight, move |token| {
            while token.check().is_ok() {
                let _step = steps.start("step", &roomy).unwrap();
                let begun = Instant::now();
                while begun.elapsed() < MS {}
            }
        })
        .unwrap();
    let outcome = hog.token().wait_outcome(20 * S);
    hog.token().cancel("it is over either way");
    assert_eq!(outcome, Some(Outcome::Stopped));
    assert!(hog.token().cause().unwrap().to_string().starts_with(Limit::TaskCpuSeconds.name()));
    hog.join().unwrap();
}

#[test]
fn a_coroutine_is_not_charged_with_what_another_on_its_thread_uses() {
    let supervisor = supervisor();
    let roomy = Profile::builder("roomy").build().unwrap();
    let tight = quick("tight").task_max_cpu_seconds(0.2).build().unwrap();
    let cpu_s = |name: &str| supervisor.active().into_iter().find(|t| t.name == name).unwrap().cpu_s;
    let used = |name: &str, seconds: f64| cpu_s(name).is_some_and(|used| used >= seconds);
    let _around = supervisor.start("around", &roomy).unwrap();
    let hog = supervisor.start_in_coroutine("hog", &tight, 1).unwrap();
    let healthy = supervisor.start_in_coroutine("healthy", &tight, 2).unwrap();
    let until = Instant::now() + 20 * S;
    while !used("around", 0.5) {
        assert!(Instant::now() < until, "{:?}", supervisor.active());
    }
    assert!(!healthy.is_cancelled() && !hog.is_cancelled(), "what each used is not known");
    assert_eq!((cpu_s("healthy"), cpu_s("hog")), (None, None));
    assert!(healthy.finish());
    while hog.check().is_ok() {
        assert!(Instant::now() < until, "alone it is charged: {:?}", supervisor.active());
    }
}

#[test]
fn what_runs_in_a_nested_task_counts_towards_the_limits_of_both() {
    let supervisor = supervisor();
    let roomy = Profile::builder("roomy").build().unwrap();
    let tight = quick("tight").task_max_cpu_seconds(0.2).build().unwrap();
    let nested = supervisor.clone();
    let outer = supervisor
        .spawn("outer", &roomy, move |_| {
            let inner = nested.start("inner", &tight).unwrap();
            while inner.check().is_ok() {}
            nested.active().into_iter().map(|t| (t.name, t.cpu_s.unwrap_or(0.0))).collect::<Vec<_>>()
        })
        .unwrap();
    let used = outer.join().unwrap();
    let of = |name: &str| used.iter().find(|(n, _)| n == name).unwrap().1;
    assert!(of("inner") >= 0.2, "{used:?}");
    assert!(of("outer") >= of("inner"), "{used:?}");
}
