//! What a run prints: text for people, one line of JSON for scripts.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::drive::Window;
use crate::latency::Latencies;

/// The result of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    workload: &'static str,
    fields: Map<String, Value>,
}

impl Report {
    /// An empty report on `workload`.
    pub(crate) fn new(workload: &'static str) -> Self {
        Self { workload, fields: Map::new() }
    }

    /// Adds one field.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.into(), value.into());
        self
    }

    /// Adds the throughput of `count` messages (or deliveries) in `window`, and what they cost.
    pub(crate) fn with_window(self, count: u64, window: &Window) -> Self {
        let server_cpu = window.server_cpu_seconds;
        // Below one tick of the kernel's clock there is no figure, rather than an infinite one.
        let per_cpu = server_cpu.filter(|&cpu| cpu > 0.0).map(|cpu| round(count as f64 / cpu));
        self.with("messages", count)
            .with("seconds", round(window.seconds))
            .with("per_second", round(count as f64 / window.seconds.max(1e-9)))
            .with("server_cpu_seconds", server_cpu.map(round))
            .with("per_server_cpu_second", per_cpu)
            .with("client_cpu_seconds", round(window.client_cpu_seconds))
            .with("server_resident_bytes", window.server_memory.map(|memory| memory.resident_bytes))
    }

    /// Adds percentiles under `key`, in µs; nothing when nothing was measured.
    pub(crate) fn with_latencies(self, key: &str, latencies: &Latencies) -> Self {
        if latencies.count() == 0 {
            return self;
        }
        let value = json!({
            "p50": round(latencies.percentile_us(50.0)),
            "p90": round(latencies.percentile_us(90.0)),
            "p99": round(latencies.percentile_us(99.0)),
            "p99.9": round(latencies.percentile_us(99.9)),
            "max": round(latencies.max_us()),
            "mean": round(latencies.mean_us()),
            "count": latencies.count(),
        });
        self.with(key, value)
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut object = Map::new();
        object.insert("workload".into(), self.workload.into());
        object.extend(self.fields.clone());
        Value::Object(object).to_string()
    }

    /// A line per field.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.workload);
        for (key, value) in &self.fields {
            let shown = match value {
                Value::Null => continue,
                Value::Object(map) => map
                    .iter()
                    .map(|(key, value)| format!("{key} {}", plain(value)))
                    .collect::<Vec<_>>()
                    .join("  "),
                value => plain(value),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {:<24}{shown}", key.replace('_', " "));
        }
        text
    }
}

/// Three decimals are more than any run repeats.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Large numbers in groups of three, strings without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.abs() >= 1000.0 => grouped(float.round() as i64),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(server_cpu_seconds: Option<f64>) -> Window {
        Window {
            seconds: 2.0,
            published: 0,
            received: 0,
            server_cpu_seconds,
            server_memory: None,
            client_cpu_seconds: 0.5,
        }
    }

    #[test]
    fn rates_are_per_wall_and_per_cpu_second() {
        let report = Report::new("pub").with_window(3_000_000, &window(Some(1.5)));
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["per_second"], 1_500_000.0);
        assert_eq!(json["per_server_cpu_second"], 2_000_000.0);
        assert!(report.to_text().contains("1 500 000"), "{}", report.to_text());
    }

    #[test]
    fn without_a_cpu_time_there_is_no_figure() {
        for cpu in [None, Some(0.0)] {
            let json: Value =
                serde_json::from_str(&Report::new("pub").with_window(1, &window(cpu)).to_json()).unwrap();
            assert!(json["per_server_cpu_second"].is_null());
        }
    }

    #[test]
    fn groups_are_of_three() {
        assert_eq!(grouped(-1_234_567), "-1 234 567");
        assert_eq!(grouped(1000), "1 000");
    }
}
