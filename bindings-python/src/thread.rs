//! Threads that run as tasks.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};

use haltline::supervisor::{HostThread, Outcome, Supervisor, become_errand};
use haltline::{Error, ErrorKind};
use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyGenericAlias, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::exit::Inside;
use crate::profile::Given;
use crate::task::PyToken;
use crate::{argument, entered, error, exit, wait};

/// A thread that runs as a task. It can be asked to leave and not be forced: it must poll its task.
///
/// It is a daemon thread of `threading`. Dropping this leaves it running, supervised. When the interpreter
/// ends, such threads are cancelled and waited for up to two seconds.
#[pyclass(frozen, extends = PyToken, name = "ThreadTask", module = "haltline")]
pub(crate) struct PyThreadTask {
    end: Arc<End>,
}

/// What the target returned, or the `Failure` that holds what it raised, once it did.
#[derive(Default)]
struct End(Mutex<Option<Result<Py<PyAny>, Py<PyAny>>>>);

/// What a thread tells of itself: Python's own code calls it first and last.
#[pyclass(frozen, name = "_Job", module = "haltline._haltline")]
struct Job(Mutex<Option<Held>>);

/// Given up at the end. The traceback of what the target raised refers to the job, and so must not lead
/// further.
struct Held {
    task: Py<PyToken>,
    end: Arc<End>,
    thread: HostThread,
    inside: Inside,
}

#[pymethods]
impl Job {
    fn begin(&self, py: Python<'_>) {
        if let Some(held) = &*self.0.lock() {
            entered::enter_thread(held.task.bind(py));
            held.thread.began();
        }
    }

    fn end(&self, py: Python<'_>, result: Py<PyAny>, failure: Option<Py<PyAny>>) {
        let Some(held) = self.0.lock().take() else { return };
        entered::leave(held.task.bind(py));
        *held.end.0.lock() = Some(failure.map_or(Ok(result), Err));
        // The task finishes, and only then may the interpreter end.
        drop(held.thread);
        drop(held.inside);
    }
}

impl PyThreadTask {
    pub(crate) fn start(
        py: Python<'_>,
        supervisor: &Supervisor,
        name: String,
        profile: Given<'_>,
        target: &Bound<'_, PyAny>,
        args: Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyThreadTask>> {
        let inside = exit::enter().ok_or_else(|| {
            error::raised(Error::new(
                ErrorKind::ShutDown,
                "no thread is started: the interpreter has begun to end",
            ))
        })?;
        let thread = supervisor.host_thread(name, profile).map_err(error::raised)?;
        let token = thread.token().clone();
        let name = token.name().to_owned();
        let end = Arc::new(End::default());
        let made =
            PyClassInitializer::from(PyToken { token }).add_subclass(PyThreadTask { end: end.clone() });
        let made = Bound::new(py, made)?;
        let task = made.clone();
        let job = Job(Mutex::new(Some(Held { task: made.as_super().clone().unbind(), end, thread, inside })));
        // Python's own thread: when the interpreter ends it stops threads where they stand, which frames of
        // another language below the running code would not survive.
        let kwargs = kwargs.map_or_else(|| PyDict::new(py), Bound::clone);
        let started =
            py.import("haltline._thread")?.call_method1("start", (job, task, name, target, args, kwargs));
        started.map_err(|raised| {
            // Ctrl-C while this thread waits for the other to begin is no failure of it.
            if raised.is_instance_of::<PyException>(py) {
                error::raised(Error::new(ErrorKind::SpawnFailed, format!("starting a thread: {raised}")))
            } else {
                raised
            }
        })?;
        Ok(made.unbind())
    }
}

/// Calls a handler on a thread of Python's own and waits for it, so that handlers keep their order. Where no thread
/// can be had, it waits for one. Called without the interpreter lock.
pub(crate) fn call_handler(handler: Py<PyAny>, outcome: Outcome) {
    let mut waiting = Some(handler);
    while let Some(handler) = waiting.take() {
        // After the end of the interpreter the handler is forgotten: there is nothing to give it back to.
        let Some(inside) = exit::enter() else { return std::mem::forget(handler) };
        let (done, ended) = mpsc::sync_channel::<()>(1);
        waiting = Python::try_attach(move |py| begin_handler(py, handler, outcome, done)).flatten();
        if waiting.is_none() {
            // Disconnected without a word if it is not called at all.
            let _ = ended.recv();
        }
        drop(inside);
        if waiting.is_some() {
            exit::before_retry();
        }
    }
}

/// Starts the thread of a handler. Gives the handler back if there is no thread to be had.
fn begin_handler(
    py: Python<'_>,
    handler: Py<PyAny>,
    outcome: Outcome,
    done: SyncSender<()>,
) -> Option<Py<PyAny>> {
    let start = || -> PyResult<bool> {
        let done = PyCFunction::new_closure(
            py,
            None,
            None,
            move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                // Nobody listens any more only if the process is at its end.
                let _ = done.try_send(());
            },
        )?;
        py.import("haltline._thread")?.call_method1("handle", (&handler, outcome.name(), done))?.extract()
    };
    match start() {
        Ok(true) => None,
        Ok(false) => Some(handler),
        Err(raised) => {
            raised.write_unraisable(py, Some(handler.bind(py)));
            None
        }
    }
}

#[pymethods]
impl PyThreadTask {
    /// Waits for the thread's end and returns what its target returned, or raises what it raised, Cancelled
    /// included. What a target raised and nobody joined for goes to `threading.excepthook` once nothing refers
    /// to the task any more, at the latest when the interpreter ends; Cancelled does not.
    ///
    /// Raises TimedOutError after `timeout` seconds; the thread goes on. Ctrl-C works.
    #[pyo3(signature = (timeout = None))]
    fn join(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let limit = argument::limit(timeout, "timeout")?;
        let token = &slf.as_super().get().token;
        if wait::until(py, limit, |slice| token.wait_finished(slice).then_some(()))?.is_none() {
            let late = format!("task {} {:?} has not ended in time; it goes on", token.id(), token.name());
            return Err(error::raised(Error::new(ErrorKind::TimedOut, late)));
        }
        // Copied first: the lock is not held while Python code runs.
        let end = match &*slf.get().end.0.lock() {
            Some(Ok(value)) => Ok(value.clone_ref(py)),
            Some(Err(failure)) => Err(failure.clone_ref(py)),
            None => return Err(PyRuntimeError::new_err("the thread has no result")),
        };
        end.map_err(|failure| {
            let failure = failure.bind(py);
            let raised = failure.setattr("seen", true).and_then(|()| failure.getattr("raised"));
            raised.map_or_else(|e| e, PyErr::from_value)
        })
    }

    /// For annotations: `ThreadTask[int]`.
    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyGenericAlias>> {
        PyGenericAlias::new(cls.py(), cls.as_any(), item)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Nobody holds it without the interpreter lock, so it is free while the collector runs.
        match self.end.0.try_lock().as_deref() {
            Some(Some(Ok(held) | Err(held))) => visit.call(held),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        let end = self.end.0.lock().take();
        drop(end);
    }
}

/// Says that this thread runs a handler or a stopper, so that a shutdown which that calls does not wait for it.
#[pyfunction]
fn _become_errand() {
    become_errand();
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_become_errand, module)?)?;
    module.add_class::<PyThreadTask>()
}
