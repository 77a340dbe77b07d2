//! The host metrics, and what counts as a known value.

use super::HostReading;
use crate::supervisor::limit::Limit;

/// The host limits. Arrays about host limits are in this order, which also settles ties between them.
pub(super) const HOST_LIMITS: [Limit; 5] = [
    Limit::HostCpuPercent,
    Limit::HostMemoryPercent,
    Limit::HostFps,
    Limit::HostLatencyMs,
    Limit::HostResponseMs,
];

/// The place of memory in [`HOST_LIMITS`]; the others are ranked by processor time.
pub(super) const MEMORY: usize = 1;

/// The value if it is one: NaN, infinite and negative readings are unknown.
pub(super) fn known(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite() && *v >= 0.0)
}

/// The host's values in the order of [`HOST_LIMITS`].
pub(super) fn values(host: &HostReading) -> [Option<f64>; 5] {
    [host.cpu_percent, host.memory_percent, host.fps, host.latency_ms, host.response_ms].map(known)
}
