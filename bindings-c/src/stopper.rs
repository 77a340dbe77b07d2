//! How a host stops work that it runs itself.

use std::ffi::c_void;

use haltline::Result;
use haltline::supervisor::Stopper;

use crate::callback::UserData;
use crate::pointer::{Versioned, null};

/// How a running thing is asked to stop, forced, and seen to be gone. The functions are called on a thread of
/// haltline's own, one for each cancellation, in the order request, force, with is_gone between and after until it is
/// true; one that blocks delays no other task. A request that has not returned at the end of the grace keeps nothing
/// back: force and is_gone then come beside it on another thread, though not before it had 50 milliseconds, which it has
/// also where there is no grace. They may call every function of this header but hl_supervisor_shutdown, and must not
/// throw or jump out.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct hl_stopper {
    /// sizeof(hl_stopper).
    pub struct_size: usize,
    /// Asks the work to stop.
    pub request: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Ends the work by force; returns whether it could. Called once at most. NULL if there is no force: what does not
    /// leave by itself is then still running, and never killed.
    pub force: Option<unsafe extern "C" fn(user_data: *mut c_void) -> bool>,
    /// Whether the work is seen to be gone, now. Polled from the request on, until it is true or hl_task_finish says so.
    pub is_gone: Option<unsafe extern "C" fn(user_data: *mut c_void) -> bool>,
}

// SAFETY: `repr(C)`, a `usize` first; NULL is a valid `Option` of a function.
unsafe impl Versioned for hl_stopper {}

/// The functions of a host with their user data.
pub(crate) struct HostStopper {
    request: unsafe extern "C" fn(user_data: *mut c_void),
    force: Option<unsafe extern "C" fn(user_data: *mut c_void) -> bool>,
    is_gone: unsafe extern "C" fn(user_data: *mut c_void) -> bool,
    data: UserData,
}

impl HostStopper {
    pub(crate) fn new(functions: hl_stopper, data: UserData) -> Result<Self> {
        let request = functions.request.ok_or_else(|| null("stopper->request"))?;
        let is_gone = functions.is_gone.ok_or_else(|| null("stopper->is_gone"))?;
        Ok(HostStopper { request, force: functions.force, is_gone, data })
    }
}

impl Stopper for HostStopper {
    fn request(&self) {
        // SAFETY: the host gave the function and the data together, and the data live as long as this.
        unsafe { (self.request)(self.data.get()) }
    }

    fn force(&self) -> bool {
        // SAFETY: as above.
        self.force.is_some_and(|force| unsafe { force(self.data.get()) })
    }

    fn is_gone(&self) -> bool {
        // SAFETY: as above.
        unsafe { (self.is_gone)(self.data.get()) }
    }
}
