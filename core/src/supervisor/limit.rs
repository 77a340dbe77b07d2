//! The names of all limits, and which of them which executor takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// A bound on one metric. Its [name](Limit::name) is its key in a profile file.
///
/// *Host limits* look at the machine and at signals that the host feeds; *task limits* at what one task uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Limit {
    /// How long a task may run.
    MaxDuration,
    /// CPU of the machine or container, in percent of what may be used.
    HostCpuPercent,
    /// Memory of the machine or container, in percent of what may be used.
    HostMemoryPercent,
    /// Frames per second that the host reports; the one limit that is broken from below.
    HostFps,
    /// Latency that the host reports, in milliseconds.
    HostLatencyMs,
    /// Response time that the host reports, in milliseconds.
    HostResponseMs,
    /// CPU of the task; 100 is one core.
    TaskCpuPercent,
    /// CPU time that the task used in all, in seconds.
    TaskCpuSeconds,
    /// Memory of the task, in MiB.
    TaskMemoryMib,
    /// Processes of the task.
    TaskProcesses,
    /// Bytes that the task wrote to its standard output and error, in MiB.
    TaskOutputMib,
    /// How long a task may go without reporting progress.
    TaskIdle,
}

impl Limit {
    /// Every limit, host limits before task limits.
    pub const ALL: [Limit; 12] = [
        Limit::MaxDuration,
        Limit::HostCpuPercent,
        Limit::HostMemoryPercent,
        Limit::HostFps,
        Limit::HostLatencyMs,
        Limit::HostResponseMs,
        Limit::TaskCpuPercent,
        Limit::TaskCpuSeconds,
        Limit::TaskMemoryMib,
        Limit::TaskProcesses,
        Limit::TaskOutputMib,
        Limit::TaskIdle,
    ];

    /// The key in a profile file, such as `task.max_memory_mib`.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::MaxDuration => "max_duration",
            Limit::HostCpuPercent => "host.max_cpu_percent",
            Limit::HostMemoryPercent => "host.max_memory_percent",
            Limit::HostFps => "host.min_fps",
            Limit::HostLatencyMs => "host.max_latency_ms",
            Limit::HostResponseMs => "host.max_response_ms",
            Limit::TaskCpuPercent => "task.max_cpu_percent",
            Limit::TaskCpuSeconds => "task.max_cpu_seconds",
            Limit::TaskMemoryMib => "task.max_memory_mib",
            Limit::TaskProcesses => "task.max_processes",
            Limit::TaskOutputMib => "task.max_output_mib",
            Limit::TaskIdle => "task.max_idle",
        }
    }

    /// The unit in which bounds and observed values of this limit are written.
    pub const fn unit(self) -> &'static str {
        match self {
            Limit::MaxDuration | Limit::TaskCpuSeconds | Limit::TaskIdle => "s",
            Limit::HostCpuPercent | Limit::HostMemoryPercent | Limit::TaskCpuPercent => "%",
            Limit::HostFps => "fps",
            Limit::HostLatencyMs | Limit::HostResponseMs => "ms",
            Limit::TaskMemoryMib | Limit::TaskOutputMib => "MiB",
            Limit::TaskProcesses => "processes",
        }
    }

    /// Whether it looks at the machine and not at one task.
    pub const fn is_host(self) -> bool {
        matches!(
            self,
            Limit::HostCpuPercent
                | Limit::HostMemoryPercent
                | Limit::HostFps
                | Limit::HostLatencyMs
                | Limit::HostResponseMs
        )
    }

    /// The limit with this [name](Limit::name).
    pub fn from_name(name: &str) -> Option<Limit> {
        Limit::ALL.into_iter().find(|l| l.name() == name)
    }

    /// Whether `observed` breaks the bound.
    pub fn is_broken(self, bound: f64, observed: f64) -> bool {
        if self == Limit::HostFps { observed < bound } else { observed > bound }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Limit::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown limit {name:?}")))
    }
}

/// How a task runs, and so how it can be measured and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExecutorKind {
    /// A section of code on the caller's thread that polls its token.
    Cooperative,
    /// A future that the host's own runtime polls; force is drop.
    Future,
    /// A thread of its own; it can be asked and not forced.
    Thread,
    /// A process tree with a guardian of its own.
    Process,
    /// Work that the host runs and stops through its own [`Stopper`](super::Stopper).
    Custom,
}

impl ExecutorKind {
    /// Every executor.
    pub const ALL: [ExecutorKind; 5] = [
        ExecutorKind::Cooperative,
        ExecutorKind::Future,
        ExecutorKind::Thread,
        ExecutorKind::Process,
        ExecutorKind::Custom,
    ];

    /// The name as records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            ExecutorKind::Cooperative => "cooperative",
            ExecutorKind::Future => "future",
            ExecutorKind::Thread => "thread",
            ExecutorKind::Process => "process",
            ExecutorKind::Custom => "custom",
        }
    }

    /// Whether this executor can measure and enforce `limit`. Host limits are never refused.
    pub const fn takes(self, limit: Limit) -> bool {
        match limit {
            Limit::TaskCpuPercent | Limit::TaskCpuSeconds => !matches!(self, ExecutorKind::Custom),
            Limit::TaskMemoryMib | Limit::TaskProcesses | Limit::TaskOutputMib => {
                matches!(self, ExecutorKind::Process)
            }
            _ => true,
        }
    }
}

/// By its [name](ExecutorKind::name).
impl FromStr for ExecutorKind {
    type Err = Error;
    fn from_str(name: &str) -> Result<ExecutorKind, Error> {
        ExecutorKind::ALL.into_iter().find(|e| e.name() == name).ok_or_else(|| {
            let known = ExecutorKind::ALL.map(ExecutorKind::name).join(", ");
            let what = format!("no executor is named {name:?}; known are {known}");
            Error::new(ErrorKind::InvalidArgument, what)
        })
    }
}

impl fmt::Display for ExecutorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
