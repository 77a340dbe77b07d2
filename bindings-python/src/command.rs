//! Commands that run as tasks, in the manner of `subprocess`.

use std::ffi::OsString;
use std::fs::File;

use haltline::supervisor::{Command, Finished, Input, Outcome, Output, ProcessTask, Supervisor};
use haltline::{Error, ErrorKind};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyGenericAlias, PyMapping, PyString, PyType};

use crate::profile::Given;
use crate::task::PyToken;
use crate::{argument, error, wait};

/// The values of `subprocess.PIPE` and `subprocess.DEVNULL`.
const PIPE: i32 = -1;
const DEVNULL: i32 = -3;
/// How much of each stream `run` keeps.
const CAPTURE_BYTES: usize = 64 << 20;

/// What `run` and `popen` are given about the command.
pub(crate) struct Spec<'a, 'py> {
    pub(crate) args: &'a Bound<'py, PyAny>,
    pub(crate) name: Option<&'a str>,
    pub(crate) cwd: Option<&'a Bound<'py, PyAny>>,
    pub(crate) env: Option<&'a Bound<'py, PyMapping>>,
}

impl Spec<'_, '_> {
    pub(crate) fn command(&self, supervisor: &Supervisor) -> PyResult<Command> {
        let args = self.args;
        if args.is_instance_of::<PyString>() || args.is_instance_of::<PyBytes>() {
            return Err(PyTypeError::new_err(
                "args: expected a list of the program and its arguments, not one text; nothing splits it",
            ));
        }
        let words = args.try_iter().map_err(|_| error::wrong_type("args", "a list of texts", args))?;
        let mut words = words.map(|word| system_text(&word?, "args"));
        let program = words.next().ok_or_else(|| error::invalid("args: empty; name a program"))??;
        let mut command = supervisor.command(program).args(words.collect::<PyResult<Vec<_>>>()?);
        if let Some(name) = self.name {
            command = command.name(name.to_owned());
        }
        if let Some(cwd) = self.cwd {
            command = command.current_dir(system_text(cwd, "cwd")?);
        }
        if let Some(env) = self.env {
            command = command.env_clear();
            for item in env.items()?.iter() {
                let (name, value) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
                command = command.env(system_text(&name, "env")?, system_text(&value, "env")?);
            }
        }
        Ok(command)
    }
}

/// A `str`, `bytes` or path as the operating system takes it.
fn system_text(given: &Bound<'_, PyAny>, name: &str) -> PyResult<OsString> {
    let os = given.py().import("os")?;
    #[cfg(unix)]
    let text = {
        use std::os::unix::ffi::OsStringExt;
        let wrong = |_| error::wrong_type(name, "str, bytes or a path", given);
        let bytes = os.call_method1("fspath", (given,)).map_err(wrong)?;
        let bytes = os.call_method1("fsencode", (bytes,))?;
        OsString::from_vec(bytes.cast::<PyBytes>()?.as_bytes().to_vec())
    };
    #[cfg(not(unix))]
    let text: OsString = os.call_method1("fspath", (given,))?.extract()?;
    if text.as_encoded_bytes().contains(&0) {
        return Err(error::invalid(format!("{name}: {text:?} holds a NUL, which no command can be given")));
    }
    Ok(text)
}

/// How the caller of `run` wants the streams and the end handled.
pub(crate) struct Wanted<'a, 'py> {
    pub(crate) capture_output: bool,
    pub(crate) text: bool,
    pub(crate) input: Option<&'a Bound<'py, PyAny>>,
    pub(crate) check: bool,
    pub(crate) timeout: Option<&'a Bound<'py, PyAny>>,
}

pub(crate) fn run(
    py: Python<'_>,
    supervisor: &Supervisor,
    profile: Given<'_>,
    spec: &Spec<'_, '_>,
    wanted: &Wanted<'_, '_>,
) -> PyResult<Py<PyFinished>> {
    let limit = argument::limit(wanted.timeout, "timeout")?;
    let mut command = spec.command(supervisor)?;
    if wanted.capture_output {
        command = command.stdout(Output::Capture(CAPTURE_BYTES)).stderr(Output::Capture(CAPTURE_BYTES));
    }
    if let Some(input) = wanted.input {
        command = command.stdin(Input::Bytes(input_bytes(input, wanted.text)?));
    }
    let task = py.detach(|| command.spawn(profile)).map_err(error::raised)?;
    let wait = |limit| wait::until(py, limit, |slice| ended(&task, slice));
    let seen = match wait(limit) {
        Ok(Some(result)) => result,
        Ok(None) => {
            task.cancel(&format!("not done within {:?}", limit.unwrap_or_default()));
            let result = wait(None)?.unwrap_or_else(|| task.wait());
            let done = made(&task, result, spec.args, wanted)?;
            let keywords = PyDict::new(py);
            keywords.set_item("output", done.stdout.bind(py))?;
            keywords.set_item("stderr", done.stderr.bind(py))?;
            let seconds = limit.unwrap_or_default().as_secs_f64();
            let class = py.import("subprocess")?.getattr("TimeoutExpired")?;
            return Err(PyErr::from_value(class.call((spec.args, seconds), Some(&keywords))?));
        }
        Err(raised) => {
            // A second Ctrl-C leaves at once; the supervisor goes on stopping the tree.
            task.cancel("the wait for it was interrupted");
            wait(None)?;
            return Err(raised);
        }
    };
    let finished = Py::new(py, made(&task, seen, spec.args, wanted)?)?;
    if wanted.check {
        finished.get().check_returncode(py)?;
    }
    Ok(finished)
}

