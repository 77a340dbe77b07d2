//! One event, with the attributes of CloudEvents 1.0 and its JSON format.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::topic;
use crate::error::{Error, ErrorKind, Result};

/// Something that happened.
///
/// Serializes to a JSON object with the attribute names of CloudEvents 1.0 (`type` is the topic) and reads
/// back from one. Extension attributes are not kept; an event without `time` gets the time of reading.
///
/// # Example
/// ```
/// use haltline::event::Event;
///
/// let event = Event::new("/hosts/7", "deploy.finished", serde_json::json!({ "version": 3 }))?;
/// let json = serde_json::to_value(&event).unwrap();
/// assert_eq!(json["specversion"], "1.0");
/// assert_eq!(json["type"], "deploy.finished");
/// # Ok::<(), haltline::Error>(())
/// ```
#[derive(Clone)]
pub struct Event {
    id: Id,
    source: Arc<str>,
    topic: Box<str>,
    subject: Option<Box<str>>,
    time: SystemTime,
    data: Value,
}

/// An event made by a bus spells its id only when somebody reads it.
#[derive(Clone)]
enum Id {
    Counted { bus: Arc<str>, number: u64 },
    Given(Box<str>),
}

impl Event {
    /// An event of now with an id of its own.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a malformed topic or an empty source.
    pub fn new(source: &str, topic: &str, data: Value) -> Result<Event> {
        topic::check(topic)?;
        if source.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "an event needs a source that is not empty"));
        }
        Ok(Event {
            id: Id::Given(crate::id::unique().into()),
            source: source.into(),
            topic: topic.into(),
            subject: None,
            time: SystemTime::now(),
            data,
        })
    }

    /// The same event about `subject`, such as a task id.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Event {
        self.subject = Some(subject.into().into());
        self
    }

    /// The same event at another time, as a replay needs it.
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Event {
        self.time = time;
        self
    }

    /// The topic must have been checked.
    pub(super) fn of_bus(
        bus: &Arc<str>,
        number: u64,
        source: &Arc<str>,
        topic: &str,
        subject: Option<String>,
        data: Value,
    ) -> Event {
        Event {
            id: Id::Counted { bus: Arc::clone(bus), number },
            source: Arc::clone(source),
            topic: topic.into(),
            subject: subject.map(Into::into),
            time: SystemTime::now(),
            data,
        }
    }

    /// Unique together with the source.
    pub fn id(&self) -> Cow<'_, str> {
        match &self.id {
            Id::Counted { bus, number } => Cow::Owned(format!("{bus}-{number}")),
            Id::Given(id) => Cow::Borrowed(id),
        }
    }

    /// Where it comes from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What happened; `type` in CloudEvents.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// What it is about, such as a task id.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When it happened, by the calendar clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The payload.
    pub fn data(&self) -> &Value {
        &self.data
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.topic, self.subject, self.data)
    }
}

/// RFC 3339 in UTC with microseconds. Times that it cannot spell become the nearest that it can.
fn spelt(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(crate::clock::spellable(time)).to_string()
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("type", self.topic())?;
        map.serialize_entry("source", self.source())?;
        map.serialize_entry("id", &self.id())?;
        map.serialize_entry("time", &spelt(self.time))?;
        if let Some(subject) = self.subject().filter(|s| !s.is_empty()) {
            map.serialize_entry("subject", subject)?;
        }
        map.serialize_entry("datacontenttype", "application/json")?;
        map.serialize_entry("data", &self.data)?;
        map.end()
    }
}

#[derive(Deserialize)]
struct Wire {
    specversion: String,
    #[serde(rename = "type")]
    topic: String,
    source: String,
    id: String,
    time: Option<String>,
    subject: Option<String>,
    datacontenttype: Option<String>,
    #[serde(default)]
    data: Value,
    data_base64: Option<Value>,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Event, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        if wire.specversion != "1.0" {
            return Err(D::Error::custom(format!("specversion {:?} is not \"1.0\"", wire.specversion)));
        }
        if wire.id.is_empty() || wire.source.is_empty() {
            return Err(D::Error::custom("an event needs an id and a source that are not empty"));
        }
        let json = wire.datacontenttype.as_deref().is_none_or(is_json);
        if !json || wire.data_base64.is_some() {
            return Err(D::Error::custom(
                "the data of an event must be JSON: datacontenttype application/json, no data_base64",
            ));
        }
        topic::check(&wire.topic).map_err(D::Error::custom)?;
        let time = match wire.time {
            None => SystemTime::now(),
            Some(text) => humantime::parse_rfc3339(&text).map_err(|e| {
                D::Error::custom(format!(
                    "time {text:?} is not RFC 3339 in UTC, as in 2026-01-31T12:00:00Z: {e}"
                ))
            })?,
        };
        Ok(Event {
            id: Id::Given(wire.id.into()),
            source: wire.source.into(),
            topic: wire.topic.into(),
            subject: wire.subject.map(Into::into),
            time,
            data: wire.data,
        })
    }
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_becomes_cloudevents_json_and_reads_back() {
        let time = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        let event = Event::new("/host", "task.started", json!({"n": 1})).unwrap().about("7").at(time);
        let json = serde_json::to_value(&event).unwrap();
        let expected = json!({
            "specversion": "1.0", "type": "task.started", "source": "/host", "id": event.id(),
            "time": "2023-11-14T22:13:20.123456Z", "subject": "7",
            "datacontenttype": "application/json", "data": {"n": 1},
        });
        assert_eq!(json, expected);
        let back: Event = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), json);
        assert_eq!(back.time(), time);
    }

    #[test]
    fn times_before_1970_and_after_9999_do_not_panic() {
        for time in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(1 << 40)] {
            let event = Event::new("s", "t", Value::Null).unwrap().at(time);
            assert!(serde_json::to_string(&event).is_ok());
        }
        let last = UNIX_EPOCH + Duration::from_micros(253_402_300_799_999_999);
        let event = Event::new("s", "t", Value::Null).unwrap().at(last);
        let back: Event = serde_json::from_value(serde_json::to_value(&event).unwrap()).unwrap();
        assert_eq!(back.time(), last);
    }

    #[test]
    fn what_is_not_a_json_event_is_refused_with_the_reason() {
        let good = json!({"specversion": "1.0", "type": "a.b", "source": "s", "id": "1"});
        assert!(serde_json::from_value::<Event>(good.clone()).is_ok());
        for (key, value, says) in [
            ("specversion", json!("0.3"), "0.3"),
            ("type", json!("a..b"), "a..b"),
            ("id", json!(""), "id"),
            ("time", json!("yesterday"), "yesterday"),
            ("datacontenttype", json!("text/xml"), "JSON"),
            ("data_base64", json!("AA=="), "data_base64"),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            let e = serde_json::from_value::<Event>(bad).expect_err(key).to_string();
            assert!(e.contains(says), "{e}");
        }
        assert!(Event::new("", "t", Value::Null).is_err());
        assert!(Event::new("s", "t.*", Value::Null).is_err());
    }
}
