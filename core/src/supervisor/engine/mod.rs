//! Decides, purely: readings and time in, actions out.

mod action;
mod reading;

pub use action::{Action, Breach, Contribution, NotCancelled, WhyNot};
pub use reading::{HostReading, TaskId, TaskReading};
