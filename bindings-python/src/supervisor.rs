//! The supervisor.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use haltline::ErrorKind;
use haltline::event::SubscribeOptions;
use haltline::supervisor::{Profiles, Supervisor};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};

use crate::command::{self, PyFinished, PyProcessTask, Spec, Wanted};
use crate::event::PySubscription;
use crate::incident::{PyIncident, PyReport};
use crate::monitor::PyMonitor;
use crate::profile::{Given, PyProfile};
use crate::session::PySession;
use crate::task::{PyTask, PyToken};
use crate::thread::PyThreadTask;
use crate::{argument, error, exit, json, wait};

/// How long the end of a `with` block waits for the stops to be verified: more than the usual grace and the
/// time to verify.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts tasks, watches them, stops the one that hurts the machine, and verifies the stop.
///
/// As a context manager it is shut down at the end of the block. Dropped, it cancels what still runs and does
/// not wait.
///
/// `profiles` are Profile objects beside the six built in; `profile_folder` holds JSON files. `incident_file`
/// gets one JSON line an incident. `monitor` is a Monitor; without one it starts its own, at one sample a
/// second. With `observe_only` it decides and records everything and cancels nothing. `min_share`, 0 to 1, is
/// the smallest share of a metric's use with which a task can be nominated (0.1). `settle` is how long the
/// machine may take to answer a cancellation (2 s), and `verify` how long a task ended by force is looked for
/// (5 s). At most `max_cancellations_per_minute` (10, at least 1) are for host limits.
///
/// Raises InvalidProfileError, IoError, InvalidArgumentError or SpawnFailedError.
#[pyclass(frozen, name = "Supervisor", module = "haltline")]
pub(crate) struct PySupervisor {
    supervisor: Arc<Supervisor>,
}

