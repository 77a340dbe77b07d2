//! Memory: share and growth.

use super::*;

fn memory(m: &mut Machine, outside: u64, tasks: &[(TaskId, u64)]) {
    let mut used = outside;
    for &(id, bytes) in tasks {
        m.task(id).memory_bytes = Some(bytes);
        used += bytes;
    }
    m.host.memory_used_bytes = Some(used);
    m.host.memory_percent = Some(used as f64 / (16 * GIB) as f64 * 100.0);
}

fn start() -> (Machine, Engine) {
    let p = profile(|p| p.host.max_memory_percent = Some(85.0));
    let mut m = Machine::new();
    m.add(1, &p, 0.0);
    m.add(2, &p, 0.0);
    (m, Engine::new(EngineSettings::default()))
}

#[test]
fn the_leak_goes_and_a_larger_steady_task_stays() {
    let (mut m, mut e) = start();
    let mut all = Vec::new();
    for i in 0..60 {
        memory(&mut m, 2 * GIB, &[(1, 8 * GIB), (2, i * GIB / 8)]);
        all.extend(m.step(&mut e));
    }
    assert_eq!(cancelled(&all), [2]);
}

#[test]
fn memory_that_somebody_else_takes_is_external() {
    let (mut m, mut e) = start();
    let mut all = Vec::new();
    for i in 0..60 {
        memory(&mut m, 2 * GIB + i * GIB / 8, &[(1, 6 * GIB), (2, 0)]);
        all.extend(m.step(&mut e));
    }
    assert_eq!((cancelled(&all), recorded(&all)), (vec![], vec![(None, NotCancelled::External)]));
}

#[test]
fn nobody_else_goes_while_the_leak_is_leaving() {
    let (mut m, mut e) = start();
    m.task(2).cancelling = true;
    memory(&mut m, 2 * GIB, &[(1, 6 * GIB), (2, 7 * GIB)]);
    let leaving = m.run(&mut e, 60);
    assert_eq!(leaving, [], "its end is awaited");
    e.verified(2, s(m.now));
    assert_eq!(cancelled(&m.run(&mut e, 5)), [1], "it will not leave: the next one has to");
}

#[test]
fn a_leak_with_unreadable_samples_is_not_taken_for_new_growth() {
    let (mut m, mut e) = start();
    for i in 0..80u64 {
        memory(&mut m, 2 * GIB, &[(1, 8 * GIB), (2, i * GIB / 10)]);
        if i % 7 < 6 {
            m.task(1).memory_bytes = None;
        }
        let gone = cancelled(&m.step(&mut e));
        if !gone.is_empty() {
            assert_eq!(gone, [2]);
            return;
        }
    }
    panic!("the leak was not found");
}
