//! Keeps a lock of the world for long slices and burns the processor meanwhile.

use std::time::{Duration, Instant};

use haltline::supervisor::Token;

use super::burn::burn;
use crate::world::FairLock;

const SLICE: Duration = Duration::from_millis(120);

/// Until it is cancelled. `share` is how much of each slice it burns, 0 to 1.
pub(crate) fn hold(token: &Token, lock: &FairLock, share: f64) {
    while token.progress().is_ok() {
        let _held = lock.hold();
        let begun = Instant::now();
        burn(SLICE.mul_f64(share));
        std::thread::sleep(SLICE.saturating_sub(begun.elapsed()));
    }
}
