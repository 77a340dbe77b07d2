//! A supervisor driven by hand: its clock is moved, its samples are fed, and nothing sleeps.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use haltline::clock::{Clock, ManualClock};
use haltline::event::{Delivery, SubscribeOptions};
use haltline::monitor::{Cpu, Monitor, Sample};
use haltline::supervisor::{
    ActionTaken, Cause, Limit, NotCancelled, Outcome, Profile, Stopper, Supervisor, SupervisorBuilder,
};

const S: Duration = Duration::from_secs(1);

struct Scene {
    clock: ManualClock,
    supervisor: Supervisor,
}

impl Scene {
    fn new(build: impl FnOnce(SupervisorBuilder) -> SupervisorBuilder) -> Scene {
        let clock = ManualClock::new();
        let monitor = Monitor::builder().clock(Arc::new(clock.clone())).manual().unwrap();
        let builder = Supervisor::builder().clock(clock.clone()).monitor(monitor);
        Scene { supervisor: build(builder).manual().unwrap(), clock }
    }

    /// Moves time forward, feeds one sample with this much CPU on two cores, and does what is due.
    fn second(&self, cpu_percent: f64) {
        self.clock.advance(S);
        let now = self.clock.now();
        let mut sample = Sample::unknown(now, self.clock.wall());
        let mut cpu = Cpu::default();
        cpu.percent = cpu_percent;
        cpu.capacity = 2.0;
        cpu.busy = now.since(haltline::clock::Time::ZERO);
        sample.cpu = Some(cpu);
        self.supervisor.monitor().feed(sample);
        self.supervisor.tick();
        self.supervisor.tick();
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.supervisor.tick();
        self.supervisor.tick();
    }
}

fn profile(name: &str) -> Profile {
    Profile::builder(name).max_duration(10 * S).grace(2 * S).build().unwrap()
}

#[test]
fn a_task_over_its_duration_is_asked_and_its_stop_is_verified() {
    let scene = Scene::new(|b| b);
    let task = scene.supervisor.start("macro", profile("short")).unwrap();
    scene.pass(9 * S);
    assert!(!task.is_cancelled());
    scene.pass(S);
    assert!(task.is_cancelled());
    let error = task.check().unwrap_err();
    assert!(error.to_string().contains("max_duration: 10 s over 10 s"), "{error}");
    assert_eq!(task.outcome(), None);
    let token = task.token().clone();
    drop(task);
    scene.pass(Duration::ZERO);
    assert_eq!(token.outcome(), Some(Outcome::Stopped));
    let incident = &scene.supervisor.incidents(1)[0];
    assert_eq!(incident.outcome, Some(Outcome::Stopped));
    assert_eq!(incident.action, ActionTaken::Cancel);
    assert_eq!(incident.task.as_ref().unwrap().name, "macro");
    assert!(scene.supervisor.active().is_empty());
}

#[test]
fn a_task_that_does_not_leave_is_still_running_stays_listed_and_may_stop_later() {
    let scene = Scene::new(|b| b);
    let task = scene.supervisor.start("stubborn", profile("short")).unwrap();
    scene.pass(10 * S);
    scene.pass(2 * S);
    assert_eq!(task.outcome(), Some(Outcome::StillRunning));
    assert_eq!(scene.supervisor.active()[0].outcome, Some(Outcome::StillRunning));
    assert_eq!(scene.supervisor.status().still_running, 1);
    let token = task.token().clone();
    drop(task);
    scene.pass(S);
    assert_eq!(token.outcome(), Some(Outcome::Stopped));
    let status = scene.supervisor.status();
    assert_eq!((status.still_running, status.stopped, status.active), (0, 1, 0));
    assert_eq!(scene.supervisor.incidents(10).len(), 1, "one incident, moved forward");
}

