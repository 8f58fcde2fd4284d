//! `lookup`: a fleet of nsqds announces itself at one nsqlookupd, and consumers ask where their topics are.
//!
//! ```text
//! run ─ engine (one thread, epoll) ─┬─ fleet ─ peer     the fleet: IDENTIFY, REGISTER, PING, churn
//!                                   ├─ client ─ response  GET /lookup at a fixed rate, over keep-alive connections
//!                                   └─ journal ─ plan     what every answer must say
//! ```
//! The fleet registers as fast as each nsqd can, one command at a time; then follow warm-up and measurement, with
//! PINGs and churn in the background; at the end, when all has settled, every topic is asked for once more.

pub(crate) mod args;
mod client;
mod engine;
mod fleet;
mod journal;
mod peer;
mod plan;
mod response;
mod ticker;

use std::time::Duration;

use crate::clock::{self, seconds};
use crate::error::BenchError;
use crate::http;
use crate::process::{self, Memory};
use crate::report::{Report, round};
use crate::server::Server;
use crate::workload::Common;
use crate::workload::idle::raise_descriptor_limit;
use engine::Engine;
use plan::Plan;

/// Descriptors needed beside the connections.
const DESCRIPTORS_SPARE: u64 = 64;

/// What is asked for on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// nsqds, each with one connection.
    pub(crate) peers: usize,
    /// Topics of each nsqd.
    pub(crate) topics: usize,
    /// Channels of each topic.
    pub(crate) channels: usize,
    /// nsqds that have a topic in common, about.
    pub(crate) producers: usize,
    /// Between two PINGs of one nsqd.
    pub(crate) ping_interval: Duration,
    /// Topics per second, over the whole fleet, that one nsqd unregisters and soon registers again.
    pub(crate) churn: u64,
    /// Lookups per second.
    pub(crate) rate: u64,
    /// HTTP connections.
    pub(crate) connections: usize,
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
}

/// What both sides have used up to one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at_ns: u64,
    server_cpu: Option<f64>,
    server_memory: Option<Memory>,
    client_cpu: f64,
}

impl Sample {
    fn take(server: &Server) -> Result<Self, BenchError> {
        Ok(Self {
            at_ns: clock::now_ns(),
            server_cpu: server.cpu_seconds()?,
            server_memory: server.memory()?,
            client_cpu: process::cpu_seconds(std::process::id())?,
        })
    }

    fn server_cpu_since(&self, earlier: &Self) -> Option<f64> {
        self.server_cpu.zip(earlier.server_cpu).map(|(now, then)| round(now - then))
    }

    fn resident_bytes(&self) -> Option<u64> {
        self.server_memory.map(|memory| memory.resident_bytes)
    }
}

/// The moments between the parts of a run.
struct Moments {
    empty: Sample,
    registered: Sample,
    from: Sample,
    to: Sample,
    /// After the last check, with the fleet still connected.
    end: Sample,
}

/// Registers a fleet, measures lookups, and checks every answer.
///
/// # Errors
/// Any failure, any answer other than `OK` to a command, and any lookup that does not name exactly the producers and
/// channels that are registered.
pub(crate) fn run(common: &Common, settings: &Settings) -> Result<Report, BenchError> {
    raise_descriptor_limit((settings.peers + settings.connections) as u64 + DESCRIPTORS_SPARE)?;
    let plan = Plan::new(settings, &common.server.topic);
    let result = measure(common, settings, &plan);
    // The names go even when the run failed; the run's own error is the one worth telling.
    let removed = if common.server.keep { Ok(()) } else { forget(&common.server, &plan) };
    let report = result?;
    removed?;
    Ok(report)
}

fn measure(common: &Common, settings: &Settings, plan: &Plan) -> Result<Report, BenchError> {
    let server = &common.server;
    let empty = Sample::take(server)?;
    let mut engine = Engine::new(plan, settings, server, common.deadline)?;
    engine.register()?;
    let registered = Sample::take(server)?;
    let (from, to) = engine.load(settings)?;
    engine.ask_for_all()?;
    let end = Sample::take(server)?;
    Ok(report(settings, plan, &engine, &Moments { empty, registered, from, to, end }))
}

fn forget(server: &Server, plan: &Plan) -> Result<(), BenchError> {
    (0..plan.topic_count()).try_for_each(|topic| {
        http::post(server.http, &format!("/topic/delete?topic={}", plan.topic_name(topic)))
    })
}

fn report(settings: &Settings, plan: &Plan, engine: &Engine<'_>, moments: &Moments) -> Report {
    let Moments { empty, registered, from, to, end } = moments;
    let (fleet, client) = (engine.fleet(), engine.client());
    let registration_seconds = seconds(registered.at_ns - empty.at_ns);
    let measured_seconds = seconds(to.at_ns - from.at_ns);
    let registrations = settings.peers * settings.topics * settings.channels.max(1);
    let growth =
        registered.resident_bytes().zip(empty.resident_bytes()).map(|(now, then)| now.saturating_sub(then));
    Report::new("lookup")
        .with("peers", settings.peers)
        .with("topics_per_peer", settings.topics)
        .with("channels_per_topic", settings.channels)
        .with("topics", plan.topic_count())
        .with("producers_per_topic", round(plan.producers_mean()))
        .with("ping_interval_ms", u64::try_from(settings.ping_interval.as_millis()).unwrap_or(u64::MAX))
        .with("churn_per_second", settings.churn)
        .with("rate", settings.rate)
        .with("connections", settings.connections)
        .with("registrations", registrations)
        .with("registration_seconds", round(registration_seconds))
        .with("registrations_per_second", (registrations as f64 / registration_seconds.max(1e-9)).round())
        .with("registration_cpu_seconds", registered.server_cpu_since(empty))
        .with("registration_client_cpu_seconds", round(registered.client_cpu - empty.client_cpu))
        .with("seconds", round(measured_seconds))
        .with("lookups", client.latency().count())
        .with("commands", fleet.latency().count())
        .with("answer_bytes_mean", client.answer_bytes_mean())
        .with("server_cpu_seconds", to.server_cpu_since(from))
        .with("client_cpu_seconds", round(to.client_cpu - from.client_cpu))
        .with("resident_bytes_before", empty.resident_bytes())
        .with("resident_bytes_registered", registered.resident_bytes())
        .with("resident_bytes_each", growth.map(|bytes| bytes / settings.peers as u64))
        .with("server_resident_bytes", end.resident_bytes())
        .with("server_peak_bytes", end.server_memory.map(|memory| memory.peak_bytes))
        .with_latencies("lookup_us", client.latency())
        .with_latencies("answer_us", client.answer())
        .with_latencies("command_us", fleet.latency())
        .with_latencies("send_lateness_us", client.lateness())
        .with("commands_over_1s", fleet.late())
        .with("verified_answers", client.verified())
        .with("verified_absences", engine.absences())
}
