//! Where the values come from, and which of them are read.

mod baseline;
mod choice;
#[cfg(target_os = "linux")]
pub(super) mod linux;
#[cfg(any(not(target_os = "linux"), feature = "portable-monitor"))]
pub(super) mod portable;
mod reader;
mod verdict;

pub use choice::{Source, Sources};
pub(super) use reader::{Reader, reader};
pub(super) use verdict::Verdicts;
