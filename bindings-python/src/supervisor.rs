//! The supervisor.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use haltline::event::topic;
use haltline::supervisor::{Profiles, Supervisor};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};

use crate::command::{self, PyProcessTask, Spec, Wanted};
use crate::coroutine::Coroutine;
use crate::event::PySubscription;
use crate::finished::PyFinished;
use crate::incident::{PyIncident, PyReport};
use crate::monitor::PyMonitor;
use crate::profile::{self, Given, PyProfile};
use crate::session::PySession;
use crate::stopper::PyCustomTask;
use crate::stream::Streams;
use crate::task::{PyTask, PyToken};
use crate::thread::PyThreadTask;
use crate::{argument, error, exit, json, wait};

/// How long the end of a `with` block waits for the stops to be verified: more than the usual grace and the
/// time to verify.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts tasks, watches them, stops the one that hurts the machine, and verifies the stop.
///
/// As a context manager it is shut down at the end of the block, and what fails then is raised; if an exception
/// leaves the block, that goes on, and what fails goes to `sys.unraisablehook`. Dropped, it cancels what still runs and does
/// not wait.
///
/// `profiles` are Profile objects beside the six built in; `profile_folder` holds JSON files. `incident_file`
/// gets one JSON line an incident; a pipe or a socket is refused. `monitor` is a Monitor; without one it starts
/// its own, at one sample a second. With `observe_only` it decides and records everything, and no limit cancels
/// anything; what no limit decides still happens: a shutdown and whoever asks for a stop cancel tasks, what a
/// command leaves behind is stopped unless `keep_leftovers` is set, and a task whose guardian was killed is
/// cancelled for it. `min_share`, 0 to 1, is
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
        min_share: Option<&Bound<'_, PyAny>>,
        settle: Option<&Bound<'_, PyAny>>,
        verify: Option<&Bound<'_, PyAny>>,
        max_cancellations_per_minute: Option<&Bound<'_, PyAny>>,
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
            builder = builder.min_share(argument::number(share, "min_share")?);
        }
        if let Some(settle) = argument::limit(settle, "settle")? {
            builder = builder.settle(settle);
        }
        if let Some(verify) = argument::limit(verify, "verify")? {
            builder = builder.verify(verify);
        }
        if let Some(most) = max_cancellations_per_minute {
            builder =
                builder.max_cancellations_per_minute(argument::count(most, "max_cancellations_per_minute")?);
        }
        let supervisor = Arc::new(py.detach(|| builder.start()).map_err(error::raised)?);
        exit::remember(Arc::downgrade(&supervisor));
        Ok(PySupervisor { supervisor })
    }

    /// Starts a task: the code from here until the end of the `with` block, on this thread. What other threads do for
    /// it is not measured.
    ///
    /// `profile` is a Profile or the name of one. Raises UnknownProfileError, LimitRefusedError if the
    /// profile has a limit that cannot be enforced for such a task, or ShutDownError.
    ///
    /// Coroutines take turns on one thread, whose clock does not tell them apart. While sections of several asyncio
    /// tasks are open, what each of them uses is unknown: it breaks no CPU limit and is blamed for nothing. At other
    /// times a section is charged with all that its thread uses. Coroutines of another library are told apart by
    /// `coroutine`, any number from 1 that no other one has meanwhile, such as the id of its object; 0 is none.
    #[inline]
    #[pyo3(signature = (name, profile, *, coroutine = None))]
    fn start(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        profile: &Bound<'_, PyAny>,
        coroutine: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyTask>> {
        let name = argument::text(name, "name")?.to_owned();
        let profile = Given::of(profile)?;
        let coroutine = coroutine.map_or_else(|| Coroutine::current(py), Coroutine::named)?;
        let task =
            self.supervisor.start_in_coroutine(name, profile, coroutine.number).map_err(error::raised)?;
        PyTask::create(py, task, coroutine)
    }

    /// Makes a task of every call of a function: `@supervisor.task("attack")`.
    ///
    /// The name is the function's unless `name` is given. A function with a parameter `task` gets its Task
    /// there, unless the call gives it one. With `thread` a call returns a ThreadTask at once, as `thread` does. Coroutine and generator functions are
    /// refused with TypeError.
    #[pyo3(signature = (profile, *, name = None, thread = false))]
    fn task<'py>(
        slf: &Bound<'py, Self>,
        profile: &Bound<'py, PyAny>,
        name: Option<&Bound<'py, PyAny>>,
        thread: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        Given::of(profile)?;
        let name = name.map(|name| argument::text(name, "name")).transpose()?;
        slf.py().import("haltline._decorator")?.getattr("task")?.call1((slf, profile, name, thread))
    }

    /// Starts a thread that calls `target(*args, **kwargs)` as a task. A target with a parameter `task` gets its
    /// ThreadTask there, unless the call gives it one; any code finds it with `haltline.current_task()`. Threads that it
    /// starts itself are not measured.
    ///
    /// What the target raises is raised by `ThreadTask.join`; if nobody joins, it goes to
    /// `threading.excepthook`. What runs on a thread of the program's own, as that of a pool, is a section: see
    /// `start`. Raises as `start`, and SpawnFailedError.
    #[pyo3(signature = (target, profile, args = None, kwargs = None, *, name = None))]
    fn thread<'py>(
        &self,
        py: Python<'py>,
        target: &Bound<'py, PyAny>,
        profile: &Bound<'py, PyAny>,
        args: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
        name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyThreadTask>> {
        if !target.is_callable() {
            return Err(error::wrong_type("target", "a callable", target));
        }
        let args = match args {
            Some(args) => PyTuple::new(py, args.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
            None => PyTuple::empty(py),
        };
        let name = match name {
            Some(name) => argument::text(name, "name")?.to_owned(),
            None => {
                target.getattr("__name__").and_then(|n| n.extract()).unwrap_or_else(|_| "thread".to_owned())
            }
        };
        PyThreadTask::start(py, &self.supervisor, name, Given::of(profile)?, target, args, kwargs)
    }

    /// Puts work under supervision that the host runs itself and stops through `stopper`: any object with three
    /// methods. `request()` asks the work to stop; `force()` ends it and returns whether it could; `is_gone()`
    /// returns whether it is seen to be gone, and is polled.
    ///
    /// They are called on a thread of `threading`, one call at a time, in the order request, force, except that
    /// the others do not wait for a `request` that has not returned by the end of the grace; what they
    /// raise goes to `threading.excepthook` and counts as False. One that blocks delays no other task. Where the
    /// system has no thread left, they wait for one. None is called once the interpreter has begun to end.
    ///
    /// Raises as `start`. Limits of processor time, memory, processes and output cannot be measured for such
    /// work and are refused.
    fn start_with(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        profile: &Bound<'_, PyAny>,
        stopper: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyCustomTask>> {
        PyCustomTask::start(py, &self.supervisor, argument::text(name, "name")?, Given::of(profile)?, stopper)
    }

    /// Runs a command as a task to its end, in the manner of subprocess.run: the whole process tree, wherever
    /// it goes.
    ///
    /// `args` is a list of the program and its arguments. `stdin`, `stdout` and `stderr` take PIPE, DEVNULL, a
    /// descriptor, an open file, and for `stderr` STDOUT; None inherits. `capture_output` is PIPE for both: the
    /// first 64 MiB of each are kept, and `text` decodes them as UTF-8. With `own_group` the command has a process
    /// group of its own, which Ctrl-C in the terminal does not reach; with `keep_leftovers` processes that outlive
    /// it run on, supervised; with `without_cgroup` no cgroup is used.
    ///
    /// Being cancelled raises nothing: see `Finished.cancelled`. With `check` a failure or a cancellation raises
    /// subprocess.CalledProcessError. After `timeout` the tree is stopped and subprocess.TimeoutExpired raised.
    /// Ctrl-C stops the tree too.
    ///
    /// Raises CommandNotFoundError, CommandNotExecutableError, SpawnFailedError, and as `start`.
    #[pyo3(signature = (args, profile, *, stdin = None, input = None, stdout = None, stderr = None,
        capture_output = false, text = false, cwd = None, env = None, check = false, timeout = None, name = None,
        own_group = false, keep_leftovers = false, without_cgroup = false))]
    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyAny>,
        profile: &Bound<'_, PyAny>,
        stdin: Option<&Bound<'_, PyAny>>,
        input: Option<&Bound<'_, PyAny>>,
        stdout: Option<&Bound<'_, PyAny>>,
        stderr: Option<&Bound<'_, PyAny>>,
        capture_output: bool,
        text: bool,
        cwd: Option<&Bound<'_, PyAny>>,
        env: Option<&Bound<'_, PyMapping>>,
        check: bool,
        timeout: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        own_group: bool,
        keep_leftovers: bool,
        without_cgroup: bool,
    ) -> PyResult<Py<PyFinished>> {
        let streams = Streams { stdin, stdout, stderr };
        let spec = Spec { args, name, cwd, env, streams, own_group, keep_leftovers, without_cgroup };
        let wanted = Wanted { capture_output, text, input, check, timeout };
        command::run(py, &self.supervisor, Given::of(profile)?, &spec, &wanted)
    }

    /// Starts a command as a task. The arguments are those of `run`; with PIPE the other end is a binary file of
    /// the ProcessTask.
    ///
    /// Raises as `run`.
    #[pyo3(signature = (args, profile, *, stdin = None, stdout = None, stderr = None, cwd = None, env = None,
        name = None, own_group = false, keep_leftovers = false, without_cgroup = false))]
    #[allow(clippy::too_many_arguments)]
    fn popen(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyAny>,
        profile: &Bound<'_, PyAny>,
        stdin: Option<&Bound<'_, PyAny>>,
        stdout: Option<&Bound<'_, PyAny>>,
        stderr: Option<&Bound<'_, PyAny>>,
        cwd: Option<&Bound<'_, PyAny>>,
        env: Option<&Bound<'_, PyMapping>>,
        name: Option<&Bound<'_, PyAny>>,
        own_group: bool,
        keep_leftovers: bool,
        without_cgroup: bool,
    ) -> PyResult<Py<PyProcessTask>> {
        let streams = Streams { stdin, stdout, stderr };
        let spec = Spec { args, name, cwd, env, streams, own_group, keep_leftovers, without_cgroup };
        command::popen(py, &self.supervisor, Given::of(profile)?, &spec)
    }

    /// The token of the running task with this id. Raises UnknownTaskError.
    fn token(&self, id: &Bound<'_, PyAny>) -> PyResult<PyToken> {
        let id = argument::count(id, "id")?;
        self.supervisor.token(id).map(|token| PyToken { token }).map_err(error::raised)
    }

    /// Asks one task to stop. Returns its token, on which `wait_outcome` waits. Raises UnknownTaskError.
    #[pyo3(signature = (id, reason = "asked by the host"))]
    fn stop(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = argument::reason)] reason: &str,
    ) -> PyResult<PyToken> {
        let id = argument::count(id, "id")?;
        py.detach(|| self.supervisor.stop(id, reason)).map(|token| PyToken { token }).map_err(error::raised)
    }

    /// Asks every running task to stop. Returns the tokens of those that this call cancelled.
    #[pyo3(signature = (reason = "asked by the host"))]
    fn stop_all(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = argument::reason)] reason: &str,
    ) -> Vec<PyToken> {
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
    fn incidents(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = argument::most)] most: usize,
    ) -> Vec<PyIncident> {
        py.detach(|| self.supervisor.incidents(most)).into_iter().map(PyIncident).collect()
    }

    /// Writes the incidents kept in memory to `path`, one JSON line each, the oldest first; a file that is there
    /// is replaced as a whole. Returns how many. Blocks until the file is on the disk.
    ///
    /// Raises IoError if it cannot be written.
    fn export_incidents(&self, py: Python<'_>, path: PathBuf) -> PyResult<usize> {
        py.detach(|| self.supervisor.export_incidents(path)).map_err(error::raised)
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
    fn session(&self, name: &Bound<'_, PyAny>) -> PyResult<PySession> {
        Ok(PySession::begin(&self.supervisor, argument::text(name, "name")?))
    }

    /// Subscribes to topics such as `task.*`; `>` at the end is everything below. Of more than `bound`
    /// waiting events the oldest are lost, or with `policy` drop_newest those that come, and a Gap tells so.
    /// Raises InvalidArgumentError.
    #[pyo3(signature = (pattern, *, bound = 1024, policy = "drop_oldest"))]
    fn subscribe(
        &self,
        pattern: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = argument::bound)] bound: usize,
        #[pyo3(from_py_with = argument::policy)] policy: &str,
    ) -> PyResult<PySubscription> {
        PySubscription::new(self.supervisor.bus(), pattern, bound, policy)
    }

    /// Publishes `data`, anything that JSON can hold, under a topic; `subject` is what it is about. Returns how
    /// many subscriptions it was offered to. Never blocks. Raises InvalidArgumentError for a malformed topic.
    #[pyo3(signature = (topic, data = None, *, subject = None))]
    fn publish(
        &self,
        py: Python<'_>,
        topic: &Bound<'_, PyAny>,
        data: Option<&Bound<'_, PyAny>>,
        subject: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let topic = argument::text(topic, "topic")?;
        let subject = subject.map(|s| argument::text(s, "subject").map(str::to_owned)).transpose()?;
        topic::check(topic).map_err(error::raised)?;
        let data = data.map_or(Ok(serde_json::Value::Null), |data| json::to_value(data, "data"))?;
        Ok(py.detach(|| self.supervisor.bus().publish(topic, subject, data)))
    }

    /// The profile of this name. Raises UnknownProfileError, which names the nearest.
    fn profile(&self, name: &Bound<'_, PyAny>) -> PyResult<PyProfile> {
        let name = argument::text(name, "name")?;
        self.supervisor.profiles().get(name).map(PyProfile).map_err(error::raised)
    }

    /// Reads the text of a profile file as `Profile.parse` does, where `extends` means the profiles of this
    /// supervisor. It is not added to them.
    ///
    /// Raises InvalidProfileError naming key and value.
    fn parse_profile(&self, name: &Bound<'_, PyAny>, text: &Bound<'_, PyAny>) -> PyResult<PyProfile> {
        let (name, text) = (argument::text(name, "name")?, argument::text(text, "text")?);
        profile::parsed(self.supervisor.profiles(), name, text)
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
        wait::patiently(py, limit, |slice| self.supervisor.flush(slice))
    }

    /// Cancels every task, starts no more, and waits until each stop is verified and written. Returns what
    /// was not seen to stop. A command that another thread is just starting is a task all the same, and is
    /// cancelled.
    ///
    /// Called by a handler or a stopper, it does not wait for those. After an error it can be called again, and
    /// returns then what the calls before have found as well.
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
        let left = wait::patiently(py, limit, |slice| self.supervisor.shutdown(slice))?;
        json::object(py, &left)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        kind: &Bound<'_, PyAny>,
        _raised: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let supervisor = &slf.get().supervisor;
        match wait::patiently(py, PATIENCE, |slice| supervisor.shutdown(slice)) {
            // What left the block is what its user must see. Ctrl-C during the wait is no error of the shutdown.
            Err(failed) if !kind.is_none() && failed.is_instance_of::<PyException>(py) => {
                failed.write_unraisable(py, Some(slf));
                Ok(())
            }
            ended => ended.map(drop),
        }
    }

    fn __repr__(&self) -> String {
        format!("<haltline.Supervisor with {} active tasks>", self.supervisor.status().active)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySupervisor>()
}
