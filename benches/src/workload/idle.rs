//! `idle`: what the server pays for connections and topics that do nothing.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{CHANNEL, Common, Publishing, Timing};
use crate::drive::{Plan, Span, drive};
use crate::error::BenchError;
use crate::http;
use crate::process::Memory;
use crate::report::{Report, round};
use crate::tally::Tally;

/// Descriptors needed beside the connections.
const DESCRIPTORS_SPARE: u64 = 64;
/// Left to the server after the last connection before its memory is read.
const CALM: Duration = Duration::from_secs(1);

/// Opens `connections` that IDENTIFY and then only answer heartbeats, and creates `topics` topics with a channel each;
/// then watches the server's memory and CPU time.
///
/// # Errors
/// No `--server-pid`, or any connection that fails or is closed.
pub(crate) fn run(
    common: &Common,
    connections: usize,
    topics: usize,
    timing: Timing,
) -> Result<Report, BenchError> {
    raise_descriptor_limit(connections as u64 + DESCRIPTORS_SPARE)?;
    let before = common.server.memory()?.ok_or_else(no_pid)?;
    create_topics(common, topics)?;
    let publishing = Publishing { connections, window: 1, batch: None };
    let roles = if connections == 0 { Vec::new() } else { common.publishers(&publishing, 0)? };
    let plan = Plan {
        span: Span::Timed { warmup: CALM, measured: timing.measured, messages_max: u64::MAX },
        channels: 0,
        backlog_max: None,
        rate: None,
        backlog: Tally::default(),
        threads: 1,
        body_bytes: common.body_bytes,
        deadline: common.deadline,
    };
    let outcome = drive(roles, &plan, &common.server);
    let removed = delete_topics(common, topics);
    let window = outcome?.window;
    removed?;
    let after = window.server_memory.ok_or_else(no_pid)?;
    let report = Report::new("idle")
        .with("connections", connections)
        .with("topics", topics)
        .with("seconds", round(window.seconds))
        .with("server_cpu_seconds", window.server_cpu_seconds.map(round))
        .with("resident_bytes_before", before.resident_bytes)
        .with("resident_bytes", after.resident_bytes);
    Ok(with_shares(report, before, after, connections + topics))
}

fn no_pid() -> BenchError {
    BenchError::Usage("idle needs --server-pid".into())
}

/// Adds what each idle thing costs.
fn with_shares(report: Report, before: Memory, after: Memory, things: usize) -> Report {
    let share =
        |after: u64, before: u64| (after.saturating_sub(before) as f64 / things.max(1) as f64).round();
    report
        .with("resident_bytes_each", share(after.resident_bytes, before.resident_bytes))
        .with("anonymous_bytes_each", share(after.anonymous_bytes, before.anonymous_bytes))
}

fn create_topics(common: &Common, topics: usize) -> Result<(), BenchError> {
    for index in 0..topics {
        let topic = format!("{}_{index}", common.server.topic);
        http::post(common.server.http, &format!("/topic/create?topic={topic}"))?;
        http::post(common.server.http, &format!("/channel/create?topic={topic}&channel={CHANNEL}"))?;
    }
    Ok(())
}

fn delete_topics(common: &Common, topics: usize) -> Result<(), BenchError> {
    for index in 0..topics {
        if !common.server.keep {
            http::post(common.server.http, &format!("/topic/delete?topic={}_{index}", common.server.topic))?;
        }
    }
    Ok(())
}

/// Makes room for `needed` descriptors.
///
/// # Errors
/// The hard limit is lower.
pub(crate) fn raise_descriptor_limit(needed: u64) -> Result<(), BenchError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(BenchError::Usage(format!("{needed} descriptors needed, the hard limit is lower")));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
        .map_err(BenchError::errno("raise the limit of descriptors"))
}
