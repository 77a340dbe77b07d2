//! The topics that haltline itself publishes, and what a topic may look like.

use crate::error::{Error, ErrorKind, Result};

/// A task started. The subject is its id.
pub const TASK_STARTED: &str = "task.started";
/// A task finished by itself. The subject is its id.
pub const TASK_FINISHED: &str = "task.finished";
/// A task was cancelled, and how that ended. The subject is its id.
pub const TASK_CANCELLED: &str = "task.cancelled";
/// The monitor took a sample.
pub const MONITOR_SAMPLE: &str = "monitor.sample";
/// A source of the monitor failed, or works again. The subject is its name; for a task whose processes cannot be looked
/// at, as in a host without a descriptor left, the source is `task` and the subject its id.
pub const MONITOR_DEGRADED: &str = "monitor.degraded";

/// The longest topic or pattern, in bytes.
pub const LONGEST: usize = 255;

/// Checks that `topic` is one or more words joined by dots, at most [`LONGEST`] bytes long. A word is not empty
/// and holds no spaces, no control characters, and neither `*` nor `>`.
///
/// # Errors
/// [`InvalidArgument`](ErrorKind::InvalidArgument) naming the topic and the rule.
pub fn check(topic: &str) -> Result<()> {
    match fault(topic, is_plain) {
        None => Ok(()),
        Some(why) => Err(refused("topic", topic, why)),
    }
}

/// What is wrong with a dotted name whose words must satisfy `word`.
pub(super) fn fault(name: &str, word: impl Fn(&str) -> bool) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > LONGEST {
        return Some("it is longer than 255 bytes");
    }
    for part in name.split('.') {
        if part.is_empty() {
            return Some("a word between its dots is empty");
        }
        if !word(part) {
            return Some(
                "a word holds a space, a control character, or a wildcard that is not a whole word of a pattern",
            );
        }
    }
    None
}

pub(super) fn is_plain(word: &str) -> bool {
    if word.is_ascii() {
        word.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'>')
    } else {
        !word.chars().any(|c| c.is_whitespace() || c.is_control() || c == '*' || c == '>')
    }
}

#[cold]
pub(super) fn refused(what: &str, name: &str, why: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    Error::new(
        ErrorKind::InvalidArgument,
        format!("{shown:?} is not a {what}: {why}; write words joined by dots, as in \"task.started\""),
    )
}
