//! Uses the processor, and nothing else.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::system;

/// Uses `time` of the processor; on a busy machine that takes longer, but never longer than `most`.
pub(super) fn burn(time: Duration, most: Duration) {
    let (begun, used) = (Instant::now(), system::thread_time());
    let mut x = 1u64;
    while system::thread_time().saturating_sub(used) < time && begun.elapsed() < most {
        for _ in 0..20_000 {
            x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}
