//! Reads one profile document into the settings it makes.

use serde_json::{Map, Value};

use super::change::Change;
use super::{Blame, Level, json, older, value};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::limit::Limit;

/// What one document says: changes to a base.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Document {
    pub(super) extends: Option<String>,
    pub(super) changes: Vec<Change>,
}

/// The keys of the format, besides those inside `host` and `task`.
pub(super) const KEYS: [&str; 11] = [
    "extends",
    "level",
    "max_duration",
    "sustain",
    "grace",
    "auto_cancel",
    "blame",
    "notify",
    "host",
    "task",
    "advisory",
];

pub(super) const LEVELS: [(&str, Level); 3] =
    [("safe", Level::Safe), ("risky", Level::Risky), ("dangerous", Level::Dangerous)];
pub(super) const BLAMES: [(&str, Blame); 2] = [("culprit", Blame::Culprit), ("any", Blame::Any)];

/// Reads `text`. `label` names the document in errors: its path, or the name of the profile.
pub(super) fn read(label: &str, text: &str) -> Result<Document> {
    // Some editors put a byte order mark first.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = json::parse(text).map_err(|json::Fault { key, word, error: e }| {
        let what = match e.is_eof() {
            true if text.trim().is_empty() => {
                "is empty; write a JSON object such as {\"level\": \"safe\"}".into()
            }
            true => format!("ends too early, as if half-written: {e}"),
            false if word.is_empty() => format!("is not valid JSON: {e}"),
            false => format!("{word} is not valid JSON: {e}"),
        };
        // Where a text breaks off says nothing of the key before.
        let key = if e.is_eof() { "" } else { &*key };
        fault(label, key, &what).because(e)
    })?;
    let Value::Object(map) = &parsed else {
        return Err(fault(label, "", &value::wrong(&parsed, "a JSON object, as a profile must be")));
    };
    if older::is_older(map) { older::read(label, map) } else { read_new(label, map) }
}

fn read_new(label: &str, map: &Map<String, Value>) -> Result<Document> {
    let mut document = Document::default();
    for (key, v) in map {
        let change = match key.as_str() {
            "extends" => {
                let parent = value::text(v).map_err(|m| fault(label, key, &m))?;
                document.extends = Some(parent.to_owned());
                continue;
            }
            "host" | "task" => {
                section(label, key, v, &mut document.changes)?;
                continue;
            }
            "level" => value::choice(v, &LEVELS).map(Change::Level),
            "max_duration" => value::bound(Limit::MaxDuration, v),
            "sustain" => value::time(v).map(Change::Sustain),
            "grace" => value::time(v).map(Change::Grace),
            "auto_cancel" => value::flag(v).map(Change::AutoCancel),
            "blame" => value::choice(v, &BLAMES).map(Change::Blame),
            "notify" => value::texts(v).map(Change::Notify),
            "advisory" => value::limits(v).map(Change::Advisory),
            _ => return Err(unknown(label, key)),
        };
        let change = change.map_err(|m| fault(label, key, &m))?;
        change.check().map_err(|f| fault(label, key, &f.message))?;
        document.changes.push(change);
    }
    Ok(document)
}

/// Reads the limits of `host` or `task`.
fn section(label: &str, section: &str, v: &Value, changes: &mut Vec<Change>) -> Result<()> {
    let Value::Object(map) = v else {
        return Err(fault(label, section, &value::wrong(v, "an object of limits")));
    };
    for (key, v) in map {
        let full = format!("{section}.{key}");
        let Some(limit) = Limit::from_name(&full) else { return Err(unknown(label, &full)) };
        changes.push(value::bound(limit, v).map_err(|m| fault(label, &full, &m))?);
    }
    Ok(())
}

/// An unknown key, with the nearest known one: first by its own name in another section, then by spelling.
fn unknown(label: &str, key: &str) -> Error {
    let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
    let elsewhere: Vec<String> = Limit::ALL
        .iter()
        .map(|l| l.name())
        .filter(|n| n.rsplit('.').next() == Some(last))
        .map(|n| format!("{n:?}"))
        .collect();
    let hint = if !elsewhere.is_empty() {
        format!("; did you mean {}?", elsewhere.join(" or "))
    } else if section.is_empty() {
        let known = KEYS.iter().chain(&older::KEYS).copied();
        let limits = Limit::ALL.iter().map(|l| l.name()).filter(|n| n.contains('.'));
        let near = value::meant(key, known.chain(limits));
        if near.is_empty() { format!("; known keys: {}", KEYS.join(", ")) } else { near }
    } else {
        let known: Vec<&str> =
            Limit::ALL.iter().map(|l| l.name()).filter(|n| n.starts_with(section)).collect();
        let near = value::meant(key, known.iter().copied());
        if near.is_empty() { format!("; known keys: {}", known.join(", ")) } else { near }
    };
    let key: String = key.chars().take(80).collect();
    Error::new(ErrorKind::InvalidProfile, format!("{label}: unknown key {key:?}{hint}"))
}

/// An error at one key of one document.
pub(super) fn fault(label: &str, key: &str, message: &str) -> Error {
    let at = if key.is_empty() { label.to_owned() } else { format!("{label}: {key}") };
    Error::new(ErrorKind::InvalidProfile, format!("{at}: {message}"))
}
