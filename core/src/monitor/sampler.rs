//! Takes one sample: the machine, the signals, the history, the observers. No thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::degraded::Ledger;
use super::history::History;
use super::signal::Signals;
use super::source::{Reader, Verdicts};
use super::{Metric, Sample};
use crate::clock::{Clock, Time};

/// What an observer of samples does with one.
pub(crate) type Observe = Box<dyn Fn(&Arc<Sample>) + Send + Sync>;

/// What the handle, the thread and the probe share.
pub(super) struct Sampler {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) signals: Signals,
    reader: Mutex<Box<dyn Reader>>,
    history: Mutex<History>,
    observers: Arc<Observers>,
}

/// A list that is copied when it changes, so that none is locked while it is called.
#[derive(Default)]
struct Observers(Mutex<Arc<Vec<Arc<Observe>>>>);

/// Keeps an observer of samples; dropping it ends the observing. A call that has begun runs to its end.
#[must_use = "dropping it ends the observing"]
pub(crate) struct SampleObserver {
    observers: Weak<Observers>,
    observe: Arc<Observe>,
}

impl Drop for SampleObserver {
    fn drop(&mut self) {
        if let Some(observers) = self.observers.upgrade() {
            let mut list = observers.0.lock();
            let rest = list.iter().filter(|o| !Arc::ptr_eq(o, &self.observe)).cloned().collect();
            *list = Arc::new(rest);
        }
    }
}

impl Sampler {
    /// Takes the baselines too.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        ledger: Arc<Ledger>,
        signals: Signals,
        reader: Box<dyn Reader>,
        history: usize,
    ) -> Self {
        let sampler = Sampler {
            clock,
            ledger,
            signals,
            reader: Mutex::new(reader),
            history: Mutex::new(History::new(history)),
            observers: Arc::default(),
        };
        let (at, wall) = (sampler.clock.now(), sampler.clock.wall());
        let mut verdicts = Verdicts::default();
        sampler.reader.lock().read(at, &mut Sample::unknown(at, wall), &mut verdicts);
        sampler.ledger.judge(at, verdicts);
        sampler
    }

    /// Reads everything at `at`, keeps the sample and shows it to the observers.
    pub(super) fn sample_at(&self, at: Time) -> Arc<Sample> {
        let mut sample = Sample::unknown(at, self.clock.wall());
        let mut verdicts = Verdicts::default();
        self.reader.lock().read(at, &mut sample, &mut verdicts);
        sample.signals = self.signals.take(at);
        self.ledger.judge(at, verdicts);
        self.keep(sample)
    }

    /// Keeps a sample from wherever it came, publishes it if anyone listens, and shows it to the observers.
    pub(super) fn keep(&self, sample: Sample) -> Arc<Sample> {
        let sample = Arc::new(sample);
        self.history.lock().push(sample.clone());
        let bus = self.ledger.bus();
        if bus.wants("monitor.sample") {
            match serde_json::to_value(&*sample) {
                Ok(data) => {
                    bus.publish("monitor.sample", None, data);
                }
                Err(error) => {
                    self.ledger.log(move || tracing::warn!(%error, "a sample could not be written as JSON"));
                }
            }
        }
        let observers = self.observers.0.lock().clone();
        for observe in observers.iter() {
            if catch_unwind(AssertUnwindSafe(|| observe(&sample))).is_err() {
                self.ledger.log(|| tracing::error!("an observer of samples panicked; sampling goes on"));
            }
        }
        sample
    }

    pub(super) fn observe(&self, observe: Observe) -> SampleObserver {
        let observe = Arc::new(observe);
        let mut list = self.observers.0.lock();
        *list = Arc::new(list.iter().cloned().chain([observe.clone()]).collect());
        SampleObserver { observers: Arc::downgrade(&self.observers), observe }
    }

    /// Runs `look` on the history under its lock.
    pub(super) fn look<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.history.lock())
    }

    /// The values of `metric` over `window`; the sorting is left to the caller, outside the lock.
    pub(super) fn values(&self, metric: &Metric, window: std::time::Duration) -> Vec<f64> {
        self.look(|history| history.window(window)).iter().filter_map(|s| metric.of(s)).collect()
    }
}
