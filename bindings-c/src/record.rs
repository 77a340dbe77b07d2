//! What a supervisor tells: tasks, incidents, status and report, mostly as JSON.

use std::ffi::c_char;

use haltline::supervisor::Incident;
use haltline::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::json;

use crate::boundary::enter;
use crate::pointer::{buffer, handle, os};
use crate::status::hl_status;
use crate::supervisor::{hl_supervisor, set_if_wanted};

/// JSON of what the core keeps.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| {
        Error::new(ErrorKind::Io, format!("the result could not be put into JSON: {e}")).because(e)
    })
}

/// An incident as C reads it: the record, and the sentence that other languages have as a method.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    record: &'a Incident,
    summary: String,
}

/// JSON of incidents.
pub(crate) fn incidents_json<'a>(incidents: impl IntoIterator<Item = &'a Incident>) -> Result<String> {
    let told = |record: &'a Incident| Told { record, summary: record.summary() };
    to_json(&incidents.into_iter().map(told).collect::<Vec<_>>())
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

/// The latest incidents, at most as many as asked for, the newest first: a JSON array of the records as the incident file
/// holds them, each with a summary, which is a line for people. 1024 are kept.
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
        buffer!(buf, len, needed).fill_text(&incidents_json(incidents.iter().map(|incident| &**incident))?)
    })
}

/// Writes the incidents that are kept to a file, a JSON line each, the oldest first; a file that is there is replaced
/// as a whole. count, which may be NULL, gets how many. Blocks until the file is on the disk.
///
/// HL_IO if it cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_export_incidents(
    supervisor: *const hl_supervisor,
    path: *const c_char,
    path_len: usize,
    count: *mut usize,
) -> hl_status {
    enter(|| {
        let exported = handle!(supervisor).0.export_incidents(os!(path, path_len))?;
        set_if_wanted(count, exported)
    })
}

/// Reads an incident file with its rotated parts, the oldest first: a JSON array as of hl_supervisor_incidents_json. An
/// incident that was written again with a later outcome appears once, with that outcome; a record that a crash cut short
/// is passed over. Needs no supervisor. Blocks while it reads, each time it is called.
///
/// HL_IO if there is no such file or it is a folder, if a part cannot be read, or holds a line that is no incident and
/// none that was cut short.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_incident_read_file_json(
    path: *const c_char,
    path_len: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let buffer = buffer!(buf, len, needed);
        buffer.fill_text(&incidents_json(&Incident::read_file(os!(path, path_len))?)?)
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
