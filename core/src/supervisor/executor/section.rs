//! A section of code on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::thread_clock::ThreadClock;

/// A section that runs, and the coroutine that it belongs to.
#[derive(Debug)]
pub(crate) struct Section {
    thread: Arc<ThreadClock>,
    coroutine: u64,
    over: AtomicBool,
}

impl Section {
    /// A section that begins on this thread. Coroutine 0 is none: nothing takes turns with it.
    #[inline]
    pub(crate) fn begin(coroutine: u64) -> Self {
        let thread = ThreadClock::current();
        if coroutine != 0 {
            thread.turns().enter(coroutine);
        }
        Section { thread, coroutine, over: AtomicBool::new(false) }
    }

    /// Only the first call counts. Any thread may end a section.
    #[inline]
    pub(crate) fn end(&self) {
        if self.coroutine != 0 && !self.over.swap(true, Ordering::Relaxed) {
            self.thread.turns().leave(self.coroutine);
        }
    }

    pub(crate) fn thread(&self) -> &Arc<ThreadClock> {
        &self.thread
    }

    pub(crate) fn takes_turns(&self) -> bool {
        self.coroutine != 0
    }
}

/// One that was refused never ran.
impl Drop for Section {
    fn drop(&mut self) {
        self.end();
    }
}
