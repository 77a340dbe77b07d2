//! What all processes had used at one moment.

use haltline::monitor::ProcessTable;
use pyo3::prelude::*;

use crate::{argument, error, json};

/// What each process of the machine had used when it was read: `ProcessTable()`. Two of them tell who used most in
/// between, without waiting. Immutable; `len()` says how many processes there were.
///
/// Raises IoError if the list of processes cannot be read.
#[pyclass(frozen, name = "ProcessTable", module = "haltline")]
pub(crate) struct PyProcessTable(ProcessTable);

#[pymethods]
impl PyProcessTable {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        py.detach(ProcessTable::read).map(PyProcessTable).map_err(error::raised)
    }

    /// The `count` processes that used most CPU since `before`, an earlier table, the largest first. One that
    /// began in between counts with all it used. `cpu_percent` 100 is one core.
    fn by_cpu<'py>(
        &self,
        py: Python<'py>,
        before: &Bound<'_, PyProcessTable>,
        count: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let count = argument::count(count, "count")?;
        let before = &before.get().0;
        json::object(py, &py.detach(|| self.0.by_cpu(before, count)))
    }

    /// The `count` processes with most resident memory, the largest first. Their CPU is the average since they
    /// began.
    fn by_memory<'py>(&self, py: Python<'py>, count: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let count = argument::count(count, "count")?;
        json::object(py, &py.detach(|| self.0.by_memory(count)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        format!("<haltline.ProcessTable of {} processes>", self.0.len())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyProcessTable>()
}
