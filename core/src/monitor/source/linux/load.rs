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
        averages(self.0.read_piece(buffer)?)
            .ok_or_else(|| text::malformed(self.0.path(), "three averages were expected"))
    }
}

pub(super) fn averages(loadavg: &[u8]) -> Option<[f64; 3]> {
    let mut averages = text::words(loadavg).map_while(text::decimal);
    Some([averages.next()?, averages.next()?, averages.next()?])
}
