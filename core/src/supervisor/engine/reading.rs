//! What the engine is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::supervisor::limit::ExecutorKind;
use crate::supervisor::profile::Profile;

/// The id of a task: unique in its process, counted from 1.
pub type TaskId = u64;

/// What the machine and the host's signals showed. `None` is unknown: never a breach and never a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostReading {
    /// 0 to 100 of `cpu_capacity`.
    pub cpu_percent: Option<f64>,
    /// Processor time the machine used since some fixed moment.
    pub cpu_busy: Option<Duration>,
    /// What would be used with cores enough, in percent of `cpu_capacity`; on a machine that is not full, or where it is not
    /// known, `None`, and `cpu_percent` stands for it.
    #[serde(default)]
    pub cpu_demand_percent: Option<f64>,
    /// Cores that may be used.
    pub cpu_capacity: f64,
    /// 0 to 100 of `memory_limit_bytes`.
    pub memory_percent: Option<f64>,
    /// Bytes in use.
    pub memory_used_bytes: Option<u64>,
    /// Bytes that may be used.
    pub memory_limit_bytes: u64,
    /// Frames per second.
    pub fps: Option<f64>,
    /// Milliseconds.
    pub latency_ms: Option<f64>,
    /// Milliseconds.
    pub response_ms: Option<f64>,
}

/// What one task was seen to use. `None` is unknown.
#[derive(Clone, Debug)]
pub struct TaskReading {
    /// Which task.
    pub id: TaskId,
    /// The profile that it is under.
    pub profile: Profile,
    /// How it runs. A broken limit that this executor does not take is recorded and not enforced.
    pub executor: ExecutorKind,
    /// When it started.
    pub started: Time,
    /// Its last progress call, or its start.
    pub last_progress: Time,
    /// Whether it was asked to stop already. Such a task is never nominated again and counts as outside load.
    pub cancelling: bool,
    /// Processor time since it was first seen. Never runs backwards.
    pub cpu_time: Option<Duration>,
    /// Percent of one core since the reading before.
    pub cpu_percent: Option<f64>,
    /// The nearest task around this one whose processor time is known; it includes this one's, for the limits of both. A
    /// limit of the host blames a use on the nearest one, itself or around it, whose own bound is broken, so that none
    /// is counted twice.
    pub inside: Option<TaskId>,
    /// Memory of the whole tree in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes of the tree.
    pub processes: Option<u64>,
    /// Bytes written to standard output and error.
    pub output_bytes: Option<u64>,
}
