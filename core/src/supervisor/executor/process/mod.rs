//! Commands as supervised process trees.
//!
//! Each tree has a guardian, a small process that is the subreaper of that tree alone; its program is in
//! `core/guardian` and is embedded here. [`Tree`] is the handle; one thread, `hl-process`, follows all trees.

mod command;
mod report;

pub(crate) use command::{Bounds, Cgroups, Command};
pub use command::{Input, Output};
pub use report::Exit;
pub(crate) use report::{Captured, Leftover, Lost, ProcessId, TreeReport, TreeUse, TreeWatcher};

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod core;
#[cfg(target_os = "linux")]
mod destination;
#[cfg(target_os = "linux")]
mod follow;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod look;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod output;
#[cfg(target_os = "linux")]
mod reactor;
#[cfg(target_os = "linux")]
mod room;
#[cfg(target_os = "linux")]
mod spawn;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(target_os = "linux")]
pub(crate) use {reactor::leave, tree::Tree};

// These four files belong to the guardian's program too; either side leaves a part of them unused.
#[cfg(target_os = "linux")]
#[path = "../../../../guardian/group.rs"]
#[allow(dead_code)]
mod group;
#[cfg(target_os = "linux")]
#[path = "../../../../guardian/signal.rs"]
#[allow(dead_code)]
mod signal;
#[cfg(target_os = "linux")]
#[path = "../../../../guardian/table.rs"]
#[allow(dead_code)]
mod table;
#[cfg(target_os = "linux")]
#[path = "../../../../guardian/wire.rs"]
#[allow(dead_code)]
mod wire;

#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
pub(crate) use unsupported::{Tree, leave};

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
