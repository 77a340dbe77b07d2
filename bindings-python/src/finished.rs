//! How a command ended.

use haltline::Error;
use haltline::supervisor::{Exit, Finished, Outcome, ProcessTask};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyGenericAlias, PyType};

use crate::error;

/// What of a finished command its caller wants to see.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    /// Whether standard output and standard error were kept.
    pub(crate) kept: [bool; 2],
    /// Whether they are decoded.
    pub(crate) text: bool,
}

impl Shown {
    pub(crate) const NOTHING: Shown = Shown { kept: [false; 2], text: false };
}

/// The exit code, or the negative number of the signal.
pub(crate) fn returncode(exit: &Exit) -> Option<i32> {
    exit.code.or(exit.signal.map(|signal| -signal))
}

impl PyFinished {
    pub(crate) fn made(
        task: &ProcessTask,
        result: Result<Finished, Error>,
        args: &Bound<'_, PyAny>,
        shown: Shown,
    ) -> PyResult<PyFinished> {
        let py = args.py();
        let finished = result.map_err(error::raised)?;
        let stream = |n: usize, bytes: &[u8]| -> PyResult<Py<PyAny>> {
            if !shown.kept.get(n).is_some_and(|kept| *kept) {
                return Ok(py.None());
            }
            let bytes = PyBytes::new(py, bytes).into_any();
            if !shown.text {
                return Ok(bytes.unbind());
            }
            let text = bytes.call_method1("decode", ("utf-8",))?;
            let text = text.call_method1("replace", ("\r\n", "\n"))?.call_method1("replace", ("\r", "\n"))?;
            Ok(text.unbind())
        };
        Ok(PyFinished {
            args: args.clone().unbind(),
            stdout: stream(0, &finished.stdout)?,
            stderr: stream(1, &finished.stderr)?,
            task_id: task.id(),
            notice: task.check().err().map(|notice| error::cancelled(&notice).into_value(py).into_any()),
            finished,
        })
    }

    pub(crate) fn stdout<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        self.stdout.bind(py)
    }

    pub(crate) fn stderr<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        self.stderr.bind(py)
    }
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
        returncode(&self.finished.exit)
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

    /// The processor seconds that the command itself used, with those of its children that it waited for.
    #[getter]
    fn cpu_seconds(&self) -> f64 {
        self.finished.exit.cpu_time.as_secs_f64()
    }

    /// The most resident memory that the command itself had, in bytes.
    #[getter]
    fn max_rss_bytes(&self) -> u64 {
        self.finished.exit.max_rss_bytes
    }

    /// How many bytes of its output are lost: beyond the 64 MiB of each stream that are kept, or not passed on.
    #[getter]
    fn dropped(&self) -> u64 {
        self.finished.dropped
    }

    /// Why output could not be passed on, where a limit counts it, or None: its destination failed, or nobody read
    /// it in the two seconds after a tree that was stopped had gone. A reader that left is no error.
    #[getter]
    fn output_error(&self) -> Option<&str> {
        self.finished.output_error.as_deref()
    }

    /// Raises subprocess.CalledProcessError if the command failed or was cancelled; then its cause is a
    /// Cancelled.
    pub(crate) fn check_returncode(&self, py: Python<'_>) -> PyResult<()> {
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

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFinished>()
}
