//! Which tasks the code that runs now is inside of.
//!
//! What is entered outside of coroutines is noted for its thread, which is cheap. Coroutines take turns on a thread, so
//! what one of them enters is noted in its context, as `contextvars` has them: the coroutines that it starts and the
//! threads of `asyncio.to_thread` inherit it, and nobody else sees it. What a thread has noted is around its coroutines.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyTuple};

use crate::task::PyToken;
use crate::{coroutine, error};

thread_local! {
    /// What this thread has entered, the innermost last. What was left on another thread stays, finished, until the
    /// thread enters something again.
    static ENTERED: RefCell<Vec<Py<PyToken>>> = const { RefCell::new(Vec::new()) };
}

/// What the running context has entered: a tuple, the innermost last, or None. What was left in another context stays,
/// finished, until something is entered in this one. Made for the first section of a coroutine.
static VARIABLE: PyOnceLock<Variable> = PyOnceLock::new();

struct Variable {
    get: Py<PyAny>,
    set: Py<PyAny>,
}

impl Variable {
    fn of(py: Python<'_>) -> PyResult<&Variable> {
        VARIABLE.get_or_try_init(py, || {
            let class = py.import("contextvars")?.getattr("ContextVar")?;
            let default = [("default", py.None())].into_py_dict(py)?;
            let made = class.call(("haltline",), Some(&default))?;
            Ok(Variable { get: made.getattr("get")?.unbind(), set: made.getattr("set")?.unbind() })
        })
    }
}

/// What the running context has entered and not finished, the innermost last.
fn in_context(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyToken>>> {
    let Some(variable) = VARIABLE.get(py) else { return Ok(Vec::new()) };
    let Ok(held) = variable.get.bind(py).call0()?.cast_into::<PyTuple>() else { return Ok(Vec::new()) };
    let tokens = held.iter().filter_map(|token| token.cast_into::<PyToken>().ok());
    Ok(tokens.filter(|token| !token.get().token.is_finished()).collect())
}

/// Makes a task the innermost here: of a coroutine, or of code inside of one, in its context.
#[inline]
pub(crate) fn enter(token: &Bound<'_, PyToken>, in_coroutine: bool) -> PyResult<()> {
    let py = token.py();
    if in_coroutine || coroutine::running_loop(py)?.is_some() || is_in_section(py)? {
        enter_context(token)
    } else {
        enter_thread(token);
        Ok(())
    }
}

/// Whether code of a section's coroutine runs, on whatever thread.
#[inline]
fn is_in_section(py: Python<'_>) -> PyResult<bool> {
    Ok(VARIABLE.get(py).is_some() && !in_context(py)?.is_empty())
}

fn enter_context(token: &Bound<'_, PyToken>) -> PyResult<()> {
    let py = token.py();
    let mut around = in_context(py)?;
    around.push(token.clone());
    Variable::of(py)?.set.bind(py).call1((PyTuple::new(py, around)?,)).map(drop)
}

/// Makes a task the innermost of this thread.
pub(crate) fn enter_thread(token: &Bound<'_, PyToken>) {
    let new = token.clone().unbind();
    let gone = ENTERED.with_borrow_mut(|entered| {
        let open = entered.iter().rposition(|t| !t.get().token.is_finished()).map_or(0, |place| place + 1);
        let gone = entered.split_off(open);
        entered.push(new);
        gone
    });
    // Dropped outside the borrow: the last reference may run Python code that starts a task.
    drop(gone);
}

/// Takes back what `enter` or `enter_thread` did, in whatever order. What was entered on another thread or in another
/// context stays there, and nobody minds it once it has finished.
#[inline]
pub(crate) fn leave(token: &Bound<'_, PyToken>) {
    let gone = ENTERED.with_borrow_mut(|entered| {
        let place = entered.iter().rposition(|t| t.is(token))?;
        Some(entered.remove(place))
    });
    if gone.is_none() {
        leave_context(token);
    }
}

fn leave_context(token: &Bound<'_, PyToken>) {
    let py = token.py();
    let Some(variable) = VARIABLE.get(py) else { return };
    // What fails here, for want of memory, leaves a finished task in the context.
    let Ok(mut around) = in_context(py) else { return };
    if let Some(place) = around.iter().rposition(|t| t.is(token)) {
        around.remove(place);
        let _ = PyTuple::new(py, around).and_then(|around| variable.set.bind(py).call1((around,)));
    }
}

/// The task that this code is inside of, or None. Of nested ones the innermost.
///
/// A coroutine of asyncio finds what it entered itself, what was open around the place that started it, and what its
/// thread entered outside of the loop. The functions that `asyncio.to_thread` runs find what their caller finds.
#[pyfunction]
fn current_task(py: Python<'_>) -> PyResult<Option<Py<PyToken>>> {
    if let Some(token) = in_context(py)?.pop() {
        return Ok(Some(token.unbind()));
    }
    Ok(ENTERED.with_borrow(|entered| {
        entered.iter().rfind(|t| !t.get().token.is_finished()).map(|t| t.clone_ref(py))
    }))
}

/// Raises Cancelled once the task that this code is inside of was asked to stop, or one around it: of several that
/// were, the outermost. Does nothing outside of all. In a coroutine it looks at what `current_task` may find there. The
/// section of a generator that is suspended counts as one around the code that goes on meanwhile: nothing tells them
/// apart.
///
/// Of the tasks themselves `check`, `progress` and `sleep` look at their own only.
#[pyfunction]
fn check(py: Python<'_>) -> PyResult<()> {
    let notice = |token: &PyToken| {
        let token = &token.token;
        // Finished, and so left on another thread or in another context.
        if token.is_cancelled() && !token.is_finished() { token.check().err() } else { None }
    };
    let mut found = ENTERED.with_borrow(|entered| entered.iter().find_map(|t| notice(t.get())));
    if found.is_none() && VARIABLE.get(py).is_some() {
        found = in_context(py)?.iter().find_map(|t| notice(t.get()));
    }
    found.map_or(Ok(()), |found| Err(error::cancelled(&found)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(current_task, module)?)?;
    module.add_function(wrap_pyfunction!(check, module)?)
}
