//! What the host feeds: frames, latency, response times, gauges.

mod frame;
mod handle;
mod window;

pub use frame::{FrameMeter, FrameTimes};
pub use handle::Signals;
