//! A large chart, drawn on the server; its numbers stand below it as a table, from which the script reads too.

use maud::{Markup, html};

use super::number::{clock, iso};
use super::spark::{max_of, path};
use crate::history::{POINTS, Range};
use crate::number;

const HEIGHT: f32 = 120.0;

/// One line of a chart.
pub struct Line {
    /// What it is: `in`.
    pub label: &'static str,
    /// `depth`, `in`, `out` or `redo`: colour and dash.
    pub class: &'static str,
    /// The oldest first, NaN for gaps; empty if there is no history.
    pub values: Vec<f32>,
    /// A rate, with decimals; else a count.
    pub rate: bool,
}

impl Line {
    fn write(&self, value: f32) -> String {
        if !value.is_finite() {
            "–".to_owned()
        } else if self.rate {
            number::rate(value)
        } else {
            number::count(value.max(0.0) as u64)
        }
    }

    fn unit(&self) -> &'static str {
        if self.rate { "/s" } else { "" }
    }

    fn sentence(&self) -> String {
        let known: Vec<f32> = self.values.iter().copied().filter(|value| value.is_finite()).collect();
        let (Some(last), Some(least)) = (known.last(), known.iter().copied().reduce(f32::min)) else {
            return format!("{}: not known", self.label);
        };
        let unit = self.unit();
        format!(
            "{}: between {}{unit} and {}{unit}, last {}{unit}",
            self.label,
            self.write(least),
            self.write(max_of(&known)),
            self.write(*last)
        )
    }
}

/// A chart of lines on one scale from 0.
pub struct Chart<'a> {
    /// Its title: "Depth".
    pub title: &'a str,
    /// At most three.
    pub lines: &'a [Line],
    /// Which ring the values are from.
    pub range: Range,
    /// Milliseconds between ticks.
    pub interval_ms: u64,
    /// The moment of the last value, Unix milliseconds.
    pub at_ms: i64,
}

/// The least of 1, 2 or 5 times a power of ten that is not below `value`, and into how many steps it divides well.
fn scale(value: f32) -> (f32, usize) {
    let value = if value > 0.0 { value.max(1e-3) } else { 1.0 };
    let power = 10_f32.powf(value.log10().floor());
    for (factor, steps) in [(1.0, 4), (2.0, 4), (5.0, 5), (10.0, 4)] {
        if value <= factor * power * 1.0001 {
            return (factor * power, steps);
        }
    }
    (value, 4)
}

impl Chart<'_> {
    /// The chart with caption and numbers.
    pub fn show(&self) -> Markup {
        let known = self.lines.iter().any(|line| line.values.iter().any(|value| value.is_finite()));
        let greatest = self.lines.iter().map(|line| max_of(&line.values)).fold(0.0, f32::max);
        let (top, steps) = scale(greatest);
        let step_ms = i64::try_from(self.interval_ms.saturating_mul(self.range.ticks())).unwrap_or(i64::MAX);
        let back = |points: usize| self.at_ms.saturating_sub(step_ms.saturating_mul(points as i64));
        let first = self.lines.first();
        let write = |value: f32| match first {
            Some(line) if line.rate && top < 10.0 => {
                format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            _ => number::short(f64::from(value)).replace(".0 ", " "),
        };
        html! {
            figure.chart data-chart="" {
                div.chart-head {
                    h3 { (self.title) }
                    ul.key {
                        @for line in self.lines {
                            li class=(line.class) {
                                svg viewBox="0 0 24 8" width="24" height="8" aria-hidden="true" { path d="M0 4H24" {} }
                                @if self.lines.len() > 1 { (line.label) " " }
                                b { (line.values.last().map_or_else(|| "–".to_owned(), |value| line.write(*value))) (line.unit()) }
                            }
                        }
                    }
                }
                @if known {
                    div.plot {
                        div.y aria-hidden="true" { @for step in (0..=steps).rev() { span { (write(top * step as f32 / steps as f32)) } } }
                        svg viewBox="0 0 59 120" preserveAspectRatio="none" aria-hidden="true" {
                            @for step in 0..=steps {
                                @let y = HEIGHT - HEIGHT * step as f32 / steps as f32;
                                path.grid d={ "M0 " (y) "H59" } {}
                            }
                            @for line in self.lines {
                                @if line.class == "depth" { path.area d=(path(&line.values, top, HEIGHT, true)) {} }
                                path class=(line.class) d=(path(&line.values, top, HEIGHT, false)) {}
                            }
                        }
                        div.x aria-hidden="true" {
                            @for part in 0..=4_usize {
                                @let at = back((POINTS - 1) * (4 - part) / 4);
                                time datetime=(iso(at)) data-clock="" { (clock(at).get(..5).unwrap_or_default()) }
                            }
                        }
                    }
                } @else { p.empty { "No history yet." } }
                figcaption { (self.lines.iter().map(Line::sentence).collect::<Vec<_>>().join("; ")) }
                @if known {
                    details {
                        summary { "Show the numbers" }
                        div.scroll tabindex="0" role="region" aria-label={ "Numbers of " (self.title) } { table.numbers {
                            thead { tr { th scope="col" { "Time (UTC)" } @for line in self.lines { th.n scope="col" { (line.label) (line.unit()) } } } }
                            tbody { @for point in 0..POINTS {
                                tr {
                                    th scope="row" { time datetime=(iso(back(POINTS - 1 - point))) { (clock(back(POINTS - 1 - point))) } }
                                    @for line in self.lines { td.n { (line.values.get(point).map_or_else(|| "–".to_owned(), |value| line.write(*value))) } }
                                }
                            } }
                        } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        let tops: Vec<f32> = [0.0, 0.7, 1.0, 3.0, 12.0, 48_210.0].map(|value| scale(value).0).to_vec();
        assert_eq!(tops, [1.0, 1.0, 1.0, 5.0, 20.0, 50_000.0]);
    }

    #[test]
    fn any_values_are_shown() {
        let odd = vec![f32::NAN, f32::INFINITY, f32::MAX, -1.0, 0.0];
        let lines = [Line { label: "in", class: "in", values: odd, rate: true }];
        for at_ms in [0, i64::MAX, i64::MIN] {
            let chart = Chart { title: "x", lines: &lines, range: Range::Long, interval_ms: u64::MAX, at_ms };
            assert!(chart.show().into_string().contains("<figcaption>"));
        }
        let none = [Line { label: "in", class: "in", values: Vec::new(), rate: true }];
        let chart = Chart { title: "x", lines: &none, range: Range::Short, interval_ms: 10_000, at_ms: 0 };
        assert!(chart.show().into_string().contains("No history yet."));
    }
}
