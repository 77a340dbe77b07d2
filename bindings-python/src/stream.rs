//! The standard streams of a command, as `subprocess` spells them.

use std::fs::File;
use std::sync::Arc;

use haltline::supervisor::{Input, Output};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

use crate::error;

/// The values of `subprocess.PIPE`, `subprocess.STDOUT` and `subprocess.DEVNULL`.
pub(crate) const PIPE: i32 = -1;
pub(crate) const STDOUT: i32 = -2;
pub(crate) const DEVNULL: i32 = -3;
/// How much of each stream `run` keeps.
const CAPTURE_BYTES: usize = 64 << 20;

/// What a caller gives as `stdin`, `stdout` and `stderr`.
#[derive(Clone, Copy)]
pub(crate) struct Streams<'a, 'py> {
    pub(crate) stdin: Option<&'a Bound<'py, PyAny>>,
    pub(crate) stdout: Option<&'a Bound<'py, PyAny>>,
    pub(crate) stderr: Option<&'a Bound<'py, PyAny>>,
}

/// One stream of them.
enum Stream {
    Inherit,
    Pipe,
    Stdout,
    Null,
    File(Arc<File>),
}

impl Stream {
    fn of(given: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Stream> {
        let Some(given) = given else { return Ok(Stream::Inherit) };
        let number: i32 = match given.extract() {
            Ok(number) => number,
            Err(_) => {
                let fileno = given.call_method0("fileno").map_err(|raised| {
                    let expected = "None, PIPE, DEVNULL, a descriptor or an open file with a descriptor";
                    let wrong = error::wrong_type(name, expected, given);
                    wrong.set_cause(given.py(), Some(raised));
                    wrong
                })?;
                fileno.extract()?
            }
        };
        match number {
            PIPE => Ok(Stream::Pipe),
            STDOUT => Ok(Stream::Stdout),
            DEVNULL => Ok(Stream::Null),
            0.. => duplicate(number, name).map(Stream::File),
            _ => Err(error::invalid(format!(
                "{name}: {number} is no stream; give None, PIPE, DEVNULL, a descriptor or a file"
            ))),
        }
    }

    fn input(self) -> PyResult<Input> {
        match self {
            Stream::Inherit => Ok(Input::Inherit),
            Stream::Pipe => Ok(Input::Piped),
            Stream::Null => Ok(Input::Null),
            Stream::File(file) => Ok(Input::File(file)),
            Stream::Stdout => Err(misplaced("stdin")),
        }
    }

    fn output(self, piped: Output, name: &str) -> PyResult<Output> {
        match self {
            Stream::Inherit => Ok(Output::Inherit),
            Stream::Pipe => Ok(piped),
            Stream::Null => Ok(Output::Null),
            Stream::File(file) => Ok(Output::File(file)),
            Stream::Stdout if name == "stderr" => Ok(Output::Stdout),
            Stream::Stdout => Err(misplaced(name)),
        }
    }
}

fn misplaced(name: &str) -> PyErr {
    error::invalid(format!("{name}: STDOUT is for stderr only"))
}

/// A descriptor of the command's own, for what a descriptor of the host is open on.
fn duplicate(number: i32, name: &str) -> PyResult<Arc<File>> {
    #[cfg(unix)]
    {
        // SAFETY: it is only copied; if it is not open the copy fails.
        let given = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        let own = given
            .try_clone_to_owned()
            .map_err(|e| error::invalid(format!("{name}: the descriptor {number} cannot be copied: {e}")))?;
        Ok(Arc::new(own.into()))
    }
    #[cfg(not(unix))]
    {
        let what = format!("{name}: the descriptor {number} is not taken here");
        Err(error::raised(haltline::Error::new(haltline::ErrorKind::Unsupported, what)))
    }
}

impl Streams<'_, '_> {
    /// For a command in the background: the other ends of pipes are the caller's.
    pub(crate) fn background(&self) -> PyResult<(Input, Output, Output)> {
        let output = |given, name| Stream::of(given, name)?.output(Output::Piped, name);
        let input = Stream::of(self.stdin, "stdin")?.input()?;
        Ok((input, output(self.stdout, "stdout")?, output(self.stderr, "stderr")?))
    }

    /// For a command that is run to its end: what goes into a pipe is kept.
    pub(crate) fn foreground(
        &self,
        capture_output: bool,
        input: Option<&Bound<'_, PyAny>>,
        text: bool,
    ) -> PyResult<(Input, Output, Output)> {
        if capture_output && (self.stdout.is_some() || self.stderr.is_some()) {
            return Err(error::invalid("stdout, stderr: not to be given with capture_output"));
        }
        let stdin = match (input, self.stdin) {
            (Some(_), Some(_)) => return Err(error::invalid("stdin: not to be given with input")),
            (Some(input), None) => Input::Bytes(input_bytes(input, text)?),
            (None, given) => match Stream::of(given, "stdin")?.input()? {
                // Nobody would write to it.
                Input::Piped => Input::Null,
                other => other,
            },
        };
        let kept = Output::Capture(CAPTURE_BYTES);
        if capture_output {
            return Ok((stdin, kept.clone(), kept));
        }
        let output = |given, name| Stream::of(given, name)?.output(Output::Capture(CAPTURE_BYTES), name);
        Ok((stdin, output(self.stdout, "stdout")?, output(self.stderr, "stderr")?))
    }
}

fn input_bytes(input: &Bound<'_, PyAny>, text: bool) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = input.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(bytes) = input.cast::<PyByteArray>() {
        return Ok(bytes.to_vec());
    }
    match input.cast::<PyString>() {
        Ok(string) if text => Ok(string.to_str()?.as_bytes().to_vec()),
        _ => Err(error::wrong_type("input", "bytes, or str with text=True", input)),
    }
}
