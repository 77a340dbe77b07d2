//! A supervised task beside its floor, one record in a sharded concurrent map.
//!
//! Without arguments: short runs of both in turn, and the median of the ratios of neighbours, which holds on a
//! noisy machine. With `map`, `task` or `named` and a count: one loop, for counting instructions by
//! `valgrind --tool=callgrind`; take the difference of two counts.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use haltline::supervisor::{Profile, Supervisor};

const ROUNDS: usize = 101;
const BURST: u64 = 20_000;

struct Bench {
    map: DashMap<u64, Arc<(&'static str, Instant)>>,
    next: AtomicU64,
    supervisor: Supervisor,
    attack: Profile,
}

impl Bench {
    fn map(&self) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.map.insert(id, Arc::new(("task", Instant::now())));
        black_box(self.map.remove(&id));
    }

    fn task(&self) {
        drop(black_box(self.supervisor.start("task", &self.attack).unwrap()));
    }

    fn named(&self) {
        drop(black_box(self.supervisor.start("task", "attack").unwrap()));
    }
}

/// Nanoseconds an operation, over all threads.
fn time(threads: u64, body: &(impl Fn() + Sync)) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..BURST / threads).for_each(|_| body()));
        }
    });
    begun.elapsed().as_nanos() as f64 / BURST as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn paired(name: &str, threads: u64, floor: &(impl Fn() + Sync), ours: &(impl Fn() + Sync)) {
    let pairs: Vec<_> = (0..ROUNDS).map(|_| (time(threads, floor), time(threads, ours))).collect();
    println!(
        "{name}, {threads} threads: map {:.0} ns, ours {:.0} ns, ratio {:.2}",
        median(pairs.iter().map(|p| p.0).collect()),
        median(pairs.iter().map(|p| p.1).collect()),
        median(pairs.iter().map(|p| p.1 / p.0).collect()),
    );
}

fn main() {
    let supervisor = Supervisor::builder().start().unwrap();
    let attack = supervisor.profiles().get("attack").unwrap();
    let bench = Bench { map: DashMap::new(), next: AtomicU64::new(0), supervisor, attack };
    let mut arguments = std::env::args().skip(1);
    let Some(what) = arguments.next() else {
        for threads in [1, 2] {
            paired("start + finish", threads, &|| bench.map(), &|| bench.task());
            paired("start + finish, profile by name", threads, &|| bench.map(), &|| bench.named());
        }
        return;
    };
    let count: u64 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let body: &dyn Fn() = match what.as_str() {
        "map" => &|| bench.map(),
        "task" => &|| bench.task(),
        "named" => &|| bench.named(),
        other => panic!("{other:?} is none of map, task, named"),
    };
    (0..count).for_each(|_| body());
}
