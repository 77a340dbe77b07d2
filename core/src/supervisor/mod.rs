//! Supervises tasks: admits, watches, stops, and verifies the stop.

mod builder;
mod cause;
mod command;
mod earliest;
pub mod engine;
mod executor;
mod home;
mod incident;
mod inner;
mod ladder;
pub mod limit;
mod link;
mod nesting;
pub mod outcome;
mod passes;
pub mod profile;
mod record;
mod replace;
mod sampling;
mod session;
mod shutdown;
mod starting;
mod state;
pub mod stopper;
#[allow(clippy::module_inception)]
mod supervisor;
mod table;
mod task;
mod watch;

#[doc(hidden)]
pub use crate::errand::become_errand;
pub use builder::SupervisorBuilder;
pub use cause::{Cancelled, Cause};
pub use command::{Command, Finished, ProcessTask};
pub use engine::{Breach, Contribution, NotCancelled, TaskId, WhyNot};
pub use executor::future::Supervised;
pub use executor::process::{Exit, Input, Output};
pub use executor::thread::{HostThread, ThreadTask};
pub use incident::{ActionTaken, Blamed, Incident, Report, SCHEMA, SamplePoint, SessionName, TaskSummary};
pub use limit::{ExecutorKind, Limit};
pub use outcome::Outcome;
pub use profile::{Blame, Changes, HostLimits, Level, Profile, Profiles, TaskLimits};
pub use session::Session;
pub use stopper::Stopper;
pub use supervisor::{IntoProfile, Status, Supervisor};
pub use task::{CustomTask, Task, Token};
