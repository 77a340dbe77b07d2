//! A command that runs as a task.

use std::ffi::c_char;
use std::sync::OnceLock;
use std::time::Duration;

use haltline::supervisor::{Exit, Finished, ProcessTask};
use haltline::{Error, ErrorKind, Result};
use serde_json::json;

use crate::boundary::{enter, enter_or};
use crate::outcome::hl_outcome;
use crate::pointer::{self, Boxed, Handle, Out, Versioned, VersionedOut, buffer, handle, out};
use crate::status::hl_status;
use crate::token::{self, hl_token};

/// A command that runs as a task. Any thread may use it.
pub struct hl_process {
    task: ProcessTask,
    finished: OnceLock<Finished>,
}

impl Handle for hl_process {
    type Ownership = Boxed;
}

/// How a command ended. Set struct_size to sizeof(hl_exit) before the call.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct hl_exit {
    /// sizeof(hl_exit).
    pub struct_size: usize,
    /// The exit code of the command itself; -1 if it ended by a signal or nobody saw its end.
    pub code: i32,
    /// The signal that ended it; 0 if none did.
    pub signal: i32,
    /// What came of its cancellation; HL_OUTCOME_NONE if there was none.
    pub outcome: hl_outcome,
    /// Processes that it had left behind, which were stopped unless hl_command_keep_leftovers was called;
    /// hl_process_leftovers_json names them.
    pub leftovers: u32,
    /// Bytes of output that are lost: captured after as much as was to be kept, or not passed on; see
    /// hl_process_output_error.
    pub dropped: u64,
    /// Processor seconds that the command itself used, with those of its children that it waited for.
    pub cpu_seconds: f64,
    /// The most resident memory that the command itself had, in bytes.
    pub max_rss_bytes: u64,
}

// SAFETY: `repr(C)`, a `usize` first; zero is HL_OUTCOME_NONE, and zero numbers are valid.
unsafe impl Versioned for hl_exit {}

/// A running command for C.
pub(crate) fn give(task: ProcessTask) -> *mut hl_process {
    pointer::give(hl_process { task, finished: OnceLock::new() })
}

impl hl_process {
    fn finished(&self) -> Result<&Finished> {
        self.finished.get().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                "process has not been waited for; call hl_process_wait first",
            )
        })
    }
}

/// Frees the handle. The command goes on, supervised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_free(process: *mut hl_process) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(process) });
    });
}

/// The process id of the command itself; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_pid(process: *const hl_process) -> u32 {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(process) }.map_or(0, |process| process.task.pid())
}

/// The ids of all processes of its tree at the last look: a JSON array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_pids_json(
    process: *const hl_process,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let pids = handle!(process).task.pids();
        buffer!(buf, len, needed).fill_text(&json!(pids).to_string())
    })
}

/// A token of the task, to be freed with hl_token_free. It cancels the command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_token(
    process: *const hl_process,
    out: *mut *const hl_token,
) -> hl_status {
    enter(|| {
        let (process, out) = (handle!(process), out!(out));
        out.set(token::give(process.task.token().clone()));
        Ok(())
    })
}

/// The process id of its guardian, which is no part of the tree; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_guardian_pid(process: *const hl_process) -> u32 {
    // SAFETY: the header asks callers for a valid handle.
    unsafe { pointer::look(process) }.map_or(0, |process| process.task.guardian_pid())
}

/// Sends a signal to the command itself. Nothing is sent if it has ended.
///
/// HL_INVALID_ARGUMENT if the number is no signal's, HL_IO if the signal could not be sent, as when more were sent before
/// it than the guardian has taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_signal(process: *const hl_process, signal: i32) -> hl_status {
    enter(|| handle!(process).task.signal(signal))
}

fn of_command(exit: &Exit) -> hl_exit {
    hl_exit {
        struct_size: size_of::<hl_exit>(),
        code: exit.code.unwrap_or(-1),
        signal: exit.signal.unwrap_or(0),
        outcome: hl_outcome::HL_OUTCOME_NONE,
        leftovers: 0,
        dropped: 0,
        cpu_seconds: exit.cpu_time.as_secs_f64(),
        max_rss_bytes: exit.max_rss_bytes,
    }
}

/// How the command itself ended, if it has; its tree may live on, so nothing is known yet of an outcome, of processes
/// left behind or of lost output. Does not wait.
///
/// HL_TIMED_OUT while it runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_exit(process: *const hl_process, out: *mut hl_exit) -> hl_status {
    enter(|| {
        let process = handle!(process);
        // SAFETY: the header asks callers for a structure as long as its first field says.
        let out = unsafe { VersionedOut::new(out, "out") }?;
        let Some(exit) = process.task.exit() else {
            let what = format!("process {} has not ended; it goes on", process.task.pid());
            return Err(Error::new(ErrorKind::TimedOut, what));
        };
        out.set(of_command(&exit));
        Ok(())
    })
}

