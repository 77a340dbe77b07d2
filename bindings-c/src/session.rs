//! Named spans of host work.

use std::ffi::c_char;

use haltline::supervisor::Session;

use crate::boundary::{enter, enter_or};
use crate::pointer::{self, Boxed, Handle, buffer, handle, out, text};
use crate::record::{incidents_json, to_json};
use crate::status::hl_status;
use crate::supervisor::hl_supervisor;

/// A named span of host work, open from hl_session_new to hl_session_free. Tasks that start meanwhile belong to it,
/// and so do their incidents; of several open sessions the latest counts.
pub struct hl_session(Session);

impl Handle for hl_session {
    type Ownership = Boxed;
}

/// Begins a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_session_new(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut hl_session,
) -> hl_status {
    enter(|| {
        let (supervisor, name, out) = (handle!(supervisor), text!(name, name_len), out!(out));
        out.set(pointer::give(hl_session(supervisor.0.session(name))));
        Ok(())
    })
}

/// Ends a session and frees it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_session_free(session: *mut hl_session) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(session) });
    });
}

/// The unique id of the session, which its incidents carry.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_session_id(
    session: *const hl_session,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let session = handle!(session);
        buffer!(buf, len, needed).fill_text(session.0.id())
    })
}

/// The name of the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_session_name(
    session: *const hl_session,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let session = handle!(session);
        buffer!(buf, len, needed).fill_text(session.0.name())
    })
}

/// Its incidents so far, summed up: text for people. It counts cancellations, not tasks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_session_report_text(
    session: *const hl_session,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let report = handle!(session).0.report();
        buffer!(buf, len, needed).fill_text(&report.to_string())
    })
}

/// Its incidents so far, summed up, as hl_session_report_text: a JSON object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_session_report_json(
    session: *const hl_session,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let report = handle!(session).0.report();
        buffer!(buf, len, needed).fill_text(&to_json(&report)?)
    })
}

/// The incidents of its tasks, the newest first: a JSON array as of hl_supervisor_incidents_json. Empty once the
/// supervisor is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_session_incidents_json(
    session: *const hl_session,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let incidents = handle!(session).0.incidents();
        buffer!(buf, len, needed).fill_text(&incidents_json(incidents.iter().map(|incident| &**incident))?)
    })
}
