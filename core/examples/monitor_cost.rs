//! Measures what monitoring costs: CPU a sample at 1 Hz, memory, and each source alone, cold and warm.
//!
//! `cargo run --release -p haltline --example monitor_cost [SECONDS]`; with `--features portable-monitor`
//! the portable path is measured beside it. `benches/psutil_cost.py` is the peer.

#![allow(clippy::print_stdout, reason = "its output is the point")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use haltline::monitor::{Monitor, Source, Sources};

const PARTS: [(&str, &[Source]); 9] = [
    ("cpu", &[Source::Cpu]),
    ("memory", &[Source::Memory]),
    ("load (each 5 s)", &[Source::Load]),
    ("pressure (each 5 s)", &[Source::Pressure]),
    ("disk (each 5 s)", &[Source::Disk]),
    ("network (each 5 s)", &[Source::Network]),
    ("process", &[Source::Process]),
    ("process and open files", &[Source::Process, Source::OpenFiles]),
    ("limits (each 10 s)", &[Source::Limits]),
];

fn main() -> haltline::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(20);
    let before = resident_kib();
    let start = Instant::now();
    let monitor = Monitor::start()?;
    println!("start: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    at_one_hertz("direct path, everything", &monitor, seconds);
    println!("memory: {} KiB more than without the monitor", resident_kib().saturating_sub(before));
    monitor.stop();
    drop(monitor);

    let idle = Monitor::builder().sources(Sources::none()).start()?;
    at_one_hertz("waking up and reading nothing", &idle, seconds);
    idle.stop();

    #[cfg(feature = "portable-monitor")]
    {
        let monitor = Monitor::builder().sources(Sources::all().portable()).start()?;
        at_one_hertz("portable path, everything", &monitor, seconds);
        monitor.stop();
    }

    println!("one source, µs of CPU: in a loop, and cold (each 210 ms)");
    for (name, sources) in PARTS {
        let sources = sources.iter().fold(Sources::none(), |all, source| all.with(*source));
        // Sources that are read now and then are due at every look of a clock that jumps.
        let clock = haltline::clock::ManualClock::new();
        let monitor =
            Monitor::builder().sources(sources).clock(std::sync::Arc::new(clock.clone())).manual()?;
        let look = || {
            clock.advance(Duration::from_secs(11));
            black_box(monitor.sample_now());
        };
        let warm = each(500, || (), look);
        let cold = each(10, || std::thread::sleep(Duration::from_millis(210)), look);
        println!("{name:24} {warm:8.1} {cold:8.1}");
    }

    let monitor = Monitor::builder().sources(Sources::none()).manual()?;
    let signals = monitor.signals();
    println!("a frame tick: {:.1} ns", each(1, || (), || (0..1_000_000).for_each(|_| signals.frame())) / 1e3);
    let latency = Duration::from_millis(5);
    let feed = || (0..1_000_000).for_each(|_| signals.latency(black_box(latency)));
    println!("a latency:    {:.1} ns", each(1, || (), feed) / 1e3);
    Ok(())
}

/// Runs the monitor and prints the CPU that the whole process used, which does nothing else.
fn at_one_hertz(what: &str, monitor: &Monitor, seconds: u64) {
    std::thread::sleep(Duration::from_millis(1500));
    let (count, cpu, start) = (monitor.history().len(), process_cpu(), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let used = (process_cpu() - cpu).as_secs_f64() * 1e6;
    let samples = monitor.history().len() - count;
    let share = used / start.elapsed().as_secs_f64() / 1e4;
    println!(
        "{what}: {:.0} µs of CPU a sample, {share:.4} % of a core, {samples} samples",
        used / samples as f64
    );
}

/// The CPU of this thread for one call of `work`, in µs.
fn each(times: u32, mut before: impl FnMut(), work: impl Fn()) -> f64 {
    work();
    let mut used = Duration::ZERO;
    for _ in 0..times {
        before();
        let start = thread_cpu();
        work();
        used += thread_cpu() - start;
    }
    used.as_secs_f64() * 1e6 / f64::from(times)
}

#[cfg(target_os = "linux")]
fn cpu_clock(id: rustix::time::ClockId) -> Duration {
    let t = rustix::time::clock_gettime(id);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

#[cfg(target_os = "linux")]
fn process_cpu() -> Duration {
    cpu_clock(rustix::time::ClockId::ProcessCPUTime)
}

#[cfg(target_os = "linux")]
fn thread_cpu() -> Duration {
    cpu_clock(rustix::time::ClockId::ThreadCPUTime)
}

/// Elsewhere the figures are of wall time, which is more.
#[cfg(not(target_os = "linux"))]
fn process_cpu() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(not(target_os = "linux"))]
fn thread_cpu() -> Duration {
    process_cpu()
}

/// Resident memory as the kernel counts it page by page; zero where that is not known.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