#[test]
fn the_life_of_every_task_can_be_watched_on_the_bus() {
    let scene = Scene::new(|b| b);
    let told = scene.supervisor.bus().subscribe("task.>", SubscribeOptions::default()).unwrap();
    drop(scene.supervisor.start("good", "heal").unwrap());
    let bad = scene.supervisor.start("bad", profile("short")).unwrap();
    scene.pass(10 * S);
    drop(bad);
    scene.pass(Duration::ZERO);
    let mut seen = Vec::new();
    while let Some(Delivery::Event(event)) = told.try_recv() {
        let name = event.data().pointer("/name").or(event.data().pointer("/task/name"));
        seen.push(format!("{} {}", event.topic(), name.unwrap().as_str().unwrap()));
        if event.topic() == "task.cancelled" {
            assert_eq!(event.data()["outcome"], "stopped");
            assert_eq!(event.data()["cause"]["breach"]["limit"], "max_duration");
        }
    }
    assert_eq!(seen, ["task.started good", "task.finished good", "task.started bad", "task.cancelled bad"]);
}

#[test]
fn progress_keeps_an_idle_limit_away_and_silence_breaks_it() {
    let scene = Scene::new(|b| b);
    let profile = Profile::builder("p").task_max_idle(3 * S).build().unwrap();
    let task = scene.supervisor.start("steps", &profile).unwrap();
    for _ in 0..5 {
        scene.pass(2 * S);
        task.progress().unwrap();
    }
    scene.pass(3 * S);
    match task.token().cause() {
        Some(Cause::Breach(breach)) => assert_eq!(breach.limit, Limit::TaskIdle),
        other => panic!("{other:?}"),
    }
}

#[test]
fn on_cancel_runs_once_with_the_outcome_and_never_after_an_end_by_itself() {
    let scene = Scene::new(|b| b);
    let ran = Arc::new(AtomicUsize::new(0));
    let healthy = scene.supervisor.start("healthy", profile("p")).unwrap();
    let count = ran.clone();
    healthy.on_cancel(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    drop(healthy);

    let task = scene.supervisor.start("hog", profile("p")).unwrap();
    let (send, outcome) = std::sync::mpsc::channel();
    task.on_cancel(move |outcome| send.send(outcome).unwrap());
    assert!(task.cancel("no longer wanted"));
    assert!(!task.cancel("again"));
    scene.pass(S);
    assert!(outcome.try_recv().is_err(), "not before the stop is verified");
    drop(task);
    scene.pass(Duration::ZERO);
    assert_eq!(outcome.recv_timeout(10 * S).unwrap(), Outcome::Stopped);
    assert!(outcome.recv_timeout(Duration::from_millis(1)).is_err(), "once");
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn load_from_outside_is_recorded_and_cancels_nobody() {
    let scene = Scene::new(|b| b);
    let task = scene.supervisor.start("bystander", "attack").unwrap();
    for _ in 0..30 {
        scene.second(99.0);
    }
    assert!(!task.is_cancelled());
    let incidents = scene.supervisor.incidents(10);
    assert_eq!(incidents.len(), 1, "one record for one episode");
    assert_eq!(incidents[0].reason, Some(NotCancelled::External));
    assert_eq!(incidents[0].action, ActionTaken::Record);
    assert!(!incidents[0].samples.is_empty(), "it holds the samples around it");
}

#[test]
fn a_supervisor_that_only_observes_records_and_cancels_nothing() {
    let scene = Scene::new(SupervisorBuilder::observe_only);
    let task = scene.supervisor.start("long", profile("p")).unwrap();
    scene.pass(20 * S);
    assert!(!task.is_cancelled());
    let incident = &scene.supervisor.incidents(1)[0];
    assert_eq!(incident.reason, Some(NotCancelled::Observing));
    assert_eq!(incident.outcome, None);
    assert!(scene.supervisor.status().observing);
}

#[test]
fn a_replaced_profile_leaves_running_tasks_as_they_started() {
    let scene = Scene::new(|b| b);
    scene.supervisor.profiles().insert(profile("p"));
    let old = scene.supervisor.start("old", "p").unwrap();
    scene.supervisor.profiles().insert(Profile::builder("p").max_duration(S).build().unwrap());
    let new = scene.supervisor.start("new", "p").unwrap();
    scene.pass(2 * S);
    assert!(new.is_cancelled());
    assert!(!old.is_cancelled());
}

#[test]
fn a_limit_that_cannot_be_enforced_is_refused_at_the_start_unless_advisory() {
    let scene = Scene::new(|b| b);
    let refused = Profile::builder("p").task_max_memory_mib(512.0).build().unwrap();
    let error = scene.supervisor.start("macro", &refused).unwrap_err();
    assert_eq!(error.kind(), haltline::ErrorKind::LimitRefused);
    assert!(error.to_string().contains("task.max_memory_mib"), "{error}");
    let advisory = Profile::builder("p").task_max_memory_mib(512.0).advisory(&[Limit::TaskMemoryMib]);
    assert!(scene.supervisor.start("macro", advisory.build().unwrap()).is_ok());
}

#[test]
fn a_cap_of_no_cancellations_is_refused_and_names_what_would_be_right() {
    let error = Supervisor::builder().max_cancellations_per_minute(0).start().unwrap_err();
    assert_eq!(error.kind(), haltline::ErrorKind::InvalidArgument);
    let text = error.to_string();
    assert!(text.contains("max_cancellations_per_minute is 0") && text.contains("observe"), "{text}");
    assert!(Supervisor::builder().max_cancellations_per_minute(1).manual().is_ok());
}

#[test]
fn a_misspelt_profile_is_answered_with_the_nearest_name() {
    let scene = Scene::new(|b| b);
    let error = scene.supervisor.start("macro", "atack").unwrap_err();
    assert_eq!(error.kind(), haltline::ErrorKind::UnknownProfile);
    assert!(error.to_string().contains("attack"), "{error}");
}

#[test]
fn a_session_groups_the_incidents_of_the_tasks_that_started_in_it() {
    let scene = Scene::new(|b| b);
    let before = scene.supervisor.start("before", profile("p")).unwrap();
    scene.pass(S);
    let session = scene.supervisor.session("raid");
    let within = scene.supervisor.start("within", profile("p")).unwrap();
    before.cancel("end");
    within.cancel("end");
    drop((before, within));
    scene.pass(S);
    let mine = session.incidents();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].task.as_ref().unwrap().name, "within");
    assert_eq!(mine[0].session.as_ref().unwrap().name, "raid");
    assert_eq!(session.end().outcomes["stopped"], 1);
}

