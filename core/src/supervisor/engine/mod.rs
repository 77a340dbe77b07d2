//! Decides, purely: readings and time in, actions out.

mod action;
mod blame;
mod change;
mod episode;
mod id_map;
mod metric;
mod nominate;
mod observe;
mod reading;
mod settings;
mod settle;
mod task_limit;
mod timer;
mod watch;

#[cfg(test)]
mod test;

pub use action::{Action, Breach, Contribution, NotCancelled, WhyNot};
pub use observe::Engine;
pub use reading::{HostReading, TaskId, TaskReading};
pub use settings::{EngineSettings, Mode};
