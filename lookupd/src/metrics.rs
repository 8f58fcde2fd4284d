//! Counters, and the Prometheus text that shows them together with the sizes of the directory.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::registry::Counts;

/// Counts up (or, for [`Metrics::connections`], up and down).
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn sub_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

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
    /// Prometheus' text format, version 0.0.4.
    pub fn render(&self, counts: &Counts, nsq_version: &str, started_ns: i64) -> String {
        let mut page = Page(String::with_capacity(4096));
        page.metric("build_info", "gauge", "Versions: the daemon's, and that of NSQ which it stands for.");
        page.value(
            "build_info",
            &format!("{{version=\"{}\",nsq_version=\"{nsq_version}\"}}", env!("CARGO_PKG_VERSION")),
            "1",
        );
        page.metric("start_time_seconds", "gauge", "Unix time of the start.");
        page.value("start_time_seconds", "", &(started_ns / 1_000_000_000).to_string());
        self.render_directory(&mut page, counts);
        self.render_traffic(&mut page);
        page.0
    }

    fn render_directory(&self, page: &mut Page, counts: &Counts) {
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
            page.metric(name, "gauge", help);
            page.value(name, "", &count.to_string());
        }
    }

    fn render_traffic(&self, page: &mut Page) {
        page.metric("connections", "gauge", "Open TCP connections, identified or not.");
        page.counter("connections", "", &self.connections);
        page.metric("connections_accepted_total", "counter", "TCP connections accepted.");
        page.counter("connections_accepted_total", "", &self.connections_accepted);
        page.metric("commands_total", "counter", "Commands that were accepted.");
        page.counter("commands_total", "{command=\"IDENTIFY\"}", &self.identifies);
        page.counter("commands_total", "{command=\"REGISTER\"}", &self.registers);
        page.counter("commands_total", "{command=\"UNREGISTER\"}", &self.unregisters);
        page.counter("commands_total", "{command=\"PING\"}", &self.pings);
        page.metric("protocol_errors_total", "counter", "TCP connections closed with an error.");
        page.counter("protocol_errors_total", "", &self.protocol_errors);
        page.metric("http_requests_total", "counter", "HTTP requests by the class of their answer.");
        page.counter("http_requests_total", "{answer=\"success\"}", &self.http_successes);
        page.counter("http_requests_total", "{answer=\"refusal\"}", &self.http_refusals);
        page.counter("http_requests_total", "{answer=\"failure\"}", &self.http_failures);
        page.metric("state_saves_total", "counter", "Writes of the state file.");
        page.counter("state_saves_total", "{result=\"success\"}", &self.saves);
        page.counter("state_saves_total", "{result=\"failure\"}", &self.save_failures);
    }
}

struct Page(String);

// Writing to a String cannot fail.
impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP nsqlookupd_{name} {help}\n# TYPE nsqlookupd_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: &str) {
        let _ = writeln!(self.0, "nsqlookupd_{name}{labels} {value}");
    }

    fn counter(&mut self, name: &str, labels: &str, counter: &Counter) {
        self.value(name, labels, &counter.get().to_string());
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