#[pymethods]
impl PySupervisor {
    #[new]
    #[pyo3(signature = (profiles = None, profile_folder = None, incident_file = None, monitor = None,
        observe_only = false, min_share = None, settle = None, *, verify = None, max_cancellations_per_minute = None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        profiles: Option<&Bound<'_, PyAny>>,
        profile_folder: Option<PathBuf>,
        incident_file: Option<PathBuf>,
        monitor: Option<&Bound<'_, PyMonitor>>,
        observe_only: bool,
        min_share: Option<f64>,
        settle: Option<&Bound<'_, PyAny>>,
        verify: Option<&Bound<'_, PyAny>>,
        max_cancellations_per_minute: Option<u32>,
    ) -> PyResult<Self> {
        let mut builder = Supervisor::builder();
        let store = match profile_folder {
            Some(folder) => py.detach(|| Profiles::load_dir(folder)).map_err(error::raised)?,
            None => Profiles::new(),
        };
        for profile in profiles.map(|p| p.try_iter()).transpose()?.into_iter().flatten() {
            let profile = profile?;
            let profile = profile
                .cast::<PyProfile>()
                .map_err(|_| error::wrong_type("profiles", "Profile objects", &profile))?;
            store.insert(profile.get().0.clone());
        }
        builder = builder.profiles(store);
        if let Some(path) = incident_file {
            builder = builder.incident_file(path);
        }
        if let Some(monitor) = monitor {
            builder = builder.monitor(monitor.get().monitor.clone());
        }
        if observe_only {
            builder = builder.observe_only();
        }
        if let Some(share) = min_share {
            builder = builder.min_share(share);
        }
        if let Some(settle) = argument::limit(settle, "settle")? {
            builder = builder.settle(settle);
        }
        if let Some(verify) = argument::limit(verify, "verify")? {
            builder = builder.verify(verify);
        }
        if let Some(most) = max_cancellations_per_minute {
            builder = builder.max_cancellations_per_minute(most);
        }
        let supervisor = Arc::new(py.detach(|| builder.start()).map_err(error::raised)?);
        exit::remember(Arc::downgrade(&supervisor));
        Ok(PySupervisor { supervisor })
    }

    /// Starts a task: the code from here until the end of the `with` block, on this thread.
    ///
    /// `profile` is a Profile or the name of one. Raises UnknownProfileError, LimitRefusedError if the
    /// profile has a limit that cannot be enforced for such a task, or ShutDownError.
    #[inline]
    fn start(&self, py: Python<'_>, name: &str, profile: &Bound<'_, PyAny>) -> PyResult<Py<PyTask>> {
        let task = self.supervisor.start(name.to_owned(), Given::of(profile)?).map_err(error::raised)?;
        PyTask::create(py, task)
    }

    /// Makes a task of every call of a function: `@supervisor.task("attack")`.
    ///
    /// The name is the function's unless `name` is given. A function with a parameter `task` gets its Task
    /// there. With `thread` a call returns a ThreadTask at once. Coroutine and generator functions are
    /// refused with TypeError.
    #[pyo3(signature = (profile, *, name = None, thread = false))]
    fn task<'py>(
        slf: &Bound<'py, Self>,
        profile: &Bound<'py, PyAny>,
        name: Option<&str>,
        thread: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        Given::of(profile)?;
        slf.py().import("haltline._decorator")?.getattr("task")?.call1((slf, profile, name, thread))
    }

    /// Starts a thread that calls `target(*args, **kwargs)` as a task. It finds its task with
    /// `haltline.current_task()`.
    ///
    /// Raises as `start`, and SpawnFailedError.
    #[pyo3(signature = (target, profile, args = None, kwargs = None, *, name = None))]
    fn thread<'py>(
        &self,
        py: Python<'py>,
        target: &Bound<'py, PyAny>,
        profile: &Bound<'py, PyAny>,
        args: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
        name: Option<String>,
    ) -> PyResult<Py<PyThreadTask>> {
        if !target.is_callable() {
            return Err(error::wrong_type("target", "a callable", target));
        }
        let args = match args {
            Some(args) => PyTuple::new(py, args.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
            None => PyTuple::empty(py),
        };
        let name = match name {
            Some(name) => name,
            None => {
                target.getattr("__name__").and_then(|n| n.extract()).unwrap_or_else(|_| "thread".to_owned())
            }
        };
        PyThreadTask::start(py, &self.supervisor, name, Given::of(profile)?, target, args, kwargs)
    }

    /// Runs a command as a task to its end, in the manner of subprocess.run: the whole process tree, wherever
    /// it goes.
    ///
    /// `args` is a list of the program and its arguments. The streams are inherited; `capture_output` keeps
    /// the first 64 MiB of each, `text` decodes them as UTF-8. Being cancelled raises nothing: see
    /// `Finished.cancelled`. With `check` a failure or a cancellation raises subprocess.CalledProcessError.
    /// After `timeout` the tree is stopped and subprocess.TimeoutExpired raised. Ctrl-C stops the tree too.
    ///
    /// Raises CommandNotFoundError, CommandNotExecutableError, SpawnFailedError, and as `start`.
    #[pyo3(signature = (args, profile, *, capture_output = false, text = false, input = None, cwd = None,
        env = None, check = false, timeout = None, name = None))]
    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyAny>,
        profile: &Bound<'_, PyAny>,
        capture_output: bool,
        text: bool,
        input: Option<&Bound<'_, PyAny>>,
        cwd: Option<&Bound<'_, PyAny>>,
        env: Option<&Bound<'_, PyMapping>>,
        check: bool,
        timeout: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
    ) -> PyResult<Py<PyFinished>> {
        let spec = Spec { args, name, cwd, env };
        let wanted = Wanted { capture_output, text, input, check, timeout };
        command::run(py, &self.supervisor, Given::of(profile)?, &spec, &wanted)
    }

    /// Starts a command as a task. `stdin`, `stdout` and `stderr` take subprocess.PIPE and
    /// subprocess.DEVNULL.
    ///
    /// Raises as `run`.
    #[pyo3(signature = (args, profile, *, stdin = None, stdout = None, stderr = None, cwd = None, env = None,
        name = None))]
    #[allow(clippy::too_many_arguments)]
    fn popen(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyAny>,
        profile: &Bound<'_, PyAny>,
        stdin: Option<i32>,
        stdout: Option<i32>,
        stderr: Option<i32>,
        cwd: Option<&Bound<'_, PyAny>>,
        env: Option<&Bound<'_, PyMapping>>,
        name: Option<&str>,
    ) -> PyResult<Py<PyProcessTask>> {
        let spec = Spec { args, name, cwd, env };
        command::popen(py, &self.supervisor, Given::of(profile)?, &spec, [stdin, stdout, stderr])
    }

    /// The token of the running task with this id. Raises UnknownTaskError.
    fn token(&self, id: u64) -> PyResult<PyToken> {
        self.supervisor.task(id).map(|token| PyToken { token }).map_err(error::raised)
    }

    /// Asks one task to stop. Returns its token, on which `wait_outcome` waits. Raises UnknownTaskError.
    #[pyo3(signature = (id, reason = "asked by the host"))]
    fn stop(&self, py: Python<'_>, id: u64, reason: &str) -> PyResult<PyToken> {
        py.detach(|| self.supervisor.stop(id, reason)).map(|token| PyToken { token }).map_err(error::raised)
    }

    /// Asks every running task to stop. Returns the tokens of those that this call cancelled.
    #[pyo3(signature = (reason = "asked by the host"))]
    fn stop_all(&self, py: Python<'_>, reason: &str) -> Vec<PyToken> {
        let tokens = py.detach(|| self.supervisor.stop_all(reason));
        tokens.into_iter().map(|token| PyToken { token }).collect()
    }

    /// The running tasks, those being cancelled included, the oldest first.
    fn active<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let active = py.detach(|| self.supervisor.active());
        json::object(py, &active)
    }

    /// The latest incidents, the newest first. The last 1,024 are kept.
    #[pyo3(signature = (most = 1024))]
    fn incidents(&self, py: Python<'_>, most: usize) -> Vec<PyIncident> {
        py.detach(|| self.supervisor.incidents(most)).into_iter().map(PyIncident).collect()
    }

    /// Counts of tasks and outcomes, and whether all is well with the incident file.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = py.detach(|| self.supervisor.status());
        json::dict(py, &status)
    }

    /// The incidents kept in memory, summed up.
    fn report(&self, py: Python<'_>) -> PyReport {
        PyReport(py.detach(|| self.supervisor.report()))
    }

    /// Begins a named session; tasks that start until its end, and their incidents, belong to it.
    fn session(&self, name: &str) -> PySession {
        PySession::begin(&self.supervisor, name)
    }

    /// Subscribes to topics such as `task.*`; `>` at the end is everything below. Of more than `bound`
    /// waiting events the oldest are lost, and a Gap tells so. Raises InvalidArgumentError.
    #[pyo3(signature = (pattern, *, bound = 1024))]
    fn subscribe(&self, pattern: &str, bound: usize) -> PyResult<PySubscription> {
        let options = SubscribeOptions::default().bound(bound);
        self.supervisor.bus().subscribe(pattern, options).map(PySubscription).map_err(error::raised)
    }

    /// The profile of this name. Raises UnknownProfileError, which names the nearest.
    fn profile(&self, name: &str) -> PyResult<PyProfile> {
        self.supervisor.profiles().get(name).map(PyProfile).map_err(error::raised)
    }

    /// The names of all profiles, in alphabetical order.
    fn profile_names(&self) -> Vec<String> {
        self.supervisor.profiles().names()
    }

    /// Adds a profile, in place of what its name meant before, for tasks that start from now on. Returns the
    /// replaced one.
    fn insert_profile(&self, py: Python<'_>, profile: &Bound<'_, PyProfile>) -> Option<PyProfile> {
        let profile = profile.get().0.clone();
        py.detach(|| self.supervisor.profiles().insert(profile)).map(PyProfile)
    }

    /// Reads the profile folder again, all or nothing. Returns the names that were added, changed and
    /// removed.
    ///
    /// Raises InvalidProfileError naming file, key and value, or IoError; then nothing has changed.
    fn reload_profiles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let changes = py.detach(|| self.supervisor.profiles().reload()).map_err(error::raised)?;
        let dict = PyDict::new(py);
        dict.set_item("added", changes.added)?;
        dict.set_item("changed", changes.changed)?;
        dict.set_item("removed", changes.removed)?;
        Ok(dict)
    }

    /// The monitor whose samples drive the decisions, and which takes the host's signals.
    #[getter]
    fn monitor(&self) -> PyMonitor {
        PyMonitor::of(self.supervisor.monitor().clone())
    }

    /// Waits until all incidents so far are in their file. Raises IoError, or TimedOutError after `timeout`
    /// seconds.
    #[pyo3(signature = (timeout = None))]
    fn flush(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let limit = argument::limit(timeout, "timeout")?.unwrap_or(PATIENCE);
        self.patiently(py, limit, |slice| self.supervisor.flush(slice))
    }

    /// Cancels every task, starts no more, and waits until each stop is verified and written. Returns what
    /// was not seen to stop.
    ///
    /// Raises TimedOutError after `timeout` seconds (10), or IoError if incidents could not be written.
    /// Ctrl-C works.
    #[pyo3(signature = (timeout = None))]
    fn shutdown<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limit = argument::limit(timeout, "timeout")?.unwrap_or(PATIENCE);
        let left = self.patiently(py, limit, |slice| self.supervisor.shutdown(slice))?;
        json::object(py, &left)
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
    ) -> PyResult<()> {
        self.patiently(py, PATIENCE, |slice| self.supervisor.shutdown(slice)).map(drop)
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Supervisor with {} active tasks>", self.supervisor.status().active)
    }
}

impl PySupervisor {
    /// Repeats a wait of the core in slices until it is no longer late, or `limit` is over.
    fn patiently<T: Send>(
        &self,
        py: Python<'_>,
        limit: Duration,
        wait: impl Fn(Duration) -> haltline::Result<T> + Sync,
    ) -> PyResult<T> {
        let end = Instant::now() + limit;
        let seen = wait::until(py, Some(limit), |slice| match wait(slice) {
            Err(late) if late.kind() == ErrorKind::TimedOut && Instant::now() < end => None,
            result => Some(result),
        })?;
        match seen {
            Some(result) => result.map_err(error::raised),
            None => py.detach(|| wait(Duration::ZERO)).map_err(error::raised),
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySupervisor>()
}
