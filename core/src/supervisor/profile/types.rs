//! What a profile holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::supervisor::limit::{ExecutorKind, Limit};

/// How much harm a task may do. A later level is nominated before an earlier one at equal use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Heals, crafts, waits.
    #[default]
    Safe,
    /// Fights, moves fast.
    Risky,
    /// Loads the machine or runs for hours.
    Dangerous,
}

/// Who is cancelled when a host limit breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The one task that contributes most, if it contributes enough.
    #[default]
    Culprit,
    /// Every task whose profile has the limit: the older behaviour, bystanders included.
    Any,
}

/// Bounds on the machine and on the signals that the host feeds. `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HostLimits {
    /// 0 to 100 of what the machine or container may use.
    pub max_cpu_percent: Option<f64>,
    /// 0 to 100 of what the machine or container may use.
    pub max_memory_percent: Option<f64>,
    /// Frames per second.
    pub min_fps: Option<f64>,
    /// Milliseconds.
    pub max_latency_ms: Option<f64>,
    /// Milliseconds.
    pub max_response_ms: Option<f64>,
}

/// Bounds on what one task uses. `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TaskLimits {
    /// 100 is one core.
    pub max_cpu_percent: Option<f64>,
    /// Processor seconds in all.
    pub max_cpu_seconds: Option<f64>,
    /// MiB of the whole tree.
    pub max_memory_mib: Option<f64>,
    /// Processes of the tree at one time.
    pub max_processes: Option<u64>,
    /// MiB written to standard output and standard error together.
    pub max_output_mib: Option<f64>,
    /// Longest time without a progress call.
    pub max_idle: Option<Duration>,
}

/// The named safety settings of a task.
///
/// Immutable and cheap to clone. Made by [`Profile::builder`], read from files by
/// [`Profiles`](super::Profiles), or taken from the six built in.
#[derive(Clone, Debug)]
pub struct Profile(pub(crate) Arc<Settings>);

/// The fields behind a [`Profile`].
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Tells two profiles apart even if they share a name; never reused in one process.
    pub(crate) serial: u64,
    pub(crate) name: String,
    pub(crate) level: Level,
    pub(crate) max_duration: Option<Duration>,
    pub(crate) sustain: Duration,
    pub(crate) grace: Duration,
    pub(crate) auto_cancel: bool,
    pub(crate) blame: Blame,
    pub(crate) notify: Vec<String>,
    pub(crate) host: HostLimits,
    pub(crate) task: TaskLimits,
    pub(crate) advisory: Vec<Limit>,
}

impl Settings {
    pub(crate) fn next_serial() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether everything but the serial is equal.
    pub(crate) fn is_same(&self, other: &Settings) -> bool {
        // Taken apart so that a new field cannot be forgotten.
        let Settings {
            serial: _,
            name,
            level,
            max_duration,
            sustain,
            grace,
            auto_cancel,
            blame,
            notify,
            host,
            task,
            advisory,
        } = self;
        *name == other.name
            && *level == other.level
            && *max_duration == other.max_duration
            && *sustain == other.sustain
            && *grace == other.grace
            && *auto_cancel == other.auto_cancel
            && *blame == other.blame
            && *notify == other.notify
            && *host == other.host
            && *task == other.task
            && *advisory == other.advisory
    }
}

impl Profile {
    /// The name: a file's stem, or what the builder was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How much harm a task under it may do.
    pub fn level(&self) -> Level {
        self.0.level
    }

    /// How long a task may run; `None` is for ever.
    pub fn max_duration(&self) -> Option<Duration> {
        self.0.max_duration
    }

    /// How long a host limit, or `task.max_cpu_percent`, must stay broken before it counts.
    pub fn sustain(&self) -> Duration {
        self.0.sustain
    }

    /// How long a cancelled task may take to leave by itself.
    pub fn grace(&self) -> Duration {
        self.0.grace
    }

    /// Whether a breach cancels; otherwise it is only recorded.
    pub fn auto_cancel(&self) -> bool {
        self.0.auto_cancel
    }

    /// Who is cancelled when a host limit breaks.
    pub fn blame(&self) -> Blame {
        self.0.blame
    }

    /// The names of the notifiers to tell.
    pub fn notify(&self) -> &[String] {
        &self.0.notify
    }

    /// Bounds on the machine.
    pub fn host(&self) -> &HostLimits {
        &self.0.host
    }

    /// Bounds on the task.
    pub fn task(&self) -> &TaskLimits {
        &self.0.task
    }

    /// Task limits that an executor may fail to enforce without being refused.
    pub fn advisory(&self) -> &[Limit] {
        &self.0.advisory
    }

    /// The bound of `limit` in the limit's [unit](Limit::unit), or `None` without one.
    pub fn bound(&self, limit: Limit) -> Option<f64> {
        let p = &*self.0;
        match limit {
            Limit::MaxDuration => p.max_duration.map(|d| d.as_secs_f64()),
            Limit::HostCpuPercent => p.host.max_cpu_percent,
            Limit::HostMemoryPercent => p.host.max_memory_percent,
            Limit::HostFps => p.host.min_fps,
            Limit::HostLatencyMs => p.host.max_latency_ms,
            Limit::HostResponseMs => p.host.max_response_ms,
            Limit::TaskCpuPercent => p.task.max_cpu_percent,
            Limit::TaskCpuSeconds => p.task.max_cpu_seconds,
            Limit::TaskMemoryMib => p.task.max_memory_mib,
            Limit::TaskProcesses => p.task.max_processes.map(|n| n as f64),
            Limit::TaskOutputMib => p.task.max_output_mib,
            Limit::TaskIdle => p.task.max_idle.map(|d| d.as_secs_f64()),
        }
    }

    /// Refuses every task limit that `executor` cannot measure or enforce and that is not advisory.
    ///
    /// # Errors
    /// [`LimitRefused`](crate::ErrorKind::LimitRefused), naming the profile, the limit and the executor.
    pub fn accepts(&self, executor: ExecutorKind) -> Result<()> {
        super::refusal::check(self, executor)
    }
}
