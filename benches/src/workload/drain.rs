//! `drain`: a backlog is published first, then its consumption is timed.

use std::time::Duration;

use super::{CHANNEL, Common, Publishing};
use crate::drive::{Outcome, Plan, Span, drive};
use crate::error::BenchError;
use crate::http;
use crate::report::Report;
use crate::tally::Tally;

/// Messages per MPUB of the backlog.
pub(crate) const PRELOAD_BATCH: usize = 200;
/// Publishing the backlog: quick on any server.
const PRELOAD: Publishing = Publishing { connections: 4, window: 4, batch: Some(PRELOAD_BATCH) };

/// Publishes `messages` (rounded up to whole MPUBs), waits `rest`, then consumes them with `connections` consumers.
///
/// # Errors
/// Any failure, and any message that is missing or too many.
pub(crate) fn run(
    common: &Common,
    messages: u64,
    connections: usize,
    rest: Duration,
) -> Result<Report, BenchError> {
    let topic = &common.server.topic;
    // The channel first: the backlog to be drained is the channel's, not the topic's.
    http::post(common.server.http, &format!("/topic/create?topic={topic}"))?;
    http::post(common.server.http, &format!("/channel/create?topic={topic}&channel={CHANNEL}"))?;
    let preload = preload(common, messages)?;
    std::thread::sleep(rest);
    let outcome = empty(common, connections, preload.published)?;
    Ok(Report::new("drain")
        .with("connections", connections)
        .with("credit", common.credit)
        .with("body_bytes", common.body_bytes)
        .with_window(outcome.window.received, &outcome.window)
        .with("preload_per_second", (preload.window.published as f64 / preload.window.seconds).round())
        .with("verified_messages", preload.published.count))
}

fn preload(common: &Common, messages: u64) -> Result<Outcome, BenchError> {
    let per_command = common.shape(PRELOAD.batch).messages();
    let roles = common.publishers(&PRELOAD, messages.div_ceil(per_command))?;
    drive(roles, &plan(common, 0, Tally::default()), &common.server)
}

/// Consumes all of `backlog` and nothing else.
///
/// # Errors
/// Any failure, and any message that is missing or too many.
pub(crate) fn empty(common: &Common, connections: usize, backlog: Tally) -> Result<Outcome, BenchError> {
    let roles = common.consumers(1, connections)?;
    drive(roles, &plan(common, 1, backlog), &common.server)
}

fn plan(common: &Common, channels: usize, backlog: Tally) -> Plan {
    Plan {
        span: Span::Whole,
        channels,
        backlog_max: None,
        rate: None,
        backlog,
        threads: common.threads,
        body_bytes: common.body_bytes,
        deadline: common.deadline,
    }
}
