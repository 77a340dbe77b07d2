//! The parsers of this folder as the fuzz targets call them.

use super::{cpu, disk, load, memory, network, pressure, process, text};
use crate::monitor::Memory;

pub use super::cgroup::fuzz as cgroup;

/// `/proc/stat`: busy and usable ticks of each core.
pub fn cpu(stat: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut cores = Vec::new();
    cpu::parse(stat, &mut cores)?;
    Some(cores.iter().map(|ticks| (ticks.busy, ticks.usable)).collect())
}

/// `/proc/meminfo`.
pub fn memory(meminfo: &[u8]) -> Option<Memory> {
    memory::machine(meminfo)
}

/// `/proc/loadavg`.
pub fn load(loadavg: &[u8]) -> Option<[f64; 3]> {
    load::averages(loadavg)
}

/// A file of `/proc/pressure`.
pub fn pressure(stall: &[u8]) -> Option<f64> {
    pressure::some_avg10(stall)
}

/// `/proc/diskstats`: bytes read and written.
pub fn disk(stats: &[u8]) -> Option<(u64, u64)> {
    disk::totals(stats)
}

/// `/proc/net/dev`: bytes received and sent.
pub fn network(dev: &[u8]) -> Option<(u64, u64)> {
    network::totals(dev)
}

/// `/proc/self/statm`: resident pages.
pub fn process(statm: &[u8]) -> Option<u64> {
    process::resident_pages(statm)
}

/// A decimal number.
pub fn number(word: &[u8]) -> Option<u64> {
    text::number(word)
}
