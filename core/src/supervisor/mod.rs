//! Supervises tasks: admits, watches, stops, and verifies the stop.

pub mod engine;
pub mod limit;
pub mod outcome;
pub mod profile;
pub mod stopper;

pub use engine::TaskId;
pub use limit::{ExecutorKind, Limit};
pub use outcome::Outcome;
pub use profile::{Blame, HostLimits, Level, Profile, TaskLimits};
pub use stopper::Stopper;
