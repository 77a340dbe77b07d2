//! Handlers of `on_cancel`, where the garbage collector sees them.
//!
//! The core holds a handler until its task has ended. If the task ends with its handle, the handle is the one owner
//! of the handlers in the eyes of the collector, so that handlers that alone refer to the handle do not keep it.
//! A running thread or command needs no handle, and so its handlers are the core's.

use std::sync::Arc;

use haltline::supervisor::Token;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::exit;

/// A handler that has not been called. The one reference to it.
///
/// Looked at and changed under the interpreter lock only: the collector looks twice, and takes a reference that was
/// moved in between for garbage.
type Slot = Arc<Mutex<Option<Py<PyAny>>>>;

/// What the core holds of a handler.
pub(crate) struct Kept(Slot);

impl Kept {
    pub(crate) fn new(handler: Py<PyAny>) -> Self {
        Kept(Arc::new(Mutex::new(Some(handler))))
    }

    /// The handler, which is there once.
    pub(crate) fn take(&self, _: Python<'_>) -> Option<Py<PyAny>> {
        self.0.lock().take()
    }
}

/// The core drops what it will not call, on a thread that may run host code.
impl Drop for Kept {
    fn drop(&mut self) {
        // The handle lets go of it with the last reference if the interpreter has begun to end.
        let Some(inside) = exit::enter() else { return };
        Python::try_attach(|py| drop(self.take(py)));
        drop(inside);
    }
}

/// A task that ends with its handle.
pub(crate) trait Ends: Send + Sync + 'static {
    /// Ends the task, as the end of its handle does.
    fn end(&self) -> bool;

    fn token(&self) -> &Token;

    fn handlers(&self) -> &Handlers;
}

/// The handlers that the handle of a task answers for.
#[derive(Default)]
pub(crate) struct Handlers(Mutex<Vec<Slot>>);

impl Handlers {
    fn add(&self, kept: &Kept) {
        let mut slots = self.0.lock();
        slots.retain(|slot| slot.lock().is_some());
        slots.push(kept.0.clone());
    }

    /// Leaves the handlers to the core alone.
    fn release(&self) {
        let slots = std::mem::take(&mut *self.0.lock());
        drop(slots);
    }
}

/// A handle's part in the collector's work. It does not share this with anybody.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<Py<PyAny>>>);

impl Seen {
    /// Makes the handle the owner of a handler. Not once the task was asked to stop or has ended: the handler is
    /// the core's then, which calls it or drops it soon.
    pub(crate) fn own<T: Ends>(&self, py: Python<'_>, task: &Arc<T>, kept: &Kept) -> PyResult<()> {
        let first = self.0.lock().is_empty();
        if first {
            let made = finalizer(py, task.clone())?;
            // Another thread may have made one meanwhile. Both stay: to let go of one would end the task.
            self.0.lock().push(made);
        }
        if !task.token().is_cancelled() && !task.token().is_finished() {
            task.handlers().add(kept);
        }
        Ok(())
    }

    pub(crate) fn traverse(&self, handlers: &Handlers, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Nobody waits for the interpreter lock while it holds one of these, so they are free while the collector
        // runs.
        for finalizer in self.0.try_lock().iter().flat_map(|seen| seen.iter()) {
            visit.call(finalizer)?;
        }
        for slot in handlers.0.try_lock().iter().flat_map(|slots| slots.iter()) {
            if let Some(Some(handler)) = slot.try_lock().as_deref() {
                visit.call(handler)?;
            }
        }
        Ok(())
    }

    /// For a handle whose task has ended.
    pub(crate) fn clear(&self, handlers: &Handlers) {
        handlers.release();
        let finalizers = std::mem::take(&mut *self.0.lock());
        drop(finalizers);
    }
}

/// The object whose end the collector announces before it takes the handle and the handlers apart.
fn finalizer<T: Ends>(py: Python<'_>, task: Arc<T>) -> PyResult<Py<PyAny>> {
    let end = PyCFunction::new_closure(
        py,
        None,
        None,
        move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            task.end();
            // Cancelled before that: the handlers are still to be called. The collector, which looks again after
            // this, finds them needed by somebody it does not know, and keeps them and what they refer to.
            if task.token().is_cancelled() {
                task.handlers().release();
            }
        },
    )?;
    Ok(py.import("haltline._handler")?.getattr("Finalizer")?.call1((end,))?.unbind())
}
