//! Publish and subscribe inside the process.

use std::sync::Arc;

/// A bus. Clones are handles to the same bus.
#[derive(Clone, Debug, Default)]
pub struct Bus(Arc<()>);

impl Bus {
    /// A bus without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether anyone subscribes to a pattern that matches `topic`. One relaxed load when nobody subscribes.
    pub fn wants(&self, topic: &str) -> bool {
        let _ = topic;
        false
    }

    /// Publishes `data` under `topic`; `subject` is what it is about, such as a task id.
    pub fn publish(&self, topic: &str, subject: Option<String>, data: serde_json::Value) {
        let _ = (topic, subject, data);
    }
}
