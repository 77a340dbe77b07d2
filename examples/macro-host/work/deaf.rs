//! Hangs, and hears nothing.

use std::time::Duration;

/// For ever. Nothing can end a thread but its process.
pub(crate) fn hang() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
