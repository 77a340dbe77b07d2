//! The receiving end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::bus::Inner;
use super::pattern::Pattern;
use super::queue::{Delivery, Policy, Queue};

/// How a subscription holds events until they are received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// Events that may wait; above zero, 1024 unless set. Memory is taken only as they come.
    pub bound: usize,
    /// What happens beyond the bound; [`Policy::DropOldest`] unless set.
    pub policy: Policy,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        SubscribeOptions { bound: 1024, policy: Policy::default() }
    }
}

impl SubscribeOptions {
    /// Sets how many events may wait; above zero.
    #[must_use]
    pub fn bound(mut self, bound: usize) -> Self {
        self.bound = bound;
        self
    }

    /// Sets what happens beyond the bound.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}

/// The pattern and the queue, shared by the bus and the receiver.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) pattern: Pattern,
    pub(super) queue: Queue,
}

/// The receiving end of one pattern; made by [`Bus::subscribe`](super::Bus::subscribe).
///
/// Several threads may receive from one subscription; each item then goes to one of them. Dropping it ends the
/// subscription. It does not keep the bus alive: when the last [`Bus`](super::Bus) is dropped, what waits can still
/// be received, then the stream ends. Whatever may publish holds one: a supervisor, a monitor, and every handle and
/// token of a task, one that has finished too. To end it sooner, [`close`](Self::close) it from any thread.
#[derive(Debug)]
pub struct Subscription {
    target: Arc<Target>,
    bus: Weak<Inner>,
}

impl Subscription {
    pub(super) fn new(target: Arc<Target>, bus: Weak<Inner>) -> Subscription {
        Subscription { target, bus }
    }

    /// The next item; `None` when the stream has ended.
    ///
    /// # Blocking
    /// Until there is one.
    pub fn recv(&self) -> Option<Delivery> {
        self.target.queue.take(None)
    }

    /// The next item; `None` when the stream has ended or `longest` is over. [`has_ended`](Self::has_ended) tells
    /// which.
    ///
    /// # Blocking
    /// At most `longest`.
    pub fn recv_timeout(&self, longest: Duration) -> Option<Delivery> {
        self.target.queue.take(Some(longest))
    }

    /// The next item if there is one now.
    pub fn try_recv(&self) -> Option<Delivery> {
        self.target.queue.try_take()
    }

    /// Blocking iterator over what [`recv`](Self::recv) returns; it ends with the stream.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self)
    }

    /// Takes no further events. What waits can still be received, then the stream ends.
    pub fn close(&self) {
        self.target.queue.close();
        if let Some(bus) = self.bus.upgrade() {
            bus.remove(&self.target);
        }
    }

    /// Whether the stream was closed and everything was received.
    pub fn has_ended(&self) -> bool {
        self.target.queue.has_ended()
    }

    /// The pattern it was made with.
    pub fn pattern(&self) -> &str {
        self.target.pattern.as_str()
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.target.queue.len()
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events it lost so far, whether the gaps were received yet or not.
    pub fn lost(&self) -> u64 {
        self.target.queue.lost()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.close();
    }
}

/// Blocking iterator over a [`Subscription`].
#[derive(Debug)]
pub struct Iter<'a>(&'a Subscription);

impl Iterator for Iter<'_> {
    type Item = Delivery;
    fn next(&mut self) -> Option<Delivery> {
        self.0.recv()
    }
}

impl<'a> IntoIterator for &'a Subscription {
    type Item = Delivery;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
