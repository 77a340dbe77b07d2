//! A host without a thread or a descriptor left. Each test goes on in a process of its own, which it deprives.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod child;
mod stage;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use haltline::clock::{Clock, SystemClock};
use haltline::event::{Delivery, SubscribeOptions};
use haltline::monitor::{Monitor, Sample};
use haltline::supervisor::{Cause, Input, Limit, Outcome, Supervisor};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process, pidfd_open, setrlimit,
};
use stage::{Asked, MS, S, quick, wait_for};

/// Takes away every further thread of this process; returns what gives them back.
fn without_threads() -> impl FnOnce() {
    let before = getrlimit(Resource::Nproc);
    setrlimit(Resource::Nproc, Rlimit { current: Some(0), ..before }).unwrap();
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "the limit must hold for this test");
    move || setrlimit(Resource::Nproc, before).unwrap()
}

/// Where no thread can be started any more, as in the middle of a fork bomb, host code waits for one and then runs.
#[test]
fn host_code_waits_where_the_system_has_no_thread_left() {
    if child::part().is_none() {
        return child::run_as_nobody("host_code_waits_where_the_system_has_no_thread_left");
    }
    let supervisor = Supervisor::builder().verify(20 * S).start().unwrap();
    let profile = quick("p").build().unwrap();
    let handled = Arc::new(AtomicBool::new(false));
    let task = supervisor.start("section", &profile).unwrap();
    let seen = handled.clone();
    task.on_cancel(move |outcome| seen.store(outcome == Outcome::Stopped, Ordering::SeqCst));
    let work = Arc::new(Asked::default());
    let foreign = supervisor.start_with("foreign", &profile, work.clone()).unwrap();

    let give_back = without_threads();
    task.cancel("no thread");
    foreign.cancel("no thread");
    let token = task.token().clone();
    drop(task);
    assert_eq!(token.wait_outcome(10 * S), Some(Outcome::Stopped));
    std::thread::sleep(200 * MS);
    assert!(!handled.load(Ordering::SeqCst) && !work.was_asked());

    give_back();
    wait_for("the handler runs", || handled.load(Ordering::SeqCst));
    assert_eq!(foreign.wait_outcome(10 * S), Some(Outcome::Stopped));
}

/// A breach that cancels nobody is recorded by whoever samples, and nothing is due to the watch thread then.
#[test]
fn a_record_made_without_a_thread_is_told_once_there_is_one() {
    if child::part().is_none() {
        return child::run_as_nobody("a_record_made_without_a_thread_is_told_once_there_is_one");
    }
    let monitor = Monitor::builder().manual().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor.clone()).start().unwrap();
    let told = supervisor.bus().subscribe("task.breach", SubscribeOptions::default()).unwrap();
    let profile = quick("p").host_max_latency_ms(1.0).sustain(Duration::ZERO).build().unwrap();
    let task = supervisor.start("section", &profile).unwrap();
    let give_back = without_threads();
    let mut sample = Sample::unknown(SystemClock.now(), SystemClock.wall());
    sample.signals.latency_ms = Some(1000.0);
    monitor.feed(sample);
    assert_eq!(supervisor.incidents(9).len(), 1);
    assert!(told.recv_timeout(100 * MS).is_none());
    give_back();
    assert!(told.recv_timeout(20 * S).is_some());
    assert!(!task.is_cancelled());
}

/// Takes every further descriptor of this process, for as long as the result is kept.
fn without_descriptors() -> Vec<File> {
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..getrlimit(Resource::Nofile) }).unwrap();
    let mut taken = Vec::with_capacity(256);
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

#[test]
fn a_host_without_a_descriptor_left_measures_its_trees_sees_them_end_and_ends_them() {
    if child::part().is_none() {
        return child::run("a_host_without_a_descriptor_left_measures_its_trees_sees_them_end_and_ends_them");
    }
    let monitor = Monitor::builder().interval(50 * MS).start().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor).start().unwrap();
    let profile = quick("p").task_max_memory_mib(64.0).build().unwrap();
    let start = |script: &str| {
        let command = supervisor.command("sh").args(["-c", script]).stdin(Input::Piped);
        let task = command.spawn(&profile).unwrap();
        let stdin = task.take_stdin().unwrap();
        (task, stdin)
    };
    // It ends by itself if nobody ends it sooner.
    let (hog, mut feed) = start("ulimit -v 2000000; read x; exec tail /dev/zero");
    let (short, mut end) = start("read x");
    let (obedient, _open) = start("exec sleep 1000");
    let (lost, _open) = start("exec sleep 20");
    let sleeper = Pid::from_raw(lost.pid().cast_signed()).unwrap();
    let sleeper = pidfd_open(sleeper, PidfdFlags::empty()).unwrap();
    let guardian = Pid::from_raw(lost.guardian_pid().cast_signed()).unwrap();
    let taken = without_descriptors();

    end.write_all(b"\n").unwrap();
    assert!(short.wait_timeout(10 * S).unwrap().exit.success());
    obedient.cancel("enough");
    assert_eq!(obedient.wait_outcome(10 * S), Some(Outcome::Stopped));
    kill_process(guardian, Signal::KILL).unwrap();
    let mut ended = [PollFd::new(&sleeper, PollFlags::IN)];
    let patience = Timespec { tv_sec: 4, tv_nsec: 0 };
    assert_eq!(poll(&mut ended, Some(&patience)).unwrap(), 1, "it runs on without its guardian");
    feed.write_all(b"\n").unwrap();
    let done = hog.wait_timeout(20 * S).unwrap();
    assert!(
        matches!(&done.cancelled, Some(Cause::Breach(breach)) if breach.limit == Limit::TaskMemoryMib),
        "{:?}",
        done.cancelled
    );
    assert!(File::open("/dev/null").is_err(), "there was a descriptor to be had");
    drop(taken);
}

#[test]
fn a_tree_that_cannot_be_looked_at_is_told_once_and_so_is_its_recovery() {
    if child::part().is_none() {
        return child::run("a_tree_that_cannot_be_looked_at_is_told_once_and_so_is_its_recovery");
    }
    let monitor = Monitor::builder().interval(50 * MS).start().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor).start().unwrap();
    let events = supervisor.bus().subscribe("monitor.degraded", SubscribeOptions::default()).unwrap();
    let profile = quick("p").task_max_memory_mib(64.0).build().unwrap();
    let command = supervisor.command("sleep").arg("1000").stdin(Input::Null);
    let task = command.spawn(&profile).unwrap();
    let told = |recovered: bool| {
        let event = loop {
            let delivery = events.recv_timeout(20 * S).expect("an event");
            if let Delivery::Event(event) = delivery
                && event.data()["source"] == "task"
            {
                break event;
            }
        };
        assert_eq!(event.subject(), Some(task.id().to_string().as_str()));
        assert_eq!(event.data()["recovered"], recovered, "{:?}", event.data());
        assert_eq!(event.data()["reason"].as_str().is_some_and(|r| r.contains("open files")), !recovered);
    };

    // Not even a thread with descriptors of its own has one more than the standard streams.
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..before }).unwrap();
    told(false);
    setrlimit(Resource::Nofile, before).unwrap();
    told(true);
    task.kill("enough");
}
