//! The Python package `haltline`: convert in, one call of the core, convert out.

mod argument;
mod command;
mod coroutine;
mod entered;
mod error;
mod event;
mod exit;
mod finished;
mod incident;
mod json;
mod monitor;
mod process_table;
mod profile;
mod session;
mod stopper;
mod stream;
mod supervisor;
mod task;
mod thread;
mod wait;

use pyo3::prelude::*;

/// The compiled part of `haltline`; import that instead.
#[pymodule]
fn _haltline(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // The first thread that imports it is taken for the main one, so that must not be one of haltline's.
    module.py().import("threading")?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::register(module)?;
    profile::register(module)?;
    task::register(module)?;
    entered::register(module)?;
    thread::register(module)?;
    stopper::register(module)?;
    command::register(module)?;
    finished::register(module)?;
    event::register(module)?;
    incident::register(module)?;
    monitor::register(module)?;
    process_table::register(module)?;
    session::register(module)?;
    supervisor::register(module)?;
    #[cfg(feature = "peer")]
    module.add_class::<Empty>()?;
    exit::register(module)?;
    // `haltline/__init__.py` says what is public.
    module.delattr("__all__")
}

/// What any class of PyO3 costs.
#[cfg(feature = "peer")]
#[pyclass(frozen, name = "_Empty")]
struct Empty;

#[cfg(feature = "peer")]
#[pymethods]
impl Empty {
    #[new]
    fn new() -> Self {
        Empty
    }
}