/// Work that leaves only by force.
#[derive(Default)]
struct Foreign {
    asked: AtomicBool,
    gone: AtomicBool,
    deaf: bool,
}

impl Stopper for Foreign {
    fn request(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }
    fn force(&self) -> bool {
        assert!(self.asked.load(Ordering::SeqCst), "asked before it is forced");
        self.gone.store(!self.deaf, Ordering::SeqCst);
        !self.deaf
    }
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }
}

#[test]
fn a_hosts_own_stopper_is_asked_then_forced_and_believed_only_when_it_is_gone() {
    for (deaf, expected) in [(false, Outcome::Killed), (true, Outcome::StillRunning)] {
        let supervisor = Supervisor::builder().verify(Duration::from_millis(200)).start().unwrap();
        let profile = Profile::builder("p").grace(Duration::from_millis(20)).build().unwrap();
        let work = Arc::new(Foreign { deaf, ..Foreign::default() });
        let task = supervisor.start_with("foreign", &profile, work).unwrap();
        assert!(task.cancel("test"));
        assert_eq!(task.wait_outcome(10 * S), Some(expected));
    }
}

#[test]
fn profiles_and_a_folder_of_profiles_are_not_both_taken() {
    let folder = tempfile::tempdir().unwrap();
    let both =
        Supervisor::builder().profiles(haltline::supervisor::Profiles::new()).profile_folder(folder.path());
    let error = both.start().unwrap_err();
    assert_eq!(error.kind(), haltline::ErrorKind::InvalidArgument);
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
}
