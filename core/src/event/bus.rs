//! The publishing end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::Value;

use super::cloud::Event;
use super::pattern::Pattern;
use super::queue::Queue;
use super::subscription::{SubscribeOptions, Subscription, Target};
use super::topic;
use crate::error::{Error, ErrorKind, Result};

/// A bus. Clones are handles to the same bus; when the last is dropped, its subscriptions end.
///
/// # Example
/// ```
/// use haltline::event::Bus;
///
/// let bus = Bus::with_source("macro-host");
/// assert!(!bus.wants("task.started"));
/// assert_eq!(bus.publish("task.started", None, serde_json::Value::Null), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Bus(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    /// How many targets there are: the one load that an unwatched bus costs.
    count: AtomicUsize,
    targets: ArcSwap<Vec<Arc<Target>>>,
    /// Held while `targets` is replaced, never while events are delivered.
    change: Mutex<()>,
    source: Arc<str>,
    /// Makes the ids of this bus's events unique together with `numbers`.
    name: Arc<str>,
    numbers: AtomicU64,
    refused: AtomicU64,
}

impl Default for Bus {
    fn default() -> Self {
        Bus::new()
    }
}

impl Bus {
    /// A bus without subscribers, whose events come from the source `haltline`.
    pub fn new() -> Bus {
        Bus::with_source("haltline")
    }

