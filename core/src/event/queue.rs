//! The bounded queue of one subscription, and the account of what it lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Event;

/// What a full subscription does with a further event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Loses the oldest event that waits: the receiver sees what is new.
    #[default]
    DropOldest,
    /// Loses the further event: the receiver sees what came first.
    DropNewest,
}

/// One item of a subscription's stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// An event.
    Event(Arc<Event>),
    /// Events that the subscription lost here, by their place in its own sequence, which counts from 1.
    Gap {
        /// The first one lost.
        from: u64,
        /// The last one lost.
        to: u64,
        /// How many.
        lost: u64,
    },
}

/// Hands events from any number of publishers to any number of receivers.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    bound: usize,
    policy: Policy,
}

/// Numbers count what was offered to this subscription, from 1. A number that never enters `waiting` is lost, and
/// the jump it leaves is how the receiver learns of it: loss needs no room of its own.
#[derive(Debug)]
struct State {
    waiting: VecDeque<(u64, Arc<Event>)>,
    /// The number of the last event offered.
    offered: u64,
    /// The number up to which the stream was told to receivers, as events or as gaps.
    told: u64,
    lost: u64,
    open: bool,
    sleepers: usize,
}

impl Queue {
    pub(super) fn new(bound: usize, policy: Policy) -> Queue {
        let state = State { waiting: VecDeque::new(), offered: 0, told: 0, lost: 0, open: true, sleepers: 0 };
        Queue { state: Mutex::new(state), ready: Condvar::new(), bound, policy }
    }

    /// Takes in `event`, or loses one by the policy. Returns `false` once closed.
    pub(super) fn offer(&self, event: &Arc<Event>) -> bool {
        // Freed only after the lock is released.
        let mut _dropped = None;
        let mut state = self.state.lock();
        if !state.open {
            return false;
        }
        state.offered += 1;
        let number = state.offered;
        if state.waiting.len() < self.bound {
            state.waiting.push_back((number, Arc::clone(event)));
        } else {
            state.lost += 1;
            if self.policy == Policy::DropOldest {
                _dropped = state.waiting.pop_front();
                state.waiting.push_back((number, Arc::clone(event)));
            }
        }
        let wake = state.sleepers > 0;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
        true
    }

    /// Takes nothing in any more; receivers get what waits and then the end.
    pub(super) fn close(&self) {
        self.state.lock().open = false;
        self.ready.notify_all();
    }

    pub(super) fn try_take(&self) -> Option<Delivery> {
        self.state.lock().next()
    }

    /// Waits for the next item; `None` once closed and empty, or when `longest` is over.
    pub(super) fn take(&self, longest: Option<Duration>) -> Option<Delivery> {
        // A wait too long for the clock is a wait without end.
        let until = longest.and_then(|d| Instant::now().checked_add(d));
        let mut state = self.state.lock();
        loop {
            if let Some(delivery) = state.next() {
                // A receiver that was woken for one of several items passes the signal on.
                let more = state.sleepers > 0 && state.has_next();
                drop(state);
                if more {
                    self.ready.notify_one();
                }
                return Some(delivery);
            }
            if !state.open {
                return None;
            }
            state.sleepers += 1;
            let timed_out = match until {
                None => {
                    self.ready.wait(&mut state);
                    false
                }
                Some(until) => self.ready.wait_until(&mut state, until).timed_out(),
            };
            state.sleepers -= 1;
            if timed_out {
                return state.next();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    pub(super) fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    pub(super) fn has_ended(&self) -> bool {
        let state = self.state.lock();
        !state.open && !state.has_next()
    }
}

impl State {
    fn has_next(&self) -> bool {
        self.told < self.offered
    }

    fn next(&mut self) -> Option<Delivery> {
        let (from, to) = match self.waiting.front() {
            Some((number, _)) if *number == self.told + 1 => {
                let (number, event) = self.waiting.pop_front()?;
                self.told = number;
                return Some(Delivery::Event(event));
            }
            Some((number, _)) => (self.told + 1, number - 1),
            None if self.has_next() => (self.told + 1, self.offered),
            None => return None,
        };
        self.told = to;
        Some(Delivery::Gap { from, to, lost: to - from + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn event(n: u64) -> Arc<Event> {
        Arc::new(Event::new("test", "t", json!(n)).unwrap())
    }

    proptest! {
        /// Whatever the order of publishing and receiving, events and gaps together tell each number once, in
        /// order, and an event is told under its own number.
        #[test]
        fn events_and_gaps_account_for_every_event_once(
            bound in 1usize..6,
            newest in any::<bool>(),
            steps in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let policy = if newest { Policy::DropNewest } else { Policy::DropOldest };
            let queue = Queue::new(bound, policy);
            let mut published = 0;
            let mut told = 0;
            let mut lost = 0;
            let mut account = |d: Delivery| {
                match d {
                    Delivery::Event(e) => { told += 1; assert_eq!(*e.data(), json!(told)); }
                    Delivery::Gap { from, to, lost: n } => {
                        assert_eq!(from, told + 1);
                        assert!(to >= from && n == to - from + 1);
                        told = to;
                        lost += n;
                    }
                }
            };
            for publish in steps {
                if publish {
                    published += 1;
                    assert!(queue.offer(&event(published)));
                } else if let Some(d) = queue.try_take() {
                    account(d);
                }
                assert!(queue.len() <= bound);
            }
            queue.close();
            assert!(!queue.offer(&event(0)));
            while let Some(d) = queue.take(None) { account(d); }
            prop_assert_eq!(told, published);
            prop_assert_eq!(lost, queue.lost());
            prop_assert!(queue.has_ended());
        }
    }

    #[test]
    fn a_wait_of_any_length_is_safe_and_ends_in_time() {
        let queue = Queue::new(1, Policy::DropOldest);
        assert!(queue.take(Some(Duration::ZERO)).is_none());
        assert!(queue.take(Some(Duration::from_millis(2))).is_none());
        queue.offer(&event(1));
        assert!(queue.take(Some(Duration::MAX)).is_some());
    }
}
