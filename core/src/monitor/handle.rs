//! The handle of a monitor.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::degraded::Degraded;
use super::history::{History, Summary};
use super::probe::Probe;
use super::sampler::{Observe, SampleObserver, Sampler};
use super::schedule::Schedule;
use super::signal::Signals;
use super::top::ProcessTable;
use super::{Metric, MonitorBuilder, Sample, TopProcess};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::event::Bus;

/// Samples the machine in the background. Clones are handles to the same monitor; dropping the last one
/// stops it.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use haltline::monitor::{Metric, Monitor};
///
/// let monitor = Monitor::builder().interval(Duration::from_millis(10)).start()?;
/// while monitor.summary(&Metric::CpuPercent, Duration::from_secs(60)).is_none() {
///     std::thread::sleep(Duration::from_millis(10));
/// }
/// monitor.stop();
/// # Ok::<(), haltline::Error>(())
/// ```
#[derive(Clone)]
pub struct Monitor(Arc<Shared>);

/// The samples of a monitor, for one who does not keep it running.
pub(crate) struct Samples(Arc<Sampler>);

impl Samples {
    /// The last `n` samples, oldest first.
    pub(crate) fn recent(&self, n: usize) -> Vec<Arc<Sample>> {
        self.0.look(|history| history.recent(n))
    }
}

struct Shared {
    sampler: Arc<Sampler>,
    interval: Duration,
    wake: Arc<Wake>,
    thread: Mutex<Option<JoinHandle<()>>>,
    probe: Option<Probe>,
    proc_root: std::path::PathBuf,
}

/// Ends the thread's sleep.
#[derive(Default)]
struct Wake {
    stopped: Mutex<bool>,
    condition: Condvar,
}

impl Monitor {
    /// A monitor to be configured.
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::new()
    }

    /// Samples everything once a second. The first sample is there after 100 ms.
    ///
    /// # Errors
    /// [`ErrorKind::SpawnFailed`](crate::ErrorKind::SpawnFailed) if the thread cannot be started.
    pub fn start() -> Result<Monitor> {
        Monitor::builder().start()
    }

    pub(super) fn assemble(
        sampler: Sampler,
        interval: Duration,
        probe: Option<Probe>,
        proc_root: std::path::PathBuf,
    ) -> Monitor {
        Monitor(Arc::new(Shared {
            sampler: Arc::new(sampler),
            interval,
            wake: Arc::default(),
            thread: Mutex::default(),
            probe,
            proc_root,
        }))
    }

    /// Starts the thread. It holds no handle, so the last handle's drop can end it.
    pub(super) fn run(&self) -> Result<()> {
        let (sampler, wake, interval) = (self.0.sampler.clone(), self.0.wake.clone(), self.0.interval);
        let thread = std::thread::Builder::new()
            .name("hl-monitor".into())
            .spawn(move || {
                crate::errand::become_watcher();
                sample_until_stopped(&sampler, &wake, interval);
            })
            .map_err(|e| Error::new(crate::ErrorKind::SpawnFailed, format!("the monitor's thread: {e}")))?;
        *self.0.thread.lock() = Some(thread);
        Ok(())
    }

    /// The handle for feeding frames, latency, response times and gauges.
    pub fn signals(&self) -> Signals {
        self.0.sampler.signals.clone()
    }

    /// The newest sample, or `None` if there is none yet.
    pub fn latest(&self) -> Option<Arc<Sample>> {
        self.0.sampler.look(|history| history.latest().cloned())
    }

    /// A snapshot of the history.
    pub fn history(&self) -> History {
        self.0.sampler.look(History::clone)
    }

    /// Its samples, without keeping it running.
    pub(crate) fn samples(&self) -> Samples {
        Samples(self.0.sampler.clone())
    }

    /// The last `n` samples, oldest first.
    pub fn recent(&self, n: usize) -> Vec<Arc<Sample>> {
        self.0.sampler.look(|history| history.recent(n))
    }

    /// The samples that are at most `window` older than the newest one, oldest first.
    pub fn window(&self, window: Duration) -> Vec<Arc<Sample>> {
        self.0.sampler.look(|history| history.window(window))
    }

    /// What `metric` did over the last `window`, or `None` if no sample in it knew the metric.
    pub fn summary(&self, metric: &Metric, window: Duration) -> Option<Summary> {
        Summary::of(self.0.sampler.values(metric, window))
    }

    /// How often a sample is taken.
    pub fn interval(&self) -> Duration {
        self.0.interval
    }

    /// The sources that fail at present, each with its reason.
    pub fn degraded(&self) -> Vec<Degraded> {
        self.0.sampler.ledger.list()
    }

    /// The bus on which `monitor.sample` and `monitor.degraded` appear.
    pub fn bus(&self) -> &Bus {
        self.0.sampler.ledger.bus()
    }

    /// Takes a sample now, on this thread, whether or not the monitor runs. It is kept, published and
    /// observed like any other, and consumes the latency and response times fed so far. Rates reach back
    /// 90 ms or more, so looking twice in a moment does no harm.
    pub fn sample_now(&self) -> Arc<Sample> {
        self.sample_at(self.0.sampler.clock.now())
    }

    /// Takes a sample as of `at`: what a test or a replay calls in place of the thread.
    pub(crate) fn sample_at(&self, at: Time) -> Arc<Sample> {
        self.0.sampler.sample_at(at)
    }

    /// Keeps a sample that was made elsewhere, as if it had been taken: for tests, replay, and hosts that
    /// measure by themselves.
    pub fn feed(&self, sample: Sample) {
        self.0.sampler.keep(sample);
    }

    /// Calls `observe` after each sample, on the thread that took it and with no lock held, until the
    /// returned guard is dropped.
    pub(crate) fn observe_samples(&self, observe: Observe) -> SampleObserver {
        self.0.sampler.observe(observe)
    }

    /// The `n` processes that used most CPU over the next 100 ms, the largest first.
    ///
    /// # Blocking
    /// For 100 ms and two walks through all processes. [`ProcessTable`] does the same without waiting.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the list of processes cannot be read.
    pub fn top_processes(&self, n: usize) -> Result<Vec<TopProcess>> {
        let before = ProcessTable::read_at(&self.0.proc_root)?;
        std::thread::sleep(Duration::from_millis(100));
        Ok(ProcessTable::read_at(&self.0.proc_root)?.by_cpu(&before, n))
    }

    /// The `n` processes with most resident memory, the largest first. Their CPU is that since they began.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the list of processes cannot be read.
    pub fn top_processes_by_memory(&self, n: usize) -> Result<Vec<TopProcess>> {
        Ok(ProcessTable::read_at(&self.0.proc_root)?.by_memory(n))
    }

    /// Ends the sampling. Signals may still be fed, the history stays readable. Does nothing the second
    /// time.
    ///
    /// # Blocking
    /// Until the thread has left; a sample that is being taken is finished. Called by an observer, on the
    /// monitor's own thread, it does not wait. A probe under way ends within its own timeout.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Whether the thread is running.
    pub fn is_running(&self) -> bool {
        self.0.thread.lock().as_ref().is_some_and(|t| !t.is_finished()) && !*self.0.wake.stopped.lock()
    }
}

