//! `latency`: an open loop at a fixed rate. A late server does not slow the senders down, and each latency counts from
//! the moment the message was *due*, so that a stall is charged to every message it delayed.

use super::{Common, Publishing, Timing};
use crate::drive::{Plan, Span, drive};
use crate::error::BenchError;
use crate::report::Report;
use crate::tally::Tally;

/// Commands without an answer at which the run is given up: the server is slower than the rate.
const OUTSTANDING_MAX: u64 = 100_000;

/// Publishes `rate` messages per second over `connections`, consumed by `consumers` on one channel.
///
/// # Errors
/// Any failure, and any message that is missing or too many.
pub(crate) fn run(
    common: &Common,
    rate: u64,
    connections: usize,
    consumers: usize,
    timing: Timing,
) -> Result<Report, BenchError> {
    let publishing = Publishing { connections, window: OUTSTANDING_MAX, batch: None };
    let mut roles = common.consumers(1, consumers)?;
    roles.extend(common.publishers(&publishing, u64::MAX)?);
    let Timing { warmup, measured, messages_max } = timing;
    let plan = Plan {
        span: Span::Timed { warmup, measured, messages_max },
        channels: 1,
        backlog_max: None,
        rate: Some(rate),
        backlog: Tally::default(),
        // One clock for sending and receiving, and one lane that paces.
        threads: 1,
        body_bytes: common.body_bytes,
        deadline: common.deadline,
    };
    let outcome = drive(roles, &plan, &common.server)?;
    Ok(Report::new("latency")
        .with("rate", rate)
        .with("connections", connections)
        .with("consumers", consumers)
        .with("credit", common.credit)
        .with("output_buffer_timeout_ms", common.output_buffer_timeout_ms)
        .with("body_bytes", common.body_bytes)
        .with_window(outcome.window.received, &outcome.window)
        .with_latencies("delivery_us", &outcome.delivery)
        .with_latencies("answer_us", &outcome.answer)
        .with_latencies("send_lateness_us", &outcome.lateness)
        .with("verified_messages", outcome.published.count))
}
