//! Percent means percent of what the container may use: cgroup v1, hybrid and v2.
#![cfg(target_os = "linux")]

mod monitor_fixture;

use std::time::Duration;

use monitor_fixture::{Fixture, MIB};

const V2_MOUNT: &str = "30 23 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
const V1_MOUNTS: &str = "31 23 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 23 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
";
const NO_LIMIT_V1: &str = "9223372036854771712\n";

fn v2(fixture: &Fixture) {
    fixture.proc("self/cgroup", "0::/pod/box\n");
    fixture.proc("self/mountinfo", V2_MOUNT);
    fixture.cgroup("cgroup.controllers", "cpu memory\n");
    fixture.cgroup("pod/box/cpu.max", "max 100000\n");
    fixture.cgroup("pod/box/memory.max", "max\n");
}

fn v1(fixture: &Fixture) {
    fixture.proc("self/cgroup", "3:cpu,cpuacct:/pod/box\n2:memory:/pod/box\n1:cpuset:/pod\n");
    fixture.proc("self/mountinfo", V1_MOUNTS);
    for level in ["", "pod/", "pod/box/"] {
        fixture.cgroup(&format!("cpu,cpuacct/{level}cpu.cfs_quota_us"), "-1\n");
        fixture.cgroup(&format!("cpu,cpuacct/{level}cpu.cfs_period_us"), "100000\n");
        fixture.cgroup(&format!("cpu,cpuacct/{level}cpuacct.usage"), "0\n");
        fixture.cgroup(&format!("memory/{level}memory.limit_in_bytes"), NO_LIMIT_V1);
        fixture.cgroup(&format!("memory/{level}memory.usage_in_bytes"), 400 * MIB);
        let stat = format!("inactive_file 5\ntotal_inactive_file {}\n", 100 * MIB);
        fixture.cgroup(&format!("memory/{level}memory.stat"), stat);
    }
}

fn near(value: f64, wanted: f64) {
    assert!((value - wanted).abs() < 0.01, "{value} instead of {wanted}");
}

#[test]
fn without_limits_the_machine_is_measured() {
    for cgroups in [None, Some(v1 as fn(&Fixture)), Some(v2)] {
        let fixture = Fixture::new(4);
        if let Some(cgroups) = cgroups {
            cgroups(&fixture);
        }
        let monitor = fixture.monitor();
        fixture.ticks(&[(100, 0), (50, 50), (0, 100), (0, 100)]);
        let sample = fixture.second(&monitor);
        let cpu = sample.cpu.as_ref().unwrap();
        near(cpu.percent, 37.5);
        near(cpu.capacity, 4.0);
        assert_eq!(cpu.busy, Duration::from_millis(1500));
        assert_eq!(cpu.per_core, [100.0, 50.0, 0.0, 0.0]);
        let memory = sample.memory.unwrap();
        near(memory.percent, 25.0);
        assert_eq!((memory.limit_bytes, memory.swap_used_bytes), (1000 * MIB, MIB));
        assert!(monitor.degraded().is_empty(), "{:?}", monitor.degraded());
    }
}

#[test]
fn a_full_machine_tells_what_is_wanted_of_it_and_a_limited_container_does_not() {
    let stall = |micros: u64| format!("some avg10=0.00 avg60=0.00 avg300=0.00 total={micros}\n");
    // One of those that can run is the thread that asks.
    for (limit, can_run, wanted) in [
        ("max 100000\n", None, Some(130.0)),
        ("max 100000\n", Some(7), Some(150.0)),
        ("max 100000\n", Some(11), Some(200.0)),
        ("150000 100000\n", None, None),
    ] {
        let fixture = Fixture::new(4);
        v2(&fixture);
        fixture.cgroup("pod/box/cpu.max", limit);
        fixture.cgroup("pod/box/cpu.stat", "usage_usec 0\nuser_usec 1\n");
        let has_pressure = can_run.is_none();
        if let Some(threads) = can_run {
            fixture.proc("loadavg", &format!("9.00 9.00 9.00 {threads}/80 123\n"));
            fixture.remove_proc("pressure/cpu");
        }
        let monitor = fixture.monitor();
        let next = |busy: u64, idle: u64, micros: u64, usec: u64| {
            if has_pressure {
                fixture.proc("pressure/cpu", &stall(micros));
            }
            fixture.ticks(&[(busy, idle); 4]);
            fixture.cgroup("pod/box/cpu.stat", format!("usage_usec {usec}\nuser_usec 1\n"));
            fixture.second(&monitor).cpu.clone().unwrap()
        };
        next(100, 0, 5_000_000, 1_500_000);
        let full = next(200, 0, 5_300_000, 3_000_000);
        near(full.percent, 100.0);
        assert_eq!(full.demand_percent.map(f64::round), wanted);
        let free = next(280, 20, 5_600_000, 4_200_000);
        assert_eq!(free.demand_percent, None, "a core is free for whoever waits");
    }
}

