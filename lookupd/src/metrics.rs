//! Counters, and the Prometheus text that shows them together with the sizes of the directory.

use nsq_exposition::{Counter, Kind, Page};

use crate::registry::Counts;

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Open TCP connections, identified or not.
    pub connections: Counter,
    /// TCP connections accepted since the start.
    pub connections_accepted: Counter,
    /// IDENTIFY commands that were accepted.
    pub identifies: Counter,
    /// REGISTER commands that were accepted.
    pub registers: Counter,
    /// REGISTER commands that a bound of the directory refused.
    pub register_refusals: Counter,
    /// UNREGISTER commands that were accepted.
    pub unregisters: Counter,
    /// PING commands.
    pub pings: Counter,
    /// Connections that were closed with an error of the protocol.
    pub protocol_errors: Counter,
    /// HTTP answers below 400.
    pub http_successes: Counter,
    /// HTTP answers of 4xx.
    pub http_refusals: Counter,
    /// HTTP answers of 5xx.
    pub http_failures: Counter,
    /// State files written.
    pub saves: Counter,
    /// State files that could not be written.
    pub save_failures: Counter,
}

impl Metrics {
    /// Prometheus' text.
    pub fn render(&self, counts: &Counts, nsq_version: &str, started_ns: i64) -> String {
        let mut page = Page::new("nsqlookupd");
        page.metric(
            "build_info",
            Kind::Gauge,
            "Versions: the daemon's, and that of NSQ which it stands for.",
        )
        .value(&[("version", env!("CARGO_PKG_VERSION")), ("nsq_version", nsq_version)], 1);
        page.metric("start_time_seconds", Kind::Gauge, "Unix time of the start.")
            .value(&[], started_ns / 1_000_000_000);
        render_directory(&mut page, counts);
        self.render_traffic(&mut page);
        page.into_text()
    }

    fn render_traffic(&self, page: &mut Page) {
        page.metric("connections", Kind::Gauge, "Open TCP connections, identified or not.")
            .value(&[], self.connections.get());
        page.metric("connections_accepted_total", Kind::Counter, "TCP connections accepted.")
            .value(&[], self.connections_accepted.get());
        page.metric("commands_total", Kind::Counter, "Commands that were accepted.")
            .value(&[("command", "IDENTIFY")], self.identifies.get())
            .value(&[("command", "REGISTER")], self.registers.get())
            .value(&[("command", "UNREGISTER")], self.unregisters.get())
            .value(&[("command", "PING")], self.pings.get());
        page.metric(
            "registers_refused_total",
            Kind::Counter,
            "REGISTER commands that a bound of the directory refused; the connection stays.",
        )
        .value(&[], self.register_refusals.get());
        page.metric("protocol_errors_total", Kind::Counter, "TCP connections closed with an error.")
            .value(&[], self.protocol_errors.get());
        page.metric("http_requests_total", Kind::Counter, "HTTP requests by the class of their answer.")
            .value(&[("answer", "success")], self.http_successes.get())
            .value(&[("answer", "refusal")], self.http_refusals.get())
            .value(&[("answer", "failure")], self.http_failures.get());
        page.metric("state_saves_total", Kind::Counter, "Writes of the state file.")
            .value(&[("result", "success")], self.saves.get())
            .value(&[("result", "failure")], self.save_failures.get());
    }
}

fn render_directory(page: &mut Page, counts: &Counts) {
    let gauges = [
        ("peers", "Connected nsqd.", counts.registrants),
        ("peers_active", "Connected nsqd that are not hidden for inactivity.", counts.active),
        (
            "peers_remembered",
            "nsqd known from the state file that have not come back yet.",
            counts.remembered,
        ),
        ("topics", "Known topics.", counts.topics),
        ("channels", "Known channels.", counts.channels),
        ("topic_registrations", "Registrations of nsqd for topics.", counts.topic_registrations),
        ("channel_registrations", "Registrations of nsqd for channels.", counts.channel_registrations),
    ];
    for (name, help, count) in gauges {
        page.metric(name, Kind::Gauge, help).value(&[], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_its_help_and_type_before_it() {
        let metrics = Metrics::default();
        metrics.pings.add_one();
        let text = metrics.render(&Counts { topics: 3, ..Counts::default() }, "1.3.0", 7_500_000_000);
        assert!(text.contains("\nnsqlookupd_topics 3\n"));
        assert!(text.contains("\nnsqlookupd_commands_total{command=\"PING\"} 1\n"));
        assert!(text.contains("\nnsqlookupd_start_time_seconds 7\n"));
        let mut typed = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                typed = rest.split(' ').next().unwrap().to_owned();
            } else if !line.starts_with('#') {
                assert_eq!(line.split(['{', ' ']).next().unwrap(), typed);
            }
        }
    }
}
