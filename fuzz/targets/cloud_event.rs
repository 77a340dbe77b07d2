//! Events in the JSON format of CloudEvents.
#![no_main]

use haltline::event::{Event, topic};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
    assert!(topic::check(event.topic()).is_ok(), "{:?}", event.topic());
    assert!(!event.id().is_empty() && !event.source().is_empty());
    let written = serde_json::to_string(&event).expect("an event that was read can be written");
    let back: Event = serde_json::from_str(&written).unwrap_or_else(|e| panic!("{e}: {written}"));
    assert_eq!(back.data(), event.data(), "{written}");
    assert_eq!(back.subject(), event.subject().filter(|s| !s.is_empty()), "{written}");
    let lost = event.time().duration_since(back.time()).expect("written times are cut, never later");
    assert!(lost.as_nanos() < 1_000, "{lost:?} lost: {written}");
    assert_eq!(serde_json::to_string(&back).expect("as before"), written);
});
