//! Spins on several threads.

use std::time::Duration;

use super::burn::burn;

/// For ever, unless a signal ends it.
pub(super) fn spin(threads: u64) {
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    burn(Duration::from_secs(1), Duration::from_secs(4));
                }
            });
        }
    });
}
