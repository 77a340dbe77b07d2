//! A whole machine: a monitor over made-up files, sampled twice.
//!
//! A line `== NAME` begins the content of a file that differs from a plain machine's; what follows a line
//! `==== later` is written between the two samples.
#![no_main]

mod stage;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haltline::clock::ManualClock;
use haltline::monitor::{Monitor, Sample, Sources};
use libfuzzer_sys::fuzz_target;

/// Every file that is read, with its content on a plain machine.
const FILES: [(&str, &str); 24] = [
    ("proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 10 0 0 90 0 0 0 0 0 0\ncpu1 10 0 0 90 0 0 0 0 0 0\n"),
    (
        "proc/meminfo",
        "MemTotal: 1024000 kB\nMemFree: 1 kB\nMemAvailable: 768000 kB\nSwapTotal: 9 kB\nSwapFree: 4 kB\n",
    ),
    ("proc/loadavg", "0.50 0.25 0.10 1/77 123\n"),
    ("proc/pressure/cpu", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"),
    ("proc/pressure/memory", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"),
    ("proc/pressure/io", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"),
    ("proc/diskstats", "   8 0 sda 1 0 100 0 1 0 200 0 0 0 0\n"),
    ("proc/net/dev", "eth0: 1000 0 0 0 0 0 0 0 500 0 0 0 0 0 0 0\n"),
    ("proc/self/statm", "9000 256 100 5 0 123 0\n"),
    ("proc/self/cgroup", "0::/a\n"),
    ("proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
    ("cgroup/a/cpu.max", "max 100000\n"),
    ("cgroup/a/cpu.stat", "usage_usec 1000\n"),
    ("cgroup/a/memory.max", "max\n"),
    ("cgroup/a/memory.current", "4096000\n"),
    ("cgroup/a/memory.stat", "anon 1\ninactive_file 4096\n"),
    ("cgroup/a/memory.swap.max", "max\n"),
    ("cgroup/a/memory.swap.current", "0\n"),
    ("cgroup/a/cpuset.cpus.effective", "0-1\n"),
    ("cgroup/a/cpu.cfs_quota_us", "-1\n"),
    ("cgroup/a/cpu.cfs_period_us", "100000\n"),
    ("cgroup/a/cpuacct.usage", "1000\n"),
    ("cgroup/a/memory.limit_in_bytes", "9223372036854771712\n"),
    ("cgroup/a/memory.usage_in_bytes", "4096\n"),
];

fn write(root: &Path, sections: &str) {
    for section in sections.split("== ").skip(1).take(24) {
        let (name, content) = section.split_once('\n').unwrap_or((section, ""));
        if FILES.iter().any(|(known, _)| *known == name) {
            fs::write(root.join(name), content).expect("a file of the machine");
        }
    }
}

fn check(sample: &Sample) {
    let percent = |p: f64| assert!((0.0..=100.0).contains(&p), "{sample:?}");
    let flow = |f: f64| assert!(f.is_finite() && f >= 0.0, "{sample:?}");
    if let Some(cpu) = &sample.cpu {
        percent(cpu.percent);
        assert!(cpu.capacity.is_finite() && cpu.capacity > 0.0, "{sample:?}");
        let demand = |d: f64| assert!(d.is_finite() && d >= cpu.percent, "{sample:?}");
        cpu.demand_percent.into_iter().for_each(demand);
        cpu.per_core.iter().for_each(|core| percent(f64::from(*core)));
    }
    if let Some(memory) = &sample.memory {
        percent(memory.percent);
        assert!(memory.limit_bytes > 0, "{sample:?}");
    }
    if let Some(pressure) = &sample.pressure {
        [pressure.cpu, pressure.memory, pressure.io].into_iter().for_each(percent);
    }
    sample.load.iter().flatten().for_each(|load| flow(*load));
    for rates in [sample.disk, sample.network].into_iter().flatten() {
        flow(rates.inward);
        flow(rates.outward);
    }
    if let Some(process) = &sample.process {
        flow(process.cpu_percent);
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, later) = text.split_once("==== later\n").unwrap_or((text, ""));
    let folder = stage::folder();
    let root = folder.path();
    for below in ["proc/pressure", "proc/net", "proc/self/fd", "proc/self/task/7", "cgroup/a"] {
        fs::create_dir_all(root.join(below)).expect("a folder of the machine");
    }
    for (name, content) in FILES {
        fs::write(root.join(name), content).expect("a file of the machine");
    }
    write(root, first);
    let clock = ManualClock::new();
    let sources = Sources::all().roots(root.join("proc"), root.join("cgroup"));
    let monitor =
        Monitor::builder().clock(Arc::new(clock.clone())).sources(sources).manual().expect("a monitor");
    check(&monitor.sample_now());
    clock.advance(Duration::from_secs(11));
    write(root, later);
    check(&monitor.sample_now());
    assert!(monitor.degraded().iter().all(|d| !d.reason.is_empty()));
});
