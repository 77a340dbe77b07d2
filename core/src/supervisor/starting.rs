//! Commands that are being started: they are executed before their tasks are on the table.

use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::inner::Inner;
use crate::error::Result;
use crate::timer::Watched;

/// How many starts are under way.
#[derive(Default)]
pub(crate) struct Starts {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Starts {
    /// Whether there is one.
    pub(crate) fn any(&self) -> bool {
        *self.count.lock() > 0
    }

    /// Waits until there is none. False after `until`.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        let mut count = self.count.lock();
        while *count > 0 {
            if self.changed.wait_until(&mut count, until).timed_out() {
                return *count == 0;
            }
        }
        true
    }
}

/// One start, from before the command is executed until its task is on the table or nothing of it is left.
pub(crate) struct Starting<'a>(&'a Inner);

impl Inner {
    /// Lets a command in. A shutdown refuses it before it is executed, or waits for its task and cancels that.
    pub(crate) fn begin_start(&self) -> Result<Starting<'_>> {
        // Under the lock: whoever saw no start after the closing is not followed by one.
        let mut count = self.starts.count.lock();
        self.open()?;
        *count += 1;
        Ok(Starting(self))
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        *self.0.starts.count.lock() -= 1;
        self.0.starts.changed.notify_all();
        if self.0.closing.load(Ordering::SeqCst) {
            // The watch thread leaves after the last start.
            self.0.alarm().ring();
        }
    }
}
