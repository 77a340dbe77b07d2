//! Work that the host runs and stops through a `Stopper` of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use crate::supervisor::stopper::Stopper;

/// Between two looks: at first, and once the work has stayed for long.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(100);
const FORCED: u8 = 1;
const CANNOT: u8 = 2;

/// A host's stopper, called from a thread of its own because it is host code.
pub(crate) struct Custom {
    stopper: Arc<dyn Stopper>,
    force: AtomicBool,
    forced: AtomicU8,
    gone: AtomicBool,
    over: AtomicBool,
}

impl Custom {
    pub(crate) fn new(stopper: Arc<dyn Stopper>) -> Self {
        Custom {
            stopper,
            force: AtomicBool::new(false),
            forced: AtomicU8::new(0),
            gone: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Whether the stopper said that the work is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Asks for force. Returns false once the stopper is known to have none.
    pub(crate) fn force(&self) -> bool {
        self.force.store(true, Ordering::Release);
        self.forced.load(Ordering::Acquire) != CANNOT
    }

    /// Whether the stopper said that it used force.
    pub(crate) fn was_forced(&self) -> bool {
        self.forced.load(Ordering::Acquire) == FORCED
    }

    /// Ends [`Custom::drive`]: the task said itself that it is finished.
    pub(crate) fn finished(&self) {
        self.gone.store(true, Ordering::Release);
        self.over.store(true, Ordering::Release);
    }

    /// Asks, forces when told to, and looks until the work is gone. Runs on its own thread; `changed` is
    /// called whenever there is something new to see.
    pub(crate) fn drive(&self, changed: impl Fn()) {
        let mut asked = Asked::default();
        asked.or((), || self.stopper.request());
        let mut look = FIRST_LOOK;
        while !self.over.load(Ordering::Acquire) {
            if asked.or(false, || self.stopper.is_gone()) {
                self.gone.store(true, Ordering::Release);
                changed();
                return;
            }
            if self.force.load(Ordering::Acquire) && self.forced.load(Ordering::Acquire) == 0 {
                let answer = if asked.or(false, || self.stopper.force()) { FORCED } else { CANNOT };
                self.forced.store(answer, Ordering::Release);
                changed();
                continue;
            }
            std::thread::sleep(look);
            look = (look * 5 / 4).min(LAST_LOOK);
        }
    }
}

/// Asks a stopper. One that panics over a question is asked the next all the same.
#[derive(Default)]
struct Asked {
    panicked: bool,
}

impl Asked {
    fn or<T>(&mut self, instead: T, call: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
            if !std::mem::replace(&mut self.panicked, true) {
                // The subscriber of the log is host code too.
                let _ = catch_unwind(|| tracing::error!("a stopper panicked; it is asked further"));
            }
            instead
        })
    }
}
