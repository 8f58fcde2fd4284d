//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::error::BenchError;
use crate::lookup;
use crate::numbers::{CONNECTIONS_MAX, RATE_MAX, SECONDS_MAX, count, get, number, time};
use crate::server::{Server, unique_topic};
use crate::wire::STAMP_BYTES;
use crate::workload::flow::Consuming;
use crate::workload::publish::Verify;
use crate::workload::{Common, Publishing, Timing};

/// Bounds of what can be asked for. A stock server takes bodies of 1 MiB and MPUBs of 5 MiB.
const BODY_BYTES_MAX: u64 = 1 << 20;
const COMMAND_BYTES_MAX: usize = 5 << 20;
const WINDOW_MAX: u64 = 1 << 20;
const MESSAGES_MAX: u64 = 10_000_000_000;

/// A parsed request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) common: Common,
    pub(crate) job: Job,
    pub(crate) json: bool,
}

/// Which workload, with its own settings.
#[derive(Debug)]
pub(crate) enum Job {
    Publish { publishing: Publishing, timing: Timing, verify: Verify },
    Drain { messages: u64, connections: usize, rest: Duration },
    Flow { name: &'static str, publishing: Publishing, consuming: Consuming, timing: Timing },
    Latency { rate: u64, connections: usize, consumers: usize, timing: Timing },
    Idle { connections: usize, topics: usize, timing: Timing },
    Lookup(lookup::Settings),
}

/// Reads the command line; clap prints help and complaints itself and ends the process.
///
/// # Errors
/// Values that are fine alone but not together.
pub(crate) fn parse() -> Result<Request, BenchError> {
    request(&command().get_matches())
}

fn command() -> Command {
    Command::new("nsq-bench")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Load generator for nsqd and nsqlookupd. Every message is accounted for; a run that does not add up fails.")
        .subcommand_required(true)
        .subcommands([
            timed(publishing(Command::new("pub").about("Publish with PUB, closed loop"), "1", "1"))
                .arg(verify()),
            timed(publishing(Command::new("mpub").about("Publish with MPUB, closed loop"), "4", "4"))
                .arg(batch().default_value("200"))
                .arg(verify()),
            Command::new("drain").about("Publish a backlog, then time its consumption").args([
                number("messages", "2000000", 1..=MESSAGES_MAX, "Backlog, in messages"),
                number("connections", "1", 1..=CONNECTIONS_MAX, "Consumers"),
                number("rest", "2", 0..=SECONDS_MAX, "Seconds between the two"),
            ]),
            timed(publishing(Command::new("through").about("Produce and consume at once"), "2", "64"))
                .arg(batch())
                .args(consuming("1", "2")),
            timed(publishing(Command::new("fanout").about("One topic, many channels"), "2", "64"))
                .arg(batch())
                .args(consuming("8", "1")),
            timed(
                Command::new("latency")
                    .about("Open loop at a fixed rate; latency from the intended send time"),
            )
            .args([
                number("rate", "5000", 1..=RATE_MAX, "Messages per second"),
                number("connections", "1", 1..=CONNECTIONS_MAX, "Producers"),
                number("consumers", "1", 1..=CONNECTIONS_MAX, "Consumers"),
            ]),
            timed(
                Command::new("idle").about("Memory and CPU time of connections and topics that do nothing"),
            )
            .args([
                number("connections", "1000", 0..=CONNECTIONS_MAX, "Connections that only answer heartbeats"),
                number("topics", "0", 0..=CONNECTIONS_MAX, "Topics, with a channel each"),
            ]),
            lookup::args::command(),
        ])
        .args(common_args())
}

fn common_args() -> Vec<Arg> {
    let address = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .global(true)
            .default_value(default)
            .help(help)
            .value_parser(value_parser!(SocketAddr))
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).global(true).help(help).action(ArgAction::SetTrue)
    };
    vec![
        address("tcp-address", "127.0.0.1:4150", "nsqd's TCP address"),
        address("http-address", "127.0.0.1:4151", "nsqd's HTTP address"),
        Arg::new("server-pid")
            .long("server-pid")
            .global(true)
            .help("nsqd's process id: adds its CPU time and memory to the report")
            .value_parser(value_parser!(u32)),
        number("size", "200", STAMP_BYTES as u64..=BODY_BYTES_MAX, "Body bytes").global(true),
        number("rdy", "2500", 1..=u64::from(u32::MAX), "RDY of each consumer").global(true),
        number("output-buffer-timeout", "250", 1..=3_600_000, "Asked for in IDENTIFY, in ms").global(true),
        number("threads", "1", 1..=64, "Threads of the generator").global(true),
        number("deadline", "300", 1..=SECONDS_MAX, "Seconds after which a run is given up").global(true),
        switch("ephemeral", "Use an #ephemeral topic"),
        switch("keep", "Do not delete the topic at the end"),
        switch("json", "Report one line of JSON"),
    ]
}

fn optional(name: &'static str, range: std::ops::RangeInclusive<u64>, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).value_parser(RangedU64ValueParser::<u64>::new().range(range))
}

fn batch() -> Arg {
    optional("batch", 1..=100_000, "Messages per MPUB")
}

fn verify() -> Arg {
    Arg::new("verify")
        .long("verify")
        .default_value("drain")
        .help("drain: consume and compare every message; depth: compare the topic's depth")
        .value_parser(["drain", "depth"])
}

fn timed(command: Command) -> Command {
    command.args([
        number("seconds", "5", 1..=SECONDS_MAX, "Measured time"),
        number("warmup", "1", 0..=SECONDS_MAX, "Seconds before the measured time"),
        number("messages-max", "50000000", 1..=MESSAGES_MAX, "Stop early after this many messages"),
    ])
}

