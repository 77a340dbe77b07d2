//! Arguments that several calls take.

use std::time::Duration;

use haltline::duration;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyString};

use crate::error::{invalid, wrong_type};

/// A time: seconds as a number, a text such as `"5m"`, or a `timedelta`. `name` is what errors call it.
pub(crate) fn time(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Duration> {
    let parsed = if let Ok(text) = value.cast::<PyString>() {
        duration::parse(&text.extract::<String>()?)
    } else if value.is_instance_of::<PyDelta>() {
        duration::from_secs(value.call_method0("total_seconds")?.extract()?)
    } else if value.is_instance_of::<PyBool>() {
        return Err(expected(value, name));
    } else {
        duration::from_secs(value.extract().map_err(|_| expected(value, name))?)
    };
    parsed.map_err(|fault| invalid(format!("{name}: {fault}")))
}

fn expected(value: &Bound<'_, PyAny>, name: &str) -> PyErr {
    wrong_type(name, "seconds as a number, a text such as \"5m\", or a timedelta", value)
}

/// A time, or `None` for no end of it.
pub(crate) fn limit(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Option<Duration>> {
    value.map(|v| time(v, name)).transpose()
}
