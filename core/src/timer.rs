//! The one watch thread: it sleeps until a moment or until it is woken, and never runs host code.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

#[cfg(loom)]
use loom::sync::Mutex;
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(loom)]
use loom::thread::{self, Thread};
#[cfg(not(loom))]
use std::sync::Mutex;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::thread::{self, Thread};

use crate::clock::Time;
use crate::error::{Error, ErrorKind, Result};

/// Wakes a sleeping watch thread, or lets it sleep on when nothing is due earlier.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// When the sleeper wakes by itself.
    next: AtomicU64,
    rung: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Alarm { next: AtomicU64::new(0), rung: AtomicBool::new(false), thread: Mutex::new(None) }
    }

    /// Wakes the thread if it would sleep past `at`. The caller has published what is due at `at` before.
    pub(crate) fn set(&self, at: Time) {
        // Pairs with the fence in `sleep`: either this load sees the new moment, or the sleeper sees what is due.
        fence(Ordering::SeqCst);
        if at.as_nanos() < self.next.load(Ordering::Relaxed) {
            self.ring();
        }
    }

    /// Wakes the thread now.
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        if let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    /// Makes the calling thread the one that is woken.
    fn attend(&self) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
    }

    /// Sleeps until `due`, asked again once the intended moment is public, or until the alarm is rung.
    fn sleep(&self, now: impl Fn() -> Time, due: impl Fn() -> Time) {
        self.next.store(due().as_nanos(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let until = due();
        self.next.store(until.as_nanos(), Ordering::Relaxed);
        if self.rung.swap(false, Ordering::AcqRel) {
            return;
        }
        match until {
            Time::NEVER => thread::park(),
            until => {
                let left = until.since(now());
                if left > Duration::ZERO {
                    park_for(left);
                }
            }
        }
        self.next.store(0, Ordering::Relaxed);
        // A swap, not a store: what a ringer published before is visible to the pass that follows.
        self.rung.swap(false, Ordering::AcqRel);
    }
}

#[cfg(not(loom))]
fn park_for(time: Duration) {
    thread::park_timeout(time);
}

/// In the model a moment that is known comes at once. A sleep without one lasts for ever, so that a lost wake-up
/// shows as a deadlock.
#[cfg(loom)]
fn park_for(_: Duration) {
    thread::yield_now();
}

/// What a watch thread works through.
pub(crate) trait Watched: Send + Sync + 'static {
    /// The alarm that wakes it.
    fn alarm(&self) -> &Alarm;
    /// The clock it runs by.
    fn now(&self) -> Time;
    /// Does all that is due. Returns false when there is nothing left to watch, ever.
    fn pass(self: &Arc<Self>, now: Time) -> bool;
    /// The next moment at which something is due.
    fn due(&self) -> Time;
}

/// Starts the thread. It ends when a pass says so.
pub(crate) fn watch<W: Watched>(name: &str, watched: Arc<W>) -> Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            crate::errand::become_watcher();
            watched.alarm().attend();
            // A subscriber of the host's logs may panic below; the other tasks' deadlines still hold.
            let pass = || watched.pass(watched.now());
            while std::panic::catch_unwind(std::panic::AssertUnwindSafe(pass)).unwrap_or(true) {
                watched.alarm().sleep(|| watched.now(), || watched.due());
            }
        })
        .map_err(|e| {
            Error::new(ErrorKind::SpawnFailed, format!("starting the thread {name}: {e}")).because(e)
        })
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    /// Whoever publishes something due and sets the alarm is heard, however the two threads interleave:
    /// a lost wake-up would leave the sleeper parked for ever.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let alarm = loom::sync::Arc::new(Alarm::new());
            let due = loom::sync::Arc::new(AtomicU64::new(u64::MAX));
            alarm.attend();
            // Not joined: the model's join does not bear being unparked.
            drop({
                let (alarm, due) = (alarm.clone(), due.clone());
                loom::thread::spawn(move || {
                    due.store(7, Ordering::SeqCst);
                    alarm.set(Time::from_nanos(7));
                })
            });
            while due.load(Ordering::SeqCst) == u64::MAX {
                alarm.sleep(|| Time::ZERO, || Time::from_nanos(due.load(Ordering::SeqCst)));
            }
        });
    }
}
