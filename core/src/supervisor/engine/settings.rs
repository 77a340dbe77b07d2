//! How the engine decides.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Whether breaches cancel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Breaches cancel.
    #[default]
    Enforce,
    /// Everything is decided and recorded, nothing is cancelled.
    Observe,
}

/// How the engine decides.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSettings {
    /// Whether breaches cancel.
    pub mode: Mode,
    /// 0 to 1: the least part of the use of a metric that makes a task eligible for it.
    pub min_share: f64,
    /// How long a metric may take to answer after a cancellation was verified. No host limit nominates
    /// meanwhile, and sustain times are measured anew afterwards.
    pub settle: Duration,
    /// Most nominations for host limits in any sixty seconds. Task limits and profiles with
    /// `blame: "any"` are not counted and not held back. At least one: to cancel nobody, [observe](Mode::Observe).
    pub max_cancellations_per_minute: u32,
    /// Percent of one core that a task must use before frames, latency or response times are blamed on it:
    /// on an idle machine the largest share of the processor is still next to nothing.
    pub min_core_percent: f64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings {
            mode: Mode::Enforce,
            min_share: 0.10,
            settle: Duration::from_secs(2),
            max_cancellations_per_minute: 10,
            min_core_percent: 10.0,
        }
    }
}

impl EngineSettings {
    /// Refuses values that no engine could work with.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument), naming the value and its range.
    pub fn validate(&self) -> Result<()> {
        let check = |name: &str, value: f64, most: f64| {
            if (0.0..=most).contains(&value) {
                return Ok(());
            }
            let text = format!("{name} is {value}; it must lie between 0 and {most}");
            Err(Error::new(ErrorKind::InvalidArgument, text))
        };
        if self.max_cancellations_per_minute == 0 {
            let text = "max_cancellations_per_minute is 0; it must be at least 1; to record everything and cancel \
                        nothing, only observe";
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        check("min_share", self.min_share, 1.0)?;
        check("min_core_percent", self.min_core_percent, 100.0)
    }
}
