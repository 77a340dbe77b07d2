//! Commands, put together before they run as supervised process trees.

use std::ffi::c_char;
use std::fs::File;
use std::sync::Arc;

use haltline::supervisor::{Command, Input, Output};
use haltline::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::boundary::{enter, enter_or};
use crate::pointer::{self, Boxed, Handle, handle, os, out, text};
use crate::process::{self, hl_process};
use crate::status::hl_status;
use crate::supervisor::hl_supervisor;

/// A command to run as a task, its whole process tree supervised. It is put together, spawned once, and freed.
/// Texts for the system may be any bytes but NUL.
pub struct hl_command(Mutex<Option<Command>>);

impl Handle for hl_command {
    type Ownership = Boxed;
}

/// Where a standard stream of a command comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum hl_stream {
    /// The host's own stream; what holds if nothing is said.
    HL_STREAM_INHERIT = 0,
    /// Nothing, or nowhere.
    HL_STREAM_NULL = 1,
    /// A pipe, whose other end is taken from the process.
    HL_STREAM_PIPED = 2,
    /// Memory, read from the process after its end. For output only.
    HL_STREAM_CAPTURE = 3,
    /// Wherever standard output goes, in the order in which it was written. For standard error only.
    HL_STREAM_STDOUT = 4,
}

impl hl_command {
    /// Puts one more thing into the command.
    fn change(&self, change: impl FnOnce(Command) -> Command) -> Result<()> {
        let mut held = self.0.lock();
        *held = Some(change(held.take().ok_or_else(spawned)?));
        Ok(())
    }
}

#[cold]
fn spawned() -> Error {
    Error::new(ErrorKind::InvalidArgument, "command was spawned already; make a new one")
}

/// A stream that a caller names by number.
fn stream(mode: i32) -> Result<hl_stream> {
    use hl_stream::*;
    [HL_STREAM_INHERIT, HL_STREAM_NULL, HL_STREAM_PIPED, HL_STREAM_CAPTURE, HL_STREAM_STDOUT]
        .into_iter()
        .find(|known| *known as i32 == mode)
        .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("mode {mode} is not an hl_stream")))
}

#[cold]
fn misplaced(mode: &str, right: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("mode {mode} is for {right} only"))
}

fn output(mode: i32, capture_bytes: usize) -> Result<Output> {
    Ok(match stream(mode)? {
        hl_stream::HL_STREAM_INHERIT => Output::Inherit,
        hl_stream::HL_STREAM_NULL => Output::Null,
        hl_stream::HL_STREAM_PIPED => Output::Piped,
        hl_stream::HL_STREAM_CAPTURE => Output::Capture(capture_bytes),
        hl_stream::HL_STREAM_STDOUT => Output::Stdout,
    })
}

/// A descriptor of our own for what a descriptor of the host is open on.
fn duplicate(fd: i32) -> Result<Arc<File>> {
    if fd < 0 {
        let what = format!("fd {fd} cannot be a descriptor; 0 or more is right");
        return Err(Error::new(ErrorKind::InvalidArgument, what));
    }
    #[cfg(unix)]
    {
        // SAFETY: it is only copied; if it is not open the copy fails.
        let given = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        let own = given.try_clone_to_owned().map_err(|e| {
            Error::new(ErrorKind::InvalidArgument, format!("fd {fd} cannot be copied: {e}")).because(e)
        })?;
        Ok(Arc::new(own.into()))
    }
    #[cfg(not(unix))]
    Err(Error::new(ErrorKind::Unsupported, "descriptors are taken on Unix only"))
}

/// Prepares a command. A program without a slash is looked for in PATH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_new(
    supervisor: *const hl_supervisor,
    program: *const c_char,
    program_len: usize,
    out: *mut *mut hl_command,
) -> hl_status {
    enter(|| {
        let (supervisor, program, out) = (handle!(supervisor), os!(program, program_len), out!(out));
        let command = supervisor.0.command(program);
        out.set(pointer::give(hl_command(Mutex::new(Some(command)))));
        Ok(())
    })
}

/// Frees a command. What was spawned goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_free(command: *mut hl_command) {
    enter_or((), || {
        // SAFETY: the header asks callers for a handle that they own.
        drop(unsafe { pointer::take(command) });
    });
}

/// Adds an argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_arg(
    command: *const hl_command,
    arg: *const c_char,
    arg_len: usize,
) -> hl_status {
    enter(|| {
        let (command, arg) = (handle!(command), os!(arg, arg_len));
        command.change(|c| c.arg(arg))
    })
}

/// Sets a variable of the environment, which is otherwise the host's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_env(
    command: *const hl_command,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
) -> hl_status {
    enter(|| {
        let (command, name, value) = (handle!(command), os!(name, name_len), os!(value, value_len));
        command.change(|c| c.env(name, value))
    })
}

/// Removes a variable from the environment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_env_remove(
    command: *const hl_command,
    name: *const c_char,
    name_len: usize,
) -> hl_status {
    enter(|| {
        let (command, name) = (handle!(command), os!(name, name_len));
        command.change(|c| c.env_remove(name))
    })
}

/// Starts from an empty environment instead of the host's. Variables that were set before are gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_env_clear(command: *const hl_command) -> hl_status {
    enter(|| handle!(command).change(Command::env_clear))
}

