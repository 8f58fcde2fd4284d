//! The text form of `/stats`, for people at a terminal and for scripts that cut columns.

use std::fmt::{self, Write};
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nsq_flags::format_duration;

use super::view::{ChannelView, ClientView, Latency, Memory, PublishCount, StatsView, TopicView};

const NS_PER_S: i64 = 1_000_000_000;

/// What the text says of the process and the JSON does not.
pub(super) struct Head {
    /// The line of `--version`.
    pub(super) version_line: &'static str,
    /// Unix seconds.
    pub(super) started_at: i64,
    /// Unix nanoseconds.
    pub(super) now_ns: i64,
}

/// Writes all of it.
pub(super) fn render(view: &StatsView<'_>, head: &Head) -> String {
    let mut text = String::with_capacity(1024);
    write(&mut text, view, head).expect("invariant: writing to a String does not fail");
    text
}

fn write(out: &mut String, view: &StatsView<'_>, head: &Head) -> fmt::Result {
    let uptime = head.now_ns.saturating_sub(head.started_at.saturating_mul(NS_PER_S)).max(0);
    writeln!(out, "{}", head.version_line)?;
    writeln!(out, "start_time {}", local_time(head.started_at))?;
    writeln!(out, "uptime {}", format_duration(uptime))?;
    writeln!(out, "\nHealth: {}", view.health)?;
    if let Some(memory) = &view.memory {
        memory_block(out, memory)?;
    }
    match view.topics.as_deref().unwrap_or_default() {
        [] => writeln!(out, "\nTopics: None")?,
        topics => {
            write!(out, "\nTopics:")?;
            for topic in topics {
                topic_block(out, topic, head)?;
            }
        }
    }
    match view.producers.as_deref().unwrap_or_default() {
        [] => writeln!(out, "\nProducers: None"),
        producers => {
            writeln!(out, "\nProducers:")?;
            producers.iter().try_for_each(|producer| client_line(out, "   ", producer, head))
        }
    }
}

fn memory_block(out: &mut String, memory: &Memory) -> fmt::Result {
    writeln!(out, "\nMemory:")?;
    memory.figures().iter().try_for_each(|(key, value)| writeln!(out, "   {key:<25}\t{value}"))
}

fn topic_block(out: &mut String, topic: &TopicView<'_>, head: &Head) -> fmt::Result {
    writeln!(
        out,
        "\n{}[{:<15}] depth: {:<5} be-depth: {:<5} msgs: {:<8} e2e%: {}",
        if topic.paused { "*P " } else { "   " },
        topic.topic_name,
        topic.depth,
        topic.backend_depth,
        topic.message_count,
        latencies(&topic.e2e_processing_latency)
    )?;
    for channel in &topic.channels {
        channel_line(out, channel)?;
        for client in channel.clients.as_deref().unwrap_or_default() {
            client_line(out, "        ", client, head)?;
        }
    }
    Ok(())
}

fn channel_line(out: &mut String, channel: &ChannelView<'_>) -> fmt::Result {
    writeln!(
        out,
        "{}[{:<25}] depth: {:<5} be-depth: {:<5} inflt: {:<4} def: {:<4} re-q: {:<5} timeout: {:<5} msgs: {:<8} e2e%: {}",
        if channel.paused { "   *P " } else { "      " },
        channel.channel_name,
        channel.depth,
        channel.backend_depth,
        channel.in_flight_count,
        channel.deferred_count,
        channel.requeue_count,
        channel.timeout_count,
        channel.message_count,
        latencies(&channel.e2e_processing_latency)
    )
}

fn latencies(latency: &Latency) -> String {
    let values = latency.percentiles.iter().flatten().map(|percentile| duration_text(percentile.value));
    values.collect::<Vec<_>>().join(", ")
}

/// Nanoseconds with one decimal, in the largest unit that leaves something before the point.
fn duration_text(ns: f64) -> String {
    let (value, unit) = match ns {
        _ if ns > 1e9 => (ns / 1e9, "s"),
        _ if ns > 1e6 => (ns / 1e6, "ms"),
        _ if ns > 1e3 => (ns / 1e3, "us"),
        _ => (ns, "ns"),
    };
    format!("{value:.1}{unit}")
}

/// A client that has published (to the topic of the filter, if there is one) shows its publishes, and any other its
/// deliveries, in whichever list it is.
fn client_line(out: &mut String, indent: &str, client: &ClientView<'_>, head: &Head) -> fmt::Result {
    let port = client.remote_address.rsplit_once(':').map_or("", |(_, port)| port);
    let who = format!("{}:{port} {}", Printable(client.hostname), Printable(client.user_agent));
    write!(out, "{indent}[{} {who:<21}] ", client.version)?;
    match &client.pub_counts {
        Some([PublishCount { topic, count }]) => write!(out, "msgs: {count:<8} topics: {topic}={count}")?,
        None => write!(
            out,
            "state: {} inflt: {:<4} rdy: {:<4} fin: {:<8} re-q: {:<8} msgs: {:<8}",
            client.state,
            client.in_flight_count,
            client.ready_count,
            client.finish_count,
            client.requeue_count,
            client.message_count
        )?,
    }
    let connected_s = (head.now_ns / NS_PER_S).saturating_sub(client.connect_ts).max(0);
    writeln!(out, " connected: {}", format_duration(connected_s.saturating_mul(NS_PER_S)))
}

/// What a client says about itself, for a terminal: control characters escaped, so that it can neither write lines of its
/// own nor give the terminal orders.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            c if c.is_control() => write!(f, "{}", c.escape_default()),
            c => write!(f, "{c}"),
        })
    }
}

/// A time in the local zone, RFC 3339 with whole seconds.
fn local_time(unix_s: i64) -> String {
    // The zone is looked up once: it is a file, and it does not change under a running process.
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    in_zone(unix_s, ZONE.get_or_init(TimeZone::system))
}

fn in_zone(unix_s: i64, zone: &TimeZone) -> String {
    let timestamp = Timestamp::from_second(unix_s).unwrap_or_default();
    let time = zone.to_datetime(timestamp);
    let date = format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day());
    let clock = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    let offset_minutes = zone.to_offset(timestamp).seconds() / 60;
    if offset_minutes == 0 {
        return format!("{date}T{clock}Z");
    }
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset_minutes.abs() / 60, offset_minutes.abs() % 60);
    format!("{date}T{clock}{sign}{hours:02}:{minutes:02}")
}

#[cfg(test)]
mod tests;
