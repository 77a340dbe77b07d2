//! The parsers of Linux's text files, for the fuzz targets. See the crate's `fuzz`.

pub use super::source::linux::fuzz::*;
pub use super::top::fuzz::*;
