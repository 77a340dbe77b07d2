//! Pressure stall information.

use std::io;
use std::path::Path;

use super::text::{self, Kept};
use crate::monitor::Pressure;

/// The three files of the whole machine.
#[derive(Debug)]
pub(super) struct PressureFiles {
    cpu: Kept,
    memory: Kept,
    io: Kept,
}

impl PressureFiles {
    pub(super) fn new(proc_root: &Path) -> Self {
        let file = |name| Kept::new(proc_root.join("pressure").join(name));
        PressureFiles { cpu: file("cpu"), memory: file("memory"), io: file("io") }
    }

    /// `None` if the kernel has no pressure information, or has it switched off: that is no failure.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Pressure>> {
        let mut read = || -> io::Result<Pressure> {
            Ok(Pressure {
                cpu: percent(&mut self.cpu, buffer)?,
                memory: percent(&mut self.memory, buffer)?,
                io: percent(&mut self.io, buffer)?,
            })
        };
        match read() {
            Ok(pressure) => Ok(Some(pressure)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::Unsupported) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn percent(file: &mut Kept, buffer: &mut Vec<u8>) -> io::Result<f64> {
    some_avg10(file.read(buffer)?)
        .ok_or_else(|| text::malformed(file.path(), "no line starts with \"some avg10=\""))
}

pub(super) fn some_avg10(stall: &[u8]) -> Option<f64> {
    let rest = text::lines(stall).find_map(|line| line.strip_prefix(b"some avg10="))?;
    text::words(rest).next().and_then(text::decimal).filter(|percent| *percent <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_percentage_is_refused() {
        assert_eq!(some_avg10(b"some avg10=1.50 avg60=0.00\nfull avg10=9.00\n"), Some(1.5));
        assert_eq!(some_avg10(b"some avg10=100.00 avg60=0.00\n"), Some(100.0));
        for text in [&b""[..], b"full avg10=1.0", b"some avg10=", b"some avg10=-3", b"some avg10=100.01"] {
            assert_eq!(some_avg10(text), None);
        }
    }
}