#[test]
fn v2_half_a_core_in_use_of_a_core_and_a_half_is_a_third() {
    let fixture = Fixture::new(4);
    v2(&fixture);
    fixture.cgroup("pod/box/cpu.max", "150000 100000\n");
    fixture.cgroup("pod/box/cpu.stat", "usage_usec 7000000\nuser_usec 1\n");
    let monitor = fixture.monitor();
    // The rest of the machine is busy; that is none of this container's business.
    fixture.ticks(&[(100, 0); 4]);
    fixture.cgroup("pod/box/cpu.stat", "usage_usec 7500000\nuser_usec 1\n");
    let cpu = fixture.second(&monitor).cpu.clone().unwrap();
    near(cpu.percent, 100.0 / 3.0);
    near(cpu.capacity, 1.5);
    assert_eq!(cpu.busy, Duration::from_millis(500));
    assert_eq!(cpu.per_core, [100.0; 4], "the cores are the machine's");
}

#[test]
fn v2_an_ancestor_with_a_tighter_limit_counts() {
    let fixture = Fixture::new(8);
    v2(&fixture);
    fixture.cgroup("pod/box/cpu.max", "400000 100000\n");
    fixture.cgroup("pod/cpu.max", "200000 100000\n");
    fixture.cgroup("pod/cpu.stat", "usage_usec 0\n");
    fixture.cgroup("pod/box/memory.max", 800 * MIB);
    fixture.cgroup("pod/box/memory.current", 80 * MIB);
    fixture.cgroup("pod/box/memory.stat", "inactive_file 0\n");
    fixture.cgroup("pod/memory.max", 900 * MIB);
    fixture.cgroup("pod/memory.current", 900 * MIB);
    fixture.cgroup("pod/memory.stat", format!("anon 4\ninactive_file {}\n", 90 * MIB));
    let monitor = fixture.monitor();
    fixture.ticks(&[(10, 90); 8]);
    fixture.cgroup("pod/cpu.stat", "usage_usec 2000000\n");
    let sample = fixture.second(&monitor);
    near(sample.cpu.as_ref().unwrap().percent, 100.0);
    near(sample.cpu.as_ref().unwrap().capacity, 2.0);
    let memory = sample.memory.unwrap();
    near(memory.percent, 90.0);
    assert_eq!((memory.used_bytes, memory.limit_bytes), (810 * MIB, 900 * MIB));
}

