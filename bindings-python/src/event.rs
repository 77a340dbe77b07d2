//! Events of the bus.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use haltline::event::{Bus, Delivery, Event, Policy, SubscribeOptions, Subscription};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{argument, error, json, wait};

/// Something that happened, with the attributes of CloudEvents 1.0. Immutable.
#[pyclass(frozen, name = "Event", module = "haltline")]
pub(crate) struct PyEvent(Arc<Event>);

#[pymethods]
impl PyEvent {
    /// Unique together with the source.
    #[getter]
    fn id(&self) -> String {
        self.0.id().into_owned()
    }

    /// Where it comes from.
    #[getter]
    fn source(&self) -> &str {
        self.0.source()
    }

    /// What happened, such as task.cancelled.
    #[getter]
    fn topic(&self) -> &str {
        self.0.topic()
    }

    /// What it is about, such as a task id, or None.
    #[getter]
    fn subject(&self) -> Option<&str> {
        self.0.subject()
    }

    /// When it happened, as a Unix timestamp.
    #[getter]
    fn time(&self) -> f64 {
        self.0.time().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
    }

    /// The payload. A new object each time.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::from_value(py, self.0.data())
    }

    /// The event in the JSON format of CloudEvents.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::dict(py, &*self.0)
    }

    fn __repr__(&self) -> String {
        let subject = self.0.subject().map(|subject| format!(" {subject:?}")).unwrap_or_default();
        format!("<haltline.Event {}{subject} {}>", self.0.topic(), self.0.data())
    }
}

/// Events that a subscription lost here because it was full: `first` to `last` of its own sequence, which
/// counts from 1.
#[pyclass(frozen, get_all, name = "Gap", module = "haltline")]
pub(crate) struct PyGap {
    /// The first one lost.
    first: u64,
    /// The last one lost.
    last: u64,
    /// How many.
    lost: u64,
}

#[pymethods]
impl PyGap {
    fn __repr__(&self) -> String {
        format!("<haltline.Gap of {}: {} to {}>", self.lost, self.first, self.last)
    }
}

/// The receiving end of one pattern; iterate over it, or call `get`. Several threads may receive from one
/// subscription.
///
/// Ends when it is closed, or when nothing can publish any more because the supervisor, the monitor and every
/// object of a task, one that has finished too, are gone.
#[pyclass(frozen, name = "Subscription", module = "haltline")]
pub(crate) struct PySubscription(Subscription);

impl PySubscription {
    pub(crate) fn new(bus: &Bus, pattern: &Bound<'_, PyAny>, bound: usize, policy: &str) -> PyResult<Self> {
        let pattern = argument::text(pattern, "pattern")?;
        let policy = match policy {
            "drop_oldest" => Policy::DropOldest,
            "drop_newest" => Policy::DropNewest,
            other => {
                return Err(error::invalid(format!("policy: {other:?} is none; drop_oldest or drop_newest")));
            }
        };
        let options = SubscribeOptions::default().bound(bound).policy(policy);
        bus.subscribe(pattern, options).map(PySubscription).map_err(error::raised)
    }
}

#[pymethods]
impl PySubscription {
    /// The next Event or Gap, or None when the subscription has ended or `timeout` seconds are over. Ctrl-C
    /// works.
    #[pyo3(signature = (timeout = None))]
    fn get(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        let limit = argument::limit(timeout, "timeout")?;
        let seen = wait::until(py, limit, |slice| match self.0.recv_timeout(slice) {
            Some(delivery) => Some(Some(delivery)),
            None => self.0.has_ended().then_some(None),
        })?;
        match seen.flatten() {
            Some(Delivery::Event(event)) => Ok(Some(Py::new(py, PyEvent(event))?.into_any())),
            Some(Delivery::Gap { from, to, lost }) => {
                Ok(Some(Py::new(py, PyGap { first: from, last: to, lost })?.into_any()))
            }
            _ => Ok(None),
        }
    }

    /// Takes no further events. What waits can still be received.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    /// Whether it was closed and everything was received.
    #[getter]
    fn has_ended(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.has_ended())
    }

    /// The pattern it was made with.
    #[getter]
    fn pattern(&self) -> &str {
        self.0.pattern()
    }

    /// How many events wait.
    #[getter]
    fn waiting(&self, py: Python<'_>) -> usize {
        py.detach(|| self.0.len())
    }

    /// How many events it lost so far.
    #[getter]
    fn lost(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.0.lost())
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.get(py, None)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _raised: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Subscription {:?}>", self.0.pattern())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyEvent>()?;
    module.add_class::<PyGap>()?;
    module.add_class::<PySubscription>()
}
