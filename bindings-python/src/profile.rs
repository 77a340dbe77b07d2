//! Profiles.

use std::hash::{Hash, Hasher};

use haltline::supervisor::{IntoProfile, Profile, Profiles};
use haltline::{Error, ErrorKind, Result};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use serde_json::Value;

use crate::{argument, error, json};

/// The named safety settings of tasks. Immutable.
///
/// Made from nothing but its settings: `Profile("attack")` has no limits, and where it is added it takes the place
/// of the built-in of that name. The built-in is `Profile.built_in("attack")`, and `extends="attack"` begins with its
/// settings.
///
/// `Profile("raid", extends="attack", max_duration=5.0, host={"max_cpu_percent": 80})`: the settings are the
/// keys of a profile file. `extends` takes a Profile, or the name of a built-in one. Durations are seconds,
/// texts such as "5m", or timedelta. None removes an inherited limit. Raises InvalidProfileError naming key
/// and value.
#[pyclass(frozen, eq, hash, name = "Profile", module = "haltline")]
pub(crate) struct PyProfile(pub(crate) Profile);

/// Equal profiles have the same name and the same settings.
impl PartialEq for PyProfile {
    fn eq(&self, other: &PyProfile) -> bool {
        self.0.name() == other.0.name() && self.0.to_json() == other.0.to_json()
    }
}

impl Hash for PyProfile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

#[pymethods]
impl PyProfile {
    #[new]
    #[pyo3(signature = (name, /, *more, **settings), text_signature = "(name, /, **settings)")]
    fn new(
        name: &Bound<'_, PyAny>,
        more: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let name = argument::text(name, "name")?;
        if !more.is_empty() {
            let what = format!("give the settings as keywords: Profile({name:?}, **settings)");
            return Err(PyTypeError::new_err(what));
        }
        let profiles = Profiles::new();
        let mut document = serde_json::Map::new();
        for (key, value) in settings.into_iter().flatten() {
            let key: String = key.extract()?;
            if let ("extends", Ok(base)) = (key.as_str(), value.cast::<PyProfile>()) {
                let base = &base.get().0;
                document.insert(key, base.name().into());
                profiles.insert(base.clone());
            } else {
                let value =
                    json::to_value(&value, &key).map_err(|fault| in_profile(name, fault, value.py()))?;
                document.insert(key, value);
            }
        }
        parsed(&profiles, name, &Value::Object(document).to_string())
    }

    /// The built-in profile of this name: attack, buff, craft, dance, heal or travel.
    ///
    /// Raises UnknownProfileError.
    #[staticmethod]
    fn built_in(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = argument::text(name, "name")?;
        Profiles::new().get(name).map(PyProfile).map_err(error::raised)
    }

    /// Reads the text of a profile file, in either format, as a profile of this name. `extends` means
    /// built-in profiles.
    ///
    /// Raises InvalidProfileError naming key and value.
    #[staticmethod]
    fn parse(name: &Bound<'_, PyAny>, text: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (name, text) = (argument::text(name, "name")?, argument::text(text, "text")?);
        parsed(&Profiles::new(), name, text)
    }

    /// The name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// How much harm a task may do: safe, risky or dangerous.
    #[getter]
    fn level<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.level())
    }

    /// How long a task may run, in seconds, or None.
    #[getter]
    fn max_duration(&self) -> Option<f64> {
        self.0.max_duration().map(|d| d.as_secs_f64())
    }

    /// How long a host limit, or `task.max_cpu_percent`, must stay broken before it counts, in seconds.
    #[getter]
    fn sustain(&self) -> f64 {
        self.0.sustain().as_secs_f64()
    }

    /// How long a cancelled task may take to leave by itself, in seconds.
    #[getter]
    fn grace(&self) -> f64 {
        self.0.grace().as_secs_f64()
    }

    /// Whether a breach cancels; otherwise it is only recorded.
    #[getter]
    fn auto_cancel(&self) -> bool {
        self.0.auto_cancel()
    }

    /// Who is cancelled when a host limit breaks: culprit or any.
    #[getter]
    fn blame<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.blame())
    }

    /// The names of the notifiers to tell.
    #[getter]
    fn notify(&self) -> Vec<String> {
        self.0.notify().to_vec()
    }

    /// The bounds on the machine, by key. A new dictionary each time.
    #[getter]
    fn host<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.section(py, "host")
    }

    /// The bounds on the task, by key. A new dictionary each time.
    #[getter]
    fn task<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.section(py, "task")
    }

    /// The task limits that an executor may fail to enforce without being refused, such as
    /// `task.max_memory_mib`.
    #[getter]
    fn advisory(&self) -> Vec<&'static str> {
        self.0.advisory().iter().map(|l| l.name()).collect()
    }

    /// Raises LimitRefusedError if a task of this executor cannot have the profile: it names a limit that the
    /// executor can neither measure nor enforce and that is not advisory.
    ///
    /// `executor` is cooperative, future, thread, process or custom.
    fn accepts(&self, executor: &Bound<'_, PyAny>) -> PyResult<()> {
        let executor = argument::text(executor, "executor")?;
        executor.parse().and_then(|executor| self.0.accepts(executor)).map_err(error::raised)
    }

    /// The settings as a profile file spells them, without the name: `Profile(p.name, **p.to_dict()) == p`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::from_value(py, &self.0.to_json())
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Profile {:?}>", self.0.name())
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((&str,), Bound<'py, PyAny>)> {
        Ok(((self.0.name(),), self.to_dict(py)?))
    }
}

impl PyProfile {
    fn section<'py>(&self, py: Python<'py>, section: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.0.to_json().get(section) {
            Some(limits) => json::from_value(py, limits),
            None => Ok(PyDict::new(py).into_any()),
        }
    }
}

/// A value that no document can hold is a fault of the profile, as one that no profile can.
fn in_profile(name: &str, fault: PyErr, py: Python<'_>) -> PyErr {
    if fault.is_instance_of::<PyValueError>(py) {
        error::raised(Error::new(ErrorKind::InvalidProfile, format!("profile {name:?}: {}", fault.value(py))))
    } else {
        fault
    }
}

pub(crate) fn parsed(profiles: &Profiles, name: &str, text: &str) -> PyResult<PyProfile> {
    profiles.parse_str(name, text).map(PyProfile).map_err(error::raised)
}

/// A profile as a call gives it: itself, or by name.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    Profile(&'a Profile),
    Name(&'a str),
}

impl<'a> Given<'a> {
    #[inline]
    pub(crate) fn of(given: &'a Bound<'_, PyAny>) -> PyResult<Given<'a>> {
        if let Ok(profile) = given.cast::<PyProfile>() {
            Ok(Given::Profile(&profile.get().0))
        } else if let Ok(name) = given.cast::<PyString>() {
            Ok(Given::Name(name.to_str()?))
        } else {
            Err(error::wrong_type("profile", "a Profile or the name of one", given))
        }
    }
}

impl IntoProfile for Given<'_> {
    #[inline]
    fn with<T>(self, profiles: &Profiles, take: impl FnOnce(&Profile) -> Result<T>) -> Result<T> {
        match self {
            Given::Profile(profile) => take(profile),
            Given::Name(name) => name.with(profiles, take),
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyProfile>()
}
