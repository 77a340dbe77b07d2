//! Files that survive a crash: a log of whole lines, and a file that is written whole.

mod log;
mod whole;

pub(crate) use log::LogFile;
pub(crate) use whole::{fill, write_atomic};
