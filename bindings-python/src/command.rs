//! Commands that run as tasks, in the manner of `subprocess`.

use std::ffi::OsString;
use std::fs::File;
use std::time::Duration;

use haltline::supervisor::{Command, Finished, Output, ProcessTask, Supervisor};
use haltline::{Error, ErrorKind};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString};

use crate::finished::{PyFinished, Shown, returncode};
use crate::profile::Given;
use crate::stream::{DEVNULL, PIPE, STDOUT, Streams};
use crate::task::PyToken;
use crate::{argument, error, wait};

/// How long the last output of a command that has ended may take to be read after a timeout.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(2);

/// What `run` and `popen` are given about the command.
pub(crate) struct Spec<'a, 'py> {
    pub(crate) args: &'a Bound<'py, PyAny>,
    pub(crate) name: Option<&'a Bound<'py, PyAny>>,
    pub(crate) cwd: Option<&'a Bound<'py, PyAny>>,
    pub(crate) env: Option<&'a Bound<'py, PyMapping>>,
    pub(crate) streams: Streams<'a, 'py>,
    pub(crate) own_group: bool,
    pub(crate) keep_leftovers: bool,
    pub(crate) without_cgroup: bool,
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
            command = command.name(argument::text(name, "name")?.to_owned());
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
        if self.own_group {
            command = command.own_group();
        }
        if self.keep_leftovers {
            command = command.keep_leftovers();
        }
        if self.without_cgroup {
            command = command.without_cgroup();
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
    let (stdin, stdout, stderr) =
        spec.streams.foreground(wanted.capture_output, wanted.input, wanted.text)?;
    let kept = [&stdout, &stderr].map(|output| matches!(output, Output::Capture(_)));
    let shown = Shown { kept, text: wanted.text };
    let command = spec.command(supervisor)?.stdin(stdin).stdout(stdout).stderr(stderr);
    let task = py.detach(|| command.spawn(profile)).map_err(error::raised)?;
    let wait = |limit| wait::until(py, limit, |slice| ended(&task, slice));
    let seen = match wait(limit) {
        Ok(Some(result)) => result,
        Ok(None) => {
            task.cancel(&format!("not done within {:?}", limit.unwrap_or_default()));
            // A command that has ended cannot be cancelled; only its output, none of it captured, is under way.
            let keywords = PyDict::new(py);
            if let Some(result) = wait((!task.is_cancelled()).then_some(OUTPUT_PATIENCE))? {
                let done = PyFinished::made(&task, result, spec.args, shown)?;
                keywords.set_item("output", done.stdout(py))?;
                keywords.set_item("stderr", done.stderr(py))?;
            }
            let seconds = limit.unwrap_or_default().as_secs_f64();
            let class = py.import("subprocess")?.getattr("TimeoutExpired")?;
            return Err(PyErr::from_value(class.call((spec.args, seconds), Some(&keywords))?));
        }
        Err(raised) => {
            // A second Ctrl-C leaves at once; the supervisor goes on stopping the tree.
            task.cancel("the wait for it was interrupted");
            wait((!task.is_cancelled()).then_some(OUTPUT_PATIENCE))?;
            return Err(raised);
        }
    };
    let finished = Py::new(py, PyFinished::made(&task, seen, spec.args, shown)?)?;
    if wanted.check {
        finished.get().check_returncode(py)?;
    }
    Ok(finished)
}

/// The end of a command, if it has come within `slice`.
fn ended(task: &ProcessTask, slice: Duration) -> Option<Result<Finished, Error>> {
    match task.wait_timeout(slice) {
        Err(late) if late.kind() == ErrorKind::TimedOut => None,
        result => Some(result),
    }
}

pub(crate) fn popen(
    py: Python<'_>,
    supervisor: &Supervisor,
    profile: Given<'_>,
    spec: &Spec<'_, '_>,
) -> PyResult<Py<PyProcessTask>> {
    let (stdin, stdout, stderr) = spec.streams.background()?;
    let command = spec.command(supervisor)?.stdin(stdin).stdout(stdout).stderr(stderr);
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

    /// The process id of its guardian, which is no part of the tree.
    #[getter]
    fn guardian_pid(&self) -> u32 {
        self.task.guardian_pid()
    }

    /// The exit code of the command itself, or the negative number of the signal that ended it; None while it
    /// runs. Its tree may live on.
    #[getter]
    fn returncode(&self, py: Python<'_>) -> Option<i32> {
        py.detach(|| self.task.exit()).as_ref().and_then(returncode)
    }

    /// The ids of all its processes at the last look.
    #[getter]
    fn pids(&self, py: Python<'_>) -> Vec<u32> {
        py.detach(|| self.task.pids())
    }

    /// Sends a signal to the command itself, not to its tree. Use `cancel` or `kill` to stop the tree.
    ///
    /// Raises InvalidArgumentError if the number is no signal's, and IoError if the signal could not be sent, as when
    /// more were sent before it than the guardian has taken. Nothing is sent if the command has ended.
    fn signal(&self, py: Python<'_>, signal: &Bound<'_, PyAny>) -> PyResult<()> {
        let signal = argument::count(signal, "signal")?;
        py.detach(|| self.task.signal(signal)).map_err(error::raised)
    }

    /// Waits until the whole tree is gone; if it is cancelled, until the stop was verified or found to have
    /// failed. Output that a limit counts is waited for too: that of a tree that was stopped for two seconds,
    /// that of one that ended by itself until somebody has read it.
    ///
    /// Raises TimedOutError after `timeout` seconds; the command goes on, or its output waits. Ctrl-C works.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyFinished>> {
        let limit = argument::limit(timeout, "timeout")?;
        let Some(result) = wait::until(py, limit, |slice| ended(&self.task, slice))? else {
            let state = if self.task.is_finished() {
                "has ended, but not all its output was read in time"
            } else {
                "has not ended in time; it goes on"
            };
            let late = format!("task {} {:?} {state}", self.task.id(), self.task.name());
            return Err(error::raised(Error::new(ErrorKind::TimedOut, late)));
        };
        let made = PyFinished::made(&self.task, result, self.args.bind(py), Shown::NOTHING)?;
        let made = Py::new(py, made)?;
        Ok(self.end.lock().get_or_insert(made).clone_ref(py))
    }

    /// Waits until nothing of the task is left on the machine, not even its guardian, which leaves a moment
    /// after the tree. Returns False after `timeout` seconds. For a host that ends right after its task.
    #[pyo3(signature = (timeout = None))]
    fn wait_cleared(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let limit = argument::limit(timeout, "timeout")?;
        let cleared = |slice| self.task.wait_cleared(slice).then_some(());
        Ok(wait::until(py, limit, cleared)?.is_some())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyProcessTask>()?;
    module.add("PIPE", PIPE)?;
    module.add("STDOUT", STDOUT)?;
    module.add("DEVNULL", DEVNULL)
}
