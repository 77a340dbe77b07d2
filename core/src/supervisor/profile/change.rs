//! One setting of a profile, as a builder call or a key of a file gives it, and whether it is in range.

use std::time::Duration;

use super::{Blame, Level, Settings};
use crate::duration;
use crate::supervisor::limit::Limit;

/// One setting. A profile is a base with changes applied to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Level(Level),
    Sustain(Duration),
    Grace(Duration),
    AutoCancel(bool),
    Blame(Blame),
    Notify(Vec<String>),
    Advisory(Vec<Limit>),
    /// A bound in the limit's unit.
    Bound(Limit, f64),
    /// The bound of a limit that is a time; exact where seconds as a float would not be.
    Time(Limit, Duration),
    Remove(Limit),
}

/// A setting that is out of range.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    /// The key at fault, as a file spells it.
    pub(super) key: &'static str,
    /// Names the value and says what would be right.
    pub(super) message: String,
}

/// Above this, a bound is taken for a mistake; and everything below converts safely to the units of the system.
const LARGEST: f64 = 1e12;

impl Change {
    /// Checks the range of the one value; no setting depends on another.
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self {
            Change::Sustain(d) => not_too_long("sustain", *d),
            Change::Grace(d) => not_too_long("grace", *d),
            Change::Time(limit, d) if d.is_zero() => Err(zero(*limit)),
            Change::Time(limit, d) => not_too_long(limit.name(), *d),
            Change::Bound(limit, value) => bound(*limit, *value),
            Change::Notify(names) if names.iter().any(|n| n.trim().is_empty()) => Err(Fault {
                key: "notify",
                message: "\"\" is not a notifier; name it, as in \"discord\"".into(),
            }),
            Change::Advisory(limits) => match limits.iter().find(|l| !l.name().starts_with("task.")) {
                None => Ok(()),
                Some(l) => Err(Fault {
                    key: "advisory",
                    message: format!("{:?} is never refused; only task limits can be advisory", l.name()),
                }),
            },
            Change::Level(_)
            | Change::AutoCancel(_)
            | Change::Blame(_)
            | Change::Notify(_)
            | Change::Remove(_) => Ok(()),
        }
    }

    /// Writes the setting. Call [`check`](Change::check) first.
    pub(super) fn apply(&self, to: &mut Settings) {
        match self {
            Change::Level(level) => to.level = *level,
            Change::Sustain(d) => to.sustain = *d,
            Change::Grace(d) => to.grace = *d,
            Change::AutoCancel(on) => to.auto_cancel = *on,
            Change::Blame(blame) => to.blame = *blame,
            Change::Notify(names) => to.notify.clone_from(names),
            Change::Advisory(limits) => {
                to.advisory.clone_from(limits);
                to.advisory.sort_unstable();
                to.advisory.dedup();
            }
            Change::Bound(limit, value) => set(to, *limit, Some(*value)),
            Change::Time(limit, d) => match limit {
                Limit::MaxDuration => to.max_duration = Some(*d),
                Limit::TaskIdle => to.task.max_idle = Some(*d),
                other => set(to, *other, Some(d.as_secs_f64())),
            },
            Change::Remove(limit) => set(to, *limit, None),
        }
    }
}

fn set(to: &mut Settings, limit: Limit, value: Option<f64>) {
    // Checked before: a bound in seconds is positive and below 100 years.
    let time = |v: Option<f64>| v.and_then(|v| duration::from_secs(v).ok());
    match limit {
        Limit::MaxDuration => to.max_duration = time(value),
        Limit::HostCpuPercent => to.host.max_cpu_percent = value,
        Limit::HostMemoryPercent => to.host.max_memory_percent = value,
        Limit::HostFps => to.host.min_fps = value,
        Limit::HostLatencyMs => to.host.max_latency_ms = value,
        Limit::HostResponseMs => to.host.max_response_ms = value,
        Limit::TaskCpuPercent => to.task.max_cpu_percent = value,
        Limit::TaskCpuSeconds => to.task.max_cpu_seconds = value,
        Limit::TaskMemoryMib => to.task.max_memory_mib = value,
        Limit::TaskProcesses => to.task.max_processes = value.map(|v| v as u64),
        Limit::TaskOutputMib => to.task.max_output_mib = value,
        Limit::TaskIdle => to.task.max_idle = time(value),
    }
}

fn bound(limit: Limit, value: f64) -> Result<(), Fault> {
    let fault = |message: String| Err(Fault { key: limit.name(), message });
    let highest = match limit {
        Limit::HostCpuPercent | Limit::HostMemoryPercent => 100.0,
        Limit::MaxDuration | Limit::TaskIdle | Limit::TaskCpuSeconds => duration::LONGEST.as_secs_f64(),
        _ => LARGEST,
    };
    if value == 0.0 {
        return Err(zero(limit));
    }
    // Written so that NaN fails too.
    if !(value > 0.0 && value <= highest) {
        return fault(format!(
            "{} is out of range; give {} above 0 and at most {highest}",
            duration::spelt(value),
            unit_in_words(limit)
        ));
    }
    if limit == Limit::TaskProcesses && value.fract() != 0.0 {
        return fault(format!("{} is not a whole number of processes", duration::spelt(value)));
    }
    let too_short = matches!(limit, Limit::MaxDuration | Limit::TaskIdle)
        && duration::from_secs(value).is_ok_and(|d| d.is_zero());
    if too_short { Err(zero(limit)) } else { Ok(()) }
}

fn not_too_long(key: &'static str, d: Duration) -> Result<(), Fault> {
    if d <= duration::LONGEST {
        return Ok(());
    }
    Err(Fault { key, message: format!("{} s is longer than 100 years", d.as_secs()) })
}

fn zero(limit: Limit) -> Fault {
    let message = match limit {
        Limit::MaxDuration => {
            "0 would cancel the task as it starts; give a time above zero, or remove the limit"
        }
        _ => "0 would be broken at once; give a value above 0, or remove the limit",
    };
    Fault { key: limit.name(), message: message.into() }
}

fn unit_in_words(limit: Limit) -> &'static str {
    match limit.unit() {
        "s" => "seconds",
        "%" => "percent",
        "ms" => "milliseconds",
        unit => unit,
    }
}
