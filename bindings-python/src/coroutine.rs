//! Which coroutine of asyncio runs on this thread.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// `sys.modules`.
static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// The asyncio task that runs on this thread now, as a number; its loop's where a callback runs; 0 outside of both.
pub(crate) fn current(py: Python<'_>) -> PyResult<u64> {
    let modules = MODULES.get_or_try_init(py, || {
        let modules = py.import("sys")?.getattr("modules")?;
        Ok::<_, PyErr>(modules.cast_into::<PyDict>()?.unbind())
    })?;
    // A program that has not loaded it runs none of its coroutines, and is not made to load it.
    let Some(asyncio) = modules.bind(py).get_item(intern!(py, "asyncio"))? else { return Ok(0) };
    // Missing while another thread is still loading it.
    let (Some(running_loop), Some(current_task)) = (
        asyncio.getattr_opt(intern!(py, "_get_running_loop"))?,
        asyncio.getattr_opt(intern!(py, "current_task"))?,
    ) else {
        return Ok(0);
    };
    let running_loop = running_loop.call0()?;
    if running_loop.is_none() {
        return Ok(0);
    }
    let task = current_task.call1((&running_loop,))?;
    let running = if task.is_none() { running_loop } else { task };
    Ok(running.as_ptr() as u64)
}
