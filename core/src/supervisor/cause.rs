//! Why a task was cancelled, and what the task sees of it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::engine::{Breach, TaskId};
use crate::error::{Error, ErrorKind};

/// Why a task was cancelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A limit broke.
    Breach(Breach),
    /// Somebody asked for it, and said why.
    Asked(String),
    /// The supervisor was shut down or dropped while the task ran.
    Shutdown,
    /// The guardian of its process tree was killed, so the tree could be watched and asked no more.
    GuardianKilled,
    /// The command ended, and what it left behind did not leave, though it was asked and forced.
    Leftovers,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Breach(b) => write!(f, "{b}"),
            Cause::Asked(reason) => write!(f, "stop requested: {reason}"),
            Cause::Shutdown => f.write_str("the supervisor was shut down"),
            Cause::GuardianKilled => f.write_str("its guardian was killed"),
            Cause::Leftovers => f.write_str("what it left behind did not leave"),
        }
    }
}

/// Like `host.max_cpu_percent: 97.3 % over 85 % for 3.0 s`.
impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.limit == super::Limit::HostFps { "under" } else { "over" };
        let unit = self.limit.unit();
        write!(f, "{}: {} {unit} {side} {} {unit}", self.limit, short(self.observed), short(self.bound))?;
        if self.sustained_s > 0.0 {
            write!(f, " for {:.1} s", self.sustained_s)?;
        }
        Ok(())
    }
}

/// At most two decimals, none that are zero; more where there would be nothing else.
fn short(value: f64) -> String {
    let leading = if value == 0.0 { 0.0 } else { -value.abs().log10().floor() };
    let text = format!("{value:.*}", leading.clamp(2.0, 12.0) as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The error of a task that was asked to stop: which task, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancelled(Arc<Notice>);

#[derive(Debug, PartialEq)]
struct Notice {
    task: TaskId,
    name: String,
    cause: Cause,
}

impl Cancelled {
    #[cold]
    pub(crate) fn new(task: TaskId, name: &str, cause: Cause) -> Self {
        Cancelled(Arc::new(Notice { task, name: name.to_owned(), cause }))
    }

    /// The id of the cancelled task.
    pub fn task(&self) -> TaskId {
        self.0.task
    }

    /// Why it was cancelled.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} {:?} was cancelled: {}", self.0.task, self.0.name, self.0.cause)
    }
}

impl std::error::Error for Cancelled {}

impl From<Cancelled> for Error {
    fn from(c: Cancelled) -> Error {
        Error::new(ErrorKind::Cancelled, c.to_string()).because(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::Limit;
    use std::time::Duration;

    #[test]
    fn a_breach_reads_as_a_sentence() {
        let b = Breach::new(Limit::HostCpuPercent, 85.0, 97.312, Duration::from_secs(3));
        assert_eq!(b.to_string(), "host.max_cpu_percent: 97.31 % over 85 % for 3.0 s");
        let b = Breach::new(Limit::TaskOutputMib, 0.0001, 0.26, Duration::ZERO);
        assert_eq!(b.to_string(), "task.max_output_mib: 0.26 MiB over 0.0001 MiB");
        let b = Breach::new(Limit::HostFps, 15.0, 4.0, Duration::ZERO);
        assert_eq!(b.to_string(), "host.min_fps: 4 fps under 15 fps");
    }
}
