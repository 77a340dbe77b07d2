//! The processes that use most at one moment.

mod table;

#[cfg(all(fuzzing, target_os = "linux"))]
pub(super) mod fuzz;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

pub use table::ProcessTable;

#[cfg(target_os = "linux")]
use linux::rows;
#[cfg(not(target_os = "linux"))]
use portable::rows;
