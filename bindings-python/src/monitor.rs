//! The monitor and the signals that the host feeds it.

use std::time::{Duration, UNIX_EPOCH};

use haltline::monitor::{Metric, Monitor, Sample, Signals};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::{argument, error, json};

/// Samples the machine in the background, and takes the signals that the host feeds.
///
/// `Monitor(interval=1.0, history=300)`: takes a sample every `interval` (10 ms to an hour) and keeps the
/// last `history`. It stops when nothing refers to it, no supervisor either. The signals may be fed from any
/// thread.
#[pyclass(frozen, name = "Monitor", module = "haltline")]
pub(crate) struct PyMonitor {
    pub(crate) monitor: Monitor,
    // Its locks are held for microseconds and never by a thread that waits for the interpreter lock, so
    // feeding a signal does not release that: a render loop would pay for it with its turn.
    signals: Signals,
}

impl PyMonitor {
    pub(crate) fn of(monitor: Monitor) -> Self {
        PyMonitor { signals: monitor.signals(), monitor }
    }
}

#[pymethods]
impl PyMonitor {
    #[new]
    #[pyo3(signature = (interval = None, *, history = 300, stall_after = None))]
    fn new(
        py: Python<'_>,
        interval: Option<&Bound<'_, PyAny>>,
        history: usize,
        stall_after: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut builder = Monitor::builder().history(history);
        if let Some(interval) = argument::limit(interval, "interval")? {
            builder = builder.interval(interval);
        }
        if let Some(stall_after) = argument::limit(stall_after, "stall_after")? {
            builder = builder.stall_after(stall_after);
        }
        py.detach(|| builder.start()).map(PyMonitor::of).map_err(error::raised)
    }

    /// How often a sample is taken, in seconds.
    #[getter]
    fn interval(&self) -> f64 {
        self.monitor.interval().as_secs_f64()
    }

    /// Whether samples are taken.
    #[getter]
    fn is_running(&self, py: Python<'_>) -> bool {
        py.detach(|| self.monitor.is_running())
    }

    /// The newest sample, or None if there is none yet. What could not be read is not in it.
    fn latest<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        py.detach(|| self.monitor.latest()).map(|s| sample(py, &s)).transpose()
    }

    /// The last `count` samples, the oldest first.
    fn recent<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for one in py.detach(|| self.monitor.recent(count)) {
            list.append(sample(py, &one)?)?;
        }
        Ok(list)
    }

    /// Takes a sample now, on this thread.
    fn sample_now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let one = py.detach(|| self.monitor.sample_now());
        sample(py, &one)
    }

    /// What `metric` did over the last `window`: count, mean, min, max, p50, p95, p99. None if no sample knew
    /// it.
    ///
    /// Metrics are named as in `cpu_percent`, `memory_percent`, `fps`, `latency_ms` or `gauge.NAME`.
    fn summary<'py>(
        &self,
        py: Python<'py>,
        metric: &str,
        window: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let window = argument::time(window, "window")?;
        let known = Metric::from_name(metric).ok_or_else(|| {
            let names = Metric::FIXED.map(|m| m.name().into_owned()).join(", ");
            error::invalid(format!("metric: {metric:?} is none; known are {names}, and gauge.NAME"))
        })?;
        py.detach(|| self.monitor.summary(&known, window)).map(|s| json::dict(py, &s)).transpose()
    }

    /// The sources that fail at present: source, reason, and since when on the monitor's clock, in seconds.
    fn degraded<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for one in py.detach(|| self.monitor.degraded()) {
            let dict = json::dict(py, &one)?;
            dict.set_item("since", one.since.as_nanos() as f64 / 1e9)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// The `count` processes that used most CPU over the next 100 ms, the largest first. Blocks for that
    /// long.
    ///
    /// Raises IoError if the list of processes cannot be read.
    fn top_processes<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyAny>> {
        let top = py.detach(|| self.monitor.top_processes(count)).map_err(error::raised)?;
        json::object(py, &top)
    }

    /// Ends the sampling; signals may still be fed and the history stays readable. Blocks until a sample
    /// under way is done.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.monitor.stop());
    }

    /// A frame was drawn.
    fn frame(&self) {
        self.signals.frame();
    }

    /// No frames are drawn from here until `resume` or the next frame, on purpose: that is no stall.
    fn pause(&self) {
        self.signals.pause();
    }

    /// Frames are drawn again.
    fn resume(&self) {
        self.signals.resume();
    }

    /// A latency was measured.
    fn latency(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.signals.latency(argument::time(seconds, "seconds")?);
        Ok(())
    }

    /// A response took this long.
    fn response(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.signals.response(argument::time(seconds, "seconds")?);
        Ok(())
    }

    /// Measures a block or a function as a response: `with monitor.time():` or `@monitor.time()`.
    fn time<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("haltline._decorator")?.getattr("Timer")?.call1((slf,))
    }

    /// Sets a gauge of the host's own, which samples then carry.
    ///
    /// Raises InvalidArgumentError for a value that is not finite, a bad name, or too many gauges.
    fn gauge(&self, name: &str, value: f64) -> PyResult<()> {
        self.signals.gauge(name, value).map_err(error::raised)
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Monitor every {:?}>", self.monitor.interval())
    }
}

/// A sample with its moments as numbers: `at` in seconds on the monitor's clock, `wall` as a Unix timestamp.
fn sample<'py>(py: Python<'py>, sample: &Sample) -> PyResult<Bound<'py, PyDict>> {
    let dict = json::dict(py, sample)?;
    dict.set_item("at", sample.at.as_nanos() as f64 / 1e9)?;
    let wall = sample.wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    dict.set_item("wall", wall.as_secs_f64())?;
    if let (Some(cpu), Some(shown)) = (&sample.cpu, dict.get_item("cpu")?) {
        shown.set_item("busy", cpu.busy.as_secs_f64())?;
    }
    Ok(dict)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyMonitor>()
}
