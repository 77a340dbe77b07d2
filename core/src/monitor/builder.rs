//! Configures a monitor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Monitor;
use super::degraded::Ledger;
use super::probe::{self, Probe};
use super::sampler::Sampler;
use super::schedule::{LONGEST, SHORTEST};
use super::signal::{FrameMeter, Signals};
use super::source::{self, Source, Sources};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Bus;

/// Samples kept unless told otherwise: five minutes at one a second.
const HISTORY: usize = 300;
/// More samples than this are refused: at one a second it is a day.
const MOST_HISTORY: usize = 86_400;

/// Configures a [`Monitor`]. Made by [`Monitor::builder`].
#[must_use = "a builder does nothing until it is started"]
pub struct MonitorBuilder {
    interval: Duration,
    history: usize,
    clock: Arc<dyn Clock>,
    bus: Bus,
    sources: Sources,
    stall_after: Duration,
    probe: Option<probe::Plan>,
}

impl MonitorBuilder {
    pub(super) fn new() -> Self {
        MonitorBuilder {
            interval: Duration::from_secs(1),
            history: HISTORY,
            clock: Arc::new(SystemClock),
            bus: Bus::new(),
            sources: Sources::all(),
            stall_after: Duration::from_secs(1),
            probe: None,
        }
    }

    /// How often to sample: 10 ms to 10 minutes, one second unless told otherwise. Below 100 ms rates and
    /// CPU reach back about 100 ms, because the kernel counts in steps of 10 ms.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How many samples to keep: 1 to 86,400, 300 unless told otherwise. One takes about 400 bytes and 4
    /// for each core.
    pub fn history(mut self, samples: usize) -> Self {
        self.history = samples;
        self
    }

    /// The clock that stamps samples and signals. The thread of [`start`](MonitorBuilder::start) always
    /// waits in real time; to move time by hand use [`manual`](MonitorBuilder::manual).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The bus on which `monitor.sample` and `monitor.degraded` appear.
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }

    /// What to read, and from where.
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// How long no frame may come before it is a stall: one second unless told otherwise.
    pub fn stall_after(mut self, stall_after: Duration) -> Self {
        self.stall_after = stall_after;
        self
    }

    /// Opens a TCP connection to `address` (`host:port`) each time `every` has passed, on a thread of its
    /// own, and feeds the time that took as latency. One that takes longer than `timeout` counts as
    /// `timeout`; one that is refused or cannot be tried feeds nothing and degrades the source `probe`.
    /// Only [`start`](MonitorBuilder::start) probes.
    pub fn probe(mut self, address: impl Into<String>, every: Duration, timeout: Duration) -> Self {
        self.probe = Some(probe::Plan { address: address.into(), every, timeout });
        self
    }

    /// Starts sampling in the background.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if a value is out of range; [`ErrorKind::SpawnFailed`] if a thread
    /// cannot be started. A source that cannot be read is no error: it degrades.
    pub fn start(self) -> Result<Monitor> {
        self.build(true)
    }

    /// Builds a monitor without a thread: the caller takes samples with [`Monitor::sample_now`] or hands
    /// them over with [`Monitor::feed`]. For tests, replay, and hosts with a loop of their own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if a value is out of range.
    pub fn manual(self) -> Result<Monitor> {
        self.build(false)
    }

    fn build(self, with_threads: bool) -> Result<Monitor> {
        self.check()?;
        let ledger = Arc::new(Ledger::new(self.bus));
        let frames = FrameMeter::new(Duration::from_secs(1), self.stall_after);
        let signals = Signals::new(self.clock.clone(), frames);
        let reader = source::reader(&self.sources);
        let sampler = Sampler::new(self.clock.clone(), ledger.clone(), signals.clone(), reader, self.history);
        let probe = match self.probe.filter(|_| with_threads && self.sources.has(Source::Probe)) {
            Some(plan) => Some(Probe::start(plan, signals, ledger, self.clock)?),
            None => None,
        };
        let monitor = Monitor::assemble(sampler, self.interval, probe, self.sources.proc_root().to_owned());
        if with_threads {
            monitor.run()?;
        }
        Ok(monitor)
    }

    fn check(&self) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        if !(SHORTEST..=LONGEST).contains(&self.interval) {
            return invalid(format!(
                "interval {:?} is out of range: 10 ms to 10 minutes is right",
                self.interval
            ));
        }
        if !(1..=MOST_HISTORY).contains(&self.history) {
            return invalid(format!("history of {} samples: 1 to {MOST_HISTORY} is right", self.history));
        }
        if self.stall_after.is_zero() {
            return invalid("stall_after of zero: every moment would be a stall".to_owned());
        }
        self.probe.as_ref().map_or(Ok(()), probe::Plan::check)
    }
}

impl fmt::Debug for MonitorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorBuilder")
            .field("interval", &self.interval)
            .field("history", &self.history)
            .field("sources", &self.sources)
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}
