//! Keeps threads of haltline out of an interpreter that ends.

use std::sync::Weak;
use std::time::{Duration, Instant};

use haltline::supervisor::Supervisor;
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How long the end of the interpreter waits for threads that run Python code to leave.
const LONGEST: Duration = Duration::from_secs(2);
/// How long after a thread could not be started the next attempt is made.
const RETRY: Duration = Duration::from_millis(50);
/// How long it waits for each incident file.
const FLUSH: Duration = Duration::from_millis(500);

struct Gate {
    state: Mutex<State>,
    /// A thread left, or the gate was closed.
    changed: Condvar,
}

struct State {
    closed: bool,
    inside: usize,
    supervisors: Vec<Weak<Supervisor>>,
}

static GATE: Gate = Gate {
    state: Mutex::new(State { closed: false, inside: 0, supervisors: Vec::new() }),
    changed: Condvar::new(),
};

/// Held while a thread runs Python code for haltline. The end of the interpreter waits for it, though not for
/// long.
pub(crate) struct Inside(());

/// Lets a thread in. `None` once the interpreter has begun to end.
pub(crate) fn enter() -> Option<Inside> {
    let mut state = GATE.state.lock();
    if state.closed {
        return None;
    }
    state.inside += 1;
    Some(Inside(()))
}

impl Drop for Inside {
    fn drop(&mut self) {
        GATE.state.lock().inside -= 1;
        GATE.changed.notify_all();
    }
}

/// Waits until it is time for another attempt to start a thread of Python's own, or the interpreter begins to end.
/// Returns whether it has not begun to. Called without the interpreter lock.
pub(crate) fn before_retry() -> bool {
    let end = Instant::now() + RETRY;
    let mut state = GATE.state.lock();
    while !state.closed && !GATE.changed.wait_until(&mut state, end).timed_out() {}
    !state.closed
}

/// Remembers a supervisor, whose tasks are cancelled when the interpreter ends.
pub(crate) fn remember(supervisor: Weak<Supervisor>) {
    let mut state = GATE.state.lock();
    state.supervisors.retain(|s| s.strong_count() > 0);
    state.supervisors.push(supervisor);
}

/// Called by `atexit`: cancels what still runs, waits shortly for threads that run Python code, and lets no
/// other in.
#[pyfunction]
fn _close(py: Python<'_>) {
    py.detach(|| {
        let mut state = GATE.state.lock();
        state.closed = true;
        let supervisors: Vec<_> = state.supervisors.drain(..).filter_map(|s| s.upgrade()).collect();
        drop(state);
        GATE.changed.notify_all();
        let stopped: Vec<_> =
            supervisors.iter().flat_map(|s| s.stop_all("the Python interpreter ends")).collect();
        let end = Instant::now() + LONGEST;
        let mut state = GATE.state.lock();
        while state.inside > 0 && !GATE.changed.wait_until(&mut state, end).timed_out() {}
        drop(state);
        // What left is in the incident file a moment later. What did not is left to the guardians.
        for token in stopped.iter().filter(|t| t.is_finished()) {
            token.wait_outcome(end.saturating_duration_since(Instant::now()));
        }
        for supervisor in &supervisors {
            // A file that cannot be written has been reported; there is nobody left to tell.
            let _ = supervisor.flush(FLUSH);
        }
    });
    if let Err(raised) = tell_failures(py) {
        raised.write_unraisable(py, None);
    }
}

/// What threads raised and nobody joined for. Without a thread there is none.
fn tell_failures(py: Python<'_>) -> PyResult<()> {
    let loaded = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    match loaded.get_item("haltline._thread")? {
        Some(module) => module.call_method0("tell_all").map(drop),
        None => Ok(()),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let close = wrap_pyfunction!(_close, module)?;
    module.py().import("atexit")?.call_method1("register", (&close,))?;
    module.add_function(close)
}
