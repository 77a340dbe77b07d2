//! The monitor and the signals that the host feeds it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use haltline::monitor::{Metric, Monitor, Sample, Signals, Source, Sources};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::event::PySubscription;
use crate::{argument, error, json};

/// The longest time that a signal can say.
const HOUR: Duration = Duration::from_secs(3600);

/// Samples the machine in the background, and takes the signals that the host feeds.
///
/// `Monitor(interval=1.0, history=300)`: takes a sample every `interval` (10 ms to 10 minutes) and keeps the
/// last `history` (1 to 86,400). It stops when nothing refers to it, no supervisor either. The signals may be
/// fed from any thread.
///
/// No frame for `stall_after` (1 s) is a stall. `sources` names what is read: cpu, memory, load, pressure,
/// disk, network, process, open_files, limits, probe; None is all, and an empty list leaves the signals.
/// `probe` is an address "host:port", an interval and a timeout: a TCP connection is opened at that interval,
/// on a thread of its own, and the time it takes is a latency. `proc_root` and `cgroup_root` are read in place of
/// /proc and /sys/fs/cgroup, for containers that see the host's files elsewhere.
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
    #[pyo3(signature = (interval = None, *, history = 300, stall_after = None, sources = None, probe = None,
        proc_root = None, cgroup_root = None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        interval: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = argument::history)] history: usize,
        stall_after: Option<&Bound<'_, PyAny>>,
        sources: Option<&Bound<'_, PyAny>>,
        probe: Option<&Bound<'_, PyAny>>,
        proc_root: Option<PathBuf>,
        cgroup_root: Option<PathBuf>,
    ) -> PyResult<Self> {
        let mut chosen = sources.map_or_else(|| Ok(Sources::all()), named)?;
        let proc_root = proc_root.unwrap_or_else(|| chosen.proc_root().to_owned());
        let cgroup_root = cgroup_root.unwrap_or_else(|| chosen.cgroup_root().to_owned());
        chosen = chosen.roots(proc_root, cgroup_root);
        let mut builder = Monitor::builder().history(history).sources(chosen);
        if let Some(probe) = probe {
            let parts: PyResult<(String, Bound<'_, PyAny>, Bound<'_, PyAny>)> = probe.extract();
            let (address, every, timeout) = parts
                .map_err(|_| error::wrong_type("probe", "an address, an interval and a timeout", probe))?;
            let every = argument::time(&every, "probe")?;
            builder = builder.probe(address, every, argument::time(&timeout, "probe")?);
        }
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
    fn recent<'py>(&self, py: Python<'py>, count: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let count = argument::count(count, "count")?;
        list(py, &py.detach(|| self.monitor.recent(count)))
    }

    /// The samples that are at most `window` older than the newest one, the oldest first.
    fn window<'py>(&self, py: Python<'py>, window: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let window = argument::time(window, "window")?;
        list(py, &py.detach(|| self.monitor.window(window)))
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
        metric: &Bound<'_, PyAny>,
        window: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let metric = argument::text(metric, "metric")?;
        let window = argument::time(window, "window")?;
        let known: Metric = metric.parse().map_err(error::raised)?;
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
    fn top_processes<'py>(&self, py: Python<'py>, count: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let count = argument::count(count, "count")?;
        let top = py.detach(|| self.monitor.top_processes(count)).map_err(error::raised)?;
        json::object(py, &top)
    }

    /// The `count` processes with most resident memory, the largest first. Their CPU is that since they began.
    ///
    /// Raises IoError if the list of processes cannot be read.
    fn top_processes_by_memory<'py>(
        &self,
        py: Python<'py>,
        count: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let count = argument::count(count, "count")?;
        let top = py.detach(|| self.monitor.top_processes_by_memory(count)).map_err(error::raised)?;
        json::object(py, &top)
    }

    /// Subscribes to what the monitor tells, `monitor.sample` and `monitor.degraded`, as `Supervisor.subscribe`.
    #[pyo3(signature = (pattern, *, bound = 1024, policy = "drop_oldest"))]
    fn subscribe(
        &self,
        pattern: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = argument::bound)] bound: usize,
        #[pyo3(from_py_with = argument::policy)] policy: &str,
    ) -> PyResult<PySubscription> {
        PySubscription::new(self.monitor.bus(), pattern, bound, policy)
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

    /// No frames are drawn from here until `resume`, on purpose: that is no stall. Frames are ignored meanwhile.
    fn pause(&self) {
        self.signals.pause();
    }

    /// Frames are drawn again.
    fn resume(&self) {
        self.signals.resume();
    }

    /// Whether frames are paused.
    #[getter]
    fn is_paused(&self) -> bool {
        self.signals.is_paused()
    }

    /// Frames per second at this moment; None while paused or before two frames were seen.
    fn fps(&self) -> Option<f64> {
        self.signals.fps()
    }

    /// The times between frames over the last second, in milliseconds: p50_ms, p95_ms, p99_ms, max_ms. None
    /// without any.
    fn frame_times<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.signals.frame_times())
    }

    /// How long no frame has come, in seconds, if that is a stall; None otherwise and while paused.
    fn stalled(&self) -> Option<f64> {
        self.signals.stalled().map(|gap| gap.as_secs_f64())
    }

    /// A latency was measured, in seconds. Raises InvalidArgumentError for more than an hour, as where milliseconds
    /// are given: write `latency("5ms")`.
    fn latency(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.signals.latency_ms(measured(seconds)?).map_err(error::raised)
    }

    /// A response took this long, in seconds. Raises as `latency`.
    fn response(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.signals.response_ms(measured(seconds)?).map_err(error::raised)
    }

    /// Measures a block or a function as a response: `with monitor.time():` or `@monitor.time()`.
    fn time<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("haltline._decorator")?.getattr("Timer")?.call1((slf,))
    }

    /// Sets a gauge of the host's own, which samples carry until it is cleared.
    ///
    /// Raises InvalidArgumentError for a value that is not finite, a bad name, or too many gauges.
    fn gauge(&self, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (name, value) = (argument::text(name, "name")?, argument::number(value, "value")?);
        self.signals.gauge(name, value).map_err(error::raised)
    }

    /// Removes a gauge. Returns whether it existed.
    fn clear_gauge(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.signals.clear_gauge(argument::text(name, "name")?))
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Monitor every {:?}>", self.monitor.interval())
    }
}

/// The sources of these names and no others.
fn named(names: &Bound<'_, PyAny>) -> PyResult<Sources> {
    if names.is_instance_of::<PyString>() {
        return Err(error::wrong_type("sources", "a list of names, or None for all", names));
    }
    let mut chosen = Sources::none();
    for name in names.try_iter()? {
        let source: Source = argument::text(&name?, "sources")?.parse().map_err(error::raised)?;
        chosen = chosen.with(source);
    }
    Ok(chosen)
}

fn list<'py>(py: Python<'py>, samples: &[Arc<Sample>]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for one in samples {
        list.append(sample(py, one)?)?;
    }
    Ok(list)
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

/// A measured time, in milliseconds.
fn measured(seconds: &Bound<'_, PyAny>) -> PyResult<f64> {
    let time = argument::time(seconds, "seconds")?;
    if time > HOUR {
        let seconds = time.as_secs_f64();
        let message =
            format!("seconds: {seconds} is more than an hour; milliseconds are written \"{seconds}ms\"");
        return Err(error::invalid(message));
    }
    Ok(time.as_secs_f64() * 1e3)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyMonitor>()
}
