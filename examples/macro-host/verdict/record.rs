//! Reads the incident file back as plain JSON.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

/// One incident about one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// The task's name; empty if it is about nobody.
    pub(crate) task: String,
    /// Whether the task was cancelled; otherwise something was only recorded.
    pub(crate) cancelled: bool,
    /// The rule that broke; none if somebody asked for the stop.
    pub(crate) rule: Option<String>,
    pub(crate) outcome: Option<String>,
    /// Ids of the processes of the task's tree.
    pub(crate) pids: Vec<u32>,
}

/// The incidents of one session, the latest version of each.
pub(crate) fn read(path: &Path, session: &str) -> io::Result<Vec<Record>> {
    let at = |e: String| io::Error::other(format!("{}: {e}", path.display()));
    parse(&fs::read_to_string(path).map_err(|e| at(e.to_string()))?, session).map_err(at)
}

fn parse(text: &str, session: &str) -> Result<Vec<Record>, String> {
    let mut records: Vec<Record> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", number + 1))?;
        if value["session"]["id"] != session {
            continue;
        }
        let record = record(&value).ok_or_else(|| format!("line {}: not an incident", number + 1))?;
        // A cancellation whose outcome moved forward is written again under its id.
        match records.iter_mut().find(|r| r.id == record.id) {
            Some(earlier) => *earlier = record,
            None => records.push(record),
        }
    }
    Ok(records)
}

fn record(value: &Value) -> Option<Record> {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let pids = |v: &Value| -> Vec<u32> {
        v.as_array().into_iter().flatten().filter_map(|p| u32::try_from(p.as_u64()?).ok()).collect()
    };
    let mut all = pids(&value["task"]["pids"]);
    all.extend(pids(&value["alive"]));
    Some(Record {
        id: text(&value["id"])?,
        task: text(&value["task"]["name"]).unwrap_or_default(),
        cancelled: value["action"].as_str()? == "cancel",
        rule: text(&value["cause"]["breach"]["limit"]),
        outcome: text(&value["outcome"]),
        pids: all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREACH: &str = r#"{"schema":1,"id":"a","session":{"id":"s","name":"n"},
        "task":{"id":1,"name":"farm","pids":[7,8]},"action":"cancel","outcome":"still_running",
        "cause":{"breach":{"limit":"task.max_idle","bound":1.5,"observed":1.6,"sustained_s":0}},"alive":[8]}"#;

    fn line(text: &str) -> String {
        text.replace('\n', "")
    }

    #[test]
    fn the_latest_version_of_an_incident_counts() {
        let later = line(BREACH).replace("still_running", "stopped");
        let other = line(BREACH).replace(r#""id":"s""#, r#""id":"t""#);
        let records = parse(&format!("{}\n{other}\n{later}\n", line(BREACH)), "s").unwrap();
        let [one] = &records[..] else { panic!("{records:?}") };
        assert_eq!((one.task.as_str(), one.cancelled), ("farm", true));
        assert_eq!((one.rule.as_deref(), one.outcome.as_deref()), (Some("task.max_idle"), Some("stopped")));
        assert_eq!(one.pids, [7, 8, 8]);
    }

    #[test]
    fn a_stop_that_was_asked_for_has_no_rule() {
        let text = r#"{"id":"a","session":{"id":"s"},"task":{"name":"farm"},"action":"cancel","cause":{"asked":"x"}}"#;
        assert_eq!(parse(text, "s").unwrap()[0].rule, None);
        let text = r#"{"id":"a","session":{"id":"s"},"action":"cancel","cause":"shutdown"}"#;
        assert_eq!(parse(text, "s").unwrap()[0].task, "");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let error = parse(&format!("{}\n{{\"id\":", line(BREACH)), "s").unwrap_err();
        assert!(error.starts_with("line 2"), "{error}");
    }
}
