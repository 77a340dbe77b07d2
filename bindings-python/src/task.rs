//! Tokens, and sections of code that run as tasks.

use std::sync::atomic::{AtomicBool, Ordering};

use haltline::supervisor::{Outcome, Task, Token};
use haltline::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::coroutine::Coroutine;
use crate::profile::{Given, PyProfile};
use crate::{argument, entered, error, thread, wait};

/// What a program holds of a task.
///
/// Usable from any thread, and valid after the task and its supervisor are gone.
#[pyclass(frozen, subclass, name = "Token", module = "haltline")]
pub(crate) struct PyToken {
    pub(crate) token: Token,
}

#[pymethods]
impl PyToken {
    /// The id of the task.
    #[getter]
    fn id(&self) -> u64 {
        self.token.id()
    }

    /// The name that the task was started with.
    #[getter]
    fn name(&self) -> &str {
        self.token.name()
    }

    /// The profile that the task is under: the one it started with, until `replace_profile`.
    #[getter]
    fn profile(&self) -> PyProfile {
        PyProfile(self.token.profile())
    }

    /// Puts the running task under another profile: a Profile or the name of one.
    ///
    /// From now on its limits hold and those of the profile before do not. `max_duration` counts from the task's
    /// start, so one that has passed breaches at once; time for which a limit has been broken counts on where the
    /// bound is the same and anew where it changed.
    ///
    /// Raises UnknownProfileError, LimitRefusedError if the profile has a limit that cannot be enforced for this
    /// task (`task.max_output_mib` too, if it started without one), or UnknownTaskError if it has finished or was
    /// cancelled. Nothing has changed then.
    fn replace_profile(&self, py: Python<'_>, profile: &Bound<'_, PyAny>) -> PyResult<()> {
        let given = Given::of(profile)?;
        py.detach(|| self.token.replace_profile(given)).map_err(error::raised)
    }

    /// Whether the task was asked to stop. Never goes back to false.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Whether the task has left.
    #[getter]
    fn is_finished(&self) -> bool {
        self.token.is_finished()
    }

    /// Raises Cancelled once the task was asked to stop. For the body of a loop.
    fn check(&self) -> PyResult<()> {
        match self.token.check() {
            Ok(()) => Ok(()),
            Err(notice) => Err(error::cancelled(&notice)),
        }
    }

    /// Reports progress, which `task.max_idle` counts from, and checks.
    ///
    /// Raises Cancelled as `check` does.
    fn progress(&self) -> PyResult<()> {
        self.token.progress().map_err(|notice| error::cancelled(&notice))
    }

    /// Sleeps for `seconds`, and wakes at once when the task is asked to stop.
    ///
    /// Raises Cancelled as `check` does. Other threads run meanwhile, and Ctrl-C works.
    fn sleep(&self, py: Python<'_>, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        let time = argument::time(seconds, "seconds")?;
        match wait::until(py, Some(time), |slice| self.token.sleep(slice).err())? {
            Some(notice) => Err(error::cancelled(&notice)),
            None => Ok(()),
        }
    }

    /// Why the task was cancelled, or None: `kind` is breach, asked, shutdown, guardian_killed or leftovers, and `message` is a sentence.
    #[getter]
    fn cause<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.token.cause().map(|c| error::cause(py, &c)).transpose()
    }

    /// Asks the task to stop. Returns whether this call cancelled it: False if it was cancelled before or has
    /// finished.
    ///
    /// The stop is verified in the background; see `wait_outcome`.
    #[pyo3(signature = (reason = "asked by the host"))]
    fn cancel(&self, py: Python<'_>, #[pyo3(from_py_with = argument::reason)] reason: &str) -> bool {
        py.detach(|| self.token.cancel(reason))
    }

    /// Like `cancel` without a grace: force follows the request at once. If the task is being cancelled already,
    /// that ends its grace. Force exists for commands and for a stopper that has it, not for sections and
    /// threads.
    ///
    /// Returns whether this call cancelled it, as `cancel` does.
    #[pyo3(signature = (reason = "asked by the host"))]
    fn kill(&self, py: Python<'_>, #[pyo3(from_py_with = argument::reason)] reason: &str) -> bool {
        py.detach(|| self.token.kill(reason))
    }

    /// Calls `handler(outcome)` once if the task is cancelled, after its stop was verified; never if it ends
    /// by itself.
    ///
    /// `outcome` is stopped, killed or still_running. Handlers run in the order they were added, each on a
    /// thread of its own; what one raises goes to `threading.excepthook`. If the outcome is known already the
    /// handler is called now, by this call. haltline holds the handler until the task has ended; one that refers
    /// to the task, as a method of the task's owner may, keeps the task running until its `with` block or `finish`
    /// ends it. Where the system has no thread left, handlers wait for one. No handler is called once the interpreter has begun to end.
    fn on_cancel(&self, py: Python<'_>, handler: &Bound<'_, PyAny>) -> PyResult<()> {
        if !handler.is_callable() {
            return Err(error::wrong_type("handler", "a callable that takes the outcome", handler));
        }
        if let Some(outcome) = self.token.outcome() {
            return handler.call1((outcome.name(),)).map(drop);
        }
        // Loaded now: at the moment of the cancellation it might fail, and there would be nobody to tell.
        py.import("haltline._thread")?;
        let kept = handler.clone().unbind();
        // Should the outcome come at this very moment, the handler runs before this returns, and needs the
        // lock.
        py.detach(|| self.token.on_cancel(move |outcome| thread::call_handler(kept, outcome)));
        Ok(())
    }

    /// How the cancellation ended, once that is known: stopped, killed or still_running.
    #[getter]
    fn outcome(&self) -> Option<&'static str> {
        self.token.outcome().map(Outcome::name)
    }

    /// Waits until the outcome of the cancellation is known, and returns it.
    ///
    /// None if the task ended without a cancellation, or `timeout` seconds are over. Ctrl-C works.
    #[pyo3(signature = (timeout = None))]
    fn wait_outcome(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<&'static str>> {
        let limit = argument::limit(timeout, "timeout")?;
        let seen = wait::until(py, limit, |slice| match self.token.wait_outcome(slice) {
            Some(outcome) => Some(Some(outcome)),
            None if self.token.is_finished() && !self.token.is_cancelled() => Some(None),
            None => None,
        })?;
        Ok(seen.flatten().map(Outcome::name))
    }

    /// Waits until the task has left. Returns whether it has: False after `timeout` seconds. Ctrl-C works.
    #[pyo3(signature = (timeout = None))]
    fn wait_finished(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let limit = argument::limit(timeout, "timeout")?;
        let left = |slice| self.token.wait_finished(slice).then_some(());
        Ok(wait::until(py, limit, left)?.is_some())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let token = &slf.get().token;
        let state = match (token.is_finished(), token.is_cancelled()) {
            (true, _) => "finished",
            (false, true) => "cancelling",
            (false, false) => "running",
        };
        Ok(format!("<haltline.{} {} {:?} {state}>", slf.get_type().name()?, token.id(), token.name()))
    }
}

