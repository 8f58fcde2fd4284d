//! Integers, booleans, numbers and byte counts, as the flags of NSQ's daemons spell them.

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// Not spelled like one.
    Syntax,
    /// Too large for 64 bits.
    Range,
}

impl NumberError {
    /// The words of Go's flag reader.
    pub fn text(self) -> &'static str {
        match self {
            NumberError::Syntax => "parse error",
            NumberError::Range => "value out of range",
        }
    }
}

/// Reads an integer as on the command line: a sign, `0x`, `0o`, `0b`, a leading `0` for octal, `_` between digits.
///
/// # Errors
/// The spelling, or a value beyond 64 bits.
pub fn parse_int(text: &str) -> Result<i64, NumberError> {
    let (negative, unsigned) = split_sign(text);
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // An underscore needs a digit on both sides; the prefix counts as one.
    let prefixed = base != 10;
    if digits.contains("__") || digits.ends_with('_') || (digits.starts_with('_') && !prefixed) {
        return Err(NumberError::Syntax);
    }
    accumulate(negative, digits.bytes().filter(|&b| b != b'_'), base)
}

/// Reads an integer as in a text of the file: decimal, with a sign at most.
///
/// # Errors
/// The spelling, or a value beyond 64 bits.
pub(crate) fn parse_decimal(text: &str) -> Result<i64, NumberError> {
    let (negative, digits) = split_sign(text);
    accumulate(negative, digits.bytes(), 10)
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn accumulate(negative: bool, digits: impl Iterator<Item = u8>, base: u32) -> Result<i64, NumberError> {
    let mut magnitude: Option<u64> = Some(0);
    let mut empty = true;
    for byte in digits {
        let digit = char::from(byte).to_digit(base).ok_or(NumberError::Syntax)?;
        magnitude = magnitude.and_then(|m| m.checked_mul(u64::from(base))?.checked_add(u64::from(digit)));
        empty = false;
    }
    if empty {
        return Err(NumberError::Syntax);
    }
    let magnitude = magnitude.ok_or(NumberError::Range)?;
    let value = if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
    value.ok_or(NumberError::Range)
}

/// Reads a boolean: exactly Go's twelve spellings.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a finite number. Rust's reader takes what Go's takes in decimal; `inf` and `nan` are of no use as options.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

/// Reads a count of bytes: an integer, or one with `KiB`, `MiB`, `GiB` behind it. Never negative.
///
/// # Errors
/// The spelling, or a value beyond 63 bits.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, NumberError> {
    const UNITS: [(&str, i64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (number, unit) = UNITS
        .iter()
        .find_map(|&(name, unit)| text.strip_suffix(name).map(|number| (number, unit)))
        .unwrap_or((text, 1));
    let count = parse_int(number)?;
    if count < 0 {
        return Err(NumberError::Range);
    }
    count.checked_mul(unit).ok_or(NumberError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_all_bases() {
        let cases: &[(&str, i64)] = &[
            ("5000", 5000),
            ("+5000", 5000),
            ("-1", -1),
            ("0", 0),
            ("00", 0),
            ("0x1F4", 500),
            ("0X1f4", 500),
            ("-0x10", -16),
            ("0o17", 15),
            ("017", 15),
            ("0_17", 15),
            ("0b101", 5),
            ("0x_1F", 31),
            ("1_000_000", 1_000_000),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, value) in cases {
            assert_eq!(parse_int(text), Ok(*value), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for text in [
            "", "+", "-", "1__0", "_1", "1_", "1e3", "1.0", "5k", " 5", "5 ", "0x", "0b2", "08", "+-1",
            "0x__1",
        ] {
            assert_eq!(parse_int(text), Err(NumberError::Syntax), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "0xFFFFFFFFFFFFFFFFFF"] {
            assert_eq!(parse_int(text), Err(NumberError::Range), "{text}");
        }
    }

    #[test]
    fn texts_of_the_file_are_decimal_only() {
        assert_eq!(parse_decimal("5"), Ok(5));
        assert_eq!(parse_decimal("-017"), Ok(-17));
        for text in ["0x10", "1_000", "5k", "", "5.0"] {
            assert_eq!(parse_decimal(text), Err(NumberError::Syntax), "{text}");
        }
    }

    #[test]
    fn booleans_have_twelve_spellings() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Some(true));
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text), Some(false));
        }
        for text in ["", "no", "yes", "falsE", "tRUE", "2", " true"] {
            assert_eq!(parse_bool(text), None, "{text}");
        }
    }

    #[test]
    fn byte_counts_take_binary_units() {
        assert_eq!(parse_bytes("0"), Ok(0));
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("256MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes("3KiB"), Ok(3072));
        assert_eq!(parse_bytes("1GiB"), Ok(1 << 30));
        assert_eq!(parse_bytes("-1"), Err(NumberError::Range));
        assert_eq!(parse_bytes("9999999999GiB"), Err(NumberError::Range));
        for text in ["", "MiB", "1 MiB", "1MB", "1mib", "1.5GiB"] {
            assert_eq!(parse_bytes(text), Err(NumberError::Syntax), "{text}");
        }
    }
}
