//! The direct path on Linux: files that stay open, one buffer, no allocation in the steady state.

mod cgroup;
mod cpu;
mod demand;
mod disk;
#[cfg(fuzzing)]
pub(in crate::monitor) mod fuzz;
mod load;
mod machine;
mod memory;
mod network;
mod pressure;
mod process;
mod text;

pub(crate) use cgroup::Hierarchies;
pub(in crate::monitor) use machine::Machine;
pub(crate) use process::system;
pub(in crate::monitor) use text::{number, stat};