impl Shared {
    fn stop(&self) {
        *self.wake.stopped.lock() = true;
        self.wake.condition.notify_all();
        if let Some(probe) = &self.probe {
            probe.stop();
        }
        // Taken out first: the lock is not held while waiting.
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && !SAMPLING.get()
        {
            // Observers' panics are caught where they happen, so the thread does not end by one.
            let _ = thread.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

thread_local! {
    /// Whether this is a monitor's thread. Asking for the current `Thread` instead would leave a few bytes behind on
    /// the main thread of a host that is not Rust.
    static SAMPLING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn sample_until_stopped(sampler: &Sampler, wake: &Wake, interval: Duration) {
    SAMPLING.set(true);
    let mut schedule = Schedule::new(Instant::now(), interval);
    loop {
        let mut stopped = wake.stopped.lock();
        while !*stopped && !wake.condition.wait_until(&mut stopped, schedule.due()).timed_out() {}
        if *stopped {
            return;
        }
        drop(stopped);
        sampler.sample_at(sampler.clock.now());
        schedule.taken(Instant::now());
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("interval", &self.0.interval).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::monitor::Sources;

    fn counting(monitor: &Monitor) -> (Arc<AtomicUsize>, SampleObserver) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let observer = monitor.observe_samples(Box::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        (count, observer)
    }

    #[test]
    fn observers_see_each_sample_until_they_are_dropped() {
        let monitor = Monitor::builder().sources(Sources::none()).manual().unwrap();
        let (first, one) = counting(&monitor);
        let (second, _two) = counting(&monitor);
        monitor.sample_now();
        monitor.feed(Sample::unknown(Time::ZERO, std::time::UNIX_EPOCH));
        drop(one);
        monitor.sample_at(Time::from_nanos(5));
        assert_eq!((first.load(Ordering::SeqCst), second.load(Ordering::SeqCst)), (2, 3));
    }

    #[test]
    fn an_observer_may_panic_or_call_the_monitor() {
        let monitor = Monitor::builder().sources(Sources::none()).manual().unwrap();
        let _panics = monitor.observe_samples(Box::new(|_| panic!("as planned")));
        let inside = monitor.clone();
        let _calls = monitor.observe_samples(Box::new(move |sample| {
            assert_eq!(inside.latest().map(|s| s.at), Some(sample.at));
            drop(inside.observe_samples(Box::new(|_| {})));
        }));
        let (count, _observer) = counting(&monitor);
        monitor.sample_now();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_observer_may_stop_its_own_monitor() {
        let interval = Duration::from_millis(10);
        let monitor = Monitor::builder().sources(Sources::none()).interval(interval).start().unwrap();
        let (told, stopped) = std::sync::mpsc::channel();
        let inside = monitor.clone();
        let _observer = monitor.observe_samples(Box::new(move |_| {
            inside.stop();
            let _ = told.send(());
        }));
        stopped.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(!monitor.is_running());
    }
}
