//! Who passes through the cancellations in progress: one thread at a time, usually the watch thread, and after its end
//! whoever ends a task.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

/// Nobody passes, somebody does, and somebody else wanted to meanwhile.
const FREE: u8 = 0;
const PASSING: u8 = 1;
const MISSED: u8 = 2;

#[derive(Debug)]
pub(crate) struct Passes {
    stage: AtomicU8,
    closed: AtomicBool,
}

impl Passes {
    pub(super) fn new() -> Self {
        Passes { stage: AtomicU8::new(FREE), closed: AtomicBool::new(false) }
    }

    /// Passes, and once more for whoever wanted to meanwhile; returns what the last pass did. `None` if another thread
    /// passes: then that one passes once more.
    pub(super) fn pass<T>(&self, mut pass: impl FnMut() -> T) -> Option<T> {
        if self.stage.swap(MISSED, Ordering::AcqRel) != FREE {
            return None;
        }
        let free = FreeAfterPanic(&self.stage);
        loop {
            // A swap, not a store: what those published who missed this pass is visible to it.
            self.stage.swap(PASSING, Ordering::AcqRel);
            let passed = pass();
            let left = self.stage.compare_exchange(PASSING, FREE, Ordering::AcqRel, Ordering::Relaxed);
            if left.is_ok() {
                std::mem::forget(free);
                return Some(passed);
            }
        }
    }

    /// From now on whoever ends a task passes. `look` looks once more for what ended just before.
    pub(super) fn close(&self, look: impl FnOnce()) {
        self.closed.store(true, Ordering::Release);
        // Pairs with the fence in `is_closed`: either `look` sees the end, or whoever ended sees this.
        fence(Ordering::SeqCst);
        look();
    }

    /// Whether whoever ended a task has to pass. To be asked after the end is there to be seen.
    pub(super) fn is_closed(&self) -> bool {
        fence(Ordering::SeqCst);
        self.closed.load(Ordering::Acquire)
    }
}

struct FreeAfterPanic<'a>(&'a AtomicU8);

impl Drop for FreeAfterPanic<'_> {
    fn drop(&mut self) {
        self.0.store(FREE, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Model {
        passes: Passes,
        /// What is there to be seen: ends of tasks, by a flag for each that orders as little as any executor's does.
        ended: [AtomicBool; 2],
        /// What a pass has seen of it. Only a pass touches it; loom fails the test if two can at once.
        seen: UnsafeCell<[bool; 2]>,
    }

    // SAFETY: the cell is what the model is to prove safe; loom watches every access.
    unsafe impl Sync for Model {}

    impl Model {
        fn new() -> Arc<Model> {
            Arc::new(Model {
                passes: Passes::new(),
                ended: [AtomicBool::new(false), AtomicBool::new(false)],
                seen: UnsafeCell::new([false; 2]),
            })
        }

        fn end(&self, task: usize) {
            self.ended[task].store(true, Ordering::Release);
        }

        fn look(&self) {
            let ended = [0, 1].map(|task| self.ended[task].load(Ordering::Acquire));
            // SAFETY: as above.
            self.seen.with_mut(|seen| unsafe { *seen = [0, 1].map(|task| (*seen)[task] | ended[task]) });
        }

        fn seen(&self) -> [bool; 2] {
            // SAFETY: as above.
            self.seen.with(|seen| unsafe { *seen })
        }
    }

    /// In every interleaving passes come one after another, and what is there before one is asked for is seen.
    #[test]
    fn whoever_misses_a_pass_is_passed_for_once_more() {
        loom::model(|| {
            let model = Model::new();
            let ends = |task| {
                let model = model.clone();
                move || {
                    model.end(task);
                    model.passes.pass(|| model.look());
                }
            };
            let other = thread::spawn(ends(0));
            ends(1)();
            other.join().unwrap();
            assert_eq!(model.seen(), [true; 2]);
        });
    }

    /// The watch thread is not woken any more after its last pass.
    #[test]
    fn a_task_that_ends_while_the_watch_thread_leaves_is_seen_by_one_of_the_two() {
        loom::model(|| {
            let model = Model::new();
            let task = {
                let model = model.clone();
                thread::spawn(move || {
                    model.end(0);
                    if model.passes.is_closed() {
                        model.passes.pass(|| model.look());
                    }
                })
            };
            model.passes.pass(|| model.passes.close(|| model.look()));
            task.join().unwrap();
            assert!(model.seen()[0]);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_panics_is_over() {
        let passes = Passes::new();
        let panics = || passes.pass(|| panic!("as the subscriber of a log may"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
        assert_eq!(passes.pass(|| 7), Some(7));
    }

    #[test]
    fn a_pass_within_a_pass_is_made_up_for_by_that_one() {
        let passes = Passes::new();
        let mut count = 0;
        let last = passes.pass(|| {
            count += 1;
            if count < 3 {
                assert_eq!(passes.pass(|| unreachable!("at once")), None::<u32>);
            }
            count
        });
        assert_eq!(last, Some(3));
    }
}
