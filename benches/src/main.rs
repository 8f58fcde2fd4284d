//! `nsq-bench`: the load generator of this project, for any nsqd and any nsqlookupd.
//!
//! ```text
//! main ─ args ─ workload/* ─ drive ─┬─ lane (thread, epoll) ─┬─ publisher ─ commands
//!                                   │                        └─ consumer
//!                                   └─ server (HTTP, /proc)     both: link, wire, tally
//!              └ lookup (for nsqlookupd: its own fleet, its own loop)
//! ```
//! A run is void unless it adds up: every OK counted, no error frame, every message received exactly once on every
//! channel, nothing left in the server. Then the status is 0; a void run has 1, a wrong command line 2.
#![forbid(unsafe_code)]

mod args;
mod clock;
mod commands;
mod consumer;
mod drive;
mod error;
mod http;
mod lane;
mod latency;
mod link;
mod lookup;
mod numbers;
mod process;
mod publisher;
mod report;
mod server;
mod shared;
mod tally;
mod wire;
mod workload;

use std::io::Write;
use std::process::ExitCode;

use args::{Job, Request};
use error::BenchError;
use report::Report;
use workload::{drain, flow, idle, latency as latency_workload, publish};

fn main() -> ExitCode {
    match args::parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nsq-bench: {error}");
            ExitCode::from(if matches!(error, BenchError::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run(request: Request) -> Result<(), BenchError> {
    let report = run_job(&request);
    // The topic goes even when the run failed; the run's own error is the one worth telling.
    let deleted = match request.job {
        Job::Idle { .. } | Job::Lookup(_) => Ok(()),
        _ => request.common.server.delete_topic(),
    };
    let report = report?;
    deleted?;
    let text = if request.json { report.to_json() + "\n" } else { report.to_text() };
    std::io::stdout().write_all(text.as_bytes()).map_err(BenchError::io("write the report"))
}

fn run_job(request: &Request) -> Result<Report, BenchError> {
    let common = &request.common;
    match &request.job {
        Job::Publish { publishing, timing, verify } => publish::run(common, publishing, *timing, *verify),
        Job::Drain { messages, connections, rest } => drain::run(common, *messages, *connections, *rest),
        Job::Flow { name, publishing, consuming, timing } => {
            flow::run(name, common, publishing, *consuming, *timing)
        }
        Job::Latency { rate, connections, consumers, timing } => {
            latency_workload::run(common, *rate, *connections, *consumers, *timing)
        }
        Job::Idle { connections, topics, timing } => idle::run(common, *connections, *topics, *timing),
        Job::Lookup(settings) => lookup::run(common, settings),
    }
}
