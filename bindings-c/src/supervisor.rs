//! The supervisor: made, asked, and shut down.

use std::ffi::c_char;
use std::time::Duration;

use haltline::monitor::Monitor;
use haltline::supervisor::Supervisor;
use haltline::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::boundary::{enter, enter_or};
use crate::monitor::hl_monitor;
use crate::pointer::{self, Boxed, Handle, Versioned, handle, os, out, text};
use crate::profile::Changes;
use crate::status::hl_status;
use crate::token::{self, hl_token};

/// Without end, where milliseconds are asked for.
pub const HL_FOREVER: u64 = u64::MAX;

/// Starts tasks, watches them, stops the one that hurts the machine, and verifies the stop. Any thread may use it.
pub struct hl_supervisor(
    pub(crate) Supervisor,
    /// Of the last reload. Kept, because a buffer may be too small for them and the reload cannot be made undone.
    pub(crate) Mutex<Changes>,
);

impl Handle for hl_supervisor {
    type Ownership = Boxed;
}

/// How a supervisor is set up. Set struct_size to sizeof(hl_supervisor_options) and everything else to zero, then
/// what you want: zero means the default.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct hl_supervisor_options {
    /// sizeof(hl_supervisor_options).
    pub struct_size: usize,
    /// A folder with profiles, a JSON file each, beside the six built in. NULL for none.
    pub profile_folder: *const c_char,
    /// Bytes in profile_folder.
    pub profile_folder_len: usize,
    /// A file to which every incident is appended as a line of JSON; a pipe or a socket is refused. NULL for none.
    pub incident_file: *const c_char,
    /// Bytes in incident_file.
    pub incident_file_len: usize,
    /// Milliseconds between two samples of the machine, 10 to 600,000. Default 1000. With a monitor it has to be zero.
    pub sample_interval_ms: u64,
    /// The smallest share of a metric's use, above 0 to 1, with which a task can be nominated. Default 0.1.
    pub min_share: f64,
    /// Milliseconds that the machine has to settle after a cancellation, before anyone else is nominated.
    /// Default 2000.
    pub settle_ms: u64,
    /// Milliseconds for which a task that was ended by force is looked for, before it counts as still running; up to
    /// four times that for a command whose processes have become fewer each time. Default 5000.
    pub verify_ms: u64,
    /// The most cancellations per minute for host limits. Default 10. To cancel nobody for a limit, set
    /// observe_only.
    pub max_cancellations_per_minute: u32,
    /// Not zero: decides and records everything, and no limit cancels anything. What no limit decides still happens: a
    /// shutdown and whoever asks for a stop cancel tasks, what a command leaves behind is stopped unless
    /// hl_command_keep_leftovers was called, and a task whose guardian was killed is cancelled for it.
    pub observe_only: u32,
    /// The monitor whose samples drive the decisions. NULL for one of its own. The handle stays the caller's.
    pub monitor: *const hl_monitor,
}

// SAFETY: `repr(C)`, a `usize` first; NULL, zero and 0.0 are valid.
unsafe impl Versioned for hl_supervisor_options {}

