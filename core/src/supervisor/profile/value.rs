//! Turns single JSON values into settings. Each refusal names the value and what would be right.

use std::time::Duration;

use serde_json::Value;

use super::change::Change;
use crate::duration;
use crate::supervisor::limit::Limit;

pub(super) fn number(value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| wrong(value, "a number"))
}

pub(super) fn time(value: &Value) -> Result<Duration, String> {
    match value {
        Value::Number(n) => duration::from_secs(n.as_f64().unwrap_or(f64::NAN)).map_err(|e| e.to_string()),
        Value::String(text) => duration::parse(text).map_err(|e| e.to_string()),
        other => Err(wrong(other, "a duration such as \"5m\", or a number of seconds")),
    }
}

pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong(value, "true or false"))
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| wrong(value, "a text"))
}

pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let list = value.as_array().ok_or_else(|| wrong(value, "a list of texts"))?;
    list.iter().map(|v| text(v).map(str::to_owned)).collect()
}

/// One of a few words.
pub(super) fn choice<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Result<T, String> {
    let given = text(value)?;
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == given) {
        return Ok(*choice);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    Err(format!("{} is none of {}{}", shown(value), names.join(", "), meant(given, names.iter().copied())))
}

pub(super) fn limits(value: &Value) -> Result<Vec<Limit>, String> {
    let known = || Limit::ALL.iter().map(|l| l.name());
    let find = |name: String| {
        Limit::from_name(&name).ok_or_else(|| format!("{name:?} is not a limit{}", meant(&name, known())))
    };
    texts(value)?.into_iter().map(find).collect()
}

/// The bound of `limit`, or its removal for `null`.
pub(super) fn bound(limit: Limit, value: &Value) -> Result<Change, String> {
    if value.is_null() {
        return Ok(Change::Remove(limit));
    }
    let change = match limit {
        Limit::MaxDuration | Limit::TaskIdle => Change::Time(limit, time(value)?),
        _ => Change::Bound(limit, number(value)?),
    };
    change.check().map_err(|f| f.message)?;
    Ok(change)
}

pub(super) fn wrong(value: &Value, right: &str) -> String {
    let kind = match value {
        Value::Null => "null is not",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "is not",
        Value::Array(_) => "is a list, not",
        Value::Object(_) => "is an object, not",
    };
    match value {
        Value::Null => format!("{kind} {right}; only a limit can be removed by null"),
        _ => format!("{} {kind} {right}", shown(value)),
    }
}

/// The value as JSON, cut to a length that fits a line.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// `; did you mean "x"?`, or nothing.
pub(super) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match duration::nearest(name, known) {
        Some(near) => format!("; did you mean {near:?}?"),
        None => String::new(),
    }
}
