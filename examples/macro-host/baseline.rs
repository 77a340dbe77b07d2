//! What the machine does before the first macro, and the limits that follow from it.

use std::time::{Duration, Instant};

use haltline::monitor::{Metric, Monitor};

use crate::system;

const SPAN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(6);
const MIB: u64 = 1 << 20;

/// The host without macros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baseline {
    /// Percent of what may be used.
    pub(crate) cpu: f64,
    /// Percent of what may be used.
    pub(crate) memory: f64,
    pub(crate) used_bytes: u64,
    pub(crate) limit_bytes: u64,
    pub(crate) fps: f64,
    /// The 95th percentile in milliseconds.
    pub(crate) latency: f64,
    /// The 95th percentile in milliseconds.
    pub(crate) response: f64,
    /// Cores that may be used; fractional in some containers.
    pub(crate) cores: f64,
}

/// The bounds of all profiles, and what the scene may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) fps: f64,
    pub(crate) latency: f64,
    pub(crate) response: f64,
    /// The least share of a metric that makes a task eligible to be cancelled for it.
    pub(crate) min_share: f64,
    /// The most that the memory hog takes.
    pub(crate) hog_bytes: u64,
    /// Busy threads at one time.
    pub(crate) threads: u64,
    /// 0 to 1: how much of its time a macro that keeps a lock also burns the processor.
    pub(crate) burn: f64,
}

/// Above this the machine is worth waiting for.
const BUSY: f64 = 70.0;

/// Measures for about two seconds, and again for a while if the machine is busy: what others do just then
/// makes a poor baseline. `None` if a signal to stop came, or if the machine could not be read.
pub(crate) fn measure(monitor: &Monitor) -> Option<Baseline> {
    let begun = Instant::now();
    // The first moment is the start of this program and not the machine.
    wait(Duration::from_millis(250))?;
    loop {
        wait(SPAN)?;
        let base = look(monitor)?;
        if base.cpu < BUSY || begun.elapsed() > PATIENCE {
            return Some(base);
        }
    }
}

fn wait(time: Duration) -> Option<()> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if system::is_interrupted() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(())
}

fn look(monitor: &Monitor) -> Option<Baseline> {
    let of = |metric| monitor.summary(&metric, SPAN - Duration::from_millis(100));
    let sample = monitor.latest()?;
    let memory = sample.memory?;
    Some(Baseline {
        cpu: of(Metric::CpuPercent)?.mean,
        memory: of(Metric::MemoryPercent)?.mean,
        used_bytes: memory.used_bytes,
        limit_bytes: memory.limit_bytes,
        fps: of(Metric::Fps)?.p50,
        latency: of(Metric::LatencyMs)?.p95,
        response: of(Metric::ResponseMs)?.p95,
        cores: sample.cpu.as_ref()?.capacity,
    })
}

impl Limits {
    /// `threads` is how many may be busy at one time.
    pub(crate) fn of(base: &Baseline, threads: u64) -> Limits {
        let free = base.limit_bytes.saturating_sub(base.used_bytes);
        let hog_bytes = (free / 4).min(1024 * MIB);
        let hog_percent = 100.0 * hog_bytes as f64 / base.limit_bytes.max(1) as f64;
        let hog_share = hog_bytes as f64 / (base.used_bytes + hog_bytes).max(1) as f64;
        Limits {
            cpu: cpu(base.cpu),
            memory: (base.memory + 0.5 * hog_percent).min(100.0),
            // A crowded processor alone takes some frames; a macro that keeps the scene takes seven of eight.
            fps: base.fps / 3.0,
            latency: slow(base.latency),
            response: slow(base.response),
            // Half the usual least share, so that a crowd of other programs does not hide a macro; and less
            // where so much memory is in use that the little that the hog may take is a small part of it.
            min_share: (hog_share / 2.0).min(0.05),
            hog_bytes,
            threads,
            burn: (0.15 * base.cores).clamp(0.15, 0.9),
        }
    }

    /// Two columns, to be printed.
    pub(crate) fn table(&self, base: &Baseline) -> String {
        let mut text = format!("  {:<9}{:>9}     {:>9}\n", "", "baseline", "limit");
        for (name, was, limit, unit) in [
            ("CPU", base.cpu, self.cpu, "%"),
            ("memory", base.memory, self.memory, "%"),
            ("frames", base.fps, self.fps, "fps"),
            ("latency", base.latency, self.latency, "ms"),
            ("response", base.response, self.response, "ms"),
        ] {
            let decimals = if unit == "ms" { 2 } else { 1 };
            text += &format!("  {name:<9}{was:>9.decimals$} {unit:<3} {limit:>9.1} {unit}\n");
        }
        text
    }
}

/// Above what the machine and one macro that keeps a lock use together. Where so much is in use already that
/// this cannot be, below that use: then the limit is in breach all the time, the load is from outside, and only
/// a macro that drives the others back is to blame.
fn cpu(base: f64) -> f64 {
    if base < 62.0 { 73.0 + base / 8.0 } else { 60.0 }
}

/// Ten times as slow, but never so near to the baseline that a busy scheduler alone reaches it, and never
/// beyond what a macro that keeps a lock does.
fn slow(base: f64) -> f64 {
    (10.0 * base).clamp(40.0, 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(cpu: f64, used_gib: u64, limit_gib: u64) -> Baseline {
        let (used_bytes, limit_bytes) = (used_gib << 30, limit_gib << 30);
        let memory = 100.0 * used_gib as f64 / limit_gib as f64;
        Baseline { cpu, memory, used_bytes, limit_bytes, fps: 60.0, latency: 0.2, response: 9.0, cores: 2.0 }
    }

    #[test]
    fn limits_lie_between_the_baseline_and_what_the_hogs_do() {
        let b = base(10.0, 2, 24);
        let l = Limits::of(&b, 2);
        assert!(l.cpu > b.cpu + 30.0 && l.cpu < 90.0, "{l:?}");
        assert!(l.memory > b.memory && l.memory < b.memory + 100.0 / 24.0, "{l:?}");
        assert_eq!((l.fps, l.latency, l.response), (20.0, 40.0, 60.0));
        assert_eq!((l.hog_bytes, l.min_share), (1 << 30, 0.05));
    }

    #[test]
    fn the_memory_hog_takes_at_most_a_quarter_of_what_is_free() {
        let l = Limits::of(&base(10.0, 2, 4), 2);
        assert_eq!(l.hog_bytes, 512 * MIB);
        assert!(l.memory < 50.0 + 12.5, "the hog reaches it: {l:?}");
    }

    #[test]
    fn where_much_is_in_use_a_smaller_share_counts() {
        let l = Limits::of(&base(10.0, 50, 64), 2);
        assert!(l.min_share < 0.011 && l.min_share > 0.009, "{l:?}");
    }

    #[test]
    fn a_full_machine_still_gets_limits_that_can_break() {
        let l = Limits::of(&base(100.0, 4, 4), 2);
        assert!(l.cpu <= 65.0 && l.memory <= 100.0 && l.min_share >= 0.0, "{l:?}");
    }
}
