//! A running task: a section of the host's code, or work that the host stops by its own means.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use haltline::supervisor::{CustomTask, HostThread, Task, Token};
use haltline::{Error, ErrorKind};

use crate::boundary::{enter, enter_or};
use crate::callback::{OnCancel, UserData, hl_cancel_fn, hl_free_fn};
use crate::pointer::{self, Boxed, Handle, handle, out, text};
use crate::status::hl_status;
use crate::stopper::{HostStopper, hl_stopper};
use crate::supervisor::{hl_supervisor, set_if_wanted};
use crate::token::{self, hl_token};

/// A running task. It runs until hl_task_finish or hl_task_free. Any thread may use and end it.
///
/// The processor time of a task from hl_task_start is that of the thread which started it, for as long as it runs:
/// start it on the thread that does the work, and one task per piece of work. What runs in a nested task counts
/// towards the limits of the outer one too. A limit of the host blames the innermost one that still runs and whose own
/// bound is broken; what tasks used that have ended stays with the one around them. Tasks that take turns on one thread
/// without being nested are taken for nested ones, unless hl_task_start_in_coroutine starts them. That of a task from
/// hl_task_start_thread is of the thread that calls hl_task_began.
pub struct hl_task(Work);

enum Work {
    Section(Task),
    Thread(HostThread),
    Custom(CustomTask),
}

// SAFETY: a `Task` is tied to its thread only to say whose processor time it is charged with, which was settled when it
// started. All that is done through it, its end included, is done through its token, which any thread may use.
unsafe impl Send for hl_task {}
// SAFETY: as above.
unsafe impl Sync for hl_task {}

impl Handle for hl_task {
    type Ownership = Boxed;
}

impl hl_task {
    fn token(&self) -> &Token {
        match &self.0 {
            Work::Section(task) => task.token(),
            Work::Thread(thread) => thread.token(),
            Work::Custom(task) => task.token(),
        }
    }

    /// Ends it; returns whether it was never asked to stop.
    fn finish(self) -> bool {
        match self.0 {
            Work::Section(task) => task.finish(),
            Work::Thread(thread) => thread.finish(),
            Work::Custom(task) => task.finish(),
        }
    }
}

/// Starts a task: what this thread does from here until hl_task_finish or hl_task_free. It has to look at
/// hl_task_is_cancelled or hl_task_check often, because nothing can force it. What other threads do for it is not
/// measured.
///
/// HL_UNKNOWN_PROFILE, HL_LIMIT_REFUSED if the profile has a limit that cannot be enforced for such a task,
/// HL_SHUT_DOWN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_start(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    profile: *const c_char,
    profile_len: usize,
    out: *mut *mut hl_task,
) -> hl_status {
    enter(|| {
        let (supervisor, name) = (handle!(supervisor), text!(name, name_len));
        let (profile, out) = (text!(profile, profile_len), out!(out));
        let task = supervisor.0.start(name.to_owned(), profile)?;
        out.set(pointer::give(hl_task(Work::Section(task))));
        Ok(())
    })
}

/// As hl_task_start, for code that takes turns with other code on this thread, as coroutines do. coroutine is any number
/// that tells it from those others; 0 is none. The clock of a thread does not tell its coroutines apart: while tasks of
/// several are open, what each of them uses is unknown, breaks no CPU limit and is blamed for nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_start_in_coroutine(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    profile: *const c_char,
    profile_len: usize,
    coroutine: u64,
    out: *mut *mut hl_task,
) -> hl_status {
    enter(|| {
        let (supervisor, name) = (handle!(supervisor), text!(name, name_len));
        let (profile, out) = (text!(profile, profile_len), out!(out));
        let task = supervisor.0.start_in_coroutine(name.to_owned(), profile, coroutine)?;
        out.set(pointer::give(hl_task(Work::Section(task))));
        Ok(())
    })
}

/// Makes a task of a thread that the host starts by its own means. The thread calls hl_task_began first; until then its
/// processor time is unknown. It has to look at the task often: it can be asked to leave and not be forced. It ends with
/// hl_task_finish or hl_task_free, on whatever thread.
///
/// As hl_task_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_start_thread(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    profile: *const c_char,
    profile_len: usize,
    out: *mut *mut hl_task,
) -> hl_status {
    enter(|| {
        let (supervisor, name) = (handle!(supervisor), text!(name, name_len));
        let (profile, out) = (text!(profile, profile_len), out!(out));
        let thread = supervisor.0.host_thread(name.to_owned(), profile)?;
        out.set(pointer::give(hl_task(Work::Thread(thread))));
        Ok(())
    })
}

