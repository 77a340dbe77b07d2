//! Who goes when the host suffers. The clock is moved and the samples are fed by hand; what tasks use is measured: they
//! are futures that use the processor when they are polled.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use haltline::clock::{Clock, ManualClock, Time};
use haltline::monitor::{Cpu, Monitor, Sample, SignalValues};
use haltline::supervisor::profile::ProfileBuilder;
use haltline::supervisor::{
    ActionTaken, Cause, Limit, NotCancelled, Outcome, Profile, Supervisor, SupervisorBuilder, Token,
};

const MS: Duration = Duration::from_millis(1);
/// What passes between two samples.
const STEP: Duration = Duration::from_millis(20);
/// What a hog uses in it: a quarter of a core.
const USED: Duration = Duration::from_millis(5);

fn quick(name: &str) -> ProfileBuilder {
    Profile::builder(name).sustain(3 * STEP).grace(Duration::ZERO)
}

fn thread_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// One core.
struct Scene {
    clock: ManualClock,
    supervisor: Supervisor,
    tasks: Vec<Pin<Box<dyn Future<Output = ()>>>>,
    busy: Duration,
}

impl Scene {
    fn new(build: impl FnOnce(SupervisorBuilder) -> SupervisorBuilder) -> Scene {
        let clock = ManualClock::new();
        let monitor = Monitor::builder().clock(Arc::new(clock.clone())).manual().unwrap();
        let builder = Supervisor::builder().clock(clock.clone()).monitor(monitor);
        let supervisor = build(builder).manual().unwrap();
        Scene { supervisor, clock, tasks: Vec::new(), busy: Duration::ZERO }
    }

    /// A task that uses so much between two samples.
    fn add(&mut self, name: &'static str, profile: &Profile, used: Duration) -> Token {
        let work = move |_| {
            std::future::poll_fn(move |_| {
                let until = thread_time() + used;
                while thread_time() < until {}
                Poll::<()>::Pending
            })
        };
        let task = self.supervisor.supervise(name, profile, work).unwrap();
        let token = task.token().clone();
        self.tasks.push(Box::pin(async { drop(task.await) }));
        token
    }

    /// Lets every task work, and feeds a sample of a machine that used `percent` of its core meanwhile.
    fn step(&mut self, percent: f64, signals: &SignalValues) {
        // What was cancelled leaves when it is polled, as on a runtime.
        let mut context = Context::from_waker(Waker::noop());
        self.tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        self.clock.advance(STEP);
        let mut sample = Sample::unknown(self.clock.now(), self.clock.wall());
        self.busy += STEP.mul_f64(percent / 100.0);
        let mut cpu = Cpu::default();
        (cpu.percent, cpu.capacity, cpu.busy) = (percent, 1.0, self.busy);
        (sample.cpu, sample.signals) = (Some(cpu), signals.clone());
        self.supervisor.monitor().feed(sample);
        self.supervisor.tick();
        self.supervisor.tick();
    }

    /// Steps on until this holds, and says when that was; nothing if it does not within `longest`.
    fn until(&mut self, longest: Duration, percent: f64, holds: impl Fn() -> bool) -> Option<Time> {
        let end = self.clock.now() + longest;
        while !holds() {
            if self.clock.now() >= end {
                return None;
            }
            self.step(percent, &SignalValues::default());
        }
        Some(self.clock.now())
    }
}

