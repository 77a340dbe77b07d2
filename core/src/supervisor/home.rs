//! The way from a task to its supervisor.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_utils::CachePadded;

use super::executor::Executor;
use super::inner::Inner;
use super::limit::ExecutorKind;
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
        // A command runs already. It was let in before it was executed, and a shutdown waits for its task.
        let let_in = executor.kind() == ExecutorKind::Process;
        if !let_in {
            inner.open()?;
        }
        let started = inner.now();
        let (record, deadline) = inner.table.insert(profile, |id, place, profile| {
            Record::new(id, place, name, profile, started, executor, Arc::clone(home))
        });
        // A shutdown either found the record in the table, or began before this look.
        if !let_in && inner.closing.load(Ordering::SeqCst) {
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::supervisor::Supervisor;
    use crate::supervisor::executor::thread_clock::READS;

    /// What makes a task cost next to nothing while all is well. Every lock that the supervisor's tasks share is held
    /// here by somebody else, for good.
    #[test]
    fn start_check_and_finish_wait_for_no_shared_lock_and_read_no_processor_clock() {
        let supervisor = Supervisor::builder().manual().unwrap();
        let inner = supervisor.inner().clone();
        let _held = (inner.engine.lock(), inner.inbox.lock(), inner.active.lock(), inner.spike.lock());
        let (done, seen) = mpsc::channel();
        let own = supervisor.clone();
        std::thread::spawn(move || {
            for _ in 0..100 {
                let task = own.start("section", "heal").unwrap();
                task.check().unwrap();
                task.progress().unwrap();
                assert!(task.finish());
            }
            done.send(READS.get()).unwrap();
        });
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(0));
    }
}
