//! The handle through which a host feeds its signals.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::frame::{FrameMeter, FrameTimes};
use super::window::Window;
use crate::clock::{Clock, Time};
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::SignalValues;

/// Different gauges that one host may feed.
const MAX_GAUGES: usize = 256;
/// Bytes in the name of a gauge.
const MAX_NAME: usize = 128;
/// An hour. A longer latency says nothing more and would only spoil averages.
const MAX_MS: f64 = 3_600_000.0;

/// Feeds frames, latency, response times and gauges. Clones feed the same signals.
///
/// Every call is short and takes no lock that is held while host code runs; any thread may call, also
/// while the monitor is stopped. Memory is bounded: 512 frames, 256 values of latency and of response time
/// between two samples (the newest stay), 256 gauges.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use haltline::monitor::Monitor;
///
/// let monitor = Monitor::builder().manual()?;
/// let signals = monitor.signals();
/// signals.latency(Duration::from_millis(40));
/// let answer = signals.time(|| 6 * 7);
/// signals.gauge("queue", 12.0)?;
/// let sample = monitor.sample_now();
/// assert_eq!(answer, 42);
/// assert_eq!(sample.signals.latency_ms, Some(40.0));
/// assert!(signals.gauge("queue", f64::NAN).is_err());
/// # Ok::<(), haltline::Error>(())
/// ```
#[derive(Clone)]
pub struct Signals(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    frames: Mutex<FrameMeter>,
    latency: Mutex<Window>,
    response: Mutex<Window>,
    gauges: Mutex<BTreeMap<String, f64>>,
}

impl Signals {
    pub(crate) fn new(clock: Arc<dyn Clock>, frames: FrameMeter) -> Self {
        Signals(Arc::new(Inner {
            clock,
            frames: Mutex::new(frames),
            latency: Mutex::default(),
            response: Mutex::default(),
            gauges: Mutex::default(),
        }))
    }

    /// A frame was finished. Ignored while paused.
    #[inline]
    pub fn frame(&self) {
        let now = self.0.clock.now();
        self.0.frames.lock().tick(now);
    }

    /// No frames are expected from now on: the rate is unknown and a missing frame is no stall.
    pub fn pause(&self) {
        self.0.frames.lock().pause();
    }

    /// Frames are expected again. Does nothing if the signals are not paused.
    pub fn resume(&self) {
        let now = self.0.clock.now();
        self.0.frames.lock().resume(now);
    }

    /// Whether frames are paused.
    pub fn is_paused(&self) -> bool {
        self.0.frames.lock().is_paused()
    }

    /// Frames per second now, or `None` while paused or before two frames were seen.
    pub fn fps(&self) -> Option<f64> {
        let now = self.0.clock.now();
        self.0.frames.lock().fps(now)
    }

    /// The times between frames over the last second.
    pub fn frame_times(&self) -> Option<FrameTimes> {
        self.frames().frame_times(self.0.clock.now())
    }

    /// How long no frame has come, if that is a stall; never while paused.
    pub fn stalled(&self) -> Option<Duration> {
        let now = self.0.clock.now();
        self.0.frames.lock().stalled(now)
    }

    /// A network or input latency was measured. More than an hour counts as an hour.
    pub fn latency(&self, latency: Duration) {
        self.0.latency.lock().push(milliseconds(latency));
    }

    /// A request or an action took `response`. More than an hour counts as an hour.
    pub fn response(&self, response: Duration) {
        self.0.response.lock().push(milliseconds(response));
    }

    /// As [`latency`](Signals::latency), in milliseconds, for hosts that measure in numbers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `ms` is not between 0 and 3,600,000. Nothing is recorded then.
    pub fn latency_ms(&self, ms: f64) -> Result<()> {
        self.0.latency.lock().push(checked("latency", ms)?);
        Ok(())
    }

    /// As [`response`](Signals::response), in milliseconds, for hosts that measure in numbers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `ms` is not between 0 and 3,600,000. Nothing is recorded then.
    pub fn response_ms(&self, ms: f64) -> Result<()> {
        self.0.response.lock().push(checked("response time", ms)?);
        Ok(())
    }

    /// Runs `work` and records how long it took as a response time, also if it panics.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Record<'a>(&'a Signals, Time);
        impl Drop for Record<'_> {
            fn drop(&mut self) {
                self.0.response(self.0.0.clock.now().since(self.1));
            }
        }
        let _record = Record(self, self.0.clock.now());
        work()
    }

    /// Sets the gauge `name`. It keeps its value until it is set again or [cleared](Signals::clear_gauge).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the value is not finite, the name is empty or longer than 128
    /// bytes, or 256 other gauges exist. The gauge keeps its former value then.
    pub fn gauge(&self, name: &str, value: f64) -> Result<()> {
        if !value.is_finite() {
            return Err(invalid(format!("gauge {name:?} cannot be {value}: a finite number is needed")));
        }
        let mut gauges = self.0.gauges.lock();
        if let Some(known) = gauges.get_mut(name) {
            *known = value;
            return Ok(());
        }
        if name.is_empty() || name.len() > MAX_NAME {
            let length = name.len();
            return Err(invalid(format!("a gauge's name has 1 to {MAX_NAME} bytes, this one has {length}")));
        }
        if gauges.len() >= MAX_GAUGES {
            return Err(invalid(format!(
                "gauge {name:?} would be one too many: {MAX_GAUGES} exist; clear one first"
            )));
        }
        gauges.insert(name.to_owned(), value);
        Ok(())
    }

    /// Removes the gauge `name`; returns whether it existed.
    pub fn clear_gauge(&self, name: &str) -> bool {
        self.0.gauges.lock().remove(name).is_some()
    }

    /// The values for a sample taken at `at`. Latency and response times are consumed.
    pub(crate) fn take(&self, at: Time) -> SignalValues {
        let frames = self.0.frames.lock();
        let fps = frames.fps(at);
        let stall_ms = frames.stalled(at).map(|gap| gap.as_secs_f64() * 1e3);
        // Sorting 500 gaps under the lock would hold up a render thread.
        let copy = fps.is_some().then(|| frames.clone());
        drop(frames);
        SignalValues {
            fps,
            frame_p99_ms: copy.and_then(|f| f.frame_times(at)).map(|t| t.p99_ms),
            stall_ms,
            latency_ms: self.0.latency.lock().take_median(),
            response_ms: self.0.response.lock().take_median(),
            gauges: self.0.gauges.lock().clone(),
        }
    }

    fn frames(&self) -> FrameMeter {
        self.0.frames.lock().clone()
    }
}

fn milliseconds(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e3).min(MAX_MS)
}

fn checked(what: &str, ms: f64) -> Result<f64> {
    if (0.0..=MAX_MS).contains(&ms) {
        return Ok(ms);
    }
    Err(invalid(format!("a {what} of {ms} ms cannot be: 0 to {MAX_MS} is right")))
}

#[cold]
fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("paused", &self.is_paused()).finish_non_exhaustive()
    }
}
