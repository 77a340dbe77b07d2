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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_averages_are_read_and_fewer_or_negative_ones_are_refused() {
        assert_eq!(averages(b"0.50 12 0.10 1/77 123\n"), Some([0.5, 12.0, 0.1]));
        for text in [&b""[..], b"0.5 0.25", b"-1 0 0", b"0 1e300 0", b"0 nan 0"] {
            assert_eq!(averages(text), None);
        }
    }
}
