//! Python's exceptions, made from the core's table of kinds.

use haltline::supervisor::{Cancelled, Cause};
use haltline::{Error, ErrorKind};
use pyo3::exceptions::{
    PyBaseException, PyException, PyFileNotFoundError, PyLookupError, PyNotImplementedError, PyOSError,
    PyPermissionError, PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::json;

/// One class for each kind, in the order of [`ErrorKind::ALL`].
static CLASSES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let root = class(
        py,
        "Error",
        &[py.get_type::<PyException>()],
        "The base of every haltline error. `kind` is its stable name and `number` its stable number.",
        &[],
    )?;
    root.setattr("kind", "error")?;
    root.setattr("number", 0)?;
    module.add("Error", &root)?;
    let mut classes = Vec::new();
    for &kind in ErrorKind::ALL {
        let made =
            if kind == ErrorKind::Cancelled { cancelled_class(py)? } else { error_class(py, &root, kind)? };
        made.setattr("kind", kind.slug())?;
        made.setattr("number", kind.number())?;
        module.add(made.name()?, &made)?;
        classes.push(made.unbind());
    }
    // Only a second import of the module finds it filled, with the same table.
    let _ = CLASSES.set(py, classes);
    module.add_function(wrap_pyfunction!(_error_kinds, module)?)
}

/// The class of a kind derives from `Error` and from what a Python user would catch.
fn error_class<'py>(
    py: Python<'py>,
    root: &Bound<'py, PyType>,
    kind: ErrorKind,
) -> PyResult<Bound<'py, PyType>> {
    let builtin = match kind {
        ErrorKind::InvalidArgument
        | ErrorKind::InvalidProfile
        | ErrorKind::LimitRefused
        | ErrorKind::BufferTooSmall => Some(py.get_type::<PyValueError>()),
        ErrorKind::UnknownProfile | ErrorKind::UnknownTask => Some(py.get_type::<PyLookupError>()),
        ErrorKind::Unsupported => Some(py.get_type::<PyNotImplementedError>()),
        ErrorKind::CommandNotFound => Some(py.get_type::<PyFileNotFoundError>()),
        ErrorKind::CommandNotExecutable => Some(py.get_type::<PyPermissionError>()),
        ErrorKind::SpawnFailed | ErrorKind::Io => Some(py.get_type::<PyOSError>()),
        ErrorKind::ShutDown | ErrorKind::Panicked => Some(py.get_type::<PyRuntimeError>()),
        ErrorKind::TimedOut => Some(py.get_type::<PyTimeoutError>()),
        _ => None,
    };
    let bases: Vec<_> = [root.clone()].into_iter().chain(builtin).collect();
    class(py, &name(kind), &bases, &format!("A haltline error of kind `{}`.", kind.slug()), &[])
}

fn cancelled_class(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let doc = "The task that runs this code was asked to stop: let it pass.\n\n\
        Derives from BaseException, as asyncio.CancelledError does: neither `except Exception` nor an error handler of \
        Flask sees it. Catch it where the work begins, around the `with` block of the task or the call of the function \
        that is one; what catches every exception at a border, as a server does, has to name it there.\n\
        `task_id` is the id of the task and `cause` says why: `kind` is breach, asked, shutdown, guardian_killed or leftovers, and `message` is a sentence.";
    let none = py.None().into_bound(py);
    let empty = PyDict::new(py).into_any();
    class(
        py,
        &name(ErrorKind::Cancelled),
        &[py.get_type::<PyBaseException>()],
        doc,
        &[("task_id", none), ("cause", empty)],
    )
}

/// `Cancelled` is no error of the host, so it carries no `Error` in its name.
fn name(kind: ErrorKind) -> String {
    if kind == ErrorKind::Cancelled { "Cancelled".to_owned() } else { format!("{kind:?}Error") }
}

