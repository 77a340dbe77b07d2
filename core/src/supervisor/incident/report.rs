//! What a run came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::{ActionTaken, Incident};
use crate::supervisor::cause::Cause;
use crate::supervisor::outcome::Outcome;

/// Incidents summed up. `Display` writes it as text, serde as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Tasks started since the supervisor began.
    pub started: u64,
    /// Tasks that ended, by themselves or not.
    pub finished: u64,
    /// Tasks that run now.
    pub active: u64,
    /// Cancellations by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Cancellations by rule.
    pub rules: BTreeMap<String, u64>,
    /// Breaches that cancelled nobody.
    pub recorded: u64,
    /// One line an incident, the oldest first.
    pub lines: Vec<String>,
}

impl Report {
    /// Sums up incidents, given newest first.
    pub(crate) fn of(incidents: &[Arc<Incident>], started: u64, finished: u64, active: u64) -> Self {
        let mut report = Report { started, finished, active, ..Report::default() };
        for incident in incidents.iter().rev() {
            report.lines.push(format!("{} {}", incident.time, incident.summary()));
            if incident.action == ActionTaken::Record {
                report.recorded += 1;
                continue;
            }
            let outcome = incident.outcome.map_or("cancelling", Outcome::name);
            *report.outcomes.entry(outcome.to_owned()).or_default() += 1;
            let rule = match &incident.cause {
                Cause::Breach(breach) => breach.limit.name(),
                Cause::Asked(_) => "asked",
                Cause::Shutdown => "shutdown",
                Cause::GuardianKilled => "guardian_killed",
                Cause::Leftovers => "leftovers",
            };
            *report.rules.entry(rule.to_owned()).or_default() += 1;
        }
        report
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The report of a session counts cancellations only.
        if self.started > 0 {
            writeln!(f, "tasks: {} started, {} ended, {} active", self.started, self.finished, self.active)?;
        }
        let list = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
        };
        if !self.outcomes.is_empty() {
            writeln!(f, "cancelled: {}", list(&self.outcomes))?;
            writeln!(f, "rules: {}", list(&self.rules))?;
        }
        writeln!(f, "breaches that cancelled nobody: {}", self.recorded)?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}