#[test]
fn v2_in_its_own_namespace_the_mount_is_the_container() {
    let fixture = Fixture::new(2);
    fixture.proc("self/cgroup", "0::/\n");
    fixture.proc("self/mountinfo", "30 23 0:25 /../.. /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
    fixture.cgroup("memory.max", 500 * MIB);
    fixture.cgroup("memory.current", 100 * MIB);
    fixture.cgroup("memory.stat", "inactive_file 0\n");
    fixture.cgroup("memory.swap.max", 20 * MIB);
    fixture.cgroup("memory.swap.current", 5 * MIB);
    let memory = fixture.second(&fixture.monitor()).memory.unwrap();
    near(memory.percent, 20.0);
    assert_eq!((memory.swap_used_bytes, memory.swap_total_bytes), (5 * MIB, 20 * MIB));
}

#[test]
fn v1_quota_and_memory_limit_of_any_level_count() {
    for level in ["pod/box/", "pod/"] {
        let fixture = Fixture::new(4);
        v1(&fixture);
        fixture.cgroup(&format!("cpu,cpuacct/{level}cpu.cfs_quota_us"), "50000\n");
        fixture.cgroup(&format!("memory/{level}memory.limit_in_bytes"), 600 * MIB);
        let monitor = fixture.monitor();
        fixture.ticks(&[(100, 0); 4]);
        fixture.cgroup(&format!("cpu,cpuacct/{level}cpuacct.usage"), 100_000_000);
        let sample = fixture.second(&monitor);
        let cpu = sample.cpu.as_ref().unwrap();
        near(cpu.percent, 20.0);
        near(cpu.capacity, 0.5);
        let memory = sample.memory.unwrap();
        near(memory.percent, 50.0);
        assert_eq!(memory.limit_bytes, 600 * MIB);
    }
}

#[test]
fn v1_without_a_namespace_the_mount_shows_only_the_container() {
    let fixture = Fixture::new(4);
    fixture.proc("self/cgroup", "2:memory:/docker/abc\n");
    fixture.proc(
        "self/mountinfo",
        "32 23 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
    );
    fixture.cgroup("memory/memory.limit_in_bytes", 200 * MIB);
    fixture.cgroup("memory/memory.usage_in_bytes", 100 * MIB);
    fixture.cgroup("memory/memory.stat", "total_inactive_file 0\n");
    near(fixture.second(&fixture.monitor()).memory.unwrap().percent, 50.0);
}

#[test]
fn hybrid_takes_each_controller_where_it_lives() {
    let fixture = Fixture::new(2);
    fixture.proc("self/cgroup", "2:memory:/box\n1:cpu:/box\n4:cpuacct:/box\n0::/other\n");
    let mounts = "31 23 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
34 23 0:25 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
32 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
35 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
    fixture.proc("self/mountinfo", mounts);
    fixture.cgroup("cpu/box/cpu.cfs_quota_us", "100000\n");
    fixture.cgroup("cpu/box/cpu.cfs_period_us", "100000\n");
    fixture.cgroup("cpuacct/box/cpuacct.usage", "5000\n");
    fixture.cgroup("memory/box/memory.limit_in_bytes", 400 * MIB);
    fixture.cgroup("memory/box/memory.usage_in_bytes", 100 * MIB);
    fixture.cgroup("memory/box/memory.stat", "total_inactive_file 0\n");
    fixture.cgroup("unified/other/cpuset.cpus.effective", "0-1\n");
    let monitor = fixture.monitor();
    fixture.cgroup("cpuacct/box/cpuacct.usage", 250_005_000);
    let sample = fixture.second(&monitor);
    near(sample.cpu.as_ref().unwrap().percent, 25.0);
    near(sample.memory.unwrap().percent, 25.0);
}

#[test]
fn a_cpuset_measures_only_its_cores() {
    let fixture = Fixture::new(4);
    v2(&fixture);
    fixture.cgroup("pod/box/cpuset.cpus.effective", "1,3\n");
    let monitor = fixture.monitor();
    fixture.ticks(&[(100, 0), (50, 50), (100, 0), (0, 100)]);
    let cpu = fixture.second(&monitor).cpu.clone().unwrap();
    near(cpu.percent, 25.0);
    near(cpu.capacity, 2.0);
    assert_eq!(cpu.busy, Duration::from_millis(500));
}

#[test]
fn a_limit_wider_than_the_machine_is_not_in_force() {
    let fixture = Fixture::new(2);
    v2(&fixture);
    fixture.cgroup("pod/box/cpu.max", "800000 100000\n");
    fixture.cgroup("pod/box/cpu.stat", "usage_usec 0\n");
    fixture.cgroup("pod/box/memory.max", 5000 * MIB);
    let monitor = fixture.monitor();
    fixture.ticks(&[(100, 0), (0, 100)]);
    let sample = fixture.second(&monitor);
    near(sample.cpu.as_ref().unwrap().percent, 50.0);
    near(sample.cpu.as_ref().unwrap().capacity, 2.0);
    assert_eq!(sample.memory.unwrap().limit_bytes, 1000 * MIB);
}

#[test]
fn a_limit_set_while_running_comes_into_force_without_a_bogus_value() {
    let fixture = Fixture::new(4);
    v2(&fixture);
    fixture.cgroup("pod/box/cpu.stat", "usage_usec 900000000\n");
    let monitor = fixture.monitor();
    fixture.ticks(&[(100, 0); 4]);
    near(fixture.second(&monitor).cpu.as_ref().unwrap().percent, 100.0);
    fixture.cgroup("pod/box/cpu.max", "100000 100000\n");
    fixture.clock.advance(Duration::from_secs(10));
    assert!(monitor.sample_now().cpu.is_none(), "two counters that do not belong together");
    fixture.cgroup("pod/box/cpu.stat", "usage_usec 900500000\n");
    let cpu = fixture.second(&monitor).cpu.clone().unwrap();
    near(cpu.percent, 50.0);
    assert_eq!(cpu.busy, Duration::from_millis(4_500), "busy time goes on, it does not jump");
}

#[test]
fn a_limit_whose_use_nothing_tells_is_unknown_and_not_zero() {
    let fixture = Fixture::new(4);
    v2(&fixture);
    fixture.cgroup("pod/box/cpu.max", "100000 100000\n");
    let monitor = fixture.monitor();
    fixture.ticks(&[(100, 0); 4]);
    let sample = fixture.second(&monitor);
    assert!(sample.cpu.is_none());
    assert!(sample.memory.is_some(), "the rest goes on");
    assert_eq!(monitor.degraded()[0].source, haltline::monitor::Source::Cpu);
}
