//! Sampling: rates, sources that fail, and the thread.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

mod monitor_fixture;

use std::sync::Arc;
use std::time::{Duration, Instant};

use haltline::ErrorKind;
use haltline::clock::ManualClock;
use haltline::event::{Delivery, SubscribeOptions};
use haltline::monitor::{Metric, Monitor, Sample, Source, Sources};
use monitor_fixture::Fixture;

fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let comm = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    tasks.flatten().flat_map(comm).filter(|c| c.trim() == name).count()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn every_value_of_a_made_up_machine_is_right() {
    let fixture = Fixture::new(2);
    let monitor = fixture.monitor();
    fixture.ticks(&[(30, 70), (10, 90)]);
    fixture.proc("diskstats", "   8 0 sda 1 0 104 0 1 0 216 0 0 0 0\n");
    fixture.proc(
        "net/dev",
        "  lo: 9999 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\neth0: 3000 0 0 0 0 0 0 0 600 0 0 0 0 0 0 0\n",
    );
    fixture.clock.advance(Duration::from_secs(2));
    let sample = monitor.sample_now();
    assert_eq!(sample.cpu.as_ref().unwrap().percent, 20.0);
    assert_eq!(sample.load, Some([0.5, 0.25, 0.1]));
    assert_eq!(sample.pressure.unwrap().io, 1.5);
    let (disk, network) = (sample.disk.unwrap(), sample.network.unwrap());
    assert_eq!((disk.inward, disk.outward), (4.0 * 512.0 / 2.0, 16.0 * 512.0 / 2.0));
    assert_eq!((network.inward, network.outward), (1000.0, 50.0));
    let process = sample.process.unwrap();
    assert_eq!((process.threads, process.memory_bytes, process.open_files), (3, 256 * 4096, Some(4)));
    assert_eq!(monitor.latest().unwrap().at, sample.at);
}

#[test]
fn the_first_look_is_unknown_and_never_a_bogus_zero() {
    let fixture = Fixture::new(2);
    fixture.ticks(&[(900, 100), (900, 100)]);
    let monitor = fixture.monitor();
    let first = monitor.sample_now();
    assert!(first.cpu.is_none() && first.disk.is_none() && first.network.is_none());
    assert!(first.memory.is_some(), "memory needs one reading only");
}

#[test]
fn a_second_look_in_one_moment_repeats_the_value() {
    let fixture = Fixture::new(1);
    let monitor = fixture.monitor();
    fixture.second(&monitor);
    fixture.ticks(&[(50, 50)]);
    assert_eq!(fixture.second(&monitor).cpu.as_ref().unwrap().percent, 50.0);
    assert_eq!(monitor.sample_now().cpu.as_ref().unwrap().percent, 50.0);
}

#[test]
fn a_source_that_fails_is_named_and_the_rest_goes_on() {
    let fixture = Fixture::new(1);
    let monitor = fixture.monitor();
    let good = "   8 0 sda 1 0 100 0 1 0 200 0 0 0 0\n";
    fixture.proc("diskstats", "half a li");
    for _ in 0..3 {
        let sample = fixture.second(&monitor);
        assert!(sample.disk.is_none() && sample.memory.is_some());
    }
    let degraded = monitor.degraded();
    assert_eq!(degraded.len(), 1);
    assert_eq!(degraded[0].source, Source::Disk);
    assert!(degraded[0].reason.contains("diskstats"), "{}", degraded[0].reason);
    fixture.proc("diskstats", good);
    // Disks are read every five seconds.
    for _ in 0..4 {
        fixture.second(&monitor);
    }
    assert!(fixture.second(&monitor).disk.is_some());
    assert!(monitor.degraded().is_empty());
}

