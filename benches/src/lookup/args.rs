//! The command line of `lookup`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::Settings;
use crate::error::BenchError;
use crate::numbers::{CONNECTIONS_MAX, RATE_MAX, SECONDS_MAX, count, get, number, time};
use crate::server::Server;

/// Where nsqlookupd listens unless told otherwise.
const TCP_PORT: u16 = 4160;
const HTTP_PORT: u16 = 4161;
const PEERS_MAX: u64 = 50_000;
const TOPICS_MAX: u64 = 10_000;
/// Channels are numbered with two digits.
const CHANNELS_MAX: u64 = 100;
/// Registrations of the whole fleet.
const REGISTRATIONS_MAX: usize = 10_000_000;

/// The subcommand.
pub(crate) fn command() -> Command {
    Command::new("lookup")
        .about("A fleet of nsqds at an nsqlookupd: open loop of lookups, with PINGs and churn behind them")
        .after_help("--tcp-address, --http-address (here 127.0.0.1:4160 and :4161) and --server-pid are nsqlookupd's.")
        .args([
            number("peers", "2000", 1..=PEERS_MAX, "nsqds, with a connection each"),
            number("topics", "50", 1..=TOPICS_MAX, "Topics of each nsqd"),
            number("channels", "2", 0..=CHANNELS_MAX, "Channels of each topic"),
            number("producers", "40", 1..=PEERS_MAX, "nsqds that share a topic, about"),
            number("ping-interval", "5000", 1..=3_600_000, "Time between two PINGs of an nsqd, in ms"),
            number("churn", "50", 0..=RATE_MAX, "Topics unregistered and registered again per second"),
            number("rate", "500", 1..=RATE_MAX, "Lookups per second"),
            number("connections", "16", 1..=CONNECTIONS_MAX, "HTTP connections"),
            number("seconds", "10", 1..=SECONDS_MAX, "Measured time"),
            number("warmup", "2", 0..=SECONDS_MAX, "Seconds before the measured time"),
        ])
}

/// The settings of a `lookup`.
///
/// # Errors
/// A fleet that is too large, or an option that has no meaning here.
pub(crate) fn settings(matches: &ArgMatches) -> Result<Settings, BenchError> {
    let settings = Settings {
        peers: count(matches, "peers"),
        topics: count(matches, "topics"),
        channels: count(matches, "channels"),
        producers: count(matches, "producers"),
        ping_interval: Duration::from_millis(get(matches, "ping-interval")),
        churn: get(matches, "churn"),
        rate: get(matches, "rate"),
        connections: count(matches, "connections"),
        warmup: time(matches, "warmup"),
        measured: time(matches, "seconds"),
    };
    if settings.peers * settings.topics * settings.channels.max(1) > REGISTRATIONS_MAX {
        return Err(BenchError::Usage(format!("more than {REGISTRATIONS_MAX} registrations")));
    }
    if matches.get_flag("ephemeral") {
        return Err(BenchError::Usage("lookup has no --ephemeral: churn would delete topics".into()));
    }
    Ok(settings)
}

/// Replaces nsqd's addresses by nsqlookupd's where none were given.
pub(crate) fn default_addresses(matches: &ArgMatches, server: &mut Server) {
    let adjust = |name: &str, address: &mut SocketAddr, port| {
        if matches.value_source(name) == Some(ValueSource::DefaultValue) {
            address.set_port(port);
        }
    };
    adjust("tcp-address", &mut server.tcp, TCP_PORT);
    adjust("http-address", &mut server.http, HTTP_PORT);
}
