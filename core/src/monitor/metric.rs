//! The numbers of a sample by name, so that a window of samples can be summed up.

use std::fmt;
use std::str::FromStr;

use super::Sample;
use crate::error::{Error, ErrorKind};

/// One number of a [`Sample`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Processor use, 0 to 100 of what may be used.
    CpuPercent,
    /// Memory use, 0 to 100 of what may be used.
    MemoryPercent,
    /// Memory in use, in bytes.
    MemoryUsedBytes,
    /// Swap in use, in bytes.
    SwapUsedBytes,
    /// Run-queue average over one minute.
    Load,
    /// Percent of time in which some task waited for a processor.
    PressureCpu,
    /// Percent of time in which some task waited for memory.
    PressureMemory,
    /// Percent of time in which some task waited for input or output.
    PressureIo,
    /// Bytes per second read from disks.
    DiskRead,
    /// Bytes per second written to disks.
    DiskWritten,
    /// Bytes per second received.
    NetworkReceived,
    /// Bytes per second sent.
    NetworkSent,
    /// Processor use of this process; 100 is one core.
    ProcessCpuPercent,
    /// Resident memory of this process, in bytes.
    ProcessMemoryBytes,
    /// Threads of this process.
    ProcessThreads,
    /// Open files of this process.
    ProcessOpenFiles,
    /// Frames per second.
    Fps,
    /// The 99th percentile of the time between frames, in milliseconds.
    FrameP99Ms,
    /// Latency in milliseconds.
    LatencyMs,
    /// Response time in milliseconds.
    ResponseMs,
    /// A gauge that the host feeds, by its name.
    Gauge(String),
}

impl Metric {
    /// Every metric that has a fixed name, in the order of the fields of a sample.
    pub const FIXED: [Metric; 20] = [
        Metric::CpuPercent,
        Metric::MemoryPercent,
        Metric::MemoryUsedBytes,
        Metric::SwapUsedBytes,
        Metric::Load,
        Metric::PressureCpu,
        Metric::PressureMemory,
        Metric::PressureIo,
        Metric::DiskRead,
        Metric::DiskWritten,
        Metric::NetworkReceived,
        Metric::NetworkSent,
        Metric::ProcessCpuPercent,
        Metric::ProcessMemoryBytes,
        Metric::ProcessThreads,
        Metric::ProcessOpenFiles,
        Metric::Fps,
        Metric::FrameP99Ms,
        Metric::LatencyMs,
        Metric::ResponseMs,
    ];

    /// The stable name. A gauge's is `gauge.` and the name that the host gave it.
    pub fn name(&self) -> std::borrow::Cow<'static, str> {
        let fixed = match self {
            Metric::CpuPercent => "cpu_percent",
            Metric::MemoryPercent => "memory_percent",
            Metric::MemoryUsedBytes => "memory_used_bytes",
            Metric::SwapUsedBytes => "swap_used_bytes",
            Metric::Load => "load",
            Metric::PressureCpu => "pressure_cpu",
            Metric::PressureMemory => "pressure_memory",
            Metric::PressureIo => "pressure_io",
            Metric::DiskRead => "disk_read",
            Metric::DiskWritten => "disk_written",
            Metric::NetworkReceived => "network_received",
            Metric::NetworkSent => "network_sent",
            Metric::ProcessCpuPercent => "process_cpu_percent",
            Metric::ProcessMemoryBytes => "process_memory_bytes",
            Metric::ProcessThreads => "process_threads",
            Metric::ProcessOpenFiles => "process_open_files",
            Metric::Fps => "fps",
            Metric::FrameP99Ms => "frame_p99_ms",
            Metric::LatencyMs => "latency_ms",
            Metric::ResponseMs => "response_ms",
            Metric::Gauge(name) => return format!("gauge.{name}").into(),
        };
        fixed.into()
    }

    /// The metric with this [name](Metric::name); any `gauge.` name is one.
    pub fn from_name(name: &str) -> Option<Metric> {
        match name.strip_prefix("gauge.") {
            Some(gauge) => Some(Metric::Gauge(gauge.to_owned())),
            None => Metric::FIXED.into_iter().find(|m| m.name() == name),
        }
    }

    /// Its value in `sample`, or `None` if the sample does not know it.
    pub fn of(&self, sample: &Sample) -> Option<f64> {
        match self {
            Metric::CpuPercent => sample.cpu.as_ref().map(|c| c.percent),
            Metric::MemoryPercent => sample.memory.map(|m| m.percent),
            Metric::MemoryUsedBytes => sample.memory.map(|m| m.used_bytes as f64),
            Metric::SwapUsedBytes => sample.memory.map(|m| m.swap_used_bytes as f64),
            Metric::Load => sample.load.map(|l| l[0]),
            Metric::PressureCpu => sample.pressure.map(|p| p.cpu),
            Metric::PressureMemory => sample.pressure.map(|p| p.memory),
            Metric::PressureIo => sample.pressure.map(|p| p.io),
            Metric::DiskRead => sample.disk.map(|d| d.inward),
            Metric::DiskWritten => sample.disk.map(|d| d.outward),
            Metric::NetworkReceived => sample.network.map(|n| n.inward),
            Metric::NetworkSent => sample.network.map(|n| n.outward),
            Metric::ProcessCpuPercent => sample.process.map(|p| p.cpu_percent),
            Metric::ProcessMemoryBytes => sample.process.map(|p| p.memory_bytes as f64),
            Metric::ProcessThreads => sample.process.map(|p| f64::from(p.threads)),
            Metric::ProcessOpenFiles => sample.process.and_then(|p| p.open_files).map(f64::from),
            Metric::Fps => sample.signals.fps,
            Metric::FrameP99Ms => sample.signals.frame_p99_ms,
            Metric::LatencyMs => sample.signals.latency_ms,
            Metric::ResponseMs => sample.signals.response_ms,
            Metric::Gauge(name) => sample.signals.gauges.get(name).copied(),
        }
    }
}

/// By its [name](Metric::name).
///
/// # Example
/// ```
/// use haltline::monitor::Metric;
///
/// assert_eq!("fps".parse::<Metric>()?, Metric::Fps);
/// assert!("cpu".parse::<Metric>().unwrap_err().to_string().contains("cpu_percent"));
/// # Ok::<(), haltline::Error>(())
/// ```
impl FromStr for Metric {
    type Err = Error;
    fn from_str(name: &str) -> Result<Metric, Error> {
        Metric::from_name(name).ok_or_else(|| {
            let known = Metric::FIXED.map(|m| m.name().into_owned()).join(", ");
            let what = format!("no metric is named {name:?}; known are {known}, and gauge.NAME");
            Error::new(ErrorKind::InvalidArgument, what)
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