/// The end of a command, if it has come within `slice`.
fn ended(task: &ProcessTask, slice: std::time::Duration) -> Option<Result<Finished, Error>> {
    match task.wait_timeout(slice) {
        Err(late) if late.kind() == ErrorKind::TimedOut => None,
        result => Some(result),
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

fn made(
    task: &ProcessTask,
    result: Result<Finished, Error>,
    args: &Bound<'_, PyAny>,
    wanted: &Wanted<'_, '_>,
) -> PyResult<PyFinished> {
    let py = args.py();
    let finished = result.map_err(error::raised)?;
    let stream = |bytes: &[u8]| -> PyResult<Py<PyAny>> {
        if !wanted.capture_output {
            return Ok(py.None());
        }
        let bytes = PyBytes::new(py, bytes).into_any();
        if !wanted.text {
            return Ok(bytes.unbind());
        }
        let text = bytes.call_method1("decode", ("utf-8",))?;
        let text = text.call_method1("replace", ("\r\n", "\n"))?.call_method1("replace", ("\r", "\n"))?;
        Ok(text.unbind())
    };
    Ok(PyFinished {
        args: args.clone().unbind(),
        stdout: stream(&finished.stdout)?,
        stderr: stream(&finished.stderr)?,
        task_id: task.id(),
        notice: task.check().err().map(|notice| error::cancelled(&notice).into_value(py).into_any()),
        finished,
    })
}

/// How a command ended; like `subprocess.CompletedProcess`, with what supervision adds. Immutable.
#[pyclass(frozen, name = "Finished", module = "haltline")]
pub(crate) struct PyFinished {
    finished: Finished,
    /// The command, as it was given.
    #[pyo3(get)]
    args: Py<PyAny>,
    /// What it wrote to standard output, or None if that was not captured.
    #[pyo3(get)]
    stdout: Py<PyAny>,
    /// What it wrote to standard error, or None if that was not captured.
    #[pyo3(get)]
    stderr: Py<PyAny>,
    /// The id of the task.
    #[pyo3(get)]
    task_id: u64,
    notice: Option<Py<PyAny>>,
}

#[pymethods]
impl PyFinished {
    /// Its exit code, or the negative number of the signal that ended it; None if nobody was there to see it.
    #[getter]
    fn returncode(&self) -> Option<i32> {
        self.finished.exit.code.or(self.finished.exit.signal.map(|signal| -signal))
    }

    /// Why it was cancelled, as in `Token.cause`, or None.
    #[getter]
    fn cancelled<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.finished.cancelled.as_ref().map(|c| error::cause(py, c)).transpose()
    }

    /// How the cancellation ended: stopped, killed or still_running; None if it was not cancelled.
    #[getter]
    fn outcome(&self) -> Option<&'static str> {
        self.finished.outcome.map(Outcome::name)
    }

    /// The processes that it had left behind, which were stopped: id and name.
    #[getter]
    fn leftovers(&self) -> Vec<(u32, String)> {
        self.finished.leftovers.clone()
    }

    /// How many bytes of its output were beyond the 64 MiB of each stream that are kept.
    #[getter]
    fn dropped(&self) -> u64 {
        self.finished.dropped
    }

    /// Raises subprocess.CalledProcessError if the command failed or was cancelled; then its cause is a
    /// Cancelled.
    fn check_returncode(&self, py: Python<'_>) -> PyResult<()> {
        let code = self.returncode();
        if code == Some(0) && self.notice.is_none() {
            return Ok(());
        }
        let class = py.import("subprocess")?.getattr("CalledProcessError")?;
        let failed = class.call1((code.unwrap_or(-9), &self.args, &self.stdout, &self.stderr))?;
        let failed = PyErr::from_value(failed);
        failed.set_cause(py, self.notice.as_ref().map(|n| PyErr::from_value(n.bind(py).clone())));
        Err(failed)
    }

    /// For annotations: `Finished[int]`.
    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyGenericAlias>> {
        PyGenericAlias::new(cls.py(), cls.as_any(), item)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let code = self.returncode().map_or("unknown".to_owned(), |c| c.to_string());
        Ok(format!("<haltline.Finished {} returncode={code}>", self.args.bind(py).repr()?))
    }
}

