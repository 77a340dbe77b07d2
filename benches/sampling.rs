//! What it costs to see what tasks use, beside the decision over it: processor time of one sample.
//!
//! `sampling threads N` has N tasks on threads of their own, `sampling sections N` as many on one thread. Each sample is
//! fed by hand, so that nothing else runs meanwhile; it reads the clocks of all threads and decides.
//! `sampling trees N` has N trees of one process that sleeps, with a memory limit, and counts what all threads of this
//! program use in ten seconds at one sample a second.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Barrier;
use std::time::Duration;

use haltline::clock::{Clock, SystemClock};
use haltline::monitor::{Monitor, Sample};
use haltline::supervisor::{Input, Output, Profile, Supervisor};
use rustix::time::{ClockId, clock_gettime};

const SAMPLES: usize = 41;
const SECONDS: u32 = 10;

fn main() {
    let mut args = std::env::args().skip(1);
    let (what, count) = (args.next(), args.next().and_then(|n| n.parse().ok()));
    match (what.as_deref(), count) {
        (Some("threads"), Some(count)) => threads(count),
        (Some("sections"), Some(count)) => sections(count),
        (Some("trees"), Some(count)) => trees(count),
        _ => panic!("usage: sampling threads|sections|trees N"),
    }
}

fn threads(count: usize) {
    let (monitor, supervisor) = fed_by_hand();
    let (begun, done) = (Barrier::new(count + 1), Barrier::new(count + 1));
    std::thread::scope(|scope| {
        for _ in 0..count {
            let work = || {
                let _task = supervisor.start("task", "attack").unwrap();
                begun.wait();
                done.wait();
            };
            std::thread::Builder::new().stack_size(64 * 1024).spawn_scoped(scope, work).unwrap();
        }
        begun.wait();
        tell("threads", count, a_sample(&monitor));
        done.wait();
    });
}

fn sections(count: usize) {
    let (monitor, supervisor) = fed_by_hand();
    let tasks: Vec<_> = (0..count).map(|_| supervisor.start("task", "attack").unwrap()).collect();
    tell("sections", count, a_sample(&monitor));
    drop(tasks);
}

fn trees(count: usize) {
    let supervisor = Supervisor::builder().start().unwrap();
    let attack = supervisor.profiles().get("attack").unwrap();
    let profile = Profile::builder("tree").extends(&attack).task_max_memory_mib(512.0).build().unwrap();
    let sleep = || {
        let command = supervisor.command("sleep").arg("1000").stdin(Input::Null).stdout(Output::Null);
        command.spawn(&profile).unwrap()
    };
    let tasks: Vec<_> = (0..count).map(|_| sleep()).collect();
    std::thread::sleep(Duration::from_secs(2));
    let before = processor_time(ClockId::ProcessCPUTime);
    std::thread::sleep(Duration::from_secs(1) * SECONDS);
    tell("trees", count, (processor_time(ClockId::ProcessCPUTime) - before) / SECONDS);
    drop(tasks);
    supervisor.shutdown(Duration::from_secs(60)).unwrap();
}

fn fed_by_hand() -> (Monitor, Supervisor) {
    let monitor = Monitor::builder().manual().unwrap();
    let supervisor = Supervisor::builder().monitor(monitor.clone()).start().unwrap();
    (monitor, supervisor)
}

/// Processor time of this thread for one sample, the median of many.
fn a_sample(monitor: &Monitor) -> Duration {
    let mut times: Vec<Duration> = (0..SAMPLES)
        .map(|_| {
            let before = processor_time(ClockId::ThreadCPUTime);
            monitor.feed(Sample::unknown(SystemClock.now(), SystemClock.wall()));
            processor_time(ClockId::ThreadCPUTime) - before
        })
        .collect();
    times.sort_unstable();
    times[SAMPLES / 2]
}

fn processor_time(of: ClockId) -> Duration {
    Duration::try_from(clock_gettime(of)).unwrap()
}

fn tell(what: &str, count: usize, a_sample: Duration) {
    let each = a_sample.as_secs_f64() * 1e6 / count.max(1) as f64;
    println!(
        "{count} {what}: {:.3} ms of processor time a sample, {each:.2} µs each",
        a_sample.as_secs_f64() * 1e3
    );
}
