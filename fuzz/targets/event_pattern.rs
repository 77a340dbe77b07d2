//! Patterns and topics of events: the first line is a pattern, the others are topics.
#![no_main]

use haltline::event::{Bus, SubscribeOptions, topic};
use haltline::supervisor::Limit;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The plainest matcher that can be written.
fn matches(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", p @ ..], [_, t @ ..]) => matches(p, t),
        ([a, p @ ..], [b, t @ ..]) => a == b && matches(p, t),
        _ => false,
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>')
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let pattern = lines.next().unwrap_or_default();
    let bus = Bus::new();
    let words: Vec<&str> = pattern.split('.').collect();
    let (last, front) = words.split_last().expect("a split has a part");
    let right = pattern.len() <= topic::LONGEST
        && front.iter().all(|w| *w == "*" || is_word(w))
        && (matches!(*last, "*" | ">") || is_word(last));
    let subscription = bus.subscribe(pattern, SubscribeOptions::default());
    assert_eq!(subscription.is_ok(), right, "{pattern:?}");
    let subscription = subscription.ok();
    for name in lines.take(16) {
        let valid = name.len() <= topic::LONGEST && name.split('.').all(is_word);
        assert_eq!(topic::check(name).is_ok(), valid, "{name:?}");
        let reached = bus.publish(name, None, Value::Null);
        let parts: Vec<&str> = name.split('.').collect();
        let wanted = subscription.is_some() && valid && matches(&words, &parts);
        assert_eq!(reached, usize::from(wanted), "{name:?} for {pattern:?}");
        assert_eq!(subscription.as_ref().and_then(|s| s.try_recv()).is_some(), wanted);
        if let Some(limit) = Limit::from_name(name) {
            assert_eq!(limit.name(), name);
        }
    }
});
