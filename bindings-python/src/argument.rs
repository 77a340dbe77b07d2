//! Arguments that several calls take.

use std::time::Duration;

use haltline::duration;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyString, PyType};

use crate::error::{invalid, wrong_type};

/// A time: seconds as a number, a text such as `"5m"`, or a `timedelta`. `name` is what errors call it.
pub(crate) fn time(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Duration> {
    let parsed = if let Ok(text) = value.cast::<PyString>() {
        duration::parse(&text.extract::<String>()?)
    } else if value.is_instance_of::<PyBool>() {
        return Err(expected(value, name));
    } else if let Some(seconds) = float(value)? {
        duration::from_secs(seconds)
    } else if is_timedelta(value)? {
        duration::from_secs(value.call_method0("total_seconds")?.extract()?)
    } else {
        return Err(expected(value, name));
    };
    parsed.map_err(|fault| invalid(format!("{name}: {fault}")))
}

/// Whether it is a `timedelta`. `datetime` may not be imported yet, and that can fail: where no file can be opened.
pub(crate) fn is_timedelta(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    value.is_instance(CLASS.import(value.py(), "datetime", "timedelta")?)
}

fn expected(value: &Bound<'_, PyAny>, name: &str) -> PyErr {
    wrong_type(name, "seconds as a number, a text such as \"5m\", or a timedelta", value)
}

/// A time, or `None` for no end of it.
pub(crate) fn limit(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Option<Duration>> {
    value.map(|v| time(v, name)).transpose()
}

/// A text.
pub(crate) fn text<'a>(value: &'a Bound<'_, PyAny>, name: &str) -> PyResult<&'a str> {
    match value.cast::<PyString>() {
        Ok(text) => text.to_str(),
        Err(_) => Err(wrong_type(name, "a text", value)),
    }
}

/// A number. One that no float can hold is infinite, which the calls refuse in their own words.
pub(crate) fn number(value: &Bound<'_, PyAny>, name: &str) -> PyResult<f64> {
    float(value)?.ok_or_else(|| wrong_type(name, "a number", value))
}

/// What Python takes for a number.
fn float(value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    match value.extract() {
        Ok(number) => Ok(Some(number)),
        Err(refused) if refused.is_instance_of::<PyOverflowError>(value.py()) => {
            Ok(Some(if value.lt(0)? { f64::NEG_INFINITY } else { f64::INFINITY }))
        }
        Err(_) => Ok(None),
    }
}

/// A whole number, in the range that `T` has.
pub(crate) fn count<'py, T>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    match value.extract() {
        Ok(number) => Ok(number),
        Err(refused) if refused.is_instance_of::<PyOverflowError>(value.py()) => {
            Err(invalid(format!("{name}: {value} is out of range; give a whole number from 0")))
        }
        Err(_) => Err(wrong_type(name, "a whole number", value)),
    }
}

// PyO3 does not tell an argument with a default what it is called.

pub(crate) fn most(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    count(value, "most")
}

pub(crate) fn bound(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    count(value, "bound")
}

pub(crate) fn history(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    count(value, "history")
}

pub(crate) fn policy<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    text(value, "policy")
}

pub(crate) fn reason<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    text(value, "reason")
}
