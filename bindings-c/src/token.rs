//! The cancel token, which outlives its task and its supervisor.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use haltline::supervisor::Token;
use haltline::{Error, ErrorKind};

use crate::boundary::{enter, enter_or};
use crate::callback::{OnCancel, UserData, hl_cancel_fn, hl_free_fn};
use crate::outcome::hl_outcome;
use crate::pointer::{self, Counted, Handle, buffer, handle, out, text};
use crate::profile::{self, hl_profile};
use crate::record::to_json;
use crate::status::hl_status;
use crate::supervisor::set_if_wanted;

/// The cancel token of a task. It is owned by whoever got it, any thread may use it, and it stays valid after the
/// task and the supervisor are gone.
pub struct hl_token(Token);

impl Handle for hl_token {
    type Ownership = Counted;
}

/// A token for C.
pub(crate) fn give(token: Token) -> *const hl_token {
    pointer::share(Arc::new(hl_token(token)))
}

/// Another share of the same token, to be freed by itself. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_clone(token: *const hl_token) -> *const hl_token {
    let Ok(held) = pointer::not_null(token.cast_mut(), "token") else { return std::ptr::null() };
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::share_again(held) }
}

/// Lets go of a token. The task goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_free(token: *const hl_token) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::let_go(token) });
    });
}

/// The id of the task, unique in its supervisor; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_id(token: *const hl_token) -> u64 {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(token) }.map_or(0, |token| token.0.id())
}

/// The name that the task was started with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_name(
    token: *const hl_token,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let token = handle!(token);
        buffer!(buf, len, needed).fill_text(token.0.name())
    })
}

/// Puts the running task under the profile of this name. From now on its limits hold and those of the profile before
/// do not: max_duration counts from the task's start, so one that has passed breaches at once; time for which a limit
/// has been broken counts on where the bound is the same and anew where it changed.
///
/// HL_UNKNOWN_PROFILE; HL_LIMIT_REFUSED if the profile has a limit that cannot be enforced for this task, which holds
/// for task.max_output_mib if the command started without one; HL_UNKNOWN_TASK if the task has finished or was
/// cancelled. Nothing has changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_replace_profile(
    token: *const hl_token,
    profile: *const c_char,
    profile_len: usize,
) -> hl_status {
    enter(|| handle!(token).0.replace_profile(text!(profile, profile_len)))
}

/// Whether the task was asked to stop: one relaxed atomic load. It never goes back to false. True for NULL, because
/// work without a task should not go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_is_cancelled(token: *const hl_token) -> bool {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(token) }.is_none_or(|token| token.0.is_cancelled())
}

/// Whether the task has left. True for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_is_finished(token: *const hl_token) -> bool {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(token) }.is_none_or(|token| token.0.is_finished())
}

/// HL_CANCELLED once the task was asked to stop; hl_last_error then says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_check(token: *const hl_token) -> hl_status {
    enter(|| Ok(handle!(token).0.check()?))
}

/// Reports progress, which task.max_idle counts from, and checks as hl_token_check does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_progress(token: *const hl_token) -> hl_status {
    enter(|| Ok(handle!(token).0.progress()?))
}

/// Sleeps for ms milliseconds, and wakes at once with HL_CANCELLED when the task is asked to stop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_sleep_ms(token: *const hl_token, ms: u64) -> hl_status {
    enter(|| Ok(handle!(token).0.sleep(Duration::from_millis(ms))?))
}

/// Asks the task to stop; reason is recorded. The stop is verified in the background. cancelled, which may be NULL,
/// gets whether this call did it: false if the task was cancelled before or has finished.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_cancel(
    token: *const hl_token,
    reason: *const c_char,
    reason_len: usize,
    cancelled: *mut bool,
) -> hl_status {
    enter(|| {
        let won = handle!(token).0.cancel(text!(reason, reason_len));
        set_if_wanted(cancelled, won)
    })
}

