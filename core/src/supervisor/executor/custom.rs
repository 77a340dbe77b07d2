//! Work that the host runs and stops through a `Stopper` of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
#[cfg(not(loom))]
use std::thread::sleep;

use crate::supervisor::stopper::Stopper;

/// Between two looks: at first, and once the work has stayed for long.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// What a request has at least before force comes beside it. In the model nothing, as its sleep ends late.
const MOMENT: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(50) };
const FORCED: u8 = 1;
const CANNOT: u8 = 2;

/// Where the request stands: not made, being made, made, or given up on by whoever forces.
const NEW: u8 = 0;
const ASKING: u8 = 1;
const ASKED: u8 = 2;
const OVERTAKEN: u8 = 3;

/// Is called whenever there is something new to see.
pub(crate) type Changed = Box<dyn Fn() + Send + Sync>;

/// A host's stopper, called from threads of its own because it is host code.
pub(crate) struct Custom {
    stopper: Arc<dyn Stopper>,
    changed: OnceLock<Changed>,
    stage: AtomicU8,
    force: AtomicBool,
    forced: AtomicU8,
    gone: AtomicBool,
    over: AtomicBool,
}

impl Custom {
    pub(crate) fn new(stopper: Arc<dyn Stopper>) -> Self {
        Custom {
            stopper,
            changed: OnceLock::new(),
            stage: AtomicU8::new(NEW),
            force: AtomicBool::new(false),
            forced: AtomicU8::new(0),
            gone: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Whether the stopper, or the host by ending the task, said that the work is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Has force used. Returns whether the request has not come back, so that another thread has to
    /// [`overtake`](Custom::overtake) it.
    pub(crate) fn force(&self) -> bool {
        self.force.store(true, Ordering::Release);
        self.stage.load(Ordering::Acquire) != ASKED
    }

    /// Whether the stopper is not known to have no force.
    pub(crate) fn may_have_force(&self) -> bool {
        self.forced.load(Ordering::Acquire) != CANNOT
    }

    /// Whether the stopper said that it used force.
    pub(crate) fn was_forced(&self) -> bool {
        self.forced.load(Ordering::Acquire) == FORCED
    }

    /// The host said that the work is gone: nothing is asked any more.
    pub(crate) fn finished(&self) {
        self.gone.store(true, Ordering::Release);
        self.over.store(true, Ordering::Release);
    }

    /// Asks the work to stop and follows it to its end. Runs on a thread of its own, where the stopper may block.
    pub(crate) fn drive(&self, changed: Changed) {
        let _ = self.changed.set(changed);
        self.stage.store(ASKING, Ordering::Release);
        Asked::default().or((), || self.stopper.request());
        if self.stage.compare_exchange(ASKING, ASKED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.follow();
        }
    }

    /// Follows the work in the place of a request that does not come back. Runs on a thread of its own.
    pub(crate) fn overtake(&self) {
        let mut asking = Duration::ZERO;
        // The request comes first, however late it had a thread.
        loop {
            match self.stage.load(Ordering::Acquire) {
                _ if self.over.load(Ordering::Acquire) => return,
                NEW => {}
                ASKING if asking < MOMENT => asking += FIRST_LOOK,
                ASKING => break,
                _ => return,
            }
            sleep(FIRST_LOOK);
        }
        if self.stage.compare_exchange(ASKING, OVERTAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.follow();
        }
    }

    /// Forces when told to, and looks until the work is gone. On one thread at a time.
    fn follow(&self) {
        let changed = || self.changed.get().into_iter().for_each(|changed| changed());
        let mut asked = Asked::default();
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
            sleep(look);
            look = (look * 5 / 4).min(LAST_LOOK);
        }
    }
}

/// In the model time passes until the others sleep too.
#[cfg(loom)]
fn sleep(_: Duration) {
    loom::thread::yield_now();
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

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::thread::{self, ThreadId};
    use std::sync::Mutex;

    /// Work that ends by force alone, and what its stopper was asked. No loom types: nothing is decided by it.
    #[derive(Default)]
    struct Work {
        /// Whether its request comes back only after force.
        hangs: bool,
        /// Whoever forces has done all it does.
        left: Mutex<bool>,
        seen: Mutex<Seen>,
    }

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Seen {
        requests: u32,
        forces: u32,
        /// Whether force came before the request.
        forced_first: bool,
        /// Whether the request would hang for ever.
        stuck: bool,
        followers: Vec<ThreadId>,
    }

    impl Work {
        fn followed(&self) {
            let (mut seen, this) = (self.seen.lock().unwrap(), thread::current().id());
            if !seen.followers.contains(&this) {
                seen.followers.push(this);
            }
        }
    }

    impl Stopper for Work {
        fn request(&self) {
            self.seen.lock().unwrap().requests += 1;
            while self.hangs && self.seen.lock().unwrap().forces == 0 {
                if *self.left.lock().unwrap() {
                    self.seen.lock().unwrap().stuck = true;
                    return;
                }
                thread::yield_now();
            }
        }

        fn force(&self) -> bool {
            self.followed();
            let mut seen = self.seen.lock().unwrap();
            seen.forced_first |= seen.requests == 0;
            seen.forces += 1;
            true
        }

        fn is_gone(&self) -> bool {
            self.followed();
            self.seen.lock().unwrap().forces > 0
        }
    }

    /// In every interleaving one thread follows, and force is used once, after the request and though that hangs.
    fn check(hangs: bool) {
        loom::model(move || {
            let work = Arc::new(Work { hangs, ..Work::default() });
            let custom = Arc::new(Custom::new(work.clone()));
            let request = {
                let custom = custom.clone();
                thread::spawn(move || custom.drive(Box::new(|| ())))
            };
            if custom.force() {
                custom.overtake();
            }
            *work.left.lock().unwrap() = true;
            request.join().unwrap();
            assert!(custom.is_gone() && custom.was_forced());
            let mut seen = work.seen.lock().unwrap().clone();
            assert_eq!(std::mem::take(&mut seen.followers).len(), 1);
            assert_eq!(seen, Seen { requests: 1, forces: 1, ..Seen::default() });
        });
    }

    #[test]
    fn work_whose_request_comes_back_is_followed_once_and_forced_once() {
        check(false);
    }

    #[test]
    fn work_whose_request_hangs_is_forced_though_force_comes_before_the_request_has_a_thread() {
        check(true);
    }
}
