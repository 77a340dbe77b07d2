//! The portable path gives the same picture as the direct one.
#![cfg(all(target_os = "linux", feature = "portable-monitor"))]

use std::time::Duration;

use haltline::monitor::{Monitor, Sources};

#[test]
fn both_paths_agree_on_memory_and_capacity() {
    let direct = Monitor::builder().manual().unwrap();
    let portable = Monitor::builder().sources(Sources::all().portable()).manual().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (a, b) = (direct.sample_now(), portable.sample_now());
    assert!(portable.degraded().is_empty(), "{:?}", portable.degraded());
    let (m, n) = (a.memory.unwrap(), b.memory.unwrap());
    assert_eq!(m.limit_bytes, n.limit_bytes);
    let off = m.used_bytes.abs_diff(n.used_bytes) as f64 / m.limit_bytes as f64;
    assert!(off < 0.05, "{} and {}", m.used_bytes, n.used_bytes);
    let (c, d) = (a.cpu.as_ref().unwrap(), b.cpu.as_ref().unwrap());
    assert_eq!(c.per_core.len(), d.per_core.len());
    assert!(d.capacity >= c.capacity);
    let (p, q) = (a.process.unwrap(), b.process.unwrap());
    assert!(p.memory_bytes.abs_diff(q.memory_bytes) < 4 * 1024 * 1024);
    // The portable path counts the folder that it is listing.
    assert!(q.open_files.unwrap() - p.open_files.unwrap() <= 1, "{p:?} {q:?}");
    assert!(b.load.is_some() && b.disk.is_some() && b.network.is_some());
}