fn build(options: &hl_supervisor_options) -> Result<Supervisor> {
    let hl_supervisor_options { profile_folder, incident_file, .. } = *options;
    let mut builder = Supervisor::builder();
    if !profile_folder.is_null() {
        builder = builder.profile_folder(os!(profile_folder, options.profile_folder_len));
    }
    if !incident_file.is_null() {
        builder = builder.incident_file(os!(incident_file, options.incident_file_len));
    }
    // SAFETY: the header asks callers for a valid handle.
    if let Some(monitor) = unsafe { pointer::look(options.monitor) } {
        if options.sample_interval_ms != 0 {
            let what =
                "sample_interval_ms is for a supervisor without a monitor; set the monitor's interval_ms";
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        builder = builder.monitor(monitor.0.clone());
    } else if options.sample_interval_ms != 0 {
        let interval = Duration::from_millis(options.sample_interval_ms);
        builder = builder.monitor(Monitor::builder().interval(interval).start()?);
    }
    if options.min_share != 0.0 {
        builder = builder.min_share(options.min_share);
    }
    if options.settle_ms != 0 {
        builder = builder.settle(Duration::from_millis(options.settle_ms));
    }
    if options.verify_ms != 0 {
        builder = builder.verify(Duration::from_millis(options.verify_ms));
    }
    if options.max_cancellations_per_minute != 0 {
        builder = builder.max_cancellations_per_minute(options.max_cancellations_per_minute);
    }
    if options.observe_only != 0 {
        builder = builder.observe_only();
    }
    builder.start()
}

/// Starts a supervisor, with threads of its own. options may be NULL: then everything has its default.
///
/// HL_INVALID_ARGUMENT, HL_INVALID_PROFILE for a bad file in the folder, HL_IO, HL_SPAWN_FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_new(
    options: *const hl_supervisor_options,
    out: *mut *mut hl_supervisor,
) -> hl_status {
    enter(|| {
        let out = out!(out);
        let supervisor = if options.is_null() {
            Supervisor::builder().start()?
        } else {
            // SAFETY: the header asks callers for a structure as long as its first field says.
            build(&unsafe { pointer::read_versioned(options, "options") }?)?
        };
        out.set(pointer::give(hl_supervisor(supervisor, Mutex::default())));
        Ok(())
    })
}

/// Frees a supervisor. Tasks that still run are cancelled, and their stops verified in the background; call
/// hl_supervisor_shutdown before to wait for that. All other handles stay valid and have to be freed; a command that
/// was neither spawned nor freed keeps the supervisor running.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_free(supervisor: *mut hl_supervisor) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(supervisor) });
    });
}

/// Cancels every task, starts no more, and waits until each stop is verified and written and every callback has
/// returned. left, which may be NULL, gets the number of tasks that were not seen to stop; only if there are any, a
/// function of a stopper may still be called. A request of a stopper that hangs though its work is gone is waited for
/// until timeout_ms is over, and is no error. A command that another thread is just starting is a task all the same, and
/// is cancelled.
///
/// HL_TIMED_OUT if a stop was not verified, a start not over, or a callback not back, within timeout_ms; HL_IO if
/// incidents could not be written. Then it can be called again, and counts what the calls before have found as well.
/// Not to be called by callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_shutdown(
    supervisor: *const hl_supervisor,
    timeout_ms: u64,
    left: *mut usize,
) -> hl_status {
    enter(|| {
        let running = handle!(supervisor).0.shutdown(Duration::from_millis(timeout_ms))?;
        set_if_wanted(left, running.len())
    })
}

/// Waits until all incidents so far are in their file.
///
/// HL_IO if it cannot be written, HL_TIMED_OUT after timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_flush(supervisor: *const hl_supervisor, timeout_ms: u64) -> hl_status {
    enter(|| handle!(supervisor).0.flush(Duration::from_millis(timeout_ms)))
}

/// The token of the running task with this id.
///
/// HL_UNKNOWN_TASK if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_token(
    supervisor: *const hl_supervisor,
    id: u64,
    out: *mut *const hl_token,
) -> hl_status {
    enter(|| {
        let (supervisor, out) = (handle!(supervisor), out!(out));
        out.set(token::give(supervisor.0.token(id)?));
        Ok(())
    })
}

/// Asks one task to stop; reason is recorded. Its stop is verified in the background: hl_supervisor_token, taken
/// before, waits for it.
///
/// HL_UNKNOWN_TASK if no running task has this id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_stop(
    supervisor: *const hl_supervisor,
    id: u64,
    reason: *const c_char,
    reason_len: usize,
) -> hl_status {
    enter(|| handle!(supervisor).0.stop(id, text!(reason, reason_len)).map(drop))
}

/// Asks every running task to stop. cancelled, which may be NULL, gets the number of those that this call cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_stop_all(
    supervisor: *const hl_supervisor,
    reason: *const c_char,
    reason_len: usize,
    cancelled: *mut usize,
) -> hl_status {
    enter(|| {
        let stopped = handle!(supervisor).0.stop_all(text!(reason, reason_len));
        set_if_wanted(cancelled, stopped.len())
    })
}

/// Stores a number where the caller wants to know it.
pub(crate) fn set_if_wanted<T>(place: *mut T, value: T) -> Result<()> {
    if !place.is_null() {
        out!(place).set(value);
    }
    Ok(())
}
