//! Works at its own pace, whatever its time.

use std::time::Duration;

use haltline::supervisor::Token;

/// Until it is cancelled.
pub(crate) fn overrun(token: &Token) {
    while token.sleep(Duration::from_millis(100)).is_ok() {}
}
