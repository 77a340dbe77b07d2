//! The way from a task to its supervisor.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_utils::CachePadded;

use super::executor::Executor;
use super::inner::Inner;
use super::profile::Profile;
use super::record::Record;
use super::table::{SHARDS, own_shard};
use super::task::Token;
use crate::error::Result;

/// What a task holds of its supervisor. There is one for each shard of the table: tasks that start and end on
/// different threads would otherwise meet at one reference count.
pub(crate) struct Home {
    pub(crate) inner: Arc<Inner>,
}

/// The homes of all shards.
pub(crate) struct Homes(Box<[CachePadded<Arc<Home>>]>);

impl Homes {
    pub(crate) fn new(inner: &Arc<Inner>) -> Self {
        let home = || CachePadded::new(Arc::new(Home { inner: inner.clone() }));
        Homes((0..SHARDS).map(|_| home()).collect())
    }

    /// Puts a new task on the table.
    pub(crate) fn admit(
        &self,
        name: Cow<'static, str>,
        profile: &Profile,
        executor: Executor,
    ) -> Result<Token> {
        let home = &self.0[own_shard()];
        let inner = &home.inner;
        inner.open()?;
        let started = inner.now();
        let (record, deadline) = inner.table.insert(profile, |id, place, profile| {
            Record::new(id, place, name, profile, started, executor, Arc::clone(home))
        });
        // A shutdown either found the record in the table, or began before this look.
        if inner.closing.load(Ordering::SeqCst) {
            record.finish();
            inner.open()?;
        }
        if let Some(deadline) = deadline {
            inner.alarm.set(deadline);
        }
        if inner.bus.wants("task.started") {
            inner.publish_start(&record);
        }
        Ok(Token::new(record))
    }
}
