//! How long a host with monitor and supervisor takes from its start to its first task and its end, beside an
//! empty program, and how much memory it holds. The program runs itself in turn as both.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::process::Command;
use std::time::Instant;

use haltline::supervisor::Supervisor;

const ROUNDS: usize = 41;

/// Milliseconds and KiB of one run.
type Cost = (f64, f64);

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => measure(),
        Some("empty") => println!("{}", resident_kib()),
        Some("host") => {
            let supervisor = Supervisor::builder().start().unwrap();
            drop(supervisor.start("first", "attack").unwrap());
            println!("{}", resident_kib());
        }
        Some(other) => panic!("{other:?} is none of empty, host"),
    }
}

fn measure() {
    let program = std::env::current_exe().unwrap();
    let run = |what| {
        let begun = Instant::now();
        let output = Command::new(&program).arg(what).output().unwrap();
        let kib: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        (begun.elapsed().as_secs_f64() * 1e3, kib)
    };
    let pairs: Vec<_> = (0..ROUNDS).map(|_| (run("empty"), run("host"))).collect();
    let median = |pick: &dyn Fn(&(Cost, Cost)) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    println!("whole process, empty: {:.2} ms, {:.0} KiB", median(&|p| p.0.0), median(&|p| p.0.1));
    println!("whole process, host:  {:.2} ms, {:.0} KiB", median(&|p| p.1.0), median(&|p| p.1.1));
    println!("added: {:.2} ms, {:.0} KiB", median(&|p| p.1.0 - p.0.0), median(&|p| p.1.1 - p.0.1));
}

/// Resident memory of this process.
fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0)
}
