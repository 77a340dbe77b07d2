//! What all processes had used at one moment, so that two moments tell who used most in between.

use std::ffi::c_char;

use haltline::monitor::ProcessTable;

use crate::boundary::{enter, enter_or};
use crate::pointer::{self, Boxed, Handle, buffer, handle, out};
use crate::record::to_json;
use crate::status::hl_status;

/// What each process of the machine had used when it was read. It never changes; any thread may use it.
pub struct hl_process_table(ProcessTable);

impl Handle for hl_process_table {
    type Ownership = Boxed;
}

/// Reads all processes that this user may see. Blocks for a walk through them.
///
/// HL_IO if their list cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_table_new(out: *mut *mut hl_process_table) -> hl_status {
    enter(|| {
        let out = out!(out);
        out.set(pointer::give(hl_process_table(ProcessTable::read()?)));
        Ok(())
    })
}

/// Frees a table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_table_free(table: *mut hl_process_table) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(table) });
    });
}

/// How many processes there were; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_table_len(table: *const hl_process_table) -> usize {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(table) }.map_or(0, |table| table.0.len())
}

/// The count processes that used most CPU since before, an earlier table, the largest first: a JSON array as of
/// hl_monitor_top_processes_json. One that began in between counts with all it used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_table_by_cpu_json(
    table: *const hl_process_table,
    before: *const hl_process_table,
    count: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let top = handle!(table).0.by_cpu(&handle!(before).0, count);
        buffer!(buf, len, needed).fill_text(&to_json(&top)?)
    })
}

/// The count processes with most resident memory, the largest first, as hl_process_table_by_cpu_json. Their CPU is the
/// average since they began.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_table_by_memory_json(
    table: *const hl_process_table,
    count: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let top = handle!(table).0.by_memory(count);
        buffer!(buf, len, needed).fill_text(&to_json(&top)?)
    })
}