#[test]
fn frames_latency_and_responses_each_cancel_the_hog_by_the_limit_of_their_own() {
    let profile = quick("macro")
        .host_min_fps(30.0)
        .host_max_latency_ms(100.0)
        .host_max_response_ms(200.0)
        .build()
        .unwrap();
    for (limit, bound, observed) in [
        (Limit::HostFps, 30.0, 7.0),
        (Limit::HostLatencyMs, 100.0, 150.0),
        (Limit::HostResponseMs, 200.0, 900.0),
    ] {
        let mut scene = Scene::new(|b| b);
        let healthy = scene.add("healthy", &profile, Duration::ZERO);
        let hog = scene.add("hog", &profile, USED);
        let mut signals = SignalValues::default();
        (signals.fps, signals.latency_ms, signals.response_ms) = (Some(60.0), Some(20.0), Some(40.0));
        (0..20).for_each(|_| scene.step(50.0, &signals));
        assert!(!hog.is_cancelled(), "nothing is slow yet");
        match limit {
            Limit::HostFps => signals.fps = Some(observed),
            Limit::HostLatencyMs => signals.latency_ms = Some(observed),
            _ => signals.response_ms = Some(observed),
        }
        (0..20).for_each(|_| scene.step(50.0, &signals));
        match hog.cause() {
            Some(Cause::Breach(breach)) => {
                assert_eq!((breach.limit, breach.bound, breach.observed), (limit, bound, observed));
            }
            other => panic!("{limit}: {other:?}"),
        }
        assert_eq!(hog.outcome(), Some(Outcome::Killed), "{limit}");
        assert!(!healthy.is_cancelled(), "{limit}");
    }
}

fn cpu_profile(bound: f64) -> Profile {
    quick("macro").host_max_cpu_percent(bound).build().unwrap()
}

#[test]
fn the_smallest_share_with_which_a_task_is_blamed_can_be_set() {
    for (min_share, goes) in [(None, true), (Some(0.9), false)] {
        let mut scene = Scene::new(|b| match min_share {
            Some(share) => b.min_share(share),
            None => b,
        });
        // It uses half of what the machine uses.
        let hog = scene.add("hog", &cpu_profile(40.0), USED);
        (0..25).for_each(|_| scene.step(50.0, &SignalValues::default()));
        assert_eq!(hog.is_cancelled(), goes);
        let incident = &scene.supervisor.incidents(1)[0];
        let expected = if goes { ActionTaken::Cancel } else { ActionTaken::Record };
        assert_eq!((incident.action, incident.reason), (expected, (!goes).then_some(NotCancelled::External)));
    }
}

#[test]
fn the_most_cancellations_per_minute_can_be_set_and_one_more_waits_for_the_minute() {
    let mut scene = Scene::new(|b| b.max_cancellations_per_minute(1).settle(Duration::ZERO));
    let profile = cpu_profile(90.0);
    let (first, second) = (scene.add("first", &profile, 2 * USED), scene.add("second", &profile, USED));
    let begun = scene.until(25 * STEP, 100.0, || first.is_cancelled()).expect("the larger hog goes first");
    assert_eq!(scene.until(50 * STEP, 100.0, || second.is_cancelled()), None);
    let reasons: Vec<_> = scene.supervisor.incidents(9).into_iter().map(|i| i.reason).collect();
    assert!(reasons.contains(&Some(NotCancelled::Capped)), "{reasons:?}");
    scene.clock.advance(Duration::from_secs(58));
    let late = scene.until(100 * STEP, 100.0, || second.is_cancelled()).expect("a minute later it goes on");
    assert!(late.since(begun) >= Duration::from_secs(60), "{:?}", late.since(begun));
}

#[test]
fn how_long_the_machine_settles_after_a_cancellation_can_be_set() {
    for settle in [500 * MS, 4000 * MS] {
        let mut scene = Scene::new(|b| b.settle(settle));
        let profile = cpu_profile(90.0);
        let (first, second) = (scene.add("first", &profile, 2 * USED), scene.add("second", &profile, USED));
        let gone = || first.outcome() == Some(Outcome::Killed);
        let gone = scene.until(50 * STEP, 100.0, gone).expect("the larger hog goes first");
        let next =
            scene.until(settle + 25 * STEP, 100.0, || second.is_cancelled()).expect("the next one goes");
        // And is measured for its sustain time afterwards.
        let between = next.since(gone);
        assert!((settle + 3 * STEP..settle + 10 * STEP).contains(&between), "{between:?} for {settle:?}");
    }
}
