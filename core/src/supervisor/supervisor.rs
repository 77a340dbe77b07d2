//! The handle that a host holds.

use std::borrow::Cow;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use super::TaskId;
use super::builder::SupervisorBuilder;
use super::executor::Executor;
use super::executor::custom::Custom;
use super::executor::future::{FutureState, Supervised};
use super::executor::section::Section;
use super::executor::thread::{HostThread, ThreadState, ThreadTask};
use super::home::Homes;
use super::incident::{Incident, Report, TaskSummary};
use super::inner::Inner;
use super::profile::{Profile, Profiles};
use super::record::Record;
use super::session::Session;
use super::shutdown::FOREVER;
use super::stopper::Stopper;
use super::task::{CustomTask, Task, Token};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Bus;
use crate::file::write_atomic;
use crate::monitor::Monitor;
use crate::timer::Watched;

/// Starts tasks, watches them, stops the one that hurts the machine, and verifies the stop.
///
/// A cheap handle; clones share one supervisor. When the last one is dropped, every task that still runs is
/// cancelled and its stop verified in the background; [`shutdown`](Supervisor::shutdown) does so and waits.
#[derive(Clone)]
pub struct Supervisor(pub(super) Arc<Handle>);

/// Counted apart from what tasks hold, so that dropping the last handle is noticed.
pub(super) struct Handle {
    pub(super) inner: Arc<Inner>,
    homes: Homes,
    monitor: Monitor,
    /// The thread that climbs the ladders, until a shutdown has waited for it.
    pub(super) watch: Mutex<Option<JoinHandle<()>>>,
    /// The tasks that a shutdown found which has not come to its end. One whose stop cannot be proved leaves the table,
    /// and the next call still tells of it.
    pub(super) ending: Mutex<Vec<Arc<Record>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.closing.store(true, Ordering::Release);
        self.inner.alarm.ring();
    }
}

/// A profile given by name, which is looked up, or as itself.
pub trait IntoProfile {
    /// Hands the profile to `take`, looked up in `profiles` if only its name is given.
    ///
    /// # Errors
    /// [`UnknownProfile`](ErrorKind::UnknownProfile) with the nearest known name, and what `take` returns.
    fn with<T>(self, profiles: &Profiles, take: impl FnOnce(&Profile) -> Result<T>) -> Result<T>;
}

impl IntoProfile for &str {
    fn with<T>(self, profiles: &Profiles, take: impl FnOnce(&Profile) -> Result<T>) -> Result<T> {
        profiles.with(self, take)
    }
}

impl IntoProfile for &Profile {
    fn with<T>(self, _: &Profiles, take: impl FnOnce(&Profile) -> Result<T>) -> Result<T> {
        take(self)
    }
}

impl IntoProfile for Profile {
    fn with<T>(self, _: &Profiles, take: impl FnOnce(&Profile) -> Result<T>) -> Result<T> {
        take(&self)
    }
}

/// How a supervisor is doing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Tasks started since the beginning.
    pub started: u64,
    /// Tasks that ended.
    pub finished: u64,
    /// Tasks that run now, those being cancelled included.
    pub active: u64,
    /// Cancellations that ended in `Stopped`.
    pub stopped: u64,
    /// Cancellations that ended in `Killed`.
    pub killed: u64,
    /// Cancelled tasks that were not seen to leave and still have not.
    pub still_running: u64,
    /// Breaches that cancelled nobody.
    pub recorded: u64,
    /// Whether it only observes.
    pub observing: bool,
    /// Why incidents cannot be written to their file, while that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_file_failure: Option<String>,
    /// Incident lines that were given up because the file could not be written for long.
    pub incidents_lost: u64,
}

