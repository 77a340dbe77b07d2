//! Bytes to and from block devices.

use std::io;
use std::path::Path;

use super::super::baseline::Baseline;
use super::text::{self, Kept};
use crate::clock::Time;
use crate::monitor::Rates;

/// The kernel counts in sectors of this size whatever the device's own are.
const SECTOR: u64 = 512;

#[derive(Debug)]
pub(super) struct DiskFile {
    file: Kept,
    baseline: Baseline<(u64, u64)>,
}

impl DiskFile {
    pub(super) fn new(proc_root: &Path) -> Self {
        DiskFile { file: Kept::new(proc_root.join("diskstats")), baseline: Baseline::default() }
    }

    pub(super) fn read(&mut self, at: Time, buffer: &mut Vec<u8>) -> io::Result<Option<Rates>> {
        let totals = totals(self.file.read(buffer)?);
        let totals = totals.ok_or_else(|| text::malformed(self.file.path(), "a line is too short"))?;
        Ok(self.baseline.step(at, &totals).map(|(span, before)| Rates::between(*before, totals, span)))
    }
}

/// Bytes read and written by all disks. Partitions and devices that stand on others are left out: their
/// bytes are counted where they arrive.
pub(super) fn totals(stats: &[u8]) -> Option<(u64, u64)> {
    let mut disk: &[u8] = b"";
    let (mut read, mut written) = (0u64, 0u64);
    for line in text::lines(stats) {
        let mut words = text::words(line).skip(2);
        let name = words.next()?;
        if is_stacked(name) || is_partition(name, disk) {
            continue;
        }
        disk = name;
        let mut fields = words.map(text::number);
        read = read.saturating_add(fields.nth(2)??.saturating_mul(SECTOR));
        written = written.saturating_add(fields.nth(3)??.saturating_mul(SECTOR));
    }
    Some((read, written))
}

fn is_stacked(name: &[u8]) -> bool {
    [&b"loop"[..], b"ram", b"zram", b"dm-", b"md"].iter().any(|prefix| name.starts_with(prefix))
}

/// `sda1` after `sda`, `nvme0n1p1` after `nvme0n1`. The kernel lists a disk before its partitions.
fn is_partition(name: &[u8], disk: &[u8]) -> bool {
    let Some(mut rest) = name.strip_prefix(disk).filter(|_| !disk.is_empty()) else { return false };
    if disk.last().is_some_and(u8::is_ascii_digit) {
        let Some(after_p) = rest.strip_prefix(b"p") else { return false };
        rest = after_p;
    }
    !rest.is_empty() && rest.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_counted_once() {
        let stats = b"   7 0 loop0 9 0 100 0 9 0 100 0 0 0 0
   8 0 sda 9 0 10 0 9 0 20 0 0 0 0
   8 1 sda1 9 0 10 0 9 0 20 0 0 0 0
   8 160 sdaa 9 0 1 0 9 0 1 0 0 0 0
 259 0 nvme0n1 9 0 100 0 9 0 200 0 0 0 0
 259 1 nvme0n1p1 9 0 100 0 9 0 200 0 0 0 0
 259 2 nvme0n10 9 0 1000 0 9 0 2000 0 0 0 0
 253 0 dm-0 9 0 10 0 9 0 20 0 0 0 0
";
        assert_eq!(totals(stats), Some((1111 * 512, 2221 * 512)));
        assert_eq!(totals(b"8 0 sda 1 2"), None);
        assert_eq!(totals(b""), Some((0, 0)));
    }
}
