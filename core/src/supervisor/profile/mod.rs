//! The named safety settings of tasks.
//!
//! A [`Profile`] is built in code, read from a JSON file, or one of the six built in; [`Profiles`] keeps them
//! by name and replaces them while tasks run.

mod builder;
mod builtin;
mod change;
mod document;
mod folder;
mod inherit;
mod json;
mod older;
mod refusal;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod write;

pub use builder::ProfileBuilder;
pub use store::{Changes, Profiles};
pub(crate) use types::Settings;
pub use types::{Blame, HostLimits, Level, Profile, TaskLimits};
