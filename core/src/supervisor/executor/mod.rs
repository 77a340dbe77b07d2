//! How tasks run: what measures them and what stops them.

pub(crate) mod custom;
pub(crate) mod future;
mod kind;
pub(crate) mod process;
pub(crate) mod section;
pub(crate) mod thread;
pub(crate) mod thread_clock;
mod turns;

pub(crate) use kind::{Executor, ProcessWork};
