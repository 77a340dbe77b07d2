//! Puts a supervisor together.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::engine::{Engine, EngineSettings, Mode};
use super::incident::IncidentLog;
use super::inner::Inner;
use super::passes::Passes;
use super::profile::Profiles;
use super::sampling::Usages;
use super::session::Sessions;
use super::starting::Starts;
use super::supervisor::Supervisor;
use super::table::Table;
use crate::clock::{Clock, SystemClock, Time};
use crate::errand::{Errands, InTurn};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Bus;
use crate::monitor::Monitor;
use crate::timer::{self, Alarm};

/// Puts a [`Supervisor`] together. Everything has a default.
#[must_use]
pub struct SupervisorBuilder {
    monitor: Option<Monitor>,
    bus: Option<Bus>,
    clock: Arc<dyn Clock>,
    profiles: Option<Profiles>,
    folder: Option<PathBuf>,
    incidents: Option<PathBuf>,
    engine: EngineSettings,
    verify: Duration,
}

impl SupervisorBuilder {
    pub(crate) fn new() -> Self {
        SupervisorBuilder {
            monitor: None,
            bus: None,
            clock: Arc::new(SystemClock),
            profiles: None,
            folder: None,
            incidents: None,
            engine: EngineSettings::default(),
            verify: Duration::from_secs(5),
        }
    }

    /// The monitor whose samples drive the decisions; it is to run by the same clock. Without one, a monitor with its
    /// defaults is started.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// The bus to tell everything on. Without one, the monitor's.
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = Some(bus);
        self
    }

    /// The clock to run by.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The profiles to start tasks under. Without any, the six built in.
    pub fn profiles(mut self, profiles: Profiles) -> Self {
        self.profiles = Some(profiles);
        self
    }

    /// Reads the profiles of a folder, beside the six built in. Not together with [`profiles`](Self::profiles).
    pub fn profile_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Writes every incident to this file as one JSON line. It is rotated at 16 MiB; four older files are kept.
    /// A pipe or a socket is refused.
    pub fn incident_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.incidents = Some(path.into());
        self
    }

    /// Decides and records everything, and no limit cancels anything.
    ///
    /// What no limit decides still happens: a shutdown and whoever asks for a stop cancel tasks, what a command leaves
    /// behind is stopped unless it [may run on](super::Command::keep_leftovers), and a task whose guardian was killed is
    /// cancelled for it.
    pub fn observe_only(mut self) -> Self {
        self.engine.mode = Mode::Observe;
        self
    }

    /// The smallest share, 0 to 1, of a metric's use with which a task can be nominated. Default 0.1.
    pub fn min_share(mut self, share: f64) -> Self {
        self.engine.min_share = share;
        self
    }

    /// How long the machine has to settle after a cancellation before anyone else is nominated. Default 2 s.
    pub fn settle(mut self, time: Duration) -> Self {
        self.engine.settle = time;
        self
    }

    /// The most cancellations per minute for host limits, at least 1. Default 10. Task limits are not capped. Whoever
    /// wants nothing cancelled [only observes](SupervisorBuilder::observe_only).
    pub fn max_cancellations_per_minute(mut self, most: u32) -> Self {
        self.engine.max_cancellations_per_minute = most;
        self
    }

    /// How long a task that was ended by force is looked for before it counts as still running. Default 5 s; up to
    /// four times that for a process tree that has become smaller each time.
    pub fn verify(mut self, time: Duration) -> Self {
        self.verify = time;
        self
    }

    /// Starts it, with its watch thread.
    ///
    /// # Errors
    /// A setting out of its range ([`InvalidArgument`](crate::ErrorKind::InvalidArgument)), an unreadable or
    /// invalid profile ([`InvalidProfile`](crate::ErrorKind::InvalidProfile)), an incident
    /// file that cannot be opened ([`Io`](crate::ErrorKind::Io)), or no thread
    /// ([`SpawnFailed`](crate::ErrorKind::SpawnFailed)).
    pub fn start(self) -> Result<Supervisor> {
        // The handle first: if the thread cannot be started, dropping it closes what was assembled.
        let supervisor = self.assemble(true)?;
        supervisor.watched_by(timer::watch("hl-watch", supervisor.inner().clone())?);
        Ok(supervisor)
    }

    /// Starts it without a thread: the host moves its clock, feeds its monitor and calls
    /// [`tick`](Supervisor::tick). For tests and replays.
    ///
    /// # Errors
    /// As [`start`](SupervisorBuilder::start).
    pub fn manual(self) -> Result<Supervisor> {
        self.assemble(false)
    }

    fn assemble(self, threaded: bool) -> Result<Supervisor> {
        self.engine.validate()?;
        let monitor = match self.monitor {
            Some(monitor) => monitor,
            None => {
                let own = Monitor::builder().clock(self.clock.clone());
                if threaded { own.start()? } else { own.manual()? }
            }
        };
        let bus = self.bus.unwrap_or_else(|| monitor.bus().clone());
        let profiles = match (self.profiles, self.folder) {
            (Some(_), Some(folder)) => {
                let both = format!(
                    "profiles and the folder {} were both given; read the folder into the profiles, with Profiles::load_dir",
                    folder.display()
                );
                return Err(Error::new(ErrorKind::InvalidArgument, both));
            }
            (Some(profiles), None) => profiles,
            (None, Some(folder)) => Profiles::load_dir(folder)?,
            (None, None) => Profiles::new(),
        };
        let log = InTurn::default();
        let inner = Arc::new(Inner {
            table: Table::new(),
            threaded,
            observing: self.engine.mode == Mode::Observe,
            clock: self.clock,
            alarm: Alarm::new(),
            incidents: IncidentLog::open(self.incidents.as_deref(), bus.clone(), log.clone())?,
            bus,
            samples: monitor.samples(),
            profiles,
            engine: Mutex::new(Engine::new(self.engine)),
            sessions: Sessions::default(),
            verify: self.verify,
            inbox: Mutex::default(),
            active: Mutex::default(),
            observer: OnceLock::new(),
            spike: Mutex::default(),
            top: Mutex::default(),
            usage: ArcSwap::from_pointee(Usages::new()),
            handlers: Errands::default(),
            stoppers: Errands::default(),
            telling: InTurn::default(),
            log,
            retry: AtomicU64::new(Time::NEVER.as_nanos()),
            starts: Starts::default(),
            closing: AtomicBool::new(false),
            passes: Passes::new(),
        });
        let watcher = Arc::downgrade(&inner);
        let observer = monitor.observe_samples(Box::new(move |sample| {
            if let Some(inner) = watcher.upgrade() {
                inner.observe(sample);
            }
        }));
        let _ = inner.observer.set(observer);
        Ok(Supervisor::new(inner, monitor))
    }
}
