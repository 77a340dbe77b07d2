//! Keeps a lock of the world for long slices and burns the processor meanwhile.

use std::time::{Duration, Instant};

use haltline::supervisor::Token;

use super::burn::burn;
use crate::system;
use crate::world::FairLock;

/// How long the lock is kept at a time.
pub(crate) const SLICE: Duration = Duration::from_millis(120);

/// Until it is cancelled. `share` is how much of its time it burns, 0 to 1; what a busy processor did not give it
/// in one slice it takes in the next.
pub(crate) fn hold(token: &Token, lock: &FairLock, share: f64) {
    let (since, used) = (Instant::now(), system::thread_time());
    while token.progress().is_ok() {
        let _held = lock.hold();
        let begun = Instant::now();
        let due = (since.elapsed() + SLICE).mul_f64(share);
        burn(due.saturating_sub(system::thread_time() - used), SLICE);
        std::thread::sleep(SLICE.saturating_sub(begun.elapsed()));
    }
}
