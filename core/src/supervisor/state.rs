//! The one byte that settles the race between a cancellation and a task's own end.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

const CANCELLED: u8 = 1;
const FINISHED: u8 = 2;
const HANDLED: u8 = 4;
const AWAITED: u8 = 8;

/// Whether a task was asked to stop, whether it has left, whether anybody wants to hear of a cancellation, and whether
/// anybody ever waited.
///
/// All bits are only ever set, so a cancelled task never runs again and a finished one never becomes cancelled.
#[derive(Debug)]
pub(crate) struct State(AtomicU8);

/// Who won when a cancellation was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// This call cancelled the task.
    Won,
    /// The task was cancelled before.
    Already,
    /// The task had finished by itself.
    TooLate,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// By itself; nothing asked it to.
    ByItself,
    /// After it was asked to stop.
    AfterCancel,
    /// It had ended before this call.
    Already,
}

impl State {
    pub(crate) fn new() -> Self {
        State(AtomicU8::new(0))
    }

    /// The check that a running task makes: one relaxed load.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CANCELLED != 0
    }

    /// Whether the task has left. What the task wrote before it left is visible afterwards.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.load(Ordering::Acquire) & FINISHED != 0
    }

    /// Marks the task as asked to stop, unless it finished first.
    pub(crate) fn request(&self) -> Request {
        let ask = |seen| (seen & (CANCELLED | FINISHED) == 0).then_some(seen | CANCELLED);
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, ask) {
            Ok(_) => Request::Won,
            Err(seen) if seen & CANCELLED != 0 => Request::Already,
            Err(_) => Request::TooLate,
        }
    }

    /// Says that a handler was added. Returns whether the task had ended by itself before: then whoever added it takes
    /// it away again. Otherwise the end will see it.
    pub(crate) fn handle(&self) -> bool {
        let before = self.0.fetch_or(HANDLED, Ordering::AcqRel);
        before & (FINISHED | CANCELLED) == FINISHED
    }

    /// Whether a handler was ever added. After [`finish`](State::finish): in time for that to take it away.
    pub(crate) fn is_handled(&self) -> bool {
        self.0.load(Ordering::Relaxed) & HANDLED != 0
    }

    /// Says that somebody waits, before it looks for the first time. If it does not see the end, the end will see it.
    pub(crate) fn await_end(&self) {
        self.0.fetch_or(AWAITED, Ordering::AcqRel);
    }

    /// Whether anybody ever waited. After [`finish`](State::finish): anybody who has not seen that.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed) & AWAITED != 0
    }

    /// Whether the task has left without having been asked to.
    pub(crate) fn ended_by_itself(&self) -> bool {
        self.0.load(Ordering::Acquire) & (FINISHED | CANCELLED) == FINISHED
    }

    /// Marks the task as gone.
    pub(crate) fn finish(&self) -> Finish {
        let before = self.0.fetch_or(FINISHED, Ordering::AcqRel);
        if before & FINISHED != 0 {
            Finish::Already
        } else if before & CANCELLED != 0 {
            Finish::AfterCancel
        } else {
            Finish::ByItself
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// In every interleaving exactly one side wins, and both sides agree on which.
    #[test]
    fn a_cancellation_and_an_end_agree_on_who_was_first() {
        loom::model(|| {
            let state = Arc::new(State::new());
            let canceller = {
                let state = state.clone();
                thread::spawn(move || state.request())
            };
            let finish = state.finish();
            let request = canceller.join().unwrap();
            match request {
                Request::Won => assert_eq!(finish, Finish::AfterCancel),
                Request::TooLate => assert_eq!(finish, Finish::ByItself),
                Request::Already => panic!("nobody else asked"),
            }
            assert_eq!(state.is_cancelled(), request == Request::Won);
        });
    }

    /// A handler that is added while the task ends by itself is taken away by one side or the other: it may hold the
    /// task's own token, and would keep both for ever.
    #[test]
    fn a_handler_that_is_added_sees_the_end_or_is_seen_by_it() {
        loom::model(|| {
            let state = Arc::new(State::new());
            let handlers = Arc::new(loom::sync::Mutex::new(0));
            let adder = {
                let (state, handlers) = (state.clone(), handlers.clone());
                thread::spawn(move || {
                    *handlers.lock().unwrap() += 1;
                    if state.handle() {
                        *handlers.lock().unwrap() = 0;
                    }
                })
            };
            assert_eq!(state.finish(), Finish::ByItself);
            if state.is_handled() {
                *handlers.lock().unwrap() = 0;
            }
            adder.join().unwrap();
            assert_eq!(*handlers.lock().unwrap(), 0);
        });
    }

    /// An end that nobody waits for takes no lock. A waiter that it overlooks would sleep for ever.
    #[test]
    fn whoever_waits_sees_the_end_or_is_woken_by_it() {
        loom::model(|| {
            let state = Arc::new(State::new());
            let asleep = Arc::new(loom::sync::Mutex::new(false));
            let waiter = {
                let (state, asleep) = (state.clone(), asleep.clone());
                thread::spawn(move || {
                    state.await_end();
                    let mut asleep = asleep.lock().unwrap();
                    *asleep = !state.is_finished();
                })
            };
            state.finish();
            if state.is_awaited() {
                *asleep.lock().unwrap() = false;
            }
            waiter.join().unwrap();
            assert!(!*asleep.lock().unwrap());
        });
    }

    #[test]
    fn of_two_cancellers_one_wins() {
        loom::model(|| {
            let state = Arc::new(State::new());
            let other = {
                let state = state.clone();
                thread::spawn(move || state.request())
            };
            let mine = state.request();
            let theirs = other.join().unwrap();
            assert!((mine == Request::Won) != (theirs == Request::Won));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_finished_first_is_never_cancelled() {
        let s = State::new();
        assert_eq!(s.finish(), Finish::ByItself);
        assert_eq!(s.request(), Request::TooLate);
        assert!(!s.is_cancelled());
        assert_eq!(s.finish(), Finish::Already);
    }

    #[test]
    fn a_handler_changes_nothing_about_who_was_first() {
        let s = State::new();
        assert!(!s.handle() && s.is_handled());
        assert_eq!(s.request(), Request::Won);
        assert_eq!(s.finish(), Finish::AfterCancel);
        assert!(!s.handle() && !s.ended_by_itself());

        let s = State::new();
        s.handle();
        assert_eq!((s.finish(), s.request()), (Finish::ByItself, Request::TooLate));
        assert!(s.handle() && s.ended_by_itself());
    }

    #[test]
    fn a_cancelled_task_stays_cancelled() {
        let s = State::new();
        assert_eq!(s.request(), Request::Won);
        assert_eq!(s.request(), Request::Already);
        assert_eq!(s.finish(), Finish::AfterCancel);
        assert!(s.is_cancelled() && s.is_finished());
    }
}
