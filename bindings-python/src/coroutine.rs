//! Which coroutine of asyncio runs on this thread.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// `sys.modules`.
static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// What asyncio is asked, looked up once.
static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();

struct Asyncio {
    running_loop: Py<PyAny>,
    current_task: Py<PyAny>,
}

/// The asyncio task that runs on this thread now, as a number; its loop's where a callback runs; 0 outside of both.
pub(crate) fn current(py: Python<'_>) -> PyResult<u64> {
    let asyncio = match ASYNCIO.get(py) {
        Some(asyncio) => asyncio,
        None => match loaded(py)? {
            Some(asyncio) => ASYNCIO.get_or_init(py, || asyncio),
            None => return Ok(0),
        },
    };
    let running_loop = asyncio.running_loop.bind(py).call0()?;
    if running_loop.is_none() {
        return Ok(0);
    }
    let task = asyncio.current_task.bind(py).call1((&running_loop,))?;
    let running = if task.is_none() { running_loop } else { task };
    Ok(running.as_ptr() as u64)
}

/// A program that has not loaded asyncio runs none of its coroutines, and is not made to load it.
fn loaded(py: Python<'_>) -> PyResult<Option<Asyncio>> {
    let modules = MODULES.get_or_try_init(py, || {
        let modules = py.import("sys")?.getattr("modules")?;
        Ok::<_, PyErr>(modules.cast_into::<PyDict>()?.unbind())
    })?;
    let Some(asyncio) = modules.bind(py).get_item(intern!(py, "asyncio"))? else { return Ok(None) };
    // Missing while another thread is still loading it.
    let (Some(running_loop), Some(current_task)) = (
        asyncio.getattr_opt(intern!(py, "_get_running_loop"))?,
        asyncio.getattr_opt(intern!(py, "current_task"))?,
    ) else {
        return Ok(None);
    };
    Ok(Some(Asyncio { running_loop: running_loop.unbind(), current_task: current_task.unbind() }))
}
