//! The limits of the container around this process: cgroup v1, hybrid and v2.

mod container;
#[cfg(fuzzing)]
pub mod fuzz;
mod hierarchy;
mod limit;

pub(super) use container::Container;
pub(crate) use hierarchy::Hierarchies;