pub(crate) fn popen(
    py: Python<'_>,
    supervisor: &Supervisor,
    profile: Given<'_>,
    spec: &Spec<'_, '_>,
    streams: [Option<i32>; 3],
) -> PyResult<Py<PyProcessTask>> {
    let [stdin, stdout, stderr] = streams;
    let input = match stdin {
        None => Input::Inherit,
        Some(PIPE) => Input::Piped,
        Some(DEVNULL) => Input::Null,
        Some(other) => return Err(no_stream("stdin", other)),
    };
    let output = |name, wanted| match wanted {
        None => Ok(Output::Inherit),
        Some(PIPE) => Ok(Output::Piped),
        Some(DEVNULL) => Ok(Output::Null),
        Some(other) => Err(no_stream(name, other)),
    };
    let command = spec.command(supervisor)?;
    let command = command.stdin(input).stdout(output("stdout", stdout)?).stderr(output("stderr", stderr)?);
    let task = py.detach(|| command.spawn(profile)).map_err(error::raised)?;
    let base = PyToken { token: task.token().clone() };
    let open = |file: Option<File>, mode| file.map(|f| opened(py, f, mode)).transpose();
    let process = PyProcessTask {
        stdin: open(task.take_stdin(), "wb")?,
        stdout: open(task.take_stdout(), "rb")?,
        stderr: open(task.take_stderr(), "rb")?,
        args: spec.args.clone().unbind(),
        end: Mutex::new(None),
        task,
    };
    Py::new(py, PyClassInitializer::from(base).add_subclass(process))
}

fn no_stream(name: &str, given: i32) -> PyErr {
    error::invalid(format!("{name}: {given} is no stream; give None, subprocess.PIPE or subprocess.DEVNULL"))
}

/// A file object of Python around a pipe's end.
fn opened(py: Python<'_>, file: File, mode: &str) -> PyResult<Py<PyAny>> {
    #[cfg(unix)]
    {
        use std::os::fd::{AsRawFd, IntoRawFd};
        let opened = py.import("io")?.call_method1("open", (file.as_raw_fd(), mode))?;
        // The object owns it now.
        let _ = file.into_raw_fd();
        Ok(opened.unbind())
    }
    #[cfg(not(unix))]
    {
        let _ = (py, file, mode);
        Err(error::raised(Error::new(ErrorKind::Unsupported, "pipes of commands are not implemented here")))
    }
}

/// A command that runs as a task, its whole process tree supervised. Dropping it leaves the command running,
/// supervised.
#[pyclass(frozen, extends = PyToken, name = "ProcessTask", module = "haltline")]
pub(crate) struct PyProcessTask {
    task: ProcessTask,
    end: Mutex<Option<Py<PyFinished>>>,
    args: Py<PyAny>,
    /// The binary file to write its standard input to, where that is a pipe.
    #[pyo3(get)]
    stdin: Option<Py<PyAny>>,
    /// The binary file to read its standard output from, where that is a pipe.
    #[pyo3(get)]
    stdout: Option<Py<PyAny>>,
    /// The binary file to read its standard error from, where that is a pipe.
    #[pyo3(get)]
    stderr: Option<Py<PyAny>>,
}

#[pymethods]
impl PyProcessTask {
    /// The process id of the command itself.
    #[getter]
    fn pid(&self) -> u32 {
        self.task.pid()
    }

    /// The ids of all its processes at the last look.
    #[getter]
    fn pids(&self, py: Python<'_>) -> Vec<u32> {
        py.detach(|| self.task.pids())
    }

    /// Sends a signal to the command itself, not to its tree. Use `cancel` to stop the tree.
    fn signal(&self, py: Python<'_>, signal: i32) {
        py.detach(|| self.task.signal(signal));
    }

    /// Waits until the whole tree is gone; if it is cancelled, until the stop was verified or found to have
    /// failed.
    ///
    /// Raises TimedOutError after `timeout` seconds; the command goes on. Ctrl-C works.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyFinished>> {
        let limit = argument::limit(timeout, "timeout")?;
        let Some(result) = wait::until(py, limit, |slice| ended(&self.task, slice))? else {
            let late =
                format!("task {} {:?} has not ended in time; it goes on", self.task.id(), self.task.name());
            return Err(error::raised(Error::new(ErrorKind::TimedOut, late)));
        };
        let wanted = Wanted { capture_output: false, text: false, input: None, check: false, timeout: None };
        let made = Py::new(py, made(&self.task, result, self.args.bind(py), &wanted)?)?;
        Ok(self.end.lock().get_or_insert(made).clone_ref(py))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFinished>()?;
    module.add_class::<PyProcessTask>()?;
    module.add("PIPE", PIPE)?;
    module.add("DEVNULL", DEVNULL)
}
