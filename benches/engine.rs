//! What one decision over supplied readings costs, by the number of tasks: the one that nominates, and the same over a
//! machine on which all is well. `cargo run --release -p haltline-benches --example decision` has every second of a
//! breach, and `valgrind` counts instructions there.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod scene;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scene::{BRINK, CASES, Scene};

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("one decision");
    group.sample_size(20);
    for tasks in [1_000, 10_000, 100_000] {
        group.throughput(Throughput::Elements(tasks));
        for (name, case) in CASES {
            let mut scene = Scene::new(case, tasks);
            let engine = scene.engine_before(BRINK);
            let host = scene.at(BRINK);
            group.bench_function(BenchmarkId::new(name, tasks), |b| {
                // A copy each time: a decision changes the engine, and the next one would wait for its end.
                b.iter_batched_ref(
                    || engine.clone(),
                    |engine| scene.decision(engine, BRINK, &host),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