#[test]
fn samples_and_what_fails_and_recovers_are_told_on_the_bus_once() {
    let fixture = Fixture::new(1);
    let bus = haltline::event::Bus::new();
    let told = bus.subscribe("monitor.*", SubscribeOptions::default()).unwrap();
    let monitor = fixture.monitor();
    let quiet = monitor.bus().subscribe("monitor.*", SubscribeOptions::default()).unwrap();
    fixture.second(&monitor);
    assert!(told.try_recv().is_none(), "a monitor tells on its own bus only");
    fixture.proc("meminfo", "half a li");
    fixture.second(&monitor);
    fixture.second(&monitor);
    fixture.proc("meminfo", "MemTotal: 1024000 kB\nMemFree: 1 kB\nMemAvailable: 768000 kB\n");
    fixture.second(&monitor);
    let mut topics = Vec::new();
    while let Some(Delivery::Event(event)) = quiet.try_recv() {
        topics.push(event.topic().to_owned());
    }
    assert_eq!(topics.iter().filter(|t| *t == "monitor.sample").count(), 4);
    assert_eq!(
        topics.iter().filter(|t| *t == "monitor.degraded").count(),
        2,
        "one for each change: {topics:?}"
    );
}

#[test]
fn garbage_in_every_file_is_survived() {
    for garbage in ["", "\0\0\0", "some avg10=NaN", "cpu0 99999999999999999999999 1 1 1", "a: b c d"] {
        let fixture = Fixture::new(1);
        let files = ["stat", "meminfo", "loadavg", "diskstats", "net/dev", "self/statm", "pressure/io"];
        for file in files.into_iter().chain(["self/cgroup", "self/mountinfo"]) {
            fixture.proc(file, garbage);
        }
        let monitor = fixture.monitor();
        let sample = fixture.second(&monitor);
        assert!(sample.cpu.is_none() && sample.memory.is_none() && sample.load.is_none());
        assert!(monitor.degraded().len() >= 4, "{:?}", monitor.degraded());
    }
}

#[test]
fn a_kernel_without_pressure_information_is_not_degraded() {
    let fixture = Fixture::new(1);
    let sources = fixture.sources();
    std::fs::remove_dir_all(sources.proc_root().join("pressure")).unwrap();
    let monitor = fixture.monitor_of(sources);
    assert!(fixture.second(&monitor).pressure.is_none());
    assert!(monitor.degraded().is_empty());
}

#[test]
fn only_what_was_chosen_is_read() {
    let fixture = Fixture::new(1);
    let monitor = fixture.monitor_of(fixture.sources().without(Source::Cpu).without(Source::OpenFiles));
    let sample = fixture.second(&monitor);
    assert!(sample.cpu.is_none() && sample.process.unwrap().open_files.is_none() && sample.disk.is_some());
    let monitor = Monitor::builder().sources(Sources::none()).manual().unwrap();
    assert!(monitor.sample_now().memory.is_none() && monitor.degraded().is_empty());
}

#[test]
fn supplied_samples_make_a_history() {
    let fixture = Fixture::new(1);
    let monitor = fixture.monitor();
    for value in 1..=10 {
        let mut sample =
            Sample::unknown(haltline::clock::Time::from_nanos(value * 1_000_000_000), std::time::UNIX_EPOCH);
        sample.signals.latency_ms = Some(value as f64);
        monitor.feed(sample);
    }
    let summary = monitor.summary(&Metric::LatencyMs, Duration::from_secs(4)).unwrap();
    assert_eq!((summary.count, summary.min, summary.max, summary.mean), (5, 6.0, 10.0, 8.0));
    assert_eq!(monitor.recent(2).len(), 2);
    assert_eq!(monitor.history().len(), 10);
}

#[test]
fn values_out_of_range_are_refused_with_the_right_ones() {
    let refused = |builder: haltline::monitor::MonitorBuilder, word: &str| {
        let error = builder.start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(word), "{error}");
    };
    let second = Duration::from_secs(1);
    refused(Monitor::builder().interval(Duration::ZERO), "10 ms");
    refused(Monitor::builder().interval(Duration::MAX), "10 minutes");
    refused(Monitor::builder().history(0), "history");
    refused(Monitor::builder().probe("no-port", second, second), "host:port");
    refused(Monitor::builder().probe("localhost:0", second, second), "host:port");
    refused(Monitor::builder().probe("localhost:80", second, Duration::ZERO), "timeout");
}

