//! Hogs among healthy tasks of the same profile, on the machine as it is. Who hogs is known from here, not from
//! the engine. One test at a time: each loads the whole machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod child;

use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use haltline::monitor::{Metric, Monitor};
use haltline::supervisor::{
    ActionTaken, Cause, Limit, NotCancelled, Outcome, Output, Profile, Supervisor, Token,
};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

static ALONE: Mutex<()> = Mutex::new(());

fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

fn supervisor() -> Supervisor {
    let monitor = Monitor::builder().interval(100 * MS).start().unwrap();
    Supervisor::builder().monitor(monitor).settle(500 * MS).start().unwrap()
}

/// Uses about three percent of one core and says so by progress.
fn healthy(token: &Token) -> bool {
    while token.progress().is_ok() {
        let until = Instant::now() + Duration::from_micros(600);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        if token.sleep(20 * MS).is_err() {
            break;
        }
    }
    token.cause() == Some(Cause::Asked("the scene is over".to_owned()))
}

fn mean(monitor: &Monitor, metric: Metric) -> f64 {
    monitor.summary(&metric, S).map_or(0.0, |s| s.mean)
}

/// What the processor did so far: all of it, what was busy, and what this program used, in seconds.
fn processor() -> (f64, f64, f64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let ticks: Vec<f64> =
        stat.lines().next().unwrap().split_whitespace().skip(1).take(7).map(|n| n.parse().unwrap()).collect();
    let all: f64 = ticks.iter().sum();
    let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let own = own.tv_sec as f64 + own.tv_nsec as f64 / 1e9;
    (all / 100.0, (all - ticks[3] - ticks[4]) / 100.0, own)
}

/// Percent of the processor that other programs used since `before`.
fn others(before: (f64, f64, f64)) -> f64 {
    let now = processor();
    let busy = (now.1 - before.1) - (now.2 - before.2);
    (busy / (now.0 - before.0) * 100.0).max(0.0)
}

/// Load that nobody supervises: as many busy shells as there are cores.
struct Outside(Vec<Child>);

impl Outside {
    fn start() -> Outside {
        let shell = || {
            let mut command = Command::new("sh");
            command.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap()
        };
        Outside((0..cores()).map(|_| shell()).collect())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn only_the_cpu_hogs_go() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let supervisor = supervisor();
    std::thread::sleep(S);
    let before = mean(supervisor.monitor(), Metric::CpuPercent);
    if before > 90.0 {
        eprintln!("not checked: only the CPU hogs go (other programs use {before:.0} % of the processor)");
        return;
    }
    // All share this profile; its bound lies half a core below the full machine, well above what one hog less leaves.
    let bound = before + (100.0 - before) * (1.0 - 0.5 / cores() as f64);
    let profile = Profile::builder("macro").sustain(S).grace(S).host_max_cpu_percent(bound).build().unwrap();
    let healthy: Vec<_> =
        (0..4).map(|n| supervisor.spawn(format!("healthy {n}"), &profile, healthy).unwrap()).collect();
    let command = supervisor.command("sleep").arg("1000").spawn(&profile).unwrap();
    let hogs: Vec<_> = (0..cores())
        .map(|n| supervisor.spawn(format!("hog {n}"), &profile, |t| while t.check().is_ok() {}).unwrap())
        .collect();

    // The machine is over the bound until enough hogs are gone; then the rest may stay.
    let mut most = 0.0_f64;
    let stopped = (0..20).any(|_| {
        let begun = processor();
        let stopped = hogs[0].token().wait_outcome(S) == Some(Outcome::Stopped)
            || hogs.iter().any(|h| h.token().outcome() == Some(Outcome::Stopped));
        most = most.max(others(begun));
        stopped
    });
    if !stopped && most >= bound {
        eprintln!(
            "not checked: only the CPU hogs go (other programs alone used {most:.0} % of the processor)"
        );
        supervisor.stop_all("the scene is over");
        return;
    }
    assert!(stopped, "no hog was stopped, though other programs used {most:.0} % at most");
    let until = Instant::now() + 20 * S;
    while mean(supervisor.monitor(), Metric::CpuPercent) > bound && Instant::now() < until {
        std::thread::sleep(50 * MS);
    }
    // What else runs on the machine may alone break the bound for a while; then a record says so.
    supervisor.flush(20 * S).unwrap();
    let (cancelled, recorded): (Vec<_>, Vec<_>) =
        supervisor.incidents(100).into_iter().partition(|i| i.action == ActionTaken::Cancel);
    for incident in cancelled {
        let name = &incident.task.as_ref().unwrap().name;
        assert!(name.starts_with("hog"), "cancelled a bystander: {}", incident.summary());
        assert!(!incident.blame.is_empty() && !incident.top.is_empty(), "it explains itself");
    }
    let outside = recorded.iter().any(|i| i.reason == Some(NotCancelled::External));
    assert!(mean(supervisor.monitor(), Metric::CpuPercent) <= bound || outside, "the breach is over");
    supervisor.stop_all("the scene is over");
    assert!(healthy.into_iter().all(|task| task.join().unwrap()), "no healthy task was cancelled");
    assert_eq!(command.wait().unwrap().cancelled, Some(Cause::Asked("the scene is over".to_owned())));
}

#[test]
fn only_the_memory_hog_goes() {
    match child::part().as_deref() {
        // Deaf to the request.
        Some("hog") => {
            // SAFETY: no handler is involved.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            // Up to a quarter of what is free: another program may give some back, and then more is needed.
            let memory = Monitor::builder().manual().unwrap().sample_now().memory.unwrap();
            child::hold(32, ((memory.limit_bytes - memory.used_bytes) >> 22).max(1024) as usize);
        }
        Some(_) => child::hold(40, 40),
        None => {}
    }
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let supervisor = supervisor();
    let sample = supervisor.monitor().sample_now();
    let memory = sample.memory.expect("memory is read on Linux");
    let room = 1024.0 * 1024.0 * 1024.0 / memory.limit_bytes as f64 * 100.0;
    let bound = memory.percent + room / 2.0;
    let profile =
        Profile::builder("macro").sustain(500 * MS).grace(S).host_max_memory_percent(bound).build().unwrap();
    let start = |part: &'static str| {
        let command = child::command(&supervisor, "only_the_memory_hog_goes", part);
        command.name(part).spawn(&profile).unwrap()
    };
    let steady = [start("steady"), start("steady")];
    let hog = start("hog");
    let Ok(done) = hog.wait_timeout(30 * S) else {
        let now = supervisor.monitor().sample_now().memory;
        panic!(
            "the hog lives: bound {bound:.2} %, memory before {memory:?}, now {now:?}, tasks {:#?}, incidents {:#?}",
            supervisor.active(),
            supervisor.incidents(10)
        );
    };
    assert_eq!(done.outcome, Some(Outcome::Killed));
    match done.cancelled {
        Some(Cause::Breach(breach)) => assert_eq!(breach.limit, Limit::HostMemoryPercent),
        other => panic!("{other:?}"),
    }
    assert!(steady.iter().all(|task| !task.is_cancelled() && task.exit().is_none()));
    assert_eq!(supervisor.incidents(10).len(), 1);
    supervisor.shutdown(20 * S).unwrap();
}

