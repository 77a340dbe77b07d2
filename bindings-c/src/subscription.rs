//! Events, received one by one.

use std::ffi::c_char;
use std::time::Duration;

use haltline::event::{Delivery, SubscribeOptions, Subscription};
use haltline::{Error, ErrorKind};
use parking_lot::Mutex;

use crate::boundary::{enter, enter_or};
use crate::pointer::{self, Boxed, Handle, buffer, handle, out, text};
use crate::record::{gap, to_json};
use crate::status::hl_status;
use crate::supervisor::hl_supervisor;

/// A bounded stream of the events whose topics match a pattern. Any thread may receive; each item goes to one.
pub struct hl_subscription {
    events: Subscription,
    /// An item that did not fit into its receiver's buffer.
    kept: Mutex<Option<String>>,
}

impl Handle for hl_subscription {
    type Ownership = Boxed;
}

/// Subscribes to the topics that pattern matches: words joined by dots, where * is any one word and > at the end is
/// one or more, as in "task.*". At most bound events wait, 1024 if it is zero; then the oldest is lost, and the stream
/// says so.
///
/// HL_INVALID_ARGUMENT for a malformed pattern.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_new(
    supervisor: *const hl_supervisor,
    pattern: *const c_char,
    pattern_len: usize,
    bound: usize,
    out: *mut *mut hl_subscription,
) -> hl_status {
    enter(|| {
        let (supervisor, pattern, out) = (handle!(supervisor), text!(pattern, pattern_len), out!(out));
        let mut options = SubscribeOptions::default();
        if bound != 0 {
            options.bound = bound;
        }
        let events = supervisor.0.bus().subscribe(pattern, options)?;
        out.set(pointer::give(hl_subscription { events, kept: Mutex::new(None) }));
        Ok(())
    })
}

/// Ends a subscription and frees it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_subscription_free(subscription: *mut hl_subscription) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(subscription) });
    });
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
