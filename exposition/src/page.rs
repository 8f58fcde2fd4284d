//! The text.

use std::fmt::{Display, Write as _};

use crate::Histogram;

/// Content type of a [`Page`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is, to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations by classes; its name ends in `_seconds`.
    Histogram,
}

/// A page in the making. All names get the daemon's prefix, but those of [`Page::metric_of_process`].
#[derive(Debug)]
pub struct Page {
    prefix: &'static str,
    text: String,
    /// Of the metric whose samples are being written.
    name: String,
}

// Writing to a String cannot fail, so the results are not looked at.
impl Page {
    /// An empty page; `prefix` is the name of the daemon, without `_`.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, text: String::with_capacity(8192), name: String::new() }
    }

    /// Begins a metric; its samples follow.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) -> &mut Self {
        self.begin(format!("{}_{name}", self.prefix), kind, help)
    }

    /// Begins a metric that every process has under the same name, as `process_open_fds`.
    pub fn metric_of_process(&mut self, name: &str, kind: Kind, help: &str) -> &mut Self {
        self.begin(format!("process_{name}"), kind, help)
    }

    fn begin(&mut self, name: String, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self.name = name;
        self
    }

    /// A sample of the metric, with its labels. Values of labels may be any text.
    pub fn value(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.sample("", labels, None, value)
    }

    /// All samples of a histogram.
    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) -> &mut Self {
        let mut count = 0;
        for (bound, at_most) in histogram.cumulative() {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            self.sample("_bucket", labels, Some(&bound), at_most);
            count = at_most;
        }
        self.sample("_sum", labels, None, histogram.sum_seconds());
        self.sample("_count", labels, None, count)
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<&str>,
        value: impl Display,
    ) -> &mut Self {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        for (index, (name, text)) in all.clone().enumerate() {
            let _ = write!(self.text, "{}{name}=\"", if index == 0 { '{' } else { ',' });
            push_escaped(&mut self.text, text);
            self.text.push('"');
        }
        if all.count() > 0 {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
        self
    }

    /// The finished text.
    pub fn into_text(self) -> String {
        self.text
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn samples_stand_behind_their_help_and_type() {
        let mut page = Page::new("x");
        page.metric("things_total", Kind::Counter, "Things.").value(&[], 3).value(&[("kind", "a")], 4);
        page.metric_of_process("open_fds", Kind::Gauge, "Open files.").value(&[], 5);
        assert_eq!(
            page.into_text(),
            "# HELP x_things_total Things.\n# TYPE x_things_total counter\n\
             x_things_total 3\nx_things_total{kind=\"a\"} 4\n\
             # HELP process_open_fds Open files.\n# TYPE process_open_fds gauge\nprocess_open_fds 5\n"
        );
    }

    #[test]
    fn a_label_may_be_any_text() {
        let mut page = Page::new("x");
        page.metric("y", Kind::Gauge, "Z.").value(&[("a", "q\"\\\n#"), ("b", "")], 1);
        assert!(page.into_text().ends_with("x_y{a=\"q\\\"\\\\\\n#\",b=\"\"} 1\n"));
    }

    #[test]
    fn classes_of_a_histogram_hold_those_before_them() {
        let histogram = Histogram::default();
        for ms in [0, 1, 2, 400, 60_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut page = Page::new("x");
        page.metric("y_seconds", Kind::Histogram, "Z.").histogram(&[("k", "v")], &histogram);
        let text = page.into_text();
        for line in [
            "x_y_seconds_bucket{k=\"v\",le=\"0.0001\"} 1\n",
            "x_y_seconds_bucket{k=\"v\",le=\"0.001\"} 2\n",
            "x_y_seconds_bucket{k=\"v\",le=\"0.0025\"} 3\n",
            "x_y_seconds_bucket{k=\"v\",le=\"1\"} 4\n",
            "x_y_seconds_bucket{k=\"v\",le=\"+Inf\"} 5\n",
            "x_y_seconds_sum{k=\"v\"} 60.403\n",
            "x_y_seconds_count{k=\"v\"} 5\n",
        ] {
            assert!(text.contains(line), "{line} not in {text}");
        }
    }
}