#[test]
fn load_from_outside_without_a_hog_costs_nobody() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let supervisor = supervisor();
    let profile = Profile::builder("macro").sustain(S).host_max_cpu_percent(90.0).build().unwrap();
    let mut healthy: Vec<_> =
        (0..4).map(|n| supervisor.spawn(format!("healthy {n}"), &profile, healthy).unwrap()).collect();
    // Has more than the least share of the use, and leaves the machine as full as it was.
    let busy = supervisor.spawn("busy", &profile, |token| {
        while token.check().is_ok() {
            let until = Instant::now() + 60 * MS;
            while Instant::now() < until {}
            std::thread::sleep(40 * MS);
        }
        true
    });
    healthy.push(busy.unwrap());
    let command = supervisor.command("sleep").arg("1000").stdout(Output::Null).spawn(&profile).unwrap();
    let outside = Outside::start();
    let until = Instant::now() + 20 * S;
    while supervisor.incidents(1).is_empty() && Instant::now() < until {
        std::thread::sleep(50 * MS);
    }
    std::thread::sleep(2 * S);
    drop(outside);
    let incidents = supervisor.incidents(100);
    assert!(!incidents.is_empty(), "the breach was seen");
    assert!(incidents.iter().all(|i| i.reason == Some(NotCancelled::External)), "{incidents:?}");
    supervisor.stop_all("the scene is over");
    assert!(healthy.into_iter().all(|task| task.join().unwrap()), "no healthy task was cancelled");
    command.wait().unwrap();
}

#[test]
fn to_kill_programs_of_many_threads_does_not_hold_up_a_full_machine() {
    if child::part().is_some() {
        (0..4).for_each(|_| drop(std::thread::spawn(|| std::thread::sleep(60 * S))));
        std::thread::sleep(60 * S);
    }
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let supervisor = supervisor();
    let profile = Profile::builder("macro").grace(Duration::ZERO).build().unwrap();
    let outside = Outside::start();
    let test = "to_kill_programs_of_many_threads_does_not_hold_up_a_full_machine";
    let mut times = Vec::new();
    for _ in 0..3 {
        let start = || child::command(&supervisor, test, "sleeper").spawn(&profile).unwrap();
        let all: Vec<_> = (0..2 * cores()).map(|_| start()).collect();
        let threads = |pid| std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let until = Instant::now() + 20 * S;
        while all.iter().any(|task| threads(task.pid()) < 5) {
            assert!(Instant::now() < until, "the programs begin");
            std::thread::sleep(10 * MS);
        }
        let asked = Instant::now();
        supervisor.stop_all("the scene is over");
        for task in all {
            let outcome = task.wait().unwrap().outcome;
            assert!(matches!(outcome, Some(Outcome::Stopped | Outcome::Killed)), "{outcome:?}");
        }
        times.push(asked.elapsed());
    }
    println!("all verified dead after {times:?}");
    times.sort();
    assert!(times[1] < 500 * MS, "{times:?}");
    if !rustix::process::geteuid().is_root() {
        println!("not checked: a guardian with a real-time priority (only root may have one everywhere)");
    }
    drop(outside);
}
