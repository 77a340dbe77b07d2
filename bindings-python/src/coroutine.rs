//! Which coroutine runs on this thread.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyWeakrefReference};

use crate::argument;

/// `sys.modules`.
static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// What asyncio is asked, looked up once: a module that is loaded again asks the same C code.
static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();

struct Asyncio {
    running_loop: Py<PyAny>,
    current_task: Py<PyAny>,
}

/// What tells the sections of one coroutine from those of others while they are open; 0 for one that is in none.
#[derive(Default)]
pub(crate) struct Coroutine {
    pub(crate) number: u64,
    /// What has the number as its address: a weak reference, which keeps the address from being given to another without
    /// keeping the coroutine. Python has one for each object while somebody holds it.
    _held: Option<Py<PyAny>>,
}

impl Coroutine {
    /// The asyncio task that runs on this thread now; its loop where a callback runs; none outside of both.
    #[inline]
    pub(crate) fn current(py: Python<'_>) -> PyResult<Self> {
        let Some(running_loop) = running_loop(py)? else { return Ok(Coroutine::default()) };
        let task =
            asyncio(py)?.map(|asyncio| asyncio.current_task.bind(py).call1((&running_loop,))).transpose()?;
        let running = task.filter(|task| !task.is_none()).unwrap_or(running_loop);
        let held = match PyWeakrefReference::new(&running) {
            Ok(held) => held.into_any(),
            // A loop of a class that has none. It has no reference back to a section as a task has.
            Err(_) => running,
        };
        Ok(Coroutine { number: held.as_ptr() as u64, _held: Some(held.unbind()) })
    }

    /// The one that a caller names.
    pub(crate) fn named(number: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Coroutine { number: argument::count(number, "coroutine")?, _held: None })
    }
}

/// The event loop that runs on this thread.
#[inline]
pub(crate) fn running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(asyncio) = asyncio(py)? else { return Ok(None) };
    let running_loop = asyncio.running_loop.bind(py).call0()?;
    Ok((!running_loop.is_none()).then_some(running_loop))
}

#[inline]
fn asyncio(py: Python<'_>) -> PyResult<Option<&Asyncio>> {
    match ASYNCIO.get(py) {
        Some(asyncio) => Ok(Some(asyncio)),
        None => Ok(loaded(py)?.map(|asyncio| ASYNCIO.get_or_init(py, || asyncio))),
    }
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
