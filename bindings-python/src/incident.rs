//! Incidents and reports.

use std::path::PathBuf;
use std::sync::Arc;

use haltline::supervisor::{Incident, Outcome, Report};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{error, json};

/// The record of one cancellation, or of a breach that cancelled nobody. Immutable.
#[pyclass(frozen, name = "Incident", module = "haltline")]
pub(crate) struct PyIncident(pub(crate) Arc<Incident>);

#[pymethods]
impl PyIncident {
    /// Reads an incident file with its rotated parts, the oldest first. An incident that was written again with
    /// a later outcome appears once, with that outcome; a record that a crash cut short is passed over.
    ///
    /// Raises IoError if there is no such file or it is a folder, if a part cannot be read, or holds a line that
    /// is no incident and none that was cut short.
    #[staticmethod]
    fn read_file(py: Python<'_>, path: PathBuf) -> PyResult<Vec<PyIncident>> {
        let incidents = py.detach(|| Incident::read_file(path)).map_err(error::raised)?;
        Ok(incidents.into_iter().map(|incident| PyIncident(Arc::new(incident))).collect())
    }

    /// The version of the record's shape.
    #[getter]
    fn schema(&self) -> u32 {
        self.0.schema
    }

    /// Unique; later ids sort after earlier ones of the same process.
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    /// When it began, in RFC 3339 with milliseconds, UTC.
    #[getter]
    fn time(&self) -> &str {
        &self.0.time
    }

    /// The session in which the task started, `id` and `name`, or None.
    #[getter]
    fn session<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.session)
    }

    /// The task as it was then, as in `Supervisor.active`, or None for a breach that nobody is blamed for.
    #[getter]
    fn task<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.task)
    }

    /// Why: `kind` is breach, asked, shutdown, guardian_killed or leftovers, and `message` is a sentence.
    #[getter]
    fn cause<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        error::cause(py, &self.0.cause)
    }

    /// What was done: cancel or record.
    #[getter]
    fn action<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.action)
    }

    /// Why nobody was cancelled, or None.
    #[getter]
    fn reason<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.reason)
    }

    /// The contributors to the broken metric, the largest first.
    #[getter]
    fn blame<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.blame)
    }

    /// The samples around it; `at_ms` counts from the decision.
    #[getter]
    fn samples<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.samples)
    }

    /// The busiest processes of the machine since the limit was first broken, supervised or not, as in
    /// `Monitor.top_processes`; for host limits. They are read in the background: an incident fresh from memory may
    /// not have them yet, one from the file does.
    #[getter]
    fn top<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.top)
    }

    /// What came of it: stopped, killed, still_running or unenforceable; None for a record that cancelled
    /// nobody.
    #[getter]
    fn outcome(&self) -> Option<&'static str> {
        self.0.outcome.map(Outcome::name)
    }

    /// Milliseconds from the request until force was used, or None.
    #[getter]
    fn forced_after_ms(&self) -> Option<f64> {
        self.0.forced_after_ms
    }

    /// Milliseconds from the request until the outcome was known, or None.
    #[getter]
    fn verified_after_ms(&self) -> Option<f64> {
        self.0.verified_after_ms
    }

    /// Whether the task's guardian was killed: it is known only of the processes seen before that they are
    /// gone.
    #[getter]
    fn unproved(&self) -> bool {
        self.0.unproved
    }

    /// Ids of processes that were not seen to leave.
    #[getter]
    fn alive(&self) -> Vec<u32> {
        self.0.alive.clone()
    }

    /// One line for people: what, why, and what came of it.
    #[getter]
    fn summary(&self) -> String {
        self.0.summary()
    }

    /// The record as a line of the incident file holds it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::dict(py, &*self.0)
    }

    fn __str__(&self) -> String {
        self.0.summary()
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Incident {}: {}>", self.0.id, self.0.summary())
    }
}

/// Incidents summed up: `str()` writes it as text.
#[pyclass(frozen, name = "Report", module = "haltline")]
pub(crate) struct PyReport(pub(crate) Report);

#[pymethods]
impl PyReport {
    /// The report as data: started, finished, active, outcomes, rules, recorded, lines.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::dict(py, &self.0)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Report of {} incidents>", self.0.lines.len())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyIncident>()?;
    module.add_class::<PyReport>()
}
