//! What the machine does before the first macro.

use std::time::{Duration, Instant};

use haltline::monitor::{Metric, Monitor};

use crate::system;

const SPAN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(6);

/// The host without macros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baseline {
    /// Percent of what may be used.
    pub(crate) cpu: f64,
    /// Percent of what may be used.
    pub(crate) memory: f64,
    pub(crate) used_bytes: u64,
    pub(crate) limit_bytes: u64,
    /// How far apart the most and the least in use lay.
    pub(crate) drift_bytes: u64,
    pub(crate) fps: f64,
    /// The 95th percentile in milliseconds.
    pub(crate) latency: f64,
    /// The 95th percentile in milliseconds.
    pub(crate) response: f64,
    /// Cores that may be used; fractional in some containers.
    pub(crate) cores: f64,
}

/// Measures for about two seconds, and again for a while if that is not `good`: what others do just then makes
/// a poor baseline. `None` if a signal to stop came, or if the machine could not be read.
pub(crate) fn measure(monitor: &Monitor, good: impl Fn(&Baseline) -> bool) -> Option<Baseline> {
    let begun = Instant::now();
    // The first moment is the start of this program and not the machine.
    wait(Duration::from_millis(250))?;
    loop {
        wait(SPAN)?;
        let base = look(monitor)?;
        if good(&base) || begun.elapsed() > PATIENCE {
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
    let percent = of(Metric::MemoryPercent)?;
    Some(Baseline {
        cpu: of(Metric::CpuPercent)?.mean,
        memory: percent.mean,
        used_bytes: (percent.mean / 100.0 * memory.limit_bytes as f64) as u64,
        limit_bytes: memory.limit_bytes,
        drift_bytes: ((percent.max - percent.min) / 100.0 * memory.limit_bytes as f64) as u64,
        fps: of(Metric::Fps)?.p50,
        latency: of(Metric::LatencyMs)?.p95,
        response: of(Metric::ResponseMs)?.p95,
        cores: sample.cpu.as_ref()?.capacity,
    })
}
