//! The signals that a host feeds: frames, latency, response times and gauges.

use std::ffi::c_char;

use crate::boundary::enter;
use crate::pointer::{handle, text};
use crate::status::hl_status;
use crate::supervisor::hl_supervisor;

/// A frame was finished. Ignored while paused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_frame(supervisor: *const hl_supervisor) -> hl_status {
    enter(|| {
        handle!(supervisor).0.monitor().signals().frame();
        Ok(())
    })
}

/// No frames are expected from now on: their rate is unknown, and a missing frame is no stall.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_frame_pause(supervisor: *const hl_supervisor) -> hl_status {
    enter(|| {
        handle!(supervisor).0.monitor().signals().pause();
        Ok(())
    })
}

/// Frames are expected again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_frame_resume(supervisor: *const hl_supervisor) -> hl_status {
    enter(|| {
        handle!(supervisor).0.monitor().signals().resume();
        Ok(())
    })
}

/// A latency was measured, in milliseconds.
///
/// HL_INVALID_ARGUMENT if ms is not between 0 and 3,600,000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_latency_ms(supervisor: *const hl_supervisor, ms: f64) -> hl_status {
    enter(|| handle!(supervisor).0.monitor().signals().latency_ms(ms))
}

/// A request or an action took ms milliseconds.
///
/// HL_INVALID_ARGUMENT if ms is not between 0 and 3,600,000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_response_ms(supervisor: *const hl_supervisor, ms: f64) -> hl_status {
    enter(|| handle!(supervisor).0.monitor().signals().response_ms(ms))
}

/// Sets a gauge, which keeps its value until it is set again or cleared.
///
/// HL_INVALID_ARGUMENT if the value is not finite, the name is empty or longer than 128 bytes, or 256 others exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_gauge(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
    value: f64,
) -> hl_status {
    enter(|| handle!(supervisor).0.monitor().signals().gauge(text!(name, name_len), value))
}

/// Removes a gauge; one that does not exist is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_supervisor_gauge_clear(
    supervisor: *const hl_supervisor,
    name: *const c_char,
    name_len: usize,
) -> hl_status {
    enter(|| {
        handle!(supervisor).0.monitor().signals().clear_gauge(text!(name, name_len));
        Ok(())
    })
}
