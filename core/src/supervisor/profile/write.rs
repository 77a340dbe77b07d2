//! Writes a profile as a document.

use serde_json::{Map, Value, json};

use super::document::{BLAMES, LEVELS};
use super::{Profile, Settings};
use crate::duration;
use crate::supervisor::limit::Limit;

impl Profile {
    /// The profile as a document of its own, without `extends`, and without limits that it does not have. The name
    /// is not in it: in a folder that is the file's stem.
    pub fn to_json(&self) -> Value {
        let p = &*self.0;
        let mut map = Map::new();
        map.insert("level".into(), word(p.level, &LEVELS));
        if let Some(longest) = p.max_duration {
            map.insert("max_duration".into(), duration::format(longest).into());
        }
        map.insert("sustain".into(), duration::format(p.sustain).into());
        map.insert("grace".into(), duration::format(p.grace).into());
        map.insert("auto_cancel".into(), p.auto_cancel.into());
        map.insert("blame".into(), word(p.blame, &BLAMES));
        map.insert("notify".into(), json!(p.notify));
        for section in ["host", "task"] {
            let limits: Map<String, Value> = Limit::ALL
                .into_iter()
                .filter_map(|limit| {
                    let key = limit.name().strip_prefix(section)?.strip_prefix('.')?;
                    Some((key.to_owned(), bound(p, self.bound(limit)?, limit)))
                })
                .collect();
            if !limits.is_empty() {
                map.insert(section.into(), Value::Object(limits));
            }
        }
        if !p.advisory.is_empty() {
            map.insert("advisory".into(), json!(p.advisory));
        }
        Value::Object(map)
    }
}

fn word<T: PartialEq + Copy>(value: T, words: &[(&str, T)]) -> Value {
    words.iter().find(|(_, v)| *v == value).map_or(Value::Null, |(name, _)| (*name).into())
}

fn bound(p: &Settings, value: f64, limit: Limit) -> Value {
    match (limit, p.task.max_idle) {
        (Limit::TaskIdle, Some(idle)) => duration::format(idle).into(),
        // People write 80, not 80.0.
        _ if value.fract() == 0.0 => (value as u64).into(),
        _ => value.into(),
    }
}
