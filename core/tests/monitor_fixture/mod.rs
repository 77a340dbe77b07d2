//! A made-up machine: the kernel's files in a temporary folder, and a clock that is moved by hand.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haltline::clock::ManualClock;
use haltline::monitor::{Monitor, Sample, Sources};

pub(crate) const MIB: u64 = 1024 * 1024;

pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub(crate) clock: ManualClock,
}

impl Fixture {
    /// A machine with `cores` idle cores and 1,000 MiB, without cgroups.
    pub(crate) fn new(cores: usize) -> Self {
        let fixture = Fixture { folder: tempfile::tempdir().unwrap(), clock: ManualClock::new() };
        fixture.ticks(&vec![(0, 0); cores]);
        fixture.proc("meminfo", "MemTotal: 1024000 kB\nMemFree: 1 kB\nMemAvailable: 768000 kB\nSwapTotal: 2048 kB\nSwapFree: 1024 kB\n");
        fixture.proc("loadavg", "0.50 0.25 0.10 1/77 123\n");
        for name in ["cpu", "memory", "io"] {
            fixture.proc(&format!("pressure/{name}"), "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n");
        }
        fixture.proc("diskstats", "   8 0 sda 1 0 100 0 1 0 200 0 0 0 0\n");
        fixture.proc(
            "net/dev",
            "  lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\neth0: 1000 0 0 0 0 0 0 0 500 0 0 0 0 0 0 0\n",
        );
        fixture.proc("self/statm", "9000 256 100 5 0 123 0\n");
        for thread in 7..10 {
            fixture.proc(&format!("self/task/{thread}/comm"), "x\n");
        }
        for fd in 0..5 {
            fixture.proc(&format!("self/fd/{fd}"), "");
        }
        fixture
    }

    pub(crate) fn proc(&self, path: &str, text: &str) {
        write(&self.folder.path().join("proc").join(path), text);
    }

    pub(crate) fn remove_proc(&self, path: &str) {
        fs::remove_file(self.folder.path().join("proc").join(path)).unwrap();
    }

    pub(crate) fn cgroup(&self, path: &str, text: impl ToString) {
        write(&self.folder.path().join("cgroup").join(path), &text.to_string());
    }

    /// Sets the busy and idle ticks (10 ms each) of every core.
    pub(crate) fn ticks(&self, cores: &[(u64, u64)]) {
        let mut text = String::from("cpu  0 0 0 0 0 0 0 0 0 0\n");
        for (i, (busy, idle)) in cores.iter().enumerate() {
            writeln!(text, "cpu{i} {busy} 0 0 {idle} 0 0 0 0 0 0").unwrap();
        }
        self.proc("stat", &text);
    }

    pub(crate) fn sources(&self) -> Sources {
        Sources::all().roots(self.folder.path().join("proc"), self.folder.path().join("cgroup"))
    }

    pub(crate) fn monitor(&self) -> Monitor {
        self.monitor_of(self.sources())
    }

    pub(crate) fn monitor_of(&self, sources: Sources) -> Monitor {
        let clock = Arc::new(self.clock.clone());
        Monitor::builder().clock(clock).sources(sources).manual().unwrap()
    }

    /// Moves the clock by a second and samples.
    pub(crate) fn second(&self, monitor: &Monitor) -> Arc<Sample> {
        self.clock.advance(Duration::from_secs(1));
        monitor.sample_now()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
