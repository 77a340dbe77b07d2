//! Named spans of host work.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::incident::{Incident, Report, SessionName};
use super::inner::Inner;
use crate::clock::Time;

/// Sessions kept to tell where an old task began; more than any host has open at one time.
const KEPT: usize = 256;

/// All sessions, the latest last. A task belongs to the latest session that was open when it started, so
/// starting a task costs nothing for it.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Vec<Span>>);

#[derive(Clone)]
struct Span {
    name: SessionName,
    begun: Time,
    ended: Option<Time>,
}

impl Sessions {
    fn begin(&self, name: SessionName, now: Time) {
        let mut spans = self.0.lock();
        if spans.len() == KEPT {
            let oldest = spans.iter().position(|s| s.ended.is_some()).unwrap_or(0);
            spans.remove(oldest);
        }
        spans.push(Span { name, begun: now, ended: None });
    }

    fn end(&self, id: &str, now: Time) {
        if let Some(span) = self.0.lock().iter_mut().find(|s| s.name.id == id && s.ended.is_none()) {
            span.ended = Some(now);
        }
    }

    /// The session in which something that began at `at` lies.
    pub(crate) fn at(&self, at: Time) -> Option<SessionName> {
        let spans = self.0.lock();
        let open = |s: &&Span| s.begun <= at && s.ended.is_none_or(|e| at < e);
        spans.iter().rev().find(open).map(|s| s.name.clone())
    }
}

/// A named span of host work. Tasks that start while it is open belong to it, and so do their incidents; of
/// several open sessions the latest counts. It ends when this is dropped.
#[must_use = "the session ends when this is dropped"]
pub struct Session {
    name: SessionName,
    inner: Weak<Inner>,
}

impl Session {
    pub(crate) fn begin(inner: &Arc<Inner>, name: &str) -> Self {
        let name = SessionName { id: crate::id::unique(), name: name.to_owned() };
        inner.sessions.begin(name.clone(), inner.now());
        Session { name, inner: Arc::downgrade(inner) }
    }

    /// Its unique id.
    pub fn id(&self) -> &str {
        &self.name.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name.name
    }

    /// The incidents of its tasks, the newest first.
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        let Some(inner) = self.inner.upgrade() else { return Vec::new() };
        let mut all = inner.incidents.recent(usize::MAX);
        all.retain(|i| i.session.as_ref().is_some_and(|s| s.id == self.name.id));
        all
    }

    /// Sums up its incidents so far. The counts of tasks in this report are zero; only incidents are its own.
    pub fn report(&self) -> Report {
        Report::of(&self.incidents(), 0, 0, 0)
    }

    /// Ends it and sums up its incidents, as [`report`](Session::report).
    pub fn end(self) -> Report {
        self.report()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.sessions.end(&self.name.id, inner.now());
        }
    }
}