    /// A bus whose events come from `source`, in CloudEvents a URI reference such as `macro-host` or
    /// `/hosts/7`. An empty source becomes `haltline`, as CloudEvents allows none.
    pub fn with_source(source: &str) -> Bus {
        let source = if source.is_empty() { "haltline" } else { source };
        Bus(Arc::new(Inner {
            count: AtomicUsize::new(0),
            targets: ArcSwap::from_pointee(Vec::new()),
            change: Mutex::new(()),
            source: source.into(),
            name: crate::id::unique().into(),
            numbers: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// The source of this bus's events.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether anyone subscribes to a pattern that matches `topic`. One relaxed load when nobody subscribes.
    ///
    /// Ask before building costly data.
    #[inline]
    pub fn wants(&self, topic: &str) -> bool {
        self.0.count.load(Ordering::Relaxed) != 0 && self.0.any_match(topic)
    }

    /// Publishes `data` under `topic`; `subject` is what it is about, such as a task id. Never blocks.
    ///
    /// Returns how many subscriptions it was offered to. An invalid topic reaches nobody and is counted by
    /// [`refused`](Self::refused); while nobody subscribes nothing is checked.
    #[inline]
    pub fn publish(&self, topic: &str, subject: Option<String>, data: Value) -> usize {
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.0.publish(topic, subject, data)
    }

    /// Publishes an event as it is, with its own id, source and time. Never blocks.
    ///
    /// Returns how many subscriptions it was offered to.
    pub fn publish_event(&self, event: Event) -> usize {
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let event = Arc::new(event);
        let targets = self.0.targets.load();
        targets.iter().filter(|t| t.pattern.matches(event.topic()) && t.queue.offer(&event)).count()
    }

    /// Subscribes to every topic that `pattern` matches: words joined by dots, where `*` is any one word and `>`
    /// at the end is one or more.
    ///
    /// Events published after this returns are received, or told as lost.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a malformed pattern and for a bound of zero.
    pub fn subscribe(&self, pattern: &str, options: SubscribeOptions) -> Result<Subscription> {
        let pattern = Pattern::parse(pattern)?;
        if options.bound == 0 {
            let what = "a subscription with a bound of 0 could receive nothing; give a bound of 1 or more";
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        let target = Arc::new(Target { pattern, queue: Queue::new(options.bound, options.policy) });
        self.0.add(Arc::clone(&target));
        Ok(Subscription::new(target, Arc::downgrade(&self.0)))
    }

    /// How many subscriptions there are.
    pub fn subscriptions(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// How many publications were refused because their topic is malformed.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn any_match(&self, topic: &str) -> bool {
        self.targets.load().iter().any(|t| t.pattern.matches(topic))
    }

    fn publish(&self, topic: &str, subject: Option<String>, data: Value) -> usize {
        if let Err(why) = topic::check(topic) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%why, "event refused");
            return 0;
        }
        let targets = self.targets.load();
        let mut matching = targets.iter().filter(|t| t.pattern.matches(topic));
        // The event is built only once somebody wants it.
        let Some(first) = matching.next() else { return 0 };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let event = Event::of_bus(&self.name, number, &self.source, topic, subject, data);
        let event = Arc::new(event);
        usize::from(first.queue.offer(&event)) + matching.filter(|t| t.queue.offer(&event)).count()
    }

    fn add(&self, target: Arc<Target>) {
        let _change = self.change.lock();
        let mut targets = Vec::clone(&self.targets.load());
        targets.push(target);
        self.replace(targets);
    }

    pub(super) fn remove(&self, target: &Arc<Target>) {
        let _change = self.change.lock();
        let mut targets = Vec::clone(&self.targets.load());
        targets.retain(|t| !Arc::ptr_eq(t, target));
        self.replace(targets);
    }

    fn replace(&self, targets: Vec<Arc<Target>>) {
        let count = targets.len();
        self.targets.store(Arc::new(targets));
        self.count.store(count, Ordering::Release);
    }
}

/// The last handle is gone, so nobody publishes any more.
impl Drop for Inner {
    fn drop(&mut self) {
        for target in self.targets.load().iter() {
            target.queue.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use serde_json::json;

    use super::super::{Delivery, Policy};
    use super::*;

    fn numbers(subscription: &Subscription) -> Vec<i64> {
        std::iter::from_fn(|| subscription.try_recv())
            .map(|d| match d {
                Delivery::Event(e) => e.data().as_i64().unwrap(),
                Delivery::Gap { lost, .. } => -(lost as i64),
            })
            .collect()
    }

    #[test]
    fn each_subscription_gets_what_its_pattern_matches_in_order() {
        let bus = Bus::with_source("here");
        let all = bus.subscribe(">", SubscribeOptions::default()).unwrap();
        let tasks = bus.subscribe("task.*", SubscribeOptions::default()).unwrap();
        assert_eq!(bus.publish("task.started", None, json!(1)), 2);
        assert_eq!(bus.publish("monitor.sample", None, json!(2)), 1);
        assert_eq!(bus.publish("task.finished", None, json!(3)), 2);
        assert!(bus.wants("x") && !tasks.pattern().contains('>'));
        assert_eq!(numbers(&all), [1, 2, 3]);
        assert_eq!(numbers(&tasks), [1, 3]);
    }

    #[test]
    fn a_full_subscription_loses_by_its_policy_and_says_so_without_holding_up_others() {
        let bus = Bus::new();
        let oldest = bus.subscribe("t", SubscribeOptions::default().bound(2)).unwrap();
        let newest =
            bus.subscribe("t", SubscribeOptions::default().bound(2).policy(Policy::DropNewest)).unwrap();
        let roomy = bus.subscribe("t", SubscribeOptions::default()).unwrap();
        for n in 1..=5 {
            bus.publish("t", None, json!(n));
        }
        assert_eq!(numbers(&oldest), [-3, 4, 5]);
        assert_eq!(numbers(&newest), [1, 2, -3]);
        assert_eq!(numbers(&roomy), [1, 2, 3, 4, 5]);
        assert_eq!((oldest.lost(), newest.lost(), roomy.lost()), (3, 3, 0));
    }

    #[test]
    fn nobody_is_wanted_once_subscriptions_are_dropped_or_closed() {
        let bus = Bus::new();
        let a = bus.subscribe("t", SubscribeOptions::default()).unwrap();
        let b = bus.subscribe("t", SubscribeOptions::default()).unwrap();
        bus.publish("t", None, json!(1));
        a.close();
        a.close();
        assert_eq!(bus.publish("t", None, json!(2)), 1);
        assert_eq!(numbers(&a), [1]);
        assert!(a.recv().is_none() && a.has_ended());
        drop(b);
        assert_eq!((bus.subscriptions(), bus.wants("t"), bus.publish("t", None, json!(3))), (0, false, 0));
    }

    #[test]
    fn a_dropped_bus_ends_its_receivers_after_what_waits() {
        let bus = Bus::new();
        let s = bus.subscribe("t", SubscribeOptions::default()).unwrap();
        let other = bus.clone();
        drop(bus);
        other.publish("t", None, json!(1));
        let waiting = thread::spawn(move || s.iter().count());
        drop(other);
        assert_eq!(waiting.join().unwrap(), 1);
    }

    #[test]
    fn malformed_topics_and_bounds_are_refused() {
        let bus = Bus::new();
        let all = bus.subscribe(">", SubscribeOptions::default()).unwrap();
        for bad in ["", "a..b", "a.*", ">", "a b"] {
            assert_eq!(bus.publish(bad, None, json!(0)), 0, "{bad}");
        }
        assert_eq!(bus.refused(), 5);
        assert!(all.try_recv().is_none());
        let e = bus.subscribe("t", SubscribeOptions::default().bound(0)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn events_of_one_bus_have_ids_of_their_own_and_keep_those_they_bring() {
        let bus = Bus::with_source("");
        let s = bus.subscribe(">", SubscribeOptions::default()).unwrap();
        bus.publish("t", Some("7".into()), json!(1));
        bus.publish("t", None, json!(2));
        let brought = Event::new("elsewhere", "t", json!(3)).unwrap();
        let id = brought.id().into_owned();
        bus.publish_event(brought);
        let events: Vec<_> = std::iter::from_fn(|| s.try_recv())
            .map(|d| if let Delivery::Event(e) = d { e } else { panic!("{d:?}") })
            .collect();
        assert_ne!(events[0].id(), events[1].id());
        assert_eq!((events[0].source(), events[0].subject()), ("haltline", Some("7")));
        assert_eq!((events[2].source(), events[2].id().into_owned()), ("elsewhere", id));
    }

    /// Publishers, receivers, and subscriptions that come and go, all at once: each receiver sees every
    /// publisher's events in order, and deliveries and gaps add up to what was published.
    #[test]
    fn threads_lose_no_event_without_telling_and_no_wakeup() {
        const PUBLISHERS: u64 = 3;
        const EACH: u64 = 4_000;
        for (bound, policy) in
            [(8, Policy::DropOldest), (8, Policy::DropNewest), (1 << 20, Policy::DropOldest)]
        {
            let bus = Bus::new();
            let options = SubscribeOptions::default().bound(bound).policy(policy);
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let s = bus.subscribe("p.*", options.clone()).unwrap();
                    thread::spawn(move || {
                        let (mut events, mut lost, mut last) = (0, 0, [0; PUBLISHERS as usize]);
                        for d in &s {
                            match d {
                                Delivery::Event(e) => {
                                    let (p, n) =
                                        (e.data()[0].as_u64().unwrap(), e.data()[1].as_u64().unwrap());
                                    assert!(n > last[p as usize], "order of publisher {p}");
                                    last[p as usize] = n;
                                    events += 1;
                                }
                                Delivery::Gap { lost: n, .. } => lost += n,
                            }
                        }
                        assert!(bound > 8 || lost > 0 || events > 0);
                        events + lost
                    })
                })
                .collect();
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|p| {
                    let bus = bus.clone();
                    thread::spawn(move || {
                        for n in 1..=EACH {
                            bus.publish("p.x", None, json!([p, n]));
                            if n % 500 == 0 {
                                let short = bus.subscribe(">", SubscribeOptions::default().bound(1)).unwrap();
                                let _ = short.recv_timeout(Duration::from_micros(10));
                            }
                        }
                    })
                })
                .collect();
            for p in publishers {
                p.join().unwrap();
            }
            drop(bus);
            for r in receivers {
                assert_eq!(r.join().unwrap(), PUBLISHERS * EACH);
            }
        }
    }

    /// One event at a time, back and forth: a single lost wakeup would hang it.
    #[test]
    fn a_sleeping_receiver_is_woken_for_every_event() {
        let bus = Bus::new();
        let ping = bus.subscribe("ping", SubscribeOptions::default()).unwrap();
        let pong = bus.subscribe("pong", SubscribeOptions::default()).unwrap();
        let echo = {
            let bus = bus.clone();
            thread::spawn(move || {
                (0..3_000).all(|n| ping.recv().is_some() && bus.publish("pong", None, json!(n)) == 1)
            })
        };
        for n in 0..3_000 {
            bus.publish("ping", None, json!(n));
            assert!(pong.recv_timeout(Duration::from_secs(20)).is_some(), "event {n}");
        }
        assert!(echo.join().unwrap());
    }
}
