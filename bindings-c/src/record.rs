//! What a supervisor tells: samples, tasks, incidents, status and report, mostly as JSON.

use std::ffi::c_char;

use haltline::{Error, ErrorKind, Result};
use serde_json::json;

use crate::boundary::enter;
use crate::pointer::{buffer, handle};
use crate::status::hl_status;
use crate::supervisor::hl_supervisor;

/// JSON of what the core keeps.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(ErrorKind::Io, format!("the result could not be put into JSON: {e}")).because(e)
    })
}

/// The newest sample of the machine and of the host's signals, as a JSON object. What is unknown is absent. Before
/// the first sample, null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_sample_json(
    supervisor: *const hl_supervisor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let sample = handle!(supervisor).0.monitor().latest();
        buffer!(buf, len, needed).fill_text(&to_json(&sample.as_deref())?)
    })
}

/// The running tasks, those being cancelled included, the oldest first: a JSON array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_active_json(
    supervisor: *const hl_supervisor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let active = handle!(supervisor).0.active();
        buffer!(buf, len, needed).fill_text(&to_json(&active)?)
    })
}

/// The latest incidents, at most as many as asked for, the newest first: a JSON array. 1024 are kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_incidents_json(
    supervisor: *const hl_supervisor,
    most: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let incidents = handle!(supervisor).0.incidents(most);
        let incidents: Vec<_> = incidents.iter().map(|incident| &**incident).collect();
        buffer!(buf, len, needed).fill_text(&to_json(&incidents)?)
    })
}

/// Counts of tasks and outcomes, and whether all is well with the incident file: a JSON object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_status_json(
    supervisor: *const hl_supervisor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let status = handle!(supervisor).0.status();
        buffer!(buf, len, needed).fill_text(&to_json(&status)?)
    })
}

/// The incidents that are kept, summed up: text for people.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_report_text(
    supervisor: *const hl_supervisor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let report = handle!(supervisor).0.report();
        buffer!(buf, len, needed).fill_text(&report.to_string())
    })
}

/// The incidents that are kept, summed up: a JSON object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_report_json(
    supervisor: *const hl_supervisor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let report = handle!(supervisor).0.report();
        buffer!(buf, len, needed).fill_text(&to_json(&report)?)
    })
}

/// Events that a subscription lost, as its stream tells them.
pub(crate) fn gap(from: u64, to: u64, lost: u64) -> serde_json::Value {
    json!({ "gap": { "from": from, "to": to, "lost": lost } })
}
