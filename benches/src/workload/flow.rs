//! `through` and `fanout`: producers and consumers at once.

use super::{Common, Publishing, Timing};
use crate::drive::{Plan, Span, drive};
use crate::error::BenchError;
use crate::report::Report;
use crate::tally::Tally;

/// The consuming side, and how far it may lag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consuming {
    pub(crate) channels: usize,
    pub(crate) consumers_per_channel: usize,
    /// Publishers pause while this many messages wait. Without it a server that publishes faster than it delivers
    /// builds up a backlog, and pays for it.
    pub(crate) backlog_max: Option<u64>,
}

/// Publishes and consumes for the given time; the figure is deliveries.
///
/// # Errors
/// Any failure, and any message that is missing or too many on any channel.
pub(crate) fn run(
    name: &'static str,
    common: &Common,
    publishing: &Publishing,
    consuming: Consuming,
    timing: Timing,
) -> Result<Report, BenchError> {
    // Consumers first: a channel gets only what is published after it was made.
    let mut roles = common.consumers(consuming.channels, consuming.consumers_per_channel)?;
    roles.extend(common.publishers(publishing, u64::MAX)?);
    let Timing { warmup, measured, messages_max } = timing;
    let plan = Plan {
        span: Span::Timed { warmup, measured, messages_max },
        channels: consuming.channels,
        backlog_max: consuming.backlog_max,
        rate: None,
        backlog: Tally::default(),
        threads: common.threads,
        body_bytes: common.body_bytes,
        deadline: common.deadline,
    };
    let outcome = drive(roles, &plan, &common.server)?;
    Ok(Report::new(name)
        .with("connections", publishing.connections)
        .with("window", publishing.window)
        .with("batch", publishing.batch)
        .with("channels", consuming.channels)
        .with("consumers_per_channel", consuming.consumers_per_channel)
        .with("backlog_max", consuming.backlog_max)
        .with("credit", common.credit)
        .with("body_bytes", common.body_bytes)
        .with_window(outcome.window.received, &outcome.window)
        .with("published_per_second", (outcome.window.published as f64 / outcome.window.seconds).round())
        .with_latencies("answer_us", &outcome.answer)
        .with("verified_messages", outcome.published.count))
}
