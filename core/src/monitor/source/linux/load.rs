//! Run-queue averages.

use std::io;
use std::path::Path;

use super::text::{self, Kept};

#[derive(Debug)]
pub(super) struct LoadFile(Kept);

impl LoadFile {
    pub(super) fn new(proc_root: &Path) -> Self {
        LoadFile(Kept::new(proc_root.join("loadavg")))
    }

    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<[f64; 3]> {
        let mut averages = text::words(self.0.read_piece(buffer)?).map_while(text::decimal);
        match (averages.next(), averages.next(), averages.next()) {
            (Some(one), Some(five), Some(fifteen)) => Ok([one, five, fifteen]),
            _ => Err(text::malformed(self.0.path(), "three averages were expected")),
        }
    }
}
