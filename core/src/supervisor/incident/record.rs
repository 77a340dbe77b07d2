//! One incident: what broke, who was blamed, what was done, and what was seen to come of it.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::file::LogFile;

use crate::monitor::{Sample, TopProcess};
use crate::supervisor::cause::Cause;
use crate::supervisor::engine::{Contribution, NotCancelled, TaskId};
use crate::supervisor::limit::ExecutorKind;
use crate::supervisor::outcome::Outcome;
use crate::supervisor::profile::Level;

/// The version of the record's shape. Fields may be added within a version; none changes its meaning.
pub const SCHEMA: u32 = 1;

/// The record of one cancellation, or of a breach that cancelled nobody. One JSON line in the incident file.
///
/// A cancellation that was first reported as `StillRunning` and later ended is written again under the same
/// `id`, with the later outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Incident {
    /// Version of this shape.
    pub schema: u32,
    /// Unique; later ids sort after earlier ones of the same process.
    pub id: String,
    /// When it began, in RFC 3339 with milliseconds, UTC.
    pub time: String,
    /// The session in which the task started, if one was open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionName>,
    /// The task it is about; none for a breach that nobody is blamed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskSummary>,
    /// Why: the rule with its bound and the observed value, or who asked.
    pub cause: Cause,
    /// What was done.
    pub action: ActionTaken,
    /// Why nobody was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<NotCancelled>,
    /// The contributors to the broken metric, the largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blame: Vec<Blamed>,
    /// The samples around it: those before the decision, and those until the outcome was known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<SamplePoint>,
    /// The busiest processes of the machine since the limit was first broken, supervised or not; for host limits.
    /// They are read in the background: an incident fresh from memory may not have them yet, one from the file does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<TopProcess>,
    /// What came of it. None for a record that cancelled nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Milliseconds from the request until force was used, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced_after_ms: Option<f64>,
    /// Milliseconds from the request until the outcome was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_after_ms: Option<f64>,
    /// The task's guardian was killed and no cgroup held the tree. Every process that was known is gone; one that
    /// was hidden since the last look may run on, and nothing can find it. So the outcome is `StillRunning`, with
    /// nothing in `alive`, and it is the last word: the task is not listed any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproved: bool,
    /// Ids of processes that were not seen to leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alive: Vec<u32>,
}

/// The name and id of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionName {
    /// Unique.
    pub id: String,
    /// As the host called it.
    pub name: String,
}

/// What was done about a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionTaken {
    /// The task was cancelled.
    Cancel,
    /// It was only recorded.
    Record,
}

/// A task as an incident or a listing shows it. `None` is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskSummary {
    /// Its id.
    pub id: TaskId,
    /// Its name.
    pub name: String,
    /// The name of the profile that it runs under.
    pub profile: String,
    /// That profile's level.
    pub level: Level,
    /// How it runs.
    pub executor: ExecutorKind,
    /// How long it has been running, in seconds.
    pub age_s: f64,
    /// Whether it was asked to stop.
    pub cancelling: bool,
    /// Percent of one core at the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Processor seconds since it was first looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_s: Option<f64>,
    /// Memory of its tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Bytes it wrote to its standard output and error, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// Ids of the processes of its tree at the last look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<u32>,
    /// Its command with secrets masked, for a process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The variables that were set for it, secrets masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// The outcome of its cancellation, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// A line of the blame ranking, with the task's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Blamed {
    /// The task's name, empty if it left meanwhile.
    pub name: String,
    /// Rank, share and eligibility.
    #[serde(flatten)]
    pub contribution: Contribution,
}

/// What an incident keeps of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SamplePoint {
    /// Milliseconds from the decision; negative before it.
    pub at_ms: f64,
    /// Percent of what may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Percent of what may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_percent: Option<f64>,
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
}

impl SamplePoint {
    pub(crate) fn of(sample: &Sample, decided: crate::clock::Time) -> Self {
        let at_ms = (sample.at.as_nanos() as f64 - decided.as_nanos() as f64) / 1e6;
        SamplePoint {
            at_ms: (at_ms * 10.0).round() / 10.0,
            cpu_percent: sample.cpu.as_ref().map(|c| c.percent),
            memory_percent: sample.memory.as_ref().map(|m| m.percent),
            fps: sample.signals.fps,
            latency_ms: sample.signals.latency_ms,
            response_ms: sample.signals.response_ms,
        }
    }
}

