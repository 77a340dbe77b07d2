//! Watches the machine, this process and the signals that the host feeds.
//!
//! [`Monitor`] samples in the background and keeps a bounded [`History`]; [`Signals`] is the handle
//! through which a host feeds frames, latency, response times and gauges. Percentages are of what this
//! process may use: where a container limits CPU or memory, of its limit.
//!
//! A source that fails leaves its part of a sample unknown and is listed in [`Monitor::degraded`]; the
//! others go on.

mod builder;
mod degraded;
#[cfg(all(fuzzing, target_os = "linux"))]
#[doc(hidden)]
pub mod fuzz;
mod handle;
mod history;
mod metric;
mod probe;
mod sample;
mod sampler;
mod schedule;
mod signal;
mod source;
mod top;

pub use builder::MonitorBuilder;
pub use degraded::Degraded;
pub use handle::Monitor;
pub(crate) use handle::Samples;
pub use history::{History, Summary};
pub use metric::Metric;
pub use sample::{Cpu, Memory, Pressure, ProcessUse, Rates, Sample, SignalValues, TopProcess};
pub use signal::{FrameMeter, FrameTimes, Signals};
#[cfg(target_os = "linux")]
pub(crate) use source::linux::{Hierarchies, system};
pub use source::{Source, Sources};
pub use top::ProcessTable;

pub(crate) use sampler::SampleObserver;
