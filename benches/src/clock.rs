//! One monotonic time base for all threads, in nanoseconds since the start of the process.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the first call in this process.
#[inline]
pub(crate) fn now_ns() -> u64 {
    duration_ns(ORIGIN.get_or_init(Instant::now).elapsed())
}

/// A duration in nanoseconds; 584 years and more are the same to us.
pub(crate) fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as seconds.
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
