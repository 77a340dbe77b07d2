//! Takes memory, step by step, and ignores SIGTERM.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::system;

const STEPS: u64 = 500;
const TIME: Duration = Duration::from_secs(6);
/// The most that it uses of one core: where new pages are dear, as in some virtual machines, it takes longer.
pub(crate) const MOST_OF_A_CORE: f64 = 0.2;
/// The smallest page there is: one byte in each makes all of them real.
const PAGE: usize = 4096;

/// Grows to `most` bytes in six seconds or longer, and keeps them. Where the processor is busy it catches up.
pub(super) fn grow(most: u64) {
    system::ignore_term();
    let step = (most / STEPS) as usize;
    let mut held = Vec::new();
    let begun = Instant::now();
    for i in 1..=STEPS {
        let mut more = vec![0u8; step];
        more.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        held.push(black_box(more));
        let due = TIME.mul_f64(i as f64 / STEPS as f64).max(system::thread_time().div_f64(MOST_OF_A_CORE));
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
        black_box(&held);
    }
}