/// A section of code on one thread that runs as a task: `with supervisor.start("farm", "attack") as task:`
///
/// It runs from `start` until the end of the `with` block, `finish`, or until nothing refers to it. Once finished it
/// cannot be entered (UnknownTaskError), nor twice at once (InvalidArgumentError): what ran there would not be
/// supervised. The section must poll (`check`, `progress`, `sleep`): nothing can force it. Cancelled leaves the block like
/// any exception; catch it outside. The processor time of the thread that started it is what the task is
/// charged with. What runs in a nested section counts towards the limits of the outer one too. A limit of the host
/// blames the innermost one that still runs and whose own bound is broken; what sections used that have ended stays
/// with the one around them. While sections of several asyncio tasks are open on the thread, what each of them uses is
/// unknown; see `Supervisor.start`.
#[pyclass(frozen, extends = PyToken, name = "Task", module = "haltline")]
pub(crate) struct PyTask {
    guard: Guard,
    coroutine: Coroutine,
    entered: AtomicBool,
}

/// The core ties a section to its thread because its processor time is charged there. No memory depends on
/// it.
struct Guard(Task);

// SAFETY: a `Task` is a token, which may be shared and sent, and a marker without data. Ending it on another
// thread only marks the shared record.
unsafe impl Send for Guard {}
// SAFETY: as above; every method of it takes `&self` and works on the shared record.
unsafe impl Sync for Guard {}

impl PyTask {
    #[inline]
    pub(crate) fn create(py: Python<'_>, task: Task, coroutine: Coroutine) -> PyResult<Py<PyTask>> {
        let base = PyToken { token: task.token().clone() };
        let task = PyTask { guard: Guard(task), coroutine, entered: AtomicBool::new(false) };
        Py::new(py, PyClassInitializer::from(base).add_subclass(task))
    }
}

#[pymethods]
impl PyTask {
    /// Ends the task. Returns whether it ended by itself, that is, without having been asked to stop.
    fn finish(&self) -> bool {
        self.guard.0.end()
    }

    #[inline]
    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let (task, token) = (slf.get(), &slf.as_super().get().token);
        if token.is_finished() {
            return Err(finished(token));
        }
        if task.entered.swap(true, Ordering::Relaxed) {
            return Err(entered_already(token));
        }
        entered::enter(slf.as_super(), task.coroutine.number != 0)?;
        Ok(slf)
    }

    #[inline]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _kind: &Bound<'_, PyAny>,
        _raised: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
        entered::leave(slf.as_super());
        slf.get().guard.0.end();
    }
}

/// What a finished task answers whoever enters it.
#[cold]
pub(crate) fn finished(token: &Token) -> PyErr {
    let what = format!("task {:?} has finished; start another one", token.name());
    error::raised(Error::new(ErrorKind::UnknownTask, what))
}

/// What an entered task answers whoever enters it: the inner block would end it for the outer one.
#[cold]
pub(crate) fn entered_already(token: &Token) -> PyErr {
    error::invalid(format!(
        "task {:?} is entered already; start another one for what is inside",
        token.name()
    ))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyToken>()?;
    module.add_class::<PyTask>()
}
