//! `pub` and `mpub`: closed-loop publishing, each window refilled as the OKs come in.

use super::{Common, Publishing, Timing, drain};
use crate::drive::{Plan, Span, drive};
use crate::error::BenchError;
use crate::report::Report;
use crate::tally::Tally;

/// How the messages are accounted for after the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Consume them all and compare the stamps.
    Drain,
    /// Compare the topic's depth with the count of OKs.
    Depth,
}

/// Publishes for the given time, then verifies.
///
/// # Errors
/// Any failure, and any message that is missing or too many.
pub(crate) fn run(
    common: &Common,
    publishing: &Publishing,
    timing: Timing,
    verify: Verify,
) -> Result<Report, BenchError> {
    let roles = common.publishers(publishing, u64::MAX)?;
    let Timing { warmup, measured, messages_max } = timing;
    let plan = Plan {
        span: Span::Timed { warmup, measured, messages_max },
        channels: 0,
        backlog_max: None,
        rate: None,
        backlog: Tally::default(),
        threads: common.threads,
        body_bytes: common.body_bytes,
        deadline: common.deadline,
    };
    let outcome = drive(roles, &plan, &common.server)?;
    match verify {
        Verify::Drain => drop(drain::empty(common, 1, outcome.published)?),
        Verify::Depth => verify_depth(common, outcome.published)?,
    }
    Ok(Report::new(if publishing.batch.is_some() { "mpub" } else { "pub" })
        .with("connections", publishing.connections)
        .with("window", publishing.window)
        .with("batch", publishing.batch)
        .with("body_bytes", common.body_bytes)
        .with_window(outcome.window.published, &outcome.window)
        .with_latencies("answer_us", &outcome.answer)
        .with("verified_messages", outcome.published.count))
}

fn verify_depth(common: &Common, published: Tally) -> Result<(), BenchError> {
    let depths = common.server.depths()?;
    if depths.topic + depths.channels != published.count {
        return Err(BenchError::Mismatch(format!("{} answered with OK, but {depths:?}", published.count)));
    }
    Ok(())
}
