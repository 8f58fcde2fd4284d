//! How figures are written: the same in sentences, tables and charts.

use std::fmt::Write;

/// A whole number with a comma between groups of three: `1,204`.
pub fn exact(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count: exact up to seven digits, then `12.3 M`.
pub fn count(value: u64) -> String {
    if value < 10_000_000 { exact(value) } else { short(value as f64) }
}

/// A number with one letter for its size: `950`, `1.2 k`, `12.3 M`.
pub fn short(value: f64) -> String {
    const SIZES: [(f64, &str); 5] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    for (size, letter) in SIZES {
        // What would be written as 1000.0 of the size below belongs to this one.
        if value.abs() >= size * 0.99995 {
            return format!("{:.1} {letter}", value / size);
        }
    }
    plain(value)
}

/// A small number without needless decimals.
fn plain(value: f64) -> String {
    if value.fract().abs() < 0.005 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// A rate: two decimals below 10, one below 100, none above; 0 is `0`.
pub fn rate(value: f32) -> String {
    match value.abs() {
        v if v < 0.005 => "0".to_owned(),
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        v if v < 9_999_999.5 => exact(value.round() as u64),
        _ => short(f64::from(value)),
    }
}

/// A share of one as percent: `23 %`, below ten with one decimal.
pub fn percent(share: f32) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// A length of time in its two greatest units: `42 s`, `6 min`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(seconds: u64) -> String {
    let two = |great: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{great} {unit}") } else { format!("{great} {unit} {small} {small_unit}") }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// Nanoseconds as nsqadmin has always written them: `1h2m3.5s`, `8.9ms`.
pub fn nanoseconds(ns: f64) -> String {
    if ns.is_nan() || ns <= 0.0 {
        return "0".to_owned();
    }
    let mut seconds = ns / 1e9;
    let mut out = String::new();
    for (length, unit) in [(3_600.0, 'h'), (60.0, 'm')] {
        if seconds >= length {
            let whole = (seconds / length).floor();
            let _ = write!(out, "{whole:.0}{unit}");
            seconds -= whole * length;
        }
    }
    let (value, unit) = match seconds {
        s if s >= 1.0 || !out.is_empty() => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "us"),
        s => (s * 1e9, "ns"),
    };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    out.push_str(text);
    out.push_str(unit);
    out
}

/// A noun with its number: `1 channel`, `3 channels`.
pub fn plural(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let written: Vec<String> =
            [0, 7, 999, 1_000, 48_210, 9_999_999, 12_345_678, u64::MAX].map(count).to_vec();
        assert_eq!(written, ["0", "7", "999", "1,000", "48,210", "9,999,999", "12.3 M", "18446.7 P"]);
    }

    #[test]
    fn rates() {
        let written: Vec<String> =
            [0.0, 0.004, 0.5, 9.99, 9.999, 42.04, 99.96, 5_120.4, 2e7].map(rate).to_vec();
        assert_eq!(written, ["0", "0", "0.50", "9.99", "10.0", "42.0", "100", "5,120", "20.0 M"]);
    }

    #[test]
    fn durations() {
        let written: Vec<String> = [0, 59, 60, 3_599, 3_600, 7_500, 86_400, 273_600].map(duration).to_vec();
        assert_eq!(written, ["0 s", "59 s", "1 min", "59 min", "1 h", "2 h 5 min", "1 d", "3 d 4 h"]);
    }

    #[test]
    fn nanoseconds_as_in_nsqadmin() {
        let written: Vec<String> =
            [0.0, 12.0, 8_900_000.0, 3_723.5e9, 1.0e9, f64::NAN].map(nanoseconds).to_vec();
        assert_eq!(written, ["0", "12ns", "8.9ms", "1h2m3.5s", "1s", "0"]);
    }

    #[test]
    fn shares_and_sizes() {
        assert_eq!(
            [percent(0.0), percent(0.046), percent(0.234), percent(1.0)],
            ["0 %", "4.6 %", "23 %", "100 %"]
        );
        assert_eq!([short(0.5), short(999.96), short(1_250.0)], ["0.5", "1.0 k", "1.2 k"]);
    }
}
