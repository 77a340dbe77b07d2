//! Data between serde and Python.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::argument;
use crate::error::{invalid, wrong_type};

/// Deeper than any document that means something; beyond it a value refers to itself.
const DEEPEST: usize = 64;

/// What serde makes of `data`, as Python objects.
pub(crate) fn object<'py>(py: Python<'py>, data: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(data).map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
    from_value(py, &value)
}

/// As [`object`], for what serde makes a map of.
pub(crate) fn dict<'py>(py: Python<'py>, data: &impl Serialize) -> PyResult<Bound<'py, PyDict>> {
    Ok(object(py, data)?.cast_into::<PyDict>()?)
}

pub(crate) fn from_value<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(b) => b.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => n.into_pyobject(py)?.into_any(),
            (None, Some(n)) => n.into_pyobject(py)?.into_any(),
            (None, None) => n.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(s) => PyString::new(py, s).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(from_value(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, value) in map {
                dict.set_item(key, from_value(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// A Python value as JSON. A `timedelta` becomes its seconds. `name` is what errors call it.
pub(crate) fn to_value(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Value> {
    convert(value, name, 0)
}

fn convert(value: &Bound<'_, PyAny>, name: &str, depth: usize) -> PyResult<Value> {
    if depth > DEEPEST {
        return Err(invalid(format!("{name}: nested deeper than {DEEPEST} levels")));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(b) = value.cast::<PyBool>() {
        return Ok(Value::Bool(b.is_true()));
    }
    if let Ok(s) = value.cast::<PyString>() {
        return Ok(Value::String(s.extract()?));
    }
    if value.is_instance_of::<PyInt>() {
        if let Ok(n) = value.extract::<u64>() {
            return Ok(n.into());
        }
        if let Ok(n) = value.extract::<i64>() {
            return Ok(n.into());
        }
        return number(argument::number(value, name)?, name);
    }
    if value.is_instance_of::<PyFloat>() {
        return number(value.extract()?, name);
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        let mut map = Map::new();
        for (key, item) in dict.iter() {
            let key: String = key.extract().map_err(|_| wrong_type(name, "keys that are str", &key))?;
            let item = convert(&item, &format!("{name}.{key}"), depth + 1)?;
            map.insert(key, item);
        }
        return Ok(Value::Object(map));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return value.try_iter()?.map(|item| convert(&item?, name, depth + 1)).collect();
    }
    if argument::is_timedelta(value)? {
        return number(value.call_method0("total_seconds")?.extract()?, name);
    }
    let given = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("{name}: a value of type {given} does not belong here")))
}

fn number(n: f64, name: &str) -> PyResult<Value> {
    Number::from_f64(n)
        .map(Value::Number)
        .ok_or_else(|| invalid(format!("{name}: {n} is not a finite number")))
}
