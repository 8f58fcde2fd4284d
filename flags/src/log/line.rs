//! The shape of a line.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Level;

/// Longest text of a line; what is longer is cut and ends in `...`. Keeps a line within what a pipe takes at once.
pub const TEXT_BYTES_MAX: usize = 3 * 1024;

/// A line of this moment, newline included.
pub(super) fn now(prefix: &str, level: Level, text: fmt::Arguments<'_>) -> String {
    // The zone is looked up once: reading it anew would touch the file system on the path of a log line.
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let zone = ZONE.get_or_init(TimeZone::system);
    at(zone.to_datetime(Timestamp::now()), prefix, level, text)
}

fn at(now: DateTime, prefix: &str, level: Level, text: fmt::Arguments<'_>) -> String {
    let mut line = Line { text: String::with_capacity(256), room: usize::MAX };
    let _ = write!(
        line.text,
        "{prefix}{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{:06} {}: ",
        now.year(),
        now.month(),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.subsec_nanosecond() / 1_000,
        level.label()
    );
    line.room = TEXT_BYTES_MAX;
    let _ = line.write_fmt(text);
    line.text.push('\n');
    line.text
}

/// A line in the making: control characters are escaped, since clients choose parts of the text and a newline
/// would let them write lines of their own; the length is bounded for the same reason.
struct Line {
    text: String,
    room: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for c in piece.chars() {
            let before = self.text.len();
            if c.is_control() && c != '\t' {
                self.text.extend(c.escape_default());
            } else {
                self.text.push(c);
            }
            let added = self.text.len() - before;
            if added > self.room {
                self.text.truncate(before);
                self.text.push_str("...");
                self.room = 0;
                return Err(fmt::Error);
            }
            self.room -= added;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        let now = DateTime::constant(2025, 1, 2, 3, 4, 5, 6_007_999);
        at(now, "[nsqd] ", Level::Warn, format_args!("{text}"))
    }

    #[test]
    fn a_line_has_nsqs_shape() {
        assert_eq!(line("TCP: new client"), "[nsqd] 2025/01/02 03:04:05.006007 WARNING: TCP: new client\n");
    }

    #[test]
    fn a_text_from_outside_stays_on_its_line() {
        assert_eq!(
            line("a\nb\r\x1b[31mc"),
            "[nsqd] 2025/01/02 03:04:05.006007 WARNING: a\\nb\\r\\u{1b}[31mc\n"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = line(&"\u{e9}".repeat(TEXT_BYTES_MAX));
        assert!(long.ends_with("\u{e9}...\n"));
        assert!(long.len() < TEXT_BYTES_MAX + 64);
        let fits = line(&"x".repeat(TEXT_BYTES_MAX));
        assert!(fits.ends_with("x\n"));
    }
}
