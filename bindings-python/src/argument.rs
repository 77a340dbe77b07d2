//! Arguments that several calls take.

use std::fmt::Display;
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
    } else if let Ok(seconds) = value.extract() {
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

/// A whole number, in the range that `T` has.
pub(crate) fn count<T: TryFrom<i64>>(value: &Bound<'_, PyAny>, name: &str) -> PyResult<T> {
    match value.extract() {
        Ok(number) => in_range(number, name),
        Err(refused) if refused.is_instance_of::<PyOverflowError>(value.py()) => {
            Err(out_of_range(value, name))
        }
        Err(_) => Err(wrong_type(name, "a whole number", value)),
    }
}

/// As [`count`], for a number that has a default.
pub(crate) fn in_range<T: TryFrom<i64>>(number: i64, name: &str) -> PyResult<T> {
    T::try_from(number).map_err(|_| out_of_range(number, name))
}

fn out_of_range(number: impl Display, name: &str) -> PyErr {
    invalid(format!("{name}: {number} is out of range; give a whole number from 0"))
}
