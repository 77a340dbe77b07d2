//! The older profile format: read, never written.

use serde_json::{Map, Value};

use super::change::Change;
use super::document::{self, Document, LEVELS, fault};
use super::{Blame, value};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::limit::Limit;

/// The keys that only the older format has.
pub(super) const KEYS: [&str; 3] = ["safety_level", "thresholds", "discord_notify"];

/// The keys that both formats have.
const SHARED: [&str; 2] = ["max_duration", "auto_cancel"];

const THRESHOLDS: [(&str, Limit); 5] = [
    ("cpu_usage", Limit::HostCpuPercent),
    ("memory_usage", Limit::HostMemoryPercent),
    ("fps", Limit::HostFps),
    ("latency", Limit::HostLatencyMs),
    ("response_time", Limit::HostResponseMs),
];

pub(super) fn is_older(map: &Map<String, Value>) -> bool {
    KEYS.iter().any(|k| map.contains_key(*k))
}

/// Reads a document that [`is_older`]. It blames any, as its users knew it.
pub(super) fn read(label: &str, map: &Map<String, Value>) -> Result<Document> {
    let mut changes = vec![Change::Blame(Blame::Any)];
    for (key, v) in map {
        let change = match key.as_str() {
            "safety_level" => value::choice(v, &LEVELS).map(Change::Level),
            "max_duration" => value::bound(Limit::MaxDuration, v),
            "auto_cancel" => value::flag(v).map(Change::AutoCancel),
            "discord_notify" => {
                value::flag(v).map(|on| Change::Notify(if on { vec!["discord".into()] } else { Vec::new() }))
            }
            "thresholds" => {
                thresholds(label, v, &mut changes)?;
                continue;
            }
            _ => return Err(stranger(label, key, map)),
        };
        changes.push(change.map_err(|m| fault(label, key, &m))?);
    }
    Ok(Document { extends: None, changes })
}

fn thresholds(label: &str, v: &Value, changes: &mut Vec<Change>) -> Result<()> {
    let Value::Object(map) = v else {
        return Err(fault(label, "thresholds", &value::wrong(v, "an object of limits")));
    };
    for (key, v) in map {
        let Some((_, limit)) = THRESHOLDS.iter().find(|(name, _)| name == key) else {
            let known = THRESHOLDS.map(|(name, _)| name);
            let hint = value::meant(key, known);
            let hint = if hint.is_empty() { format!("; known keys: {}", known.join(", ")) } else { hint };
            return Err(refused(format!("{label}: unknown key {:?}{hint}", format!("thresholds.{key}"))));
        };
        changes.push(value::bound(*limit, v).map_err(|m| fault(label, &format!("thresholds.{key}"), &m))?);
    }
    Ok(())
}

/// A key that the older format does not have: of the new format, or of neither.
fn stranger(label: &str, key: &str, map: &Map<String, Value>) -> Error {
    if document::KEYS.contains(&key) {
        let older = KEYS.iter().find(|k| map.contains_key(**k)).unwrap_or(&KEYS[0]);
        return refused(format!(
            "{label}: {key:?} is of the present format and {older:?} of the older one; a file is written in one of them"
        ));
    }
    let known = KEYS.iter().chain(&SHARED).copied();
    refused(format!("{label}: unknown key {key:?}{}", value::meant(key, known)))
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidProfile, message)
}
