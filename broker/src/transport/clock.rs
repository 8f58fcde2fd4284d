//! The only place that asks what time it is.

use nsq_queue::Now;
use rustix::time::{ClockId, clock_gettime};

const NS_PER_S: i64 = 1_000_000_000;

/// Both clocks: monotonic for deadlines, wall clock for what is stored or shown.
pub fn now() -> Now {
    Now { mono_ns: monotonic_ns(), wall_ns: read(ClockId::Realtime) }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock of [`set_deadline`](super::Transport::set_deadline) and of the
/// kernel's timeouts.
pub fn monotonic_ns() -> u64 {
    read(ClockId::Monotonic) as u64
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * NS_PER_S + time.tv_nsec
}
