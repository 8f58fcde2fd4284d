//! Go's durations: `300ms`, `1.5h`, `1m2.345s`, kept as nanoseconds in an `i64`.

/// Units by their spelling, in nanoseconds. Both Unicode spellings of micro are in use.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// The largest magnitude: one more nanosecond than fits above zero, since below zero there is one more.
const MAGNITUDE_MAX: u64 = 1 << 63;

/// Reads a duration, in nanoseconds.
///
/// A sign, then numbers with a unit each, added up; only `0` needs no unit. `None` for anything else and for what
/// does not fit 64 bits. Parts of a nanosecond are dropped.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    let mut rest = rest;
    while !rest.is_empty() {
        let (part_ns, behind) = parse_part(rest)?;
        total = total.checked_add(part_ns).filter(|&t| t <= MAGNITUDE_MAX)?;
        rest = behind;
    }
    if negative { 0i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

/// Reads one number with its unit; returns nanoseconds and the text behind.
fn parse_part(text: &str) -> Option<(u64, &str)> {
    let (whole, behind) = split_digits(text);
    let (fraction, behind) = match behind.strip_prefix('.') {
        Some(behind) => split_digits(behind),
        None => ("", behind),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_end = behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len());
    let (unit, behind) = behind.split_at(unit_end);
    let unit_ns = UNITS.iter().find(|(name, _)| *name == unit)?.1;

    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let whole_ns = whole.checked_mul(unit_ns).filter(|&ns| ns <= MAGNITUDE_MAX)?;
    Some((whole_ns.checked_add(fraction_ns(fraction, unit_ns))?, behind))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The nanoseconds in a decimal fraction of a unit. The largest unit has fewer than 10^13 nanoseconds, so digits
/// beyond the eighteenth cannot matter, and 128 bits hold the product.
fn fraction_ns(digits: &str, unit_ns: u64) -> u64 {
    const DIGITS_MAX: usize = 18;
    let digits = &digits[..digits.len().min(DIGITS_MAX)];
    let mut scale: u128 = 1;
    let mut value: u128 = 0;
    for digit in digits.bytes() {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    u64::try_from(value * u128::from(unit_ns) / scale).expect("invariant: a fraction is below its unit")
}

/// Writes a duration as Go does: `1h0m0s`, `1.5s`, `250ms`, `0s`.
pub fn format_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let magnitude = ns.unsigned_abs();
    let text = match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => decimal(magnitude, 1_000) + "\u{b5}s",
        1_000_000..1_000_000_000 => decimal(magnitude, 1_000_000) + "ms",
        _ => hours_minutes_seconds(magnitude),
    };
    format!("{sign}{text}")
}

fn hours_minutes_seconds(ns: u64) -> String {
    const MINUTE_NS: u64 = 60 * 1_000_000_000;
    let seconds = decimal(ns % MINUTE_NS, 1_000_000_000);
    let minutes = ns / MINUTE_NS;
    match minutes {
        0 => format!("{seconds}s"),
        1..60 => format!("{minutes}m{seconds}s"),
        _ => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
    }
}

/// `value / unit` with as many decimals as needed; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let fraction = value % unit;
    if fraction == 0 {
        return (value / unit).to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{}.{}", value / unit, digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases: &[(&str, i64)] = &[
            ("0", 0),
            ("-0", 0),
            ("+0", 0),
            ("0s", 0),
            ("90s", 90_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("250ms", 250_000_000),
            ("15us", 15_000),
            ("15\u{b5}s", 15_000),
            ("15\u{3bc}s", 15_000),
            ("15ns", 15),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("+2m", 120_000_000_000),
            ("-1.5s", -1_500_000_000),
            ("1m1m", 120_000_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("0.9999999999999999999999h", 3_599_999_999_999),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ];
        for (text, ns) in cases {
            assert_eq!(parse_duration(text), Some(*ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "+",
            "-",
            "5",
            "5 s",
            "s",
            ".s",
            "5d",
            "5S",
            "1h-5m",
            "1.5.5s",
            "1500",
            " 1s",
            "1s ",
            "\u{b5}s",
            "9223372036854775808ns",
            "2562048h",
            "99999999999999999999s",
            "1h9223372036854775807ns",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let cases: &[(i64, &str)] = &[
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (250_000_000, "250ms"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (60_000_000_000, "1m0s"),
            (62_345_000_000, "1m2.345s"),
            (3_600_000_000_000, "1h0m0s"),
            (900_000_000_000, "15m0s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (-1_500_000_000, "-1.5s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ];
        for (ns, text) in cases {
            assert_eq!(format_duration(*ns), *text);
            assert_eq!(parse_duration(text), Some(*ns));
        }
    }
}