impl Supervisor {
    /// A builder with the built-in profiles, a monitor at one sample a second, and no incident file.
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder::new()
    }

    pub(crate) fn new(inner: Arc<Inner>, monitor: Monitor) -> Self {
        let homes = Homes::new(&inner);
        let (watch, ending) = (Mutex::default(), Mutex::default());
        Supervisor(Arc::new(Handle { homes, inner, monitor, watch, ending }))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0.inner
    }

    /// Puts a task on the table, if its profile suits its executor.
    pub(crate) fn admit(
        &self,
        name: impl Into<Cow<'static, str>>,
        profile: impl IntoProfile,
        executor: Executor,
    ) -> Result<Token> {
        profile.with(&self.inner().profiles, |profile| {
            profile.accepts(executor.kind())?;
            self.0.homes.admit(name.into(), profile, executor)
        })
    }

    /// Starts a cooperative task: the code from here until the returned guard is dropped, on this thread. What other
    /// threads do for it is not measured.
    ///
    /// # Errors
    /// [`UnknownProfile`](ErrorKind::UnknownProfile), [`LimitRefused`](ErrorKind::LimitRefused) if the profile
    /// has a limit that cannot be enforced for such a task, [`ShutDown`](ErrorKind::ShutDown).
    ///
    /// # Example
    /// ```
    /// # fn main() -> haltline::Result<()> {
    /// let supervisor = haltline::supervisor::Supervisor::builder().start()?;
    /// let task = supervisor.start("harvest", "attack")?;
    /// for _ in 0..1000 {
    ///     task.check()?; // leaves here when the task is cancelled
    /// }
    /// drop(task);
    /// # Ok(()) }
    /// ```
    pub fn start(&self, name: impl Into<Cow<'static, str>>, profile: impl IntoProfile) -> Result<Task> {
        self.start_in_coroutine(name, profile, 0)
    }

    /// As [`start`](Supervisor::start), for code that takes turns with other code on this thread, as coroutines and
    /// futures of one thread do. `coroutine` is any number that tells it from those others; 0 is none.
    ///
    /// The clock of a thread does not tell its coroutines apart. While sections of several are open, what each of them
    /// uses is unknown: it breaks no CPU limit and is blamed for nothing. At other times a section is charged with all
    /// that its thread uses.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start).
    pub fn start_in_coroutine(
        &self,
        name: impl Into<Cow<'static, str>>,
        profile: impl IntoProfile,
        coroutine: u64,
    ) -> Result<Task> {
        self.admit(name, profile, Executor::Cooperative(Section::begin(coroutine))).map(Task::new)
    }

    /// Runs a closure as a cooperative task on this thread.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start), and what the closure returns.
    pub fn run<T, E: From<Error>>(
        &self,
        name: impl Into<Cow<'static, str>>,
        profile: impl IntoProfile,
        section: impl FnOnce(&Token) -> Result<T, E>,
    ) -> Result<T, E> {
        let task = self.start(name, profile)?;
        section(task.token())
    }

    /// Starts a thread as a task. The closure must poll its token: a thread can be asked and not forced.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start), and [`SpawnFailed`](ErrorKind::SpawnFailed).
    pub fn spawn<T: Send + 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        profile: impl IntoProfile,
        body: impl FnOnce(&Token) -> T + Send + 'static,
    ) -> Result<ThreadTask<T>> {
        let state = Arc::new(ThreadState::default());
        let token = self.admit(name, profile, Executor::Thread(state.clone()))?;
        let mine = Leaving(token.clone());
        // A thread's name holds no NUL; a task's may.
        let spawned = std::thread::Builder::new().name(token.name().replace('\0', "")).spawn(move || {
            state.began();
            body(&mine.0)
        });
        match spawned {
            Ok(thread) => Ok(ThreadTask::new(thread, token)),
            Err(e) => {
                let tried = format!("starting a thread for task {:?}: {e}", token.name());
                Err(Error::new(ErrorKind::SpawnFailed, tried).because(e))
            }
        }
    }

    /// Makes a task of a thread that the host starts by its own means, as an interpreter must.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start).
    pub fn host_thread(
        &self,
        name: impl Into<Cow<'static, str>>,
        profile: impl IntoProfile,
    ) -> Result<HostThread> {
        let state = Arc::new(ThreadState::default());
        let token = self.admit(name, profile, Executor::Thread(state.clone()))?;
        Ok(HostThread::new(state, token))
    }

    /// Makes a future a task: it gets its token, and the host's own runtime polls what is returned.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start).
    pub fn supervise<F: Future>(
        &self,
        name: impl Into<Cow<'static, str>>,
        profile: impl IntoProfile,
        future: impl FnOnce(Token) -> F,
    ) -> Result<Supervised<F>> {
        let state = Arc::new(FutureState::default());
        let token = self.admit(name, profile, Executor::Future(state.clone()))?;
        // Made before the closure runs: if that panics, the task ends with it.
        let supervised = Supervised::new(state, token.clone());
        Ok(supervised.holding(future(token)))
    }

    /// Puts work under supervision that the host runs itself and stops through `stopper`.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start). Task limits other than duration and idle time cannot be measured for
    /// such work and are refused.
    pub fn start_with(
        &self,
        name: impl Into<Cow<'static, str>>,
        profile: impl IntoProfile,
        stopper: Arc<dyn Stopper>,
    ) -> Result<CustomTask> {
        let executor = Executor::Custom(Arc::new(Custom::new(stopper)));
        self.admit(name, profile, executor).map(CustomTask::new)
    }

    /// The token of a running task.
    ///
    /// # Errors
    /// [`UnknownTask`](ErrorKind::UnknownTask) if no running task has this id.
    pub fn token(&self, id: TaskId) -> Result<Token> {
        self.inner().task(id).map(Token::new)
    }

    /// Asks one task to stop; returns its token, on which the verified outcome can be awaited.
    ///
    /// # Errors
    /// [`UnknownTask`](ErrorKind::UnknownTask) if no running task has this id.
    pub fn stop(&self, id: TaskId, reason: &str) -> Result<Token> {
        let token = self.token(id)?;
        token.cancel(reason);
        Ok(token)
    }

    /// Asks every running task to stop; returns the tokens of those that this call cancelled.
    pub fn stop_all(&self, reason: &str) -> Vec<Token> {
        let mut records = Vec::new();
        self.inner().table.collect(&mut records);
        records.into_iter().map(Token::new).filter(|t| t.cancel(reason)).collect()
    }

    /// The running tasks, those being cancelled included, the oldest first.
    pub fn active(&self) -> Vec<TaskSummary> {
        let inner = self.inner();
        let mut records = Vec::new();
        inner.table.collect(&mut records);
        records.sort_unstable_by_key(|r| (r.started, r.id));
        let now = inner.now();
        records.iter().map(|r| inner.summary(r, now)).collect()
    }

    /// The latest incidents, the newest first. The last 1,024 are kept in memory.
    pub fn incidents(&self, most: usize) -> Vec<Arc<Incident>> {
        self.inner().incidents.recent(most)
    }

    /// Writes the incidents kept in memory to `path`, one JSON line each, the oldest first; a file that is
    /// there is replaced as a whole. Returns how many.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the file cannot be written.
    ///
    /// # Blocking
    /// Until the file is on the disk.
    pub fn export_incidents(&self, path: impl AsRef<Path>) -> Result<usize> {
        let path = path.as_ref();
        let tried = || format!("exporting incidents to {}", path.display());
        let incidents = self.incidents(usize::MAX);
        let mut lines = Vec::new();
        for incident in incidents.iter().rev() {
            serde_json::to_writer(&mut lines, &**incident).map_err(|e| Error::io(tried(), e.into()))?;
            lines.push(b'\n');
        }
        write_atomic(path, &lines).map_err(|e| Error::io(tried(), e))?;
        Ok(incidents.len())
    }

    /// Counts of tasks and outcomes, and whether all is well with the incident file.
    pub fn status(&self) -> Status {
        let inner = self.inner();
        let counts = inner.incidents.counts();
        let (started, finished) = inner.table.counts();
        Status {
            started,
            finished,
            active: inner.table.len() as u64,
            stopped: counts.stopped,
            killed: counts.killed,
            still_running: counts.still_running,
            recorded: counts.recorded,
            observing: inner.observing,
            incident_file_failure: inner.incidents.failure(),
            incidents_lost: inner.incidents.lost(),
        }
    }

    /// The incidents kept in memory, summed up.
    pub fn report(&self) -> Report {
        let status = self.status();
        Report::of(&self.incidents(usize::MAX), status.started, status.finished, status.active)
    }

    /// Begins a named session.
    pub fn session(&self, name: &str) -> Session {
        Session::begin(self.inner(), name)
    }

    /// The profiles that tasks are started under by name. Replacing one changes no running task.
    pub fn profiles(&self) -> &Profiles {
        &self.inner().profiles
    }

    /// The monitor whose samples drive the decisions.
    pub fn monitor(&self) -> &Monitor {
        &self.0.monitor
    }

    /// The bus on which everything is told.
    pub fn bus(&self) -> &Bus {
        &self.inner().bus
    }

    /// Does what is due now. For a supervisor [built without threads](SupervisorBuilder::manual) only.
    pub fn tick(&self) {
        let inner = self.inner();
        if !inner.threaded {
            inner.pass(inner.now());
        }
    }

    /// Waits until all incidents so far are complete, told on the bus, and in their file if there is one.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the file cannot be written, [`TimedOut`](ErrorKind::TimedOut) after `limit`.
    ///
    /// # Blocking
    /// For at most `limit`.
    pub fn flush(&self, limit: Duration) -> Result<()> {
        let begun = std::time::Instant::now();
        self.inner().flush(begun.checked_add(limit).unwrap_or(begun + FOREVER))
    }
}

/// Its locks do not poison, and what they guard is whole between two calls: a panic that a host catches breaks nothing.
impl std::panic::UnwindSafe for Supervisor {}
impl std::panic::RefUnwindSafe for Supervisor {}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("active", &self.inner().table.len()).finish_non_exhaustive()
    }
}

/// Ends a thread's task when its closure returns or panics.
struct Leaving(Token);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.record().finish();
    }
}