fn class<'py>(
    py: Python<'py>,
    name: &str,
    bases: &[Bound<'py, PyType>],
    doc: &str,
    attributes: &[(&str, Bound<'py, PyAny>)],
) -> PyResult<Bound<'py, PyType>> {
    let body = PyDict::new(py);
    body.set_item("__module__", "haltline")?;
    body.set_item("__doc__", doc)?;
    for (key, value) in attributes {
        body.set_item(key, value)?;
    }
    let made = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, body))?;
    Ok(made.cast_into::<PyType>()?)
}

/// The core's table: class name, number, slug and HTTP status of each kind.
#[pyfunction]
fn _error_kinds() -> Vec<(String, u16, &'static str, u16)> {
    ErrorKind::ALL.iter().map(|&k| (name(k), k.number(), k.slug(), k.http_status())).collect()
}

fn class_of(py: Python<'_>, kind: ErrorKind) -> Option<Bound<'_, PyType>> {
    let place = ErrorKind::ALL.iter().position(|&k| k == kind)?;
    Some(CLASSES.get(py)?.get(place)?.bind(py).clone())
}

/// The exception of a core error.
#[cold]
pub(crate) fn raised(error: Error) -> PyErr {
    Python::attach(|py| {
        let Some(class) = class_of(py, error.kind()) else {
            return PyRuntimeError::new_err(error.to_string());
        };
        let made = PyErr::from_type(class, error.message().to_owned());
        let errno = std::error::Error::source(&error)
            .and_then(|s| s.downcast_ref::<std::io::Error>())
            .and_then(std::io::Error::raw_os_error);
        if let Some(errno) = errno {
            // A class that is no OSError takes it as a plain attribute, which is as good.
            let _ = made.value(py).setattr("errno", errno);
        }
        made
    })
}

/// An [`ErrorKind::InvalidArgument`] error.
#[cold]
pub(crate) fn invalid(message: impl Into<String>) -> PyErr {
    raised(Error::new(ErrorKind::InvalidArgument, message))
}

/// A `TypeError` that says what was expected and what was given.
#[cold]
pub(crate) fn wrong_type(name: &str, expected: &str, given: &Bound<'_, PyAny>) -> PyErr {
    let given = given.get_type().name().map_or_else(|_| "something else".to_owned(), |n| n.to_string());
    PyTypeError::new_err(format!("{name}: expected {expected}, not {given}"))
}

/// The exception that unwinds a cancelled task.
#[cold]
pub(crate) fn cancelled(notice: &Cancelled) -> PyErr {
    Python::attach(|py| {
        let make = || -> PyResult<PyErr> {
            let class = class_of(py, ErrorKind::Cancelled)
                .ok_or_else(|| PyRuntimeError::new_err("haltline is not fully imported"))?;
            let made = class.call1((notice.to_string(),))?;
            made.setattr("task_id", notice.task())?;
            made.setattr("cause", cause(py, notice.cause())?)?;
            Ok(PyErr::from_value(made))
        };
        make().unwrap_or_else(|e| e)
    })
}

/// A cause as a dictionary: `kind`, `message`, and what else there is to say.
pub(crate) fn cause<'py>(py: Python<'py>, cause: &Cause) -> PyResult<Bound<'py, PyDict>> {
    let dict = match cause {
        Cause::Breach(breach) => json::dict(py, breach)?,
        _ => PyDict::new(py),
    };
    match cause {
        Cause::Breach(_) => dict.set_item("kind", "breach")?,
        Cause::Asked(reason) => {
            dict.set_item("kind", "asked")?;
            dict.set_item("reason", reason)?;
        }
        Cause::Shutdown => dict.set_item("kind", "shutdown")?,
        Cause::GuardianKilled => dict.set_item("kind", "guardian_killed")?,
        Cause::Leftovers => dict.set_item("kind", "leftovers")?,
        _ => dict.set_item("kind", "other")?,
    }
    dict.set_item("message", cause.to_string())?;
    Ok(dict)
}