/// The folder to run in, otherwise the host's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_cwd(
    command: *const hl_command,
    folder: *const c_char,
    folder_len: usize,
) -> hl_status {
    enter(|| {
        let (command, folder) = (handle!(command), os!(folder, folder_len));
        command.change(|c| c.current_dir(folder))
    })
}

/// The name of the task, otherwise the program's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_name(
    command: *const hl_command,
    name: *const c_char,
    name_len: usize,
) -> hl_status {
    enter(|| {
        let (command, name) = (handle!(command), text!(name, name_len));
        command.change(|c| c.name(name.to_owned()))
    })
}

/// Where standard input comes from: HL_STREAM_INHERIT, HL_STREAM_NULL or HL_STREAM_PIPED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_stdin(command: *const hl_command, mode: i32) -> hl_status {
    enter(|| {
        let input = match stream(mode)? {
            hl_stream::HL_STREAM_INHERIT => Input::Inherit,
            hl_stream::HL_STREAM_NULL => Input::Null,
            hl_stream::HL_STREAM_PIPED => Input::Piped,
            hl_stream::HL_STREAM_CAPTURE => return Err(misplaced("HL_STREAM_CAPTURE", "output")),
            hl_stream::HL_STREAM_STDOUT => return Err(misplaced("HL_STREAM_STDOUT", "standard error")),
        };
        handle!(command).change(|c| c.stdin(input))
    })
}

/// Standard input is what fd is open on, from where it stands. fd is copied and stays the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_stdin_fd(command: *const hl_command, fd: i32) -> hl_status {
    enter(|| {
        let file = duplicate(fd)?;
        handle!(command).change(|c| c.stdin(Input::File(file)))
    })
}

/// Standard input is these bytes, then the end. They are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_stdin_bytes(
    command: *const hl_command,
    bytes: *const u8,
    bytes_len: usize,
) -> hl_status {
    enter(|| {
        let command = handle!(command);
        // SAFETY: the header asks callers for bytes that can be read.
        let bytes = unsafe { pointer::read(bytes, bytes_len, "bytes") }?;
        command.change(|c| c.stdin(Input::Bytes(bytes.to_vec())))
    })
}

/// Where standard output goes: an hl_stream other than HL_STREAM_STDOUT. With HL_STREAM_CAPTURE, capture_bytes are kept
/// and the rest is dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_stdout(
    command: *const hl_command,
    mode: i32,
    capture_bytes: usize,
) -> hl_status {
    enter(|| {
        let output = match output(mode, capture_bytes)? {
            Output::Stdout => return Err(misplaced("HL_STREAM_STDOUT", "standard error")),
            other => other,
        };
        handle!(command).change(|c| c.stdout(output))
    })
}

/// Standard output goes to what fd is open on, from where it stands. fd is copied and stays the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_stdout_fd(command: *const hl_command, fd: i32) -> hl_status {
    enter(|| {
        let file = duplicate(fd)?;
        handle!(command).change(|c| c.stdout(Output::File(file)))
    })
}

/// Where standard error goes: an hl_stream, as hl_command_stdout.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_stderr(
    command: *const hl_command,
    mode: i32,
    capture_bytes: usize,
) -> hl_status {
    enter(|| {
        let output = output(mode, capture_bytes)?;
        handle!(command).change(|c| c.stderr(output))
    })
}

/// Standard error goes to what fd is open on, as hl_command_stdout_fd.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_stderr_fd(command: *const hl_command, fd: i32) -> hl_status {
    enter(|| {
        let file = duplicate(fd)?;
        handle!(command).change(|c| c.stderr(Output::File(file)))
    })
}

/// Does not use cgroups for the command, even where they could be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_without_cgroup(command: *const hl_command) -> hl_status {
    enter(|| handle!(command).change(Command::without_cgroup))
}

/// Gives the command a process group of its own, so that Ctrl-C in the terminal does not reach it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_own_group(command: *const hl_command) -> hl_status {
    enter(|| handle!(command).change(Command::own_group))
}

/// Lets processes that outlive the command run on, supervised. Otherwise they are stopped; if they have not left a second
/// after the grace, the task is cancelled for it. They are named in either case.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_keep_leftovers(command: *const hl_command) -> hl_status {
    enter(|| handle!(command).change(Command::keep_leftovers))
}

/// Starts the command under a profile. The command cannot be changed or spawned again, whatever this returns.
///
/// HL_COMMAND_NOT_FOUND, HL_COMMAND_NOT_EXECUTABLE, HL_SPAWN_FAILED, HL_UNKNOWN_PROFILE, HL_SHUT_DOWN;
/// HL_UNSUPPORTED on systems other than Linux. Blocks until it was started, about a millisecond.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_command_spawn(
    command: *const hl_command,
    profile: *const c_char,
    profile_len: usize,
    out: *mut *mut hl_process,
) -> hl_status {
    enter(|| {
        let (command, profile, out) = (handle!(command), text!(profile, profile_len), out!(out));
        let command = command.0.lock().take().ok_or_else(spawned)?;
        out.set(process::give(command.spawn(profile)?));
        Ok(())
    })
}
