//! The one place that asks for the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time that never goes back and is not moved when somebody sets the machine's clock: a jump of an hour
/// would otherwise hide every producer.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_unix_ns: i64,
}

impl Clock {
    /// Reads the machine's clock, this one time.
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_unix_ns: saturating_ns(since_1970) }
    }

    /// Now, in nanoseconds since 1970.
    pub fn now_ns(&self) -> i64 {
        self.started_unix_ns.saturating_add(saturating_ns(self.started.elapsed()))
    }

    /// When the daemon started, in nanoseconds since 1970.
    pub fn started_ns(&self) -> i64 {
        self.started_unix_ns
    }
}

/// A span in nanoseconds; the largest one where it does not fit.
pub fn saturating_ns(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