fn publishing(command: Command, connections: &'static str, window: &'static str) -> Command {
    command.args([
        number("connections", connections, 1..=CONNECTIONS_MAX, "Producers"),
        number("window", window, 1..=WINDOW_MAX, "Commands without an answer, per producer"),
    ])
}

fn consuming(channels: &'static str, consumers: &'static str) -> [Arg; 3] {
    [
        number("channels", channels, 1..=10_000, "Channels, each of which gets every message"),
        number("consumers", consumers, 1..=CONNECTIONS_MAX, "Consumers per channel"),
        optional("backlog-max", 1..=MESSAGES_MAX, "Producers pause while this many messages wait"),
    ]
}

fn request(matches: &ArgMatches) -> Result<Request, BenchError> {
    let (name, job) = matches.subcommand().ok_or_else(|| BenchError::Usage("no workload".into()))?;
    let mut common = common(job);
    if name == "lookup" {
        lookup::args::default_addresses(job, &mut common.server);
    }
    let request = Request { job: parse_job(name, job)?, common, json: job.get_flag("json") };
    let batch = match &request.job {
        Job::Publish { publishing, .. } | Job::Flow { publishing, .. } => publishing.batch.unwrap_or(1),
        Job::Drain { .. } => crate::workload::drain::PRELOAD_BATCH,
        Job::Latency { .. } | Job::Idle { .. } | Job::Lookup(_) => 1,
    };
    if batch * (request.common.body_bytes + 4) + 4 > COMMAND_BYTES_MAX {
        return Err(BenchError::Usage(format!("{batch} messages of this size exceed the 5 MiB of an MPUB")));
    }
    Ok(request)
}

fn common(matches: &ArgMatches) -> Common {
    let address =
        |name: &str| *matches.get_one::<SocketAddr>(name).expect("invariant: addresses have a default");
    Common {
        server: Server {
            tcp: address("tcp-address"),
            http: address("http-address"),
            pid: matches.get_one("server-pid").copied(),
            topic: unique_topic(matches.get_flag("ephemeral")),
            keep: matches.get_flag("keep"),
        },
        threads: count(matches, "threads"),
        body_bytes: count(matches, "size"),
        output_buffer_timeout_ms: get(matches, "output-buffer-timeout"),
        credit: u32::try_from(get(matches, "rdy")).unwrap_or(u32::MAX),
        deadline: time(matches, "deadline"),
    }
}

fn parse_job(name: &str, matches: &ArgMatches) -> Result<Job, BenchError> {
    let publishing = || Publishing {
        connections: count(matches, "connections"),
        window: get(matches, "window"),
        batch: batch_of(matches),
    };
    let timing = || Timing {
        warmup: time(matches, "warmup"),
        measured: time(matches, "seconds"),
        messages_max: get(matches, "messages-max"),
    };
    let flow = |name| Job::Flow {
        name,
        publishing: publishing(),
        consuming: Consuming {
            channels: count(matches, "channels"),
            consumers_per_channel: count(matches, "consumers"),
            backlog_max: matches.get_one("backlog-max").copied(),
        },
        timing: timing(),
    };
    let verify = || match matches.get_one::<String>("verify").map(String::as_str) {
        Some("depth") => Verify::Depth,
        _ => Verify::Drain,
    };
    Ok(match name {
        "pub" | "mpub" => Job::Publish { publishing: publishing(), timing: timing(), verify: verify() },
        "drain" => Job::Drain {
            messages: get(matches, "messages"),
            connections: count(matches, "connections"),
            rest: time(matches, "rest"),
        },
        "through" => flow("through"),
        "fanout" => flow("fanout"),
        "latency" => Job::Latency {
            rate: get(matches, "rate"),
            connections: count(matches, "connections"),
            consumers: count(matches, "consumers"),
            timing: timing(),
        },
        "idle" => Job::Idle {
            connections: count(matches, "connections"),
            topics: count(matches, "topics"),
            timing: timing(),
        },
        "lookup" => Job::Lookup(lookup::args::settings(matches)?),
        other => return Err(BenchError::Usage(format!("no workload {other}"))),
    })
}

/// `pub` has no batch at all, the others may have one.
fn batch_of(matches: &ArgMatches) -> Option<usize> {
    let batch: Option<&u64> = matches.try_get_one("batch").ok().flatten();
    batch.and_then(|&batch| usize::try_from(batch).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, BenchError> {
        request(&command().try_get_matches_from(line.split(' ')).unwrap())
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_workload_runs_with_its_defaults() {
        for name in ["pub", "mpub", "drain", "through", "fanout", "latency", "idle", "lookup"] {
            assert!(parsed(&format!("nsq-bench {name}")).is_ok(), "{name}");
        }
    }

    #[test]
    fn common_options_stand_on_either_side() {
        for line in ["nsq-bench --size 99 pub", "nsq-bench pub --size 99"] {
            assert_eq!(parsed(line).unwrap().common.body_bytes, 99, "{line}");
        }
    }

    #[test]
    fn lookup_goes_to_nsqlookupd_unless_told_otherwise() {
        let ports = |line: &str| {
            let server = parsed(line).unwrap().common.server;
            (server.tcp.port(), server.http.port())
        };
        assert_eq!(ports("nsq-bench lookup"), (4160, 4161));
        assert_eq!(ports("nsq-bench --http-address 127.0.0.1:4151 lookup"), (4160, 4151));
        assert_eq!(ports("nsq-bench idle"), (4150, 4151));
    }

    #[test]
    fn an_mpub_larger_than_the_server_takes_is_refused() {
        assert!(parsed("nsq-bench mpub --batch 1000 --size 10000").is_err());
        assert!(command().try_get_matches_from(["nsq-bench", "pub", "--size", "7"]).is_err());
    }
}