/// One test, because it counts the threads of the whole program.
#[test]
fn the_thread_starts_samples_and_leaves() {
    let name = "hl-monitor";
    let monitor = Monitor::builder().interval(Duration::from_secs(600)).start().unwrap();
    wait_until("a first sample long before the interval", || monitor.latest().is_some());
    let first = monitor.latest().unwrap();
    assert!(first.cpu.is_some(), "the first sample of the thread has a baseline");
    assert!(first.cpu.as_ref().unwrap().capacity > 0.0 && first.memory.unwrap().used_bytes > 0);
    assert!(monitor.is_running());
    let start = Instant::now();
    monitor.stop();
    monitor.stop();
    assert!(start.elapsed() < Duration::from_secs(2), "stop does not wait for the interval");
    assert!(!monitor.is_running());
    monitor.signals().latency(Duration::from_millis(7));
    assert_eq!(monitor.sample_now().signals.latency_ms, Some(7.0), "signals work while stopped");

    let fast = Monitor::builder().interval(Duration::from_millis(10)).start().unwrap();
    let clone = fast.clone();
    wait_until("ten fast samples", || fast.history().len() >= 10);
    drop(fast);
    assert_eq!(threads_named(name), 1, "a clone keeps it running");
    drop(clone);
    // The system lists a thread for a moment after it has ended.
    wait_until("the last handle's drop ends the thread", || threads_named(name) == 0);
    for _ in 0..50 {
        Monitor::builder().interval(Duration::from_millis(10)).start().unwrap();
    }
    wait_until("all threads have ended", || threads_named(name) == 0);
}

#[test]
fn this_machine_answers_every_source() {
    let monitor = Monitor::builder().manual().unwrap();
    std::thread::sleep(Duration::from_millis(120));
    let sample = monitor.sample_now();
    assert!(monitor.degraded().is_empty(), "{:?}", monitor.degraded());
    let cpu = sample.cpu.as_ref().unwrap();
    assert!((0.0..=100.0).contains(&cpu.percent) && !cpu.per_core.is_empty());
    let process = sample.process.unwrap();
    assert!(process.memory_bytes > 100_000 && process.threads >= 1 && process.open_files.unwrap() >= 3);
    if sample.pressure.is_none() {
        println!("not checked: pressure (this kernel has none)");
    }
}

/// Processor time of this process so far, in seconds.
fn own_cpu_s() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

#[test]
fn the_processor_time_of_this_process_is_told_in_percent_of_one_core() {
    let clock = ManualClock::new();
    let outer = own_cpu_s();
    let monitor = Monitor::builder().clock(Arc::new(clock.clone())).manual().unwrap();
    monitor.sample_now();
    let inner = own_cpu_s();
    let spinning = std::thread::spawn(move || while own_cpu_s() < inner + 0.25 {});
    spinning.join().unwrap();
    let inner = own_cpu_s() - inner;
    clock.advance(Duration::from_secs(1));
    let told = Metric::ProcessCpuPercent.of(&monitor.sample_now()).unwrap();
    let outer = own_cpu_s() - outer;
    // What else this program did meanwhile counts too.
    assert!((inner * 100.0..=outer * 100.0).contains(&told), "{told} % where {inner} to {outer} s were used");
}

#[test]
fn a_process_that_burns_is_on_top() {
    let mut burner = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let monitor = Monitor::builder().manual().unwrap();
    let mut found = None;
    wait_until("the burner among the top", || {
        found = monitor.top_processes(8).unwrap().into_iter().find(|p| p.pid == burner.id());
        found.as_ref().is_some_and(|p| p.cpu_percent > 5.0)
    });
    burner.kill().unwrap();
    burner.wait().unwrap();
    assert_eq!(found.unwrap().name, "sh");
    let by_memory = monitor.top_processes_by_memory(3).unwrap();
    assert!(by_memory.windows(2).all(|w| w[0].memory_bytes >= w[1].memory_bytes) && by_memory.len() == 3);
}
