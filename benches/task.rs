//! What a supervised task costs beside its floor: one record in a sharded concurrent map.
#![allow(missing_docs, clippy::unwrap_used)]

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dashmap::DashMap;
use haltline::supervisor::{Profile, Supervisor};

/// The record that the peer inserts: what any table of running tasks would hold.
struct Plain {
    _name: &'static str,
    _started: Instant,
}

fn on_threads(threads: u64, iterations: u64, body: impl Fn(u64) + Sync) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..iterations / threads).for_each(&body));
        }
    });
    begun.elapsed()
}

fn start_and_finish(c: &mut Criterion) {
    let mut group = c.benchmark_group("start + finish");
    for threads in [1, 2] {
        let map = DashMap::new();
        let next = AtomicU64::new(0);
        group.bench_function(BenchmarkId::new("dashmap insert + remove", threads), |b| {
            b.iter_custom(|n| {
                on_threads(threads, n, |_| {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    map.insert(id, Arc::new(Plain { _name: "task", _started: Instant::now() }));
                    black_box(map.remove(&id));
                })
            });
        });
        let supervisor = Supervisor::builder().start().unwrap();
        let attack: Profile = supervisor.profiles().get("attack").unwrap();
        group.bench_function(BenchmarkId::new("supervised task", threads), |b| {
            b.iter_custom(|n| {
                on_threads(threads, n, |_| {
                    drop(black_box(supervisor.start("task", &attack).unwrap()));
                })
            });
        });
        group.bench_function(BenchmarkId::new("supervised task, profile by name", threads), |b| {
            b.iter_custom(|n| {
                on_threads(threads, n, |_| {
                    drop(black_box(supervisor.start("task", "attack").unwrap()));
                })
            });
        });
    }
    group.finish();
}

fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("check");
    let supervisor = Supervisor::builder().start().unwrap();
    let task = supervisor.start("task", "attack").unwrap();
    group.bench_function("haltline", |b| b.iter(|| black_box(&task).is_cancelled()));
    let flag = std::sync::atomic::AtomicBool::new(false);
    group.bench_function("one relaxed atomic load", |b| b.iter(|| black_box(&flag).load(Ordering::Relaxed)));
    let token = tokio_util::sync::CancellationToken::new();
    group.bench_function("tokio CancellationToken", |b| b.iter(|| black_box(&token).is_cancelled()));
    group.finish();
}

/// A poll of a future that does nothing, by itself and as a task.
fn poll(c: &mut Criterion) {
    let mut group = c.benchmark_group("poll");
    let mut context = Context::from_waker(Waker::noop());
    let mut bare = Box::pin(std::future::pending::<()>());
    group.bench_function("future", |b| b.iter(|| black_box(bare.as_mut()).poll(&mut context).is_pending()));
    let supervisor = Supervisor::builder().start().unwrap();
    let mut task =
        Box::pin(supervisor.supervise("task", "attack", |_| std::future::pending::<()>()).unwrap());
    group.bench_function("supervised future", |b| {
        b.iter(|| black_box(task.as_mut()).poll(&mut context).is_pending());
    });
    group.finish();
}

criterion_group!(benches, start_and_finish, check, poll);
criterion_main!(benches);