/// Says that the calling thread is the one of a task from hl_task_start_thread. Only the first call counts.
///
/// HL_INVALID_ARGUMENT for a task that was started otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_began(task: *const hl_task) -> hl_status {
    enter(|| match &handle!(task).0 {
        Work::Thread(thread) => {
            thread.began();
            Ok(())
        }
        _ => {
            let what = "task has no thread that could begin; hl_task_start_thread starts those that have";
            Err(Error::new(ErrorKind::InvalidArgument, what))
        }
    })
}

/// Puts work under supervision that the host runs by its own means and stops through stopper, whose functions get
/// user_data. The structure is copied. free_fn(user_data) is called after the last call of a function of stopper,
/// when the task has ended and its last handle is freed; if this call fails, before it returns.
///
/// As hl_task_start. Limits of processor time, memory, processes and output cannot be measured for such a task and
/// are refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_start_with(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    profile: *const c_char,
    profile_len: usize,
    stopper: *const hl_stopper,
    user_data: *mut c_void,
    free_fn: hl_free_fn,
    out: *mut *mut hl_task,
) -> hl_status {
    let data = UserData::new(user_data, free_fn);
    enter(|| {
        // SAFETY: the header asks callers for a structure as long as its first field says.
        let functions = unsafe { pointer::read_versioned(stopper, "stopper") }?;
        let stopper = Arc::new(HostStopper::new(functions, data)?);
        let (supervisor, name) = (handle!(supervisor), text!(name, name_len));
        let (profile, out) = (text!(profile, profile_len), out!(out));
        let task = supervisor.0.start_with(name.to_owned(), profile, stopper)?;
        out.set(pointer::give(hl_task(Work::Custom(task))));
        Ok(())
    })
}

/// Ends a task and frees it, as hl_task_free does. by_itself, which may be NULL, gets whether it ended without having
/// been asked to stop. A NULL task is fine and ended by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_finish(task: *mut hl_task, by_itself: *mut bool) -> hl_status {
    enter(|| {
        // SAFETY: the header asks callers for a handle that they own.
        let task = unsafe { pointer::take(task) };
        set_if_wanted(by_itself, task.is_none_or(|task| task.finish()))
    })
}

/// Ends a task and frees it. Of a task from hl_task_start_with that was asked to stop this says nothing: its work is over
/// when its stopper says so. hl_task_finish is the host's own word for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_free(task: *mut hl_task) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(task) });
    });
}

/// The id of the task, unique in its supervisor; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_id(task: *const hl_task) -> u64 {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(task) }.map_or(0, |task| task.token().id())
}

/// Whether the task was asked to stop: one relaxed atomic load. It never goes back to false. True for NULL, because
/// work without a task should not go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_is_cancelled(task: *const hl_task) -> bool {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(task) }.is_none_or(|task| task.token().is_cancelled())
}

/// HL_CANCELLED once the task was asked to stop; hl_last_error then says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_check(task: *const hl_task) -> hl_status {
    enter(|| Ok(handle!(task).token().check()?))
}

/// Reports progress, which task.max_idle counts from, and checks as hl_task_check does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_progress(task: *const hl_task) -> hl_status {
    enter(|| Ok(handle!(task).token().progress()?))
}

/// Sleeps for ms milliseconds, and wakes at once with HL_CANCELLED when the task is asked to stop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_sleep_ms(task: *const hl_task, ms: u64) -> hl_status {
    enter(|| Ok(handle!(task).token().sleep(Duration::from_millis(ms))?))
}

/// As hl_token_on_cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_on_cancel(
    task: *const hl_task,
    callback: hl_cancel_fn,
    user_data: *mut c_void,
    free_fn: hl_free_fn,
) -> hl_status {
    let data = UserData::new(user_data, free_fn);
    enter(|| {
        let handler = OnCancel::new(callback, data)?;
        handle!(task).token().on_cancel(move |outcome| handler.run(outcome));
        Ok(())
    })
}

/// A token of the task, to be freed with hl_token_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_task_token(task: *const hl_task, out: *mut *const hl_token) -> hl_status {
    enter(|| {
        let (task, out) = (handle!(task), out!(out));
        out.set(token::give(task.token().clone()));
        Ok(())
    })
}
