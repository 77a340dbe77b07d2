//! Reads JSON strictly: a key given twice is an error, and every error has its line and column, and its key and value
//! where it has any.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a text is not JSON, or not strictly.
#[derive(Debug)]
pub(super) struct Fault {
    /// The key that was read last, as in `host.min_fps`; empty before the first.
    pub(super) key: String,
    /// The word that no value can be; empty for any other mistake.
    pub(super) word: String,
    pub(super) error: serde_json::Error,
}

/// The one JSON value that `text` holds.
///
/// Nesting beyond 128 levels is an error of the parser, so nothing that walks the value can run out of stack.
pub(super) fn parse(text: &str) -> Result<Value, Fault> {
    let path = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Strict { path: &path, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| Fault {
        key: shown(&path.take().join(".")),
        word: if error.is_syntax() { word_at(text, error.line(), error.column()) } else { String::new() },
        error,
    })
}

/// The bare word at the place that the parser names, which is inside of it.
fn word_at(text: &str, line: usize, column: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let is_word = |b: &u8| !b.is_ascii_whitespace() && !b",:{}[]\"".contains(b);
    let bytes = line.as_bytes();
    let at = column.saturating_sub(1);
    if !bytes.get(at).is_some_and(is_word) {
        return String::new();
    }
    let (before, after) = bytes.split_at(at);
    let start = before.len() - before.iter().rev().take_while(|b| is_word(b)).count();
    let end = before.len() + after.iter().take_while(|b| is_word(b)).count();
    // A quote beside it makes it a part of a text.
    let quoted = |at: Option<&u8>| at == Some(&b'"');
    if quoted(start.checked_sub(1).and_then(|n| bytes.get(n))) || quoted(bytes.get(end)) {
        return String::new();
    }
    shown(&String::from_utf8_lossy(&bytes[start..end]))
}

/// Cut to a length that fits a line.
fn shown(text: &str) -> String {
    let text = text.replace(char::is_control, "?");
    match text.char_indices().nth(80) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[derive(Clone, Copy)]
struct Strict<'p> {
    /// The keys down to the one that was read last, `depth` of them above this value.
    path: &'p RefCell<Vec<String>>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let mut path = self.path.borrow_mut();
            path.truncate(self.depth);
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is given twice")));
            }
            // It stays until the next key is read: what is wrong right behind a value is wrong with it.
            path.push(key.clone());
            drop(path);
            let value = entries.next_value_seed(Strict { depth: self.depth + 1, ..self })?;
            map.insert(key, value);
        }
        self.path.borrow_mut().truncate(self.depth);
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_is_refused_with_its_place() {
        let e = parse("{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert!(e.error.to_string().contains("\"a\" is given twice") && e.error.line() == 2, "{e:?}");
        assert!(parse(r#"{"a": {"b": 1}, "b": [{"a": null}]}"#).is_ok());
    }

    #[test]
    fn a_mistake_is_told_with_the_key_and_the_word_it_stands_at() {
        for (text, key, word) in [
            (r#"{"a": {"b": NaN}}"#, "a.b", "NaN"),
            (r#"{"a": {"b": 1, "c": -Infinity }}"#, "a.c", "-Infinity"),
            (r#"{"a": {"b": 1}, "c": nan}"#, "c", "nan"),
            (r#"{"a": 1e999}"#, "a", "1e999"),
            (r#"{"a": [1, -1e999, 2]}"#, "a", "-1e999"),
            (r#"{"a": 80%}"#, "a", "80%"),
            (r#"{"a": 0x10, "b": 1}"#, "a", "0x10"),
            (r#"{"a": .5}"#, "a", ".5"),
            ("{\"a\":\n  05\n}", "a", "05"),
            (r#"{"a": größe}"#, "a", "größe"),
            (r#"{"a": True}"#, "a", "True"),
            (r#"{"a": "x" "b": 1}"#, "a", ""),
            (r#"{"a": 'x'}"#, "a", "'x'"),
            (r#"{"a": "x\q"}"#, "a", ""),
            (r#"{"a": 1,}"#, "a", ""),
            ("NaN", "", "NaN"),
            ("{} x", "", "x"),
            ("", "", ""),
        ] {
            let fault = parse(text).expect_err(text);
            assert_eq!((fault.key.as_str(), fault.word.as_str()), (key, word), "{text}: {fault:?}");
        }
        let long = parse(&format!(r#"{{"{0}": {0}}}"#, "k".repeat(500))).unwrap_err();
        assert!(long.key.len() < 100 && long.word.len() < 100, "{long:?}");
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        assert!(parse(&"[".repeat(500_000)).is_err());
        assert!(parse(&"{\"a\":".repeat(200_000)).is_err());
    }
}
