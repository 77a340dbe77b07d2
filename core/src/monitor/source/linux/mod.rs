//! The direct path on Linux: files that stay open, one buffer, no allocation in the steady state.

mod cgroup;
mod cpu;
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

pub(in crate::monitor) use machine::Machine;
pub(in crate::monitor) use process::system;
