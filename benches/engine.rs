//! What one decision over supplied readings costs, by the number of tasks.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use haltline::clock::Time;
use haltline::supervisor::engine::{Engine, EngineSettings, HostReading, TaskReading};
use haltline::supervisor::{ExecutorKind, Profile};

const SECOND: Duration = Duration::from_secs(1);

fn readings(tasks: u64, at: Time) -> Vec<TaskReading> {
    let profiles: Vec<Profile> = ["heal", "buff", "attack", "craft", "travel", "dance"]
        .into_iter()
        .map(|name| Profile::built_in(name).unwrap())
        .collect();
    (1..=tasks)
        .map(|id| TaskReading {
            id,
            profile: profiles[id as usize % profiles.len()].clone(),
            executor: ExecutorKind::Cooperative,
            started: Time::ZERO,
            last_progress: at,
            cancelling: false,
            cpu_time: Some(at.since(Time::ZERO) / 1_000),
            cpu_percent: Some(0.1),
            memory_bytes: None,
            processes: None,
            output_bytes: None,
        })
        .collect()
}

fn host(cpu_percent: f64, at: Time) -> HostReading {
    HostReading {
        cpu_percent: Some(cpu_percent),
        cpu_busy: Some(at.since(Time::ZERO).mul_f64(cpu_percent / 50.0)),
        cpu_capacity: 2.0,
        memory_percent: Some(40.0),
        memory_used_bytes: Some(8 << 30),
        memory_limit_bytes: 20 << 30,
        ..HostReading::default()
    }
}

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("one decision");
    for tasks in [1_000, 10_000, 100_000] {
        group.throughput(Throughput::Elements(tasks));
        for (name, load) in [("calm", 50.0), ("host CPU in breach", 99.0)] {
            let mut engine = Engine::new(EngineSettings::default());
            let mut at = Time::ZERO + SECOND;
            let readings = readings(tasks, at);
            group.bench_function(BenchmarkId::new(name, tasks), |b| {
                b.iter(|| {
                    // A hair later each time, so that a breach stays within its sustain time for the whole run.
                    at = at + Duration::from_nanos(100);
                    black_box(engine.observe(at, &host(load, at), &readings))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
