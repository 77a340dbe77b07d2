//! Work that the host runs itself and stops through an object of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use haltline::supervisor::{CustomTask, Stopper, Supervisor};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::profile::Given;
use crate::task::{self, PyToken};
use crate::{error, exit};

/// What calls the host's object; empty once nothing more will be asked of it.
///
/// The garbage collector does not look in here. It would take apart an object that only its own task refers to, and
/// the core may have to ask that object at any moment to stop the work.
#[derive(Default)]
struct Slot(Mutex<Option<Py<PyAny>>>);

impl Slot {
    /// Lets go of the host's object. Needs the interpreter lock, as it may be the last reference.
    fn release(&self) {
        let held = self.0.lock().take();
        drop(held);
    }
}

/// Calls a host's object on a thread of Python's own, one call at a time.
struct HostStopper(Arc<Slot>);

impl HostStopper {
    /// Called without the interpreter lock. Where no thread can be had, it waits for one. Nothing is called once the
    /// interpreter has begun to end.
    fn call(&self, method: &'static str) -> bool {
        let Some(inside) = exit::enter() else { return false };
        let (answer, answered) = mpsc::sync_channel::<bool>(1);
        let slot = self.0.clone();
        let mut served = self.with_server(move |server| {
            let done = PyCFunction::new_closure(
                server.py(),
                None,
                None,
                move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
                    let yes = args.get_item(0)?.extract()?;
                    if yes && method == "is_gone" {
                        slot.release();
                    }
                    // Nobody listens any more only if the process is at its end.
                    let _ = answer.try_send(yes);
                    Ok(())
                },
            )?;
            server.call_method1("call", (method, done))?.extract()
        });
        while served == Some(false) && exit::before_retry() {
            served = self.with_server(|server| server.call_method1("retry", (method,))?.extract());
        }
        let answer = served == Some(true) && answered.recv().unwrap_or(false);
        drop(inside);
        answer
    }

    /// What `ask` returns; `None` if the task or the interpreter has ended.
    fn with_server(&self, ask: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<bool>) -> Option<bool> {
        Python::try_attach(|py| {
            let server = self.0.0.lock().as_ref().map(|server| server.clone_ref(py))?;
            let server = server.bind(py);
            ask(server).map_err(|raised| raised.write_unraisable(py, Some(server))).ok()
        })
        .flatten()
    }
}

impl Stopper for HostStopper {
    fn request(&self) {
        self.call("request");
    }

    fn force(&self) -> bool {
        self.call("force")
    }

    fn is_gone(&self) -> bool {
        self.call("is_gone")
    }
}

/// Work that the host runs itself and stops through its own stopper: `with supervisor.start_with(...) as task:`
///
/// It runs from `start_with` until the end of the `with` block, `finish`, until the stopper says that it is
/// gone, or until nothing refers to it. haltline holds the stopper until then: one that refers to the task keeps
/// it running. Once it was asked to stop, an exception that leaves the block, or the last reference that goes,
/// says nothing about the work: then only the stopper says that it is gone. The block does not make it the
/// current task of its thread. Once it was finished it cannot be entered (UnknownTaskError), nor twice
/// (InvalidArgumentError).
#[pyclass(frozen, extends = PyToken, name = "CustomTask", module = "haltline")]
pub(crate) struct PyCustomTask {
    task: Mutex<Option<CustomTask>>,
    stopper: Arc<Slot>,
    entered: AtomicBool,
}

impl PyCustomTask {
    pub(crate) fn start(
        py: Python<'_>,
        supervisor: &Supervisor,
        name: &str,
        profile: Given<'_>,
        stopper: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyCustomTask>> {
        let server = py.import("haltline._stopper")?.getattr("Server")?.call1((stopper,))?;
        let slot = Arc::new(Slot(Mutex::new(Some(server.unbind()))));
        let task = supervisor
            .start_with(name.to_owned(), profile, Arc::new(HostStopper(slot.clone())))
            .map_err(error::raised)?;
        let base = PyToken { token: task.token().clone() };
        let task =
            PyCustomTask { task: Mutex::new(Some(task)), stopper: slot, entered: AtomicBool::new(false) };
        Py::new(py, PyClassInitializer::from(base).add_subclass(task))
    }

    fn end(&self) -> bool {
        let task = self.task.lock().take();
        let by_itself = task.is_some_and(CustomTask::finish);
        self.stopper.release();
        by_itself
    }

    /// Ends the task without a word about its work.
    fn let_go(&self) {
        let Some(task) = self.task.lock().take() else { return };
        let token = task.token().clone();
        drop(task);
        // Nothing is asked of the stopper of a task that ended by itself. Another's is needed until its work is gone.
        if !token.is_cancelled() {
            self.stopper.release();
        }
    }
}

#[pymethods]
impl PyCustomTask {
    /// Ends the task: the host says that the work is gone. Returns whether it ended by itself, that is, without
    /// having been asked to stop. Only the first call counts.
    fn finish(&self) -> bool {
        self.end()
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        // One that was cancelled meanwhile is entered, so that its checks tell of it.
        if slf.get().task.lock().is_none() {
            return Err(task::finished(&slf.as_super().get().token));
        }
        if slf.get().entered.swap(true, Ordering::Relaxed) {
            return Err(task::entered_already(&slf.as_super().get().token));
        }
        Ok(slf)
    }

    fn __exit__(&self, kind: &Bound<'_, PyAny>, _raised: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        if kind.is_none() {
            self.end();
        } else {
            self.let_go();
        }
    }
}

/// A token of the task that lives longer does not keep the host's object.
impl Drop for PyCustomTask {
    fn drop(&mut self) {
        self.let_go();
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyCustomTask>()
}
