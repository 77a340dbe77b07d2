//! What a monitor saw: samples, sums over a window, failing sources and the busiest processes.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use haltline::Result;
use haltline::monitor::{Metric, Sample};

use crate::boundary::enter;
use crate::monitor::hl_monitor;
use crate::pointer::{Versioned, VersionedOut, buffer, handle, text};
use crate::record::to_json;
use crate::status::hl_status;

/// What one metric did over a window. Percentiles are values that were seen. Set struct_size to sizeof(hl_summary)
/// before the call.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct hl_summary {
    /// sizeof(hl_summary).
    pub struct_size: usize,
    /// How many samples knew the metric. If none did, everything here is zero.
    pub count: u64,
    /// The average.
    pub mean: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// 95 of 100 values are at most this.
    pub p95: f64,
    /// 99 of 100 values are at most this.
    pub p99: f64,
}

// SAFETY: `repr(C)`, a `usize` first; zero is a valid number.
unsafe impl Versioned for hl_summary {}

/// The newest sample of the machine and of the host's signals, as a JSON object. What is unknown is absent. Before
/// the first sample, null. at is in nanoseconds on the monitor's clock, wall on the calendar; percentages are 0 to 100
/// of what this process may use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_latest_json(
    monitor: *const hl_monitor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let sample = handle!(monitor).0.latest();
        buffer!(buf, len, needed).fill_text(&to_json(&sample.as_deref())?)
    })
}

/// The last count samples, the oldest first: a JSON array of what hl_monitor_latest_json gives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_recent_json(
    monitor: *const hl_monitor,
    count: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let samples = handle!(monitor).0.recent(count);
        buffer!(buf, len, needed).fill_text(&array(&samples)?)
    })
}

/// The samples that are at most window_ms milliseconds older than the newest one, the oldest first, as
/// hl_monitor_recent_json.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_window_json(
    monitor: *const hl_monitor,
    window_ms: u64,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let samples = handle!(monitor).0.window(Duration::from_millis(window_ms));
        buffer!(buf, len, needed).fill_text(&array(&samples)?)
    })
}

fn array(samples: &[Arc<Sample>]) -> Result<String> {
    to_json(&samples.iter().map(|sample| &**sample).collect::<Vec<_>>())
}

/// Takes a sample now, on this thread, whether or not the monitor runs; hl_monitor_latest_json has it then. It
/// consumes the latency and response times fed so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_sample_now(monitor: *const hl_monitor) -> hl_status {
    enter(|| {
        handle!(monitor).0.sample_now();
        Ok(())
    })
}

/// What a metric did over the last window_ms milliseconds. Metrics are named as in "cpu_percent", "memory_percent",
/// "fps", "latency_ms" or "gauge.NAME".
///
/// HL_INVALID_ARGUMENT for a name that is none; the sentence lists them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_summary(
    monitor: *const hl_monitor,
    metric: *const c_char,
    metric_len: usize,
    window_ms: u64,
    out: *mut hl_summary,
) -> hl_status {
    enter(|| {
        let monitor = handle!(monitor);
        let metric: Metric = text!(metric, metric_len).parse()?;
        // SAFETY: the header asks callers for a structure as long as its first field says.
        let out = unsafe { VersionedOut::new(out, "out") }?;
        let summary = monitor.0.summary(&metric, Duration::from_millis(window_ms));
        let of = |value: fn(&haltline::monitor::Summary) -> f64| summary.as_ref().map_or(0.0, value);
        out.set(hl_summary {
            struct_size: size_of::<hl_summary>(),
            count: summary.as_ref().map_or(0, |s| s.count as u64),
            mean: of(|s| s.mean),
            min: of(|s| s.min),
            max: of(|s| s.max),
            p50: of(|s| s.p50),
            p95: of(|s| s.p95),
            p99: of(|s| s.p99),
        });
        Ok(())
    })
}

/// The sources that fail at present: a JSON array of objects with source, reason and since, in nanoseconds on the
/// monitor's clock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_degraded_json(
    monitor: *const hl_monitor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let degraded = handle!(monitor).0.degraded();
        buffer!(buf, len, needed).fill_text(&to_json(&degraded)?)
    })
}

/// The count processes of the machine that used most CPU over the next 100 milliseconds, the largest first: a JSON
/// array of objects with pid, name, cpu_percent (100 is one core) and memory_bytes. Blocks for that long.
///
/// HL_IO if the list of processes cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_top_processes_json(
    monitor: *const hl_monitor,
    count: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let (monitor, buffer) = (handle!(monitor), buffer!(buf, len, needed));
        buffer.fill_text(&to_json(&monitor.0.top_processes(count)?)?)
    })
}

/// The count processes with most resident memory, the largest first, as hl_monitor_top_processes_json. Their CPU is
/// that since they began.
///
/// HL_IO if the list of processes cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_top_processes_by_memory_json(
    monitor: *const hl_monitor,
    count: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let (monitor, buffer) = (handle!(monitor), buffer!(buf, len, needed));
        buffer.fill_text(&to_json(&monitor.0.top_processes_by_memory(count)?)?)
    })
}
