//! Takes memory, step by step, and ignores SIGTERM.

use std::hint::black_box;
use std::time::Duration;

use crate::system;

const STEPS: u64 = 500;
const PAUSE: Duration = Duration::from_millis(12);
/// The smallest page there is: one byte in each makes all of them real.
const PAGE: usize = 4096;

/// Grows to `most` bytes in about six seconds, gently enough for the processor, and keeps them.
pub(super) fn grow(most: u64) {
    system::ignore_term();
    let step = (most / STEPS) as usize;
    let mut held = Vec::new();
    for _ in 0..STEPS {
        let mut more = vec![0u8; step];
        more.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        held.push(black_box(more));
        std::thread::sleep(PAUSE);
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
        black_box(&held);
    }
}