/// Waits until nothing of the task is left on the machine, not even its guardian, which leaves a moment after the tree.
/// For a host that ends right after its task.
///
/// HL_TIMED_OUT after timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_wait_cleared(process: *const hl_process, timeout_ms: u64) -> hl_status {
    enter(|| {
        let process = handle!(process);
        if process.task.wait_cleared(Duration::from_millis(timeout_ms)) {
            return Ok(());
        }
        let what = format!("something of task {:?} is left after {timeout_ms} ms", process.task.name());
        Err(Error::new(ErrorKind::TimedOut, what))
    })
}

/// Waits until the whole tree is gone; if it is cancelled, until the stop was verified or found to have failed. May
/// be called again. A command that failed or was cancelled is no error of this call: see out, which may be NULL.
/// Output that passes through the host is waited for too: that of a tree that was stopped for two seconds, that of one
/// that ended by itself until somebody has read it.
///
/// HL_TIMED_OUT after timeout_ms; the command goes on, or its output waits for its reader. HL_IO if its captured output
/// could not be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_wait(
    process: *const hl_process,
    timeout_ms: u64,
    out: *mut hl_exit,
) -> hl_status {
    enter(|| {
        let process = handle!(process);
        let out = if out.is_null() {
            None
        } else {
            // SAFETY: the header asks callers for a structure as long as its first field says.
            Some(unsafe { VersionedOut::new(out, "out") }?)
        };
        let finished = match process.finished.get() {
            Some(finished) => finished,
            None => {
                let finished = process.task.wait_timeout(Duration::from_millis(timeout_ms))?;
                process.finished.get_or_init(|| finished)
            }
        };
        if let Some(out) = out {
            out.set(hl_exit {
                outcome: finished.outcome.into(),
                leftovers: finished.leftovers.len().try_into().unwrap_or(u32::MAX),
                dropped: finished.dropped,
                ..of_command(&finished.exit)
            });
        }
        Ok(())
    })
}

/// What it wrote to standard output, where that was captured: bytes, without a closing NUL. After hl_process_wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_stdout(
    process: *const hl_process,
    buf: *mut u8,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let process = handle!(process);
        buffer!(buf, len, needed).fill(&process.finished()?.stdout)
    })
}

/// What it wrote to standard error, as hl_process_stdout.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_stderr(
    process: *const hl_process,
    buf: *mut u8,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let process = handle!(process);
        buffer!(buf, len, needed).fill(&process.finished()?.stderr)
    })
}

/// Why output could not be passed on, where a limit counts it: its destination failed, or nobody read it in the two
/// seconds after a tree that was stopped had gone. Empty if none of that happened; a reader that left is no error.
/// After hl_process_wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_output_error(
    process: *const hl_process,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let process = handle!(process);
        buffer!(buf, len, needed).fill_text(process.finished()?.output_error.as_deref().unwrap_or_default())
    })
}

/// The processes that it had left behind: a JSON array of objects with pid and name. After hl_process_wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_leftovers_json(
    process: *const hl_process,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let leftovers = &handle!(process).finished()?.leftovers;
        let list: Vec<_> = leftovers.iter().map(|(pid, name)| json!({ "pid": pid, "name": name })).collect();
        buffer!(buf, len, needed).fill_text(&json!(list).to_string())
    })
}

/// The other end of its piped standard input, once; the caller closes the descriptor.
///
/// HL_INVALID_ARGUMENT if it is not piped or was taken already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_take_stdin(process: *const hl_process, out: *mut i32) -> hl_status {
    enter(|| take(handle!(process).task.take_stdin(), "input", out!(out)))
}

/// The other end of its piped standard output, as hl_process_take_stdin.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_take_stdout(process: *const hl_process, out: *mut i32) -> hl_status {
    enter(|| take(handle!(process).task.take_stdout(), "output", out!(out)))
}

/// The other end of its piped standard error, as hl_process_take_stdin.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_process_take_stderr(process: *const hl_process, out: *mut i32) -> hl_status {
    enter(|| take(handle!(process).task.take_stderr(), "error", out!(out)))
}

fn take(pipe: Option<std::fs::File>, stream: &str, out: Out<'_, i32>) -> Result<()> {
    let pipe = pipe.ok_or_else(|| {
        let message = format!("standard {stream} of process is not piped, or was taken already");
        Error::new(ErrorKind::InvalidArgument, message)
    })?;
    #[cfg(unix)]
    {
        out.set(std::os::fd::IntoRawFd::into_raw_fd(pipe));
        Ok(())
    }
    #[cfg(not(unix))]
    {
        let _ = (pipe, out);
        Err(Error::new(ErrorKind::Unsupported, "pipes are given out on Unix only"))
    }
}
