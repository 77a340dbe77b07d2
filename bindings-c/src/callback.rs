//! A callback, its user data and the function that frees them travel together.

use std::ffi::c_void;

use haltline::Result;
use haltline::supervisor::Outcome;

use crate::outcome::hl_outcome;
use crate::pointer::null;

/// Frees user data. Called exactly once for each call that user_data was given to, also when that call failed; on
/// any thread; after the last use of user_data. NULL frees nothing. It may call every function of this header but
/// hl_supervisor_shutdown.
pub type hl_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Told that a task was cancelled and what came of it. See hl_token_on_cancel for the thread it runs on.
pub type hl_cancel_fn = Option<unsafe extern "C" fn(outcome: hl_outcome, user_data: *mut c_void)>;

/// What a host wants to find again in its callbacks. Freed when dropped.
pub(crate) struct UserData {
    pointer: *mut c_void,
    free: hl_free_fn,
}

// SAFETY: the header says that callbacks and free functions run on any thread.
unsafe impl Send for UserData {}
// SAFETY: the pointer is only handed back; the header says when two threads may do so at once.
unsafe impl Sync for UserData {}

impl UserData {
    pub(crate) fn new(pointer: *mut c_void, free: hl_free_fn) -> Self {
        UserData { pointer, free }
    }

    pub(crate) fn get(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the host gave the two together, and this is the one call.
            unsafe { free(self.pointer) };
        }
    }
}

/// A handler for a cancellation.
pub(crate) struct OnCancel {
    callback: unsafe extern "C" fn(outcome: hl_outcome, user_data: *mut c_void),
    data: UserData,
}

impl OnCancel {
    /// Takes the data over in any case; it is freed here if there is no callback.
    pub(crate) fn new(callback: hl_cancel_fn, data: UserData) -> Result<Self> {
        let callback = callback.ok_or_else(|| null("callback"))?;
        Ok(OnCancel { callback, data })
    }

    /// Calls it, then frees the data.
    pub(crate) fn run(self, outcome: Outcome) {
        // SAFETY: the host gave the two together.
        unsafe { (self.callback)(Some(outcome).into(), self.data.get()) };
    }
}
