//! Memory and swap of the machine or the container.

use std::io;
use std::path::Path;

use super::cgroup::Container;
use super::text::{self, Kept};
use crate::monitor::Memory;

#[derive(Debug)]
pub(super) struct MemoryFiles {
    meminfo: Kept,
}

impl MemoryFiles {
    pub(super) fn new(proc_root: &Path) -> Self {
        MemoryFiles { meminfo: Kept::new(proc_root.join("meminfo")) }
    }

    pub(super) fn read(&mut self, container: &mut Container, buffer: &mut Vec<u8>) -> io::Result<Memory> {
        let machine = machine(self.meminfo.read_piece(buffer)?).ok_or_else(|| {
            text::malformed(self.meminfo.path(), "no lines \"MemTotal:\" and \"MemAvailable:\"")
        })?;
        Ok(container.memory(machine.limit_bytes, buffer)?.unwrap_or(machine))
    }
}

pub(super) fn machine(meminfo: &[u8]) -> Option<Memory> {
    let (mut total, mut available, mut free, mut swap_free) = (None, None, None, None);
    let (mut cached, mut swap_total) = (0u64, 0);
    for line in text::lines(meminfo) {
        let mut words = text::words(line);
        let (Some(key), Some(kib)) = (words.next(), words.next().and_then(text::number)) else { continue };
        let bytes = kib.saturating_mul(1024);
        match key {
            b"MemTotal:" => total = Some(bytes),
            b"MemAvailable:" => available = Some(bytes),
            b"MemFree:" => free = Some(bytes),
            b"Buffers:" | b"Cached:" => cached = cached.saturating_add(bytes),
            b"SwapTotal:" => swap_total = bytes,
            b"SwapFree:" => {
                swap_free = Some(bytes);
                // Nothing below this line is wanted.
                break;
            }
            _ => {}
        }
    }
    let total = total.filter(|t| *t > 0)?;
    // Kernels before 3.14 do not tell what is available. Without either the use is not known.
    let available = available.or(free.map(|free: u64| free.saturating_add(cached)))?;
    let used = total.saturating_sub(available);
    Some(Memory {
        percent: used as f64 / total as f64 * 100.0,
        used_bytes: used,
        limit_bytes: total,
        swap_used_bytes: swap_free.map_or(0, |free| swap_total.saturating_sub(free)),
        swap_total_bytes: swap_total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_reclaimed_is_not_in_use() {
        let text =
            b"MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 750 kB\nSwapTotal: 20 kB\nSwapFree: 5 kB\n";
        let memory = machine(text).unwrap();
        assert_eq!((memory.percent, memory.used_bytes, memory.limit_bytes), (25.0, 250 * 1024, 1000 * 1024));
        assert_eq!((memory.swap_used_bytes, memory.swap_total_bytes), (15 * 1024, 20 * 1024));
    }

    #[test]
    fn an_old_kernel_does_not_tell_what_is_available() {
        let memory =
            machine(b"MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 350 kB\n").unwrap();
        assert_eq!(memory.percent, 50.0);
        assert_eq!(machine(b"MemFree: 100 kB\n"), None);
        let absurd =
            b"MemTotal: 1 kB\nMemFree: 1 kB\nBuffers: 18014398509481983 kB\nCached: 18014398509481983 kB\n";
        assert_eq!(machine(absurd).unwrap().used_bytes, 0);
    }

    #[test]
    fn what_is_not_told_is_not_taken_for_full() {
        assert_eq!(machine(b"MemTotal: 1000 kB\n"), None);
        assert_eq!(machine(b"MemTotal: 1000 kB\nMemFree: ? kB\nCached: 5 kB\n"), None);
        let memory = machine(b"MemTotal: 1000 kB\nMemFree: 100 kB\nSwapTotal: 20 kB\n").unwrap();
        assert_eq!(memory.swap_used_bytes, 0);
        assert_eq!(machine(b"MemTotal: 0 kB\n"), None);
    }
}
