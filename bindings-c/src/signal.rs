//! The signals that a host feeds: frames, latency, response times and gauges. None of these calls blocks.

use std::ffi::c_char;

use serde_json::json;

use crate::boundary::enter;
use crate::monitor::hl_monitor;
use crate::pointer::{buffer, handle, text};
use crate::record::to_json;
use crate::status::hl_status;
use crate::supervisor::set_if_wanted;

/// A frame was finished. Ignored while paused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_frame(monitor: *const hl_monitor) -> hl_status {
    enter(|| {
        handle!(monitor).0.signals().frame();
        Ok(())
    })
}

/// No frames are expected from now on: their rate is unknown, and a missing frame is no stall.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_pause(monitor: *const hl_monitor) -> hl_status {
    enter(|| {
        handle!(monitor).0.signals().pause();
        Ok(())
    })
}

/// Frames are expected again. Does nothing if they are not paused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_resume(monitor: *const hl_monitor) -> hl_status {
    enter(|| {
        handle!(monitor).0.signals().resume();
        Ok(())
    })
}

/// What the frames show at this moment, as a JSON object: paused; fps; frame_times with p50_ms, p95_ms, p99_ms and
/// max_ms over the last second; stall_ms, how long no frame has come, if that is a stall. What is unknown is absent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_frames_json(
    monitor: *const hl_monitor,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> hl_status {
    enter(|| {
        let signals = handle!(monitor).0.signals();
        let mut frames = serde_json::Map::new();
        frames.insert("paused".to_owned(), signals.is_paused().into());
        if let Some(fps) = signals.fps() {
            frames.insert("fps".to_owned(), fps.into());
        }
        if let Some(times) = signals.frame_times() {
            frames.insert("frame_times".to_owned(), json!(times));
        }
        if let Some(stalled) = signals.stalled() {
            frames.insert("stall_ms".to_owned(), (stalled.as_secs_f64() * 1e3).into());
        }
        buffer!(buf, len, needed).fill_text(&to_json(&frames)?)
    })
}

/// A latency was measured, in milliseconds.
///
/// HL_INVALID_ARGUMENT if ms is not between 0 and 3,600,000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_latency_ms(monitor: *const hl_monitor, ms: f64) -> hl_status {
    enter(|| handle!(monitor).0.signals().latency_ms(ms))
}

/// A request or an action took ms milliseconds, by a clock that nobody sets, such as CLOCK_MONOTONIC.
///
/// HL_INVALID_ARGUMENT if ms is not between 0 and 3,600,000.
// Other languages time a block themselves, because a panic or an exception may end it. C ends where the host says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_response_ms(monitor: *const hl_monitor, ms: f64) -> hl_status {
    enter(|| handle!(monitor).0.signals().response_ms(ms))
}

/// Sets a gauge, which keeps its value until it is set again or cleared.
///
/// HL_INVALID_ARGUMENT if the value is not finite, the name is empty or longer than 128 bytes, or 256 others exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_gauge(
    monitor: *const hl_monitor,
    name: *const c_char,
    name_len: usize,
    value: f64,
) -> hl_status {
    enter(|| handle!(monitor).0.signals().gauge(text!(name, name_len), value))
}

/// Removes a gauge. existed, which may be NULL, gets whether there was one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_monitor_clear_gauge(
    monitor: *const hl_monitor,
    name: *const c_char,
    name_len: usize,
    existed: *mut bool,
) -> hl_status {
    enter(|| {
        let gone = handle!(monitor).0.signals().clear_gauge(text!(name, name_len));
        set_if_wanted(existed, gone)
    })
}
