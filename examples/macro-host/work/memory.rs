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
        let due = due(i, system::thread_time());
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
        black_box(&held);
    }
}

/// When the next step is due after `step` steps that used that much of the processor.
fn due(step: u64, used: Duration) -> Duration {
    TIME.mul_f64(step as f64 / STEPS as f64).max(used.div_f64(MOST_OF_A_CORE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_in_its_time_unless_that_takes_too_much_of_the_processor() {
        assert_eq!(due(STEPS, Duration::from_millis(300)), TIME);
        assert_eq!(due(STEPS / 2, Duration::ZERO), TIME / 2);
        assert_eq!(due(1, Duration::from_secs(2)), Duration::from_secs(10));
    }
}
