//! What supervise says on standard error.

use std::io::Write;

use haltline::Error;
use haltline::supervisor::{ActionTaken, Incident, Outcome};

/// More process ids than this are counted and not named.
const MOST_NAMED: usize = 16;

/// One line, in one write, so that it stays whole among what the command writes.
pub(crate) fn say(line: &str) {
    // There is nowhere else to say that standard error is closed.
    let _ = std::io::stderr().write_all(format!("supervise: {line}\n").as_bytes());
}

/// What was cancelled, the rule, the observed value and the verified outcome; or what was only recorded.
pub(crate) fn incident(incident: &Incident, pid: u32) -> String {
    let name = incident.task.as_ref().map_or("", |t| t.name.as_str());
    let cause = &incident.cause;
    match (incident.action, incident.outcome) {
        (ActionTaken::Cancel, Some(outcome)) => {
            let after = incident.verified_after_ms.unwrap_or_default();
            let came = match outcome {
                Outcome::StillRunning if incident.unproved => format!(
                    "still running after {after:.0} ms, for all that can be told: \
                     every known process is gone, one that it hid may run on"
                ),
                Outcome::StillRunning => {
                    format!("still running after {after:.0} ms: {}", ids(&incident.alive))
                }
                other => format!("{} after {after:.0} ms", other.name()),
            };
            format!("cancelled {name:?} (process {pid}): {cause}; {came}")
        }
        (ActionTaken::Cancel, None) => format!("cancelling {name:?} (process {pid}): {cause}"),
        _ => incident.summary(),
    }
}

/// The processes that outlived the command, and whether all of them were seen to stop.
pub(crate) fn leftovers(name: &str, left: &[(u32, String)], stopped: bool) -> String {
    let mut named: Vec<String> =
        left.iter().take(MOST_NAMED).map(|(pid, name)| format!("{pid} ({name})")).collect();
    if left.len() > MOST_NAMED {
        named.push(format!("and {} more", left.len() - MOST_NAMED));
    }
    let what = if left.len() == 1 { "a process" } else { "processes" };
    let now = if stopped { ", now stopped" } else { "" };
    format!("{name:?} ended and left {what} behind{now}: {}", named.join(", "))
}

/// The error's sentence, and what the system said if the sentence leaves that out.
pub(crate) fn error(error: &Error) -> String {
    let sentence = error.message();
    match std::error::Error::source(error).map(ToString::to_string) {
        Some(cause) if !sentence.contains(&cause) => format!("{sentence}: {cause}"),
        _ => sentence.to_owned(),
    }
}

fn ids(pids: &[u32]) -> String {
    let named: Vec<String> = pids.iter().take(MOST_NAMED).map(u32::to_string).collect();
    let more = pids.len().saturating_sub(MOST_NAMED);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    match pids.len() {
        0 => "no process is listed any more".to_owned(),
        1 => format!("process {}", named.join(" ")),
        _ => format!("processes {}{tail}", named.join(" ")),
    }
}
