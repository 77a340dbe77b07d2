//! One decision over supplied readings, in every second of a minute in which something breaks.
//!
//! `decision TASKS` plays each case many times and prints the median time of the mean decision, of the one that
//! decides first, and of the dearest. `decision TASKS CASE` plays one case once, for counting instructions by
//! `valgrind --tool=callgrind --toggle-collect='*Scene*decision'`; with a third argument only this second is counted.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, unreachable_pub)]

mod scene;

use std::hint::black_box;
use std::time::Instant;

use scene::{BRINK, CASES, Case, Scene};

/// Samples that are played.
const MINUTE: u64 = 60;

/// Nanoseconds of each decision of a minute.
fn minute(scene: &mut Scene) -> Vec<f64> {
    let mut engine = scene.engine_before(1);
    let mut took = Vec::new();
    for second in 1..=MINUTE {
        let host = scene.at(second);
        let begun = Instant::now();
        black_box(scene.decision(&mut engine, second, &host));
        took.push(begun.elapsed().as_nanos() as f64);
    }
    took
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(name: &str, case: Case, tasks: u64, rounds: usize) {
    let minutes: Vec<Vec<f64>> = (0..rounds).map(|_| minute(&mut Scene::new(case, tasks))).collect();
    // Second by second, so that what else the machine does shows in few rounds of each.
    let typical: Vec<f64> =
        (0..MINUTE as usize).map(|second| median(minutes.iter().map(|m| m[second]).collect())).collect();
    let dearest = typical.iter().copied().fold(0.0, f64::max);
    println!(
        "{tasks:>7} {name:<18} mean {:>7.3} ms, deciding {:>7.3} ms, dearest {:>7.3} ms (second {})",
        typical.iter().sum::<f64>() / typical.len() as f64 / 1e6,
        typical[BRINK as usize - 1] / 1e6,
        dearest / 1e6,
        1 + typical.iter().position(|t| *t == dearest).unwrap(),
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let number = |text: String| text.parse::<u64>().expect("a number");
    let tasks = arguments.next().map_or(10_000, number);
    let Some(wanted) = arguments.next() else {
        let rounds = (400_000 / tasks).clamp(5, 41) as usize;
        CASES.iter().for_each(|(name, case)| report(name, *case, tasks, rounds));
        return;
    };
    let (_, case) = CASES.iter().find(|(name, _)| *name == wanted).expect("the name of a case");
    let mut scene = Scene::new(*case, tasks);
    let only = arguments.next().map(number);
    let first = only.unwrap_or(1);
    let mut engine = scene.engine_before(first);
    for second in first..=only.unwrap_or(MINUTE) {
        let host = scene.at(second);
        black_box(scene.decision(&mut engine, second, &host));
    }
}
