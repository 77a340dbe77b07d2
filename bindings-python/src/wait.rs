//! Waiting with the interpreter lock released, and with Ctrl-C working.

use std::time::{Duration, Instant};

use haltline::ErrorKind;
use pyo3::prelude::*;

use crate::error;

/// How long Ctrl-C may go unnoticed. A condition variable is not woken by a signal.
const SLICE: Duration = Duration::from_millis(50);
/// Where no signal can arrive, one wait is as good as many.
const WHOLE: Duration = Duration::from_secs(3600);

/// Calls `step` with at most the time to wait until it returns something, or `limit` is over (`None`).
///
/// Signal handlers run between two steps, and what they raise ends the wait.
pub(crate) fn until<T: Send>(
    py: Python<'_>,
    limit: Option<Duration>,
    step: impl Fn(Duration) -> Option<T> + Sync,
) -> PyResult<Option<T>> {
    let longest = if on_main_thread(py)? { SLICE } else { WHOLE };
    let end = limit.and_then(|l| Instant::now().checked_add(l));
    loop {
        let left = end.map(|e| e.saturating_duration_since(Instant::now()));
        let seen = py.detach(|| step(left.map_or(longest, |l| l.min(longest))));
        if seen.is_some() {
            return Ok(seen);
        }
        py.check_signals()?;
        if left.is_some_and(|l| l <= longest) {
            return Ok(None);
        }
    }
}

/// Repeats a wait of the core in slices until it is no longer late, or `limit` is over.
pub(crate) fn patiently<T: Send>(
    py: Python<'_>,
    limit: Duration,
    wait: impl Fn(Duration) -> haltline::Result<T> + Sync,
) -> PyResult<T> {
    let end = Instant::now() + limit;
    let seen = until(py, Some(limit), |slice| match wait(slice) {
        Err(late) if late.kind() == ErrorKind::TimedOut && Instant::now() < end => None,
        result => Some(result),
    })?;
    match seen {
        Some(result) => result.map_err(error::raised),
        None => py.detach(|| wait(Duration::ZERO)).map_err(error::raised),
    }
}

/// Python runs signal handlers on its main thread only.
fn on_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}