impl Incident {
    /// Reads an incident file with its rotated parts, the oldest first. An incident that was written again
    /// with a later outcome appears once, with that outcome. Empty lines and a record that a crash cut short are
    /// passed over.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if there is no such file or it is a folder, if a part cannot be read, or holds a
    /// line that is no incident and none that was cut short.
    pub fn read_file(path: impl AsRef<Path>) -> Result<Vec<Incident>> {
        let mut incidents: Vec<Incident> = Vec::new();
        let mut places = HashMap::new();
        let failed =
            |part: &Path, e| Error::io(format_args!("reading the incident file {}", part.display()), e);
        let path = path.as_ref();
        for part in LogFile::parts(path, super::writer::KEPT).map_err(|e| failed(path, e))? {
            let text = std::fs::read(&part).map_err(|e| failed(&part, e))?;
            for (number, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
                let whole = line.ends_with(b"\n");
                // Without its end: a text that was cut short would go on with the line feed, and be wrong there.
                let line = line.trim_ascii();
                if line.is_empty() {
                    continue;
                }
                let incident: Incident = match serde_json::from_slice(line) {
                    Ok(incident) => incident,
                    Err(e)
                        if begins_like_a_record(line) && (!whole || e.is_eof() || !line.ends_with(b"}")) =>
                    {
                        // Cut short by a crash, and its line perhaps ended since: it lacks its last brace.
                        continue;
                    }
                    Err(e) => {
                        let place = format!("{} line {}: no incident: {e}", part.display(), number + 1);
                        return Err(Error::new(ErrorKind::Io, place).because(e));
                    }
                };
                match places.get(&incident.id) {
                    Some(&place) => incidents[place] = incident,
                    None => {
                        places.insert(incident.id.clone(), incidents.len());
                        incidents.push(incident);
                    }
                }
            }
        }
        Ok(incidents)
    }

    /// One line for people: what, why, and what came of it.
    pub fn summary(&self) -> String {
        let who = match &self.task {
            Some(t) => format!("task {} {:?} ({})", t.id, t.name, t.profile),
            None => "nobody".to_owned(),
        };
        match (self.action, self.outcome) {
            (ActionTaken::Cancel, Some(outcome)) => format!(
                "cancelled {who}: {}; {outcome} after {:.0} ms{}",
                self.cause,
                self.verified_after_ms.unwrap_or(0.0),
                if self.unproved {
                    ": its guardian was killed; every known process of it is gone, one that it hid may run on"
                } else {
                    ""
                },
            ),
            (ActionTaken::Cancel, None) => format!("cancelling {who}: {}", self.cause),
            (ActionTaken::Record, _) => {
                let reason = match self.reason {
                    Some(NotCancelled::External) => "the load came from outside",
                    Some(NotCancelled::Observing) => "only observing",
                    Some(NotCancelled::AutoCancelOff) => "the profile does not cancel",
                    Some(NotCancelled::Advisory) => "the limit is advisory here and cannot be enforced",
                    Some(NotCancelled::Capped) => "the cap on cancellations per minute was reached",
                    None => "no reason given",
                };
                format!("recorded for {who}: {}; nobody was cancelled: {reason}", self.cause)
            }
        }
    }
}

/// A crash of the machine may leave zeros where the text was not on the disk yet.
fn begins_like_a_record(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'{' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_short_after_any_byte_and_ended_later_is_passed_over() {
        // The text ends like a record, so that a cut behind it looks whole.
        let line = r#"{"schema":1,"id":"1","time":"2026-01-31T12:00:00.000Z","cause":{"asked":"f() { {x} }"},"action":"cancel"}"#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incidents.jsonl");
        let next = line.replace(r#""id":"1""#, r#""id":"2""#);
        for cut in 1..line.len() {
            std::fs::write(&path, format!("{}\n{next}\r\n", &line[..cut])).unwrap();
            let read = Incident::read_file(&path).unwrap_or_else(|e| panic!("cut after {cut} bytes: {e}"));
            assert_eq!(
                read.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(),
                ["2"],
                "cut after {cut} bytes"
            );
        }
        std::fs::write(&path, format!("{}\n{line}\n", "\0".repeat(100))).unwrap();
        assert_eq!(Incident::read_file(&path).unwrap().len(), 1, "zeros that a crash of the machine left");
        for other in
            ["{\"level\": \"safe\"}\n", "root:x:0:0:root:/root:/bin/bash\n", "\"level\": \"safe\",\n", "half"]
        {
            std::fs::write(&path, format!("{line}\n{other}")).unwrap();
            let refused = Incident::read_file(&path).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Io);
            assert!(
                refused.to_string().contains("incidents.jsonl line 2: no incident"),
                "{other}: {refused}"
            );
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_no_file_without_incidents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incidents.jsonl");
        for wrong in [&path, folder.path()] {
            let refused = Incident::read_file(wrong).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Io);
            assert!(refused.to_string().contains(&wrong.display().to_string()), "{refused}");
        }
        std::fs::write(&path, "").unwrap();
        assert!(Incident::read_file(&path).unwrap().is_empty());
        std::fs::rename(&path, folder.path().join("incidents.jsonl.1")).unwrap();
        assert!(Incident::read_file(&path).unwrap().is_empty(), "a rotated part is there");
    }
}
