//! What one look at the machine saw.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock::Time;

/// One look at the machine and at the signals that the host feeds.
///
/// A part that could not be read, is switched off, or has no meaning yet is `None`: unknown, which is
/// neither zero nor good. Percentages are 0 to 100 of what this machine, or the container around the
/// process, may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sample {
    /// When, on the monitor's clock.
    pub at: Time,
    /// When, on the calendar.
    pub wall: SystemTime,
    /// Processor use since the sample before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory and swap in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Run-queue averages over 1, 5 and 15 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<[f64; 3]>,
    /// Pressure stall information, where the kernel has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// Bytes per second read from and written to block devices, over the last five seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Rates>,
    /// Bytes per second received and sent over network interfaces other than loopback, over the last five seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Rates>,
    /// This process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessUse>,
    /// What the host feeds: frames, latency, response times, gauges.
    pub signals: SignalValues,
}

/// Processor use since the sample before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cpu {
    /// 0 to 100 of `capacity`.
    pub percent: f64,
    /// Cores that may be used; fractional where a container is limited so.
    pub capacity: f64,
    /// Processor time used on the machine, or in the container where a limit applies, since the monitor started.
    pub busy: Duration,
    /// While all is in use: about what would be used with cores enough, in percent of `capacity` and so over 100 where
    /// threads wait for a core, 200 at most: of those that wait for the same core one counts. `None` on a machine that is
    /// not full, in the first sample of one that is, and where it is not known: in a container with a CPU limit or fewer
    /// cores than the machine, and elsewhere than on Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand_percent: Option<f64>,
    /// 0 to 100 for each core of the machine, in the kernel's order; empty where it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_core: Vec<f32>,
}

/// Memory and swap in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Memory {
    /// 0 to 100 of `limit_bytes`.
    pub percent: f64,
    /// Bytes in use that could not be reclaimed at once.
    pub used_bytes: u64,
    /// Bytes that may be used: the container's limit, or the machine's memory.
    pub limit_bytes: u64,
    /// Swap in use, in bytes.
    pub swap_used_bytes: u64,
    /// All swap, in bytes; zero without swap.
    pub swap_total_bytes: u64,
}

/// Percent of the last ten seconds in which some task waited for the resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pressure {
    /// Waited for a processor.
    pub cpu: f64,
    /// Waited for memory.
    pub memory: f64,
    /// Waited for input or output.
    pub io: f64,
}

/// A pair of flows in bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Read from disk, or received from the network.
    pub inward: f64,
    /// Written to disk, or sent to the network.
    pub outward: f64,
}

impl Rates {
    /// From two readings of a pair of byte counters, `span` apart. A counter that fell counts as still.
    pub(crate) fn between(before: (u64, u64), now: (u64, u64), span: Duration) -> Rates {
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / span.as_secs_f64();
        Rates { inward: rate(before.0, now.0), outward: rate(before.1, now.1) }
    }
}

/// What this process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessUse {
    /// Percent of one core since the sample before: 250 is two and a half cores.
    pub cpu_percent: f64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Threads.
    pub threads: u32,
    /// Open file descriptors, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
}

/// What the host feeds. A signal that was never fed, is paused, or had no value since the sample before is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignalValues {
    /// Frames per second. A stall drives it towards zero instead of hiding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// The 99th percentile of the time between frames, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_p99_ms: Option<f64>,
    /// How long no frame has come, in milliseconds, if that is a stall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_ms: Option<f64>,
    /// Latency in milliseconds: the median of the values since the sample before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Response time in milliseconds: the median of the values since the sample before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
    /// Further gauges by name; each keeps its last value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gauges: BTreeMap<String, f64>,
}

/// A process that used much when a sample was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopProcess {
    /// Process id.
    pub pid: u32,
    /// The kernel's short name of it.
    pub name: String,
    /// Percent of one core over the measured span.
    pub cpu_percent: f64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
}

impl Sample {
    /// A sample in which everything is unknown.
    pub fn unknown(at: Time, wall: SystemTime) -> Self {
        Sample {
            at,
            wall,
            cpu: None,
            memory: None,
            load: None,
            pressure: None,
            disk: None,
            network: None,
            process: None,
            signals: SignalValues::default(),
        }
    }
}
