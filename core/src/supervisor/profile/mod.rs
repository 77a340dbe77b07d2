//! The named safety settings of tasks.

mod refusal;
mod types;

pub(crate) use types::Settings;
pub use types::{Blame, HostLimits, Level, Profile, TaskLimits};
