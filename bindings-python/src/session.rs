//! Named spans of host work.

use std::sync::Arc;

use haltline::supervisor::{Session, Supervisor};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::incident::{PyIncident, PyReport};

/// A named span of host work: tasks that start while it is open belong to it, and so do their incidents. Of
/// several the latest counts. Ends with its `with` block, with `end`, or when nothing refers to it.
#[pyclass(frozen, name = "Session", module = "haltline")]
pub(crate) struct PySession {
    /// Unique.
    #[pyo3(get)]
    id: String,
    /// As the host called it.
    #[pyo3(get)]
    name: String,
    session: Mutex<Option<Session>>,
    supervisor: Arc<Supervisor>,
}

impl PySession {
    pub(crate) fn begin(supervisor: &Arc<Supervisor>, name: &str) -> Self {
        let session = supervisor.session(name);
        PySession {
            id: session.id().to_owned(),
            name: session.name().to_owned(),
            session: Mutex::new(Some(session)),
            supervisor: supervisor.clone(),
        }
    }
}

#[pymethods]
impl PySession {
    /// The incidents of its tasks, the newest first, those that ended after it included.
    fn incidents(&self, py: Python<'_>) -> Vec<PyIncident> {
        let mut all = py.detach(|| self.supervisor.incidents(usize::MAX));
        all.retain(|i| i.session.as_ref().is_some_and(|s| s.id == self.id));
        all.into_iter().map(PyIncident).collect()
    }

    /// Sums up its incidents so far; the counts of tasks in this report are zero. None once it has ended.
    fn report(&self, py: Python<'_>) -> Option<PyReport> {
        py.detach(|| self.session.lock().as_ref().map(Session::report)).map(PyReport)
    }

    /// Ends it and sums up its incidents so far; the counts of tasks in this report are zero. None the second
    /// time.
    fn end(&self, py: Python<'_>) -> Option<PyReport> {
        let session = self.session.lock().take()?;
        Some(PyReport(py.detach(|| session.end())))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _raised: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        let session = self.session.lock().take();
        drop(session);
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Session {:?}>", self.name)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySession>()
}
