//! `/ping` and `/info`.

use hyper::StatusCode;
use nsq_protocol::limits::NSQ_VERSION;
use serde::Serialize;

use super::HttpContext;
use crate::mesh::process::Address;
use nsq_http::json::to_json;
use nsq_http::reply::{self, Reply};

/// Whether the process can do its work, for load balancers: the one endpoint that tells an error in plain text.
pub(super) fn ping(context: &HttpContext) -> Reply {
    let status = match context.process.health_error() {
        None => StatusCode::OK,
        Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    reply::plain_text(status, health(context))
}

/// `OK`, or `NOK` and why.
pub(super) fn health(context: &HttpContext) -> String {
    context.process.health_error().map_or_else(|| "OK".to_owned(), |error| format!("NOK - {error}"))
}

/// The fields of `/info`, in NSQ's order, ours behind them.
#[derive(Serialize)]
struct Info<'a> {
    version: &'static str,
    broadcast_address: &'a str,
    hostname: String,
    http_port: i32,
    tcp_port: i32,
    start_time: i64,
    max_heartbeat_interval: i64,
    max_output_buffer_size: i64,
    max_output_buffer_timeout: i64,
    max_deflate_level: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    topology_zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topology_region: Option<&'a str>,
    server: &'static str,
    server_version: &'static str,
}

pub(super) fn info(context: &HttpContext) -> Reply {
    let process = &context.process;
    let limits = &process.config.limits;
    reply::json(to_json(&Info {
        version: NSQ_VERSION,
        broadcast_address: &process.config.broadcast_address,
        hostname: nsq_flags::hostname(),
        http_port: process.http_address.as_ref().map_or(0, Address::port),
        tcp_port: process.tcp_address.port(),
        start_time: process.started_at,
        max_heartbeat_interval: limits.heartbeat_interval_ns_max,
        max_output_buffer_size: limits.output_buffer_size_max,
        max_output_buffer_timeout: limits.output_buffer_timeout_ns_max,
        max_deflate_level: limits.deflate_level_max,
        topology_zone: limits.topology.as_ref().map(|topology| topology.zone.as_str()),
        topology_region: limits.topology.as_ref().map(|topology| topology.region.as_str()),
        server: "nsq-uring",
        server_version: env!("CARGO_PKG_VERSION"),
    }))
}