/// As hl_token_cancel without a grace: force follows the request at once, or 50 milliseconds after one of a stopper that
/// does not return. If the task is being cancelled already, that ends its grace. Force exists for processes and for a
/// stopper that has it, not for sections and threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_kill(
    token: *const hl_token,
    reason: *const c_char,
    reason_len: usize,
    cancelled: *mut bool,
) -> hl_status {
    enter(|| {
        let won = handle!(token).0.kill(text!(reason, reason_len));
        set_if_wanted(cancelled, won)
    })
}

/// The profile that the task is under now, to be freed with hl_profile_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_profile(token: *const hl_token, out: *mut *const hl_profile) -> hl_status {
    enter(|| {
        let (token, out) = (handle!(token), out!(out));
        out.set(profile::give(token.0.profile()));
        Ok(())
    })
}

/// Why the task was cancelled, as incidents have it: {"breach":{...}} with limit, bound, observed and sustained_s,
/// {"asked":"the reason"}, or a word: "shutdown", "guardian_killed", "leftovers"; null if it was not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_cause_json(
    token: *const hl_token,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let cause = handle!(token).0.cause();
        buffer!(buf, len, needed).fill_text(&to_json(&cause)?)
    })
}

/// Why the task was cancelled, as a sentence; empty if it was not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_cause(
    token: *const hl_token,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let cause = handle!(token).0.cause().map(|cause| cause.to_string());
        buffer!(buf, len, needed).fill_text(&cause.unwrap_or_default())
    })
}

/// What came of the cancellation so far; HL_OUTCOME_NONE for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_outcome(token: *const hl_token) -> hl_outcome {
    enter_or(hl_outcome::HL_OUTCOME_NONE, || {
        // SAFETY: the header asks callers for a valid handle.
        unsafe { pointer::look(token) }.and_then(|token| token.0.outcome()).into()
    })
}

/// Waits until the outcome of the cancellation is known. HL_OUTCOME_NONE if the task ended by itself.
///
/// HL_TIMED_OUT after timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_wait_outcome(
    token: *const hl_token,
    timeout_ms: u64,
    out: *mut hl_outcome,
) -> hl_status {
    enter(|| {
        let (token, out) = (&handle!(token).0, out!(out));
        let outcome = token.wait_outcome(Duration::from_millis(timeout_ms));
        if outcome.is_none() && (token.is_cancelled() || !token.is_finished()) {
            let message = format!(
                "what came of task {} {:?} was not known within {timeout_ms} ms",
                token.id(),
                token.name()
            );
            return Err(Error::new(ErrorKind::TimedOut, message));
        }
        out.set(outcome.into());
        Ok(())
    })
}

/// Waits until the task has left.
///
/// HL_TIMED_OUT after timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_wait_finished(token: *const hl_token, timeout_ms: u64) -> hl_status {
    enter(|| {
        let token = &handle!(token).0;
        if token.wait_finished(Duration::from_millis(timeout_ms)) {
            return Ok(());
        }
        let (id, name) = (token.id(), token.name());
        let message = format!("task {id} {name:?} has not left within {timeout_ms} ms; it goes on");
        Err(Error::new(ErrorKind::TimedOut, message))
    })
}

/// Has callback called once if the task is cancelled, after the stop was verified, with the outcome; never if the
/// task finishes by itself. It runs on a thread of haltline's own, on which it may block and may call every function
/// of this header but hl_supervisor_shutdown; several run there in the order in which they were added. If the
/// outcome is known already, it runs now and on this thread. It must not throw or jump out.
///
/// free_fn(user_data) is called after the callback. If that never runs, it is called when the task ends, on the thread
/// that ends it or, for a command, on one of haltline's own; if the task has ended already or this call fails, before
/// this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_token_on_cancel(
    token: *const hl_token,
    callback: hl_cancel_fn,
    user_data: *mut c_void,
    free_fn: hl_free_fn,
) -> hl_status {
    let data = UserData::new(user_data, free_fn);
    enter(|| {
        let handler = OnCancel::new(callback, data)?;
        handle!(token).0.on_cancel(move |outcome| handler.run(outcome));
        Ok(())
    })
}
