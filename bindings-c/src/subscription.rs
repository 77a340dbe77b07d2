//! Events, received one by one.

use std::ffi::c_char;
use std::time::Duration;

use haltline::event::{Bus, Delivery, Policy, SubscribeOptions, Subscription, topic};
use haltline::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use serde_json::Value;

use crate::boundary::{enter, enter_or};
use crate::monitor::hl_monitor;
use crate::pointer::{self, Boxed, Handle, buffer, handle, out, text};
use crate::record::{gap, to_json};
use crate::status::hl_status;
use crate::supervisor::{hl_supervisor, set_if_wanted};

/// A bounded stream of the events whose topics match a pattern. Any thread may receive; each item goes to one. It ends
/// when it is closed, or when nothing can publish any more because the supervisor, the monitor and every handle and token
/// of a task, one that has finished too, are freed.
pub struct hl_subscription {
    events: Subscription,
    /// An item that did not fit into its receiver's buffer.
    kept: Mutex<Option<String>>,
}

impl Handle for hl_subscription {
    type Ownership = Boxed;
}

/// What a subscription does with an event for which there is no room. It loses one either way, and its stream says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum hl_policy {
    /// Loses the event that has waited longest.
    HL_POLICY_DROP_OLDEST = 0,
    /// Loses the new event.
    HL_POLICY_DROP_NEWEST = 1,
}

fn policy(number: i32) -> Result<Policy> {
    match number {
        n if n == hl_policy::HL_POLICY_DROP_OLDEST as i32 => Ok(Policy::DropOldest),
        n if n == hl_policy::HL_POLICY_DROP_NEWEST as i32 => Ok(Policy::DropNewest),
        _ => Err(Error::new(ErrorKind::InvalidArgument, format!("policy {number} is not an hl_policy"))),
    }
}

/// Subscribes to the topics that pattern matches: words joined by dots, where * is any one word and > at the end is
/// one or more, as in "task.*". At most bound events wait, 1024 if it is zero; beyond that policy, an hl_policy, says
/// which is lost.
///
/// HL_INVALID_ARGUMENT for a malformed pattern or policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_new(
    supervisor: *const hl_supervisor,
    pattern: *const c_char,
    pattern_len: usize,
    bound: usize,
    policy: i32,
    out: *mut *mut hl_subscription,
) -> hl_status {
    enter(|| {
        let (supervisor, pattern, out) = (handle!(supervisor), text!(pattern, pattern_len), out!(out));
        out.set(subscribe(supervisor.0.bus(), pattern, bound, policy)?);
        Ok(())
    })
}

/// As hl_subscription_new, to what a monitor tells, with or without a supervisor: "monitor.sample" at each sample,
/// "monitor.degraded" when a source begins or ceases to fail. A supervisor tells on the bus of its monitor, so that its
/// events come here too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_new_on_monitor(
    monitor: *const hl_monitor,
    pattern: *const c_char,
    pattern_len: usize,
    bound: usize,
    policy: i32,
    out: *mut *mut hl_subscription,
) -> hl_status {
    enter(|| {
        let (monitor, pattern, out) = (handle!(monitor), text!(pattern, pattern_len), out!(out));
        out.set(subscribe(monitor.0.bus(), pattern, bound, policy)?);
        Ok(())
    })
}

fn subscribe(bus: &Bus, pattern: &str, bound: usize, policy: i32) -> Result<*mut hl_subscription> {
    let mut options = SubscribeOptions::default().policy(self::policy(policy)?);
    if bound != 0 {
        options.bound = bound;
    }
    let events = bus.subscribe(pattern, options)?;
    Ok(pointer::give(hl_subscription { events, kept: Mutex::new(None) }))
}

/// Ends a subscription and frees it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_free(subscription: *mut hl_subscription) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(subscription) });
    });
}

/// Takes no further events. What waits can still be received; then the stream ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_close(subscription: *const hl_subscription) -> hl_status {
    enter(|| {
        handle!(subscription).events.close();
        Ok(())
    })
}

/// How many events it lost so far, whether its stream has told of them yet or not; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_lost(subscription: *const hl_subscription) -> u64 {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(subscription) }.map_or(0, |subscription| subscription.events.lost())
}

/// How many events wait; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_waiting(subscription: *const hl_subscription) -> usize {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(subscription) }.map_or(0, |subscription| subscription.events.len())
}

/// Publishes an event on the bus of a supervisor: data, a JSON value, under a topic. subject, which may be NULL, is what
/// it is about; data may be NULL for none. reached, which may be NULL, gets how many subscriptions it was offered to.
/// Never blocks.
///
/// HL_INVALID_ARGUMENT for a malformed topic, and for data that are not JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_publish(
    supervisor: *const hl_supervisor,
    topic: *const c_char,
    topic_len: usize,
    subject: *const c_char,
    subject_len: usize,
    data: *const c_char,
    data_len: usize,
    reached: *mut usize,
) -> hl_status {
    enter(|| {
        let (supervisor, topic) = (handle!(supervisor), text!(topic, topic_len));
        topic::check(topic)?;
        let subject = if subject.is_null() { None } else { Some(text!(subject, subject_len).to_owned()) };
        let data = if data.is_null() { Value::Null } else { json(text!(data, data_len))? };
        set_if_wanted(reached, supervisor.0.bus().publish(topic, subject, data))
    })
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| {
        Error::new(ErrorKind::InvalidArgument, format!("data cannot be taken: it is not JSON: {e}"))
            .because(e)
    })
}

/// The next event, a CloudEvents 1.0 JSON object; or {"gap":{"from":1,"to":3,"lost":3}} where events were lost.
/// What does not fit into buf is kept and comes again.
///
/// HL_TIMED_OUT if nothing came within timeout_ms, HL_SHUT_DOWN if nothing will come any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_next_json(
    subscription: *const hl_subscription,
    timeout_ms: u64,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let (subscription, buffer) = (handle!(subscription), buffer!(buf, len, needed));
        let kept = subscription.kept.lock().take();
        let text = match kept {
            Some(text) => text,
            None => match subscription.events.recv_timeout(Duration::from_millis(timeout_ms)) {
                Some(Delivery::Event(event)) => to_json(&*event)?,
                Some(Delivery::Gap { from, to, lost }) => gap(from, to, lost).to_string(),
                Some(_) => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "an item of a kind that is not known here",
                    ));
                }
                None if subscription.events.has_ended() => {
                    return Err(Error::new(ErrorKind::ShutDown, "the bus of this subscription is gone"));
                }
                None => {
                    return Err(Error::new(ErrorKind::TimedOut, format!("no event within {timeout_ms} ms")));
                }
            },
        };
        buffer.fill_text(&text).inspect_err(|_| *subscription.kept.lock() = Some(text))
    })
}
