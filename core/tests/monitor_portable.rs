//! The portable path gives the same picture as the direct one.
#![cfg(all(target_os = "linux", feature = "portable-monitor"))]

use std::sync::Arc;
use std::time::Duration;

use haltline::clock::ManualClock;
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

/// Processor time of this process so far, in seconds.
fn own_cpu_s() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

#[test]
fn the_portable_path_tells_the_processor_time_of_this_process_too() {
    let clock = ManualClock::new();
    let outer = own_cpu_s();
    let builder = Monitor::builder().clock(Arc::new(clock.clone()));
    let portable = builder.sources(Sources::all().portable()).manual().unwrap();
    portable.sample_now();
    let inner = own_cpu_s();
    while own_cpu_s() < inner + 0.25 {}
    let inner = own_cpu_s() - inner;
    clock.advance(Duration::from_secs(1));
    let told = portable.sample_now().process.unwrap().cpu_percent;
    let outer = own_cpu_s() - outer;
    // It counts user and system time in steps of 10 ms each.
    let seen = (inner - 0.02) * 100.0..=(outer + 0.02) * 100.0;
    assert!(seen.contains(&told), "{told} % where {inner} to {outer} s were used");
}
