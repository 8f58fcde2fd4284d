//! NSQ's log: one line per event on standard error, `<prefix>YYYY/MM/DD hh:mm:ss.micros LEVEL: text`, local time.
//!
//! The log is global to the process, like standard error itself. [`init`] sets prefix and level once; the level
//! can change at any time (`PUT /config/log_level`). A line below the level costs one relaxed load.
//! Each line leaves in one `write(2)`, so lines of several threads do not mix. A closed or full standard error
//! loses the line and nothing else. A blocked reader blocks the writer: a daemon's standard error belongs to a
//! supervisor that reads it.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::flag::Word;

/// Longest text of a line; what is longer is cut and ends in `...`. Keeps a line within what a pipe takes at once.
pub const TEXT_BYTES_MAX: usize = 3 * 1024;

/// How grave a line is. The numbers are those of `/config/log_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// For developers.
    Debug = 1,
    /// What happens in an ordinary life.
    Info = 2,
    /// Odd, and dealt with.
    Warn = 3,
    /// Something was not done.
    Error = 4,
    /// The process ends.
    Fatal = 5,
}

/// The words of `--log-level`.
pub const LEVEL_WORDS: &[Word] = &[("debug", 1), ("info", 2), ("warn", 3), ("error", 4), ("fatal", 5)];

impl Level {
    /// Reads exactly one of the words, in any case.
    pub fn from_word(word: &str) -> Option<Level> {
        let found = LEVEL_WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
        Level::from_number(found.1)
    }

    /// The level with this number, 1 to 5.
    pub fn from_number(number: i64) -> Option<Level> {
        [Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal]
            .into_iter()
            .find(|level| *level as i64 == number)
    }

    /// The word in a log line.
    pub fn label(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARNING",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }
}

static PREFIX: OnceLock<String> = OnceLock::new();
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Sets the prefix, once for the life of the process, and the level. A second prefix is ignored.
pub fn init(prefix: &str, level: Level) {
    PREFIX.get_or_init(|| prefix.to_owned());
    set_level(level);
}

/// Changes the level, for all threads at once.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// The present level.
pub fn level() -> Level {
    Level::from_number(i64::from(LEVEL.load(Ordering::Relaxed))).expect("invariant: only levels are stored")
}

/// Whether a line of this level would be written.
#[inline]
pub fn enabled(level: Level) -> bool {
    level as u8 >= LEVEL.load(Ordering::Relaxed)
}

/// Writes a line, whatever the level is now. The macros ask [`enabled`] before they come here.
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    write_line(PREFIX.get().map_or("", String::as_str), level, text);
}

/// Writes a line with a prefix of its own, whatever the level is now.
pub fn write_line(prefix: &str, level: Level, text: fmt::Arguments<'_>) {
    // The zone is looked up once: reading it anew would touch the file system on the path of a log line.
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let zone = ZONE.get_or_init(TimeZone::system);
    let line = format_line(prefix, zone.to_datetime(Timestamp::now()), level, text);
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Shapes a line, newline included.
fn format_line(prefix: &str, now: DateTime, level: Level, text: fmt::Arguments<'_>) -> String {
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

/// Writes a line of the given [`Level`] if that level is on. The arguments are not evaluated otherwise.
#[macro_export]
macro_rules! log {
    ($level:expr, $($text:tt)+) => {{
        let level: $crate::log::Level = $level;
        if $crate::log::enabled(level) {
            $crate::log::write(level, ::core::format_args!($($text)+));
        }
    }};
}

/// Logs at [`Level::Debug`](crate::log::Level::Debug).
#[macro_export]
macro_rules! debug {
    ($($text:tt)+) => { $crate::log!($crate::log::Level::Debug, $($text)+) };
}

/// Logs at [`Level::Info`](crate::log::Level::Info).
#[macro_export]
macro_rules! info {
    ($($text:tt)+) => { $crate::log!($crate::log::Level::Info, $($text)+) };
}

/// Logs at [`Level::Warn`](crate::log::Level::Warn).
#[macro_export]
macro_rules! warn {
    ($($text:tt)+) => { $crate::log!($crate::log::Level::Warn, $($text)+) };
}

/// Logs at [`Level::Error`](crate::log::Level::Error).
#[macro_export]
macro_rules! error {
    ($($text:tt)+) => { $crate::log!($crate::log::Level::Error, $($text)+) };
}

/// Logs at [`Level::Fatal`](crate::log::Level::Fatal). It does not end the process.
#[macro_export]
macro_rules! fatal {
    ($($text:tt)+) => { $crate::log!($crate::log::Level::Fatal, $($text)+) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        let now = DateTime::constant(2025, 1, 2, 3, 4, 5, 6_007_999);
        format_line("[nsqd] ", now, Level::Warn, format_args!("{text}"))
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

    #[test]
    fn levels_are_words_in_any_case() {
        assert_eq!(Level::from_word("debug"), Some(Level::Debug));
        assert_eq!(Level::from_word("WARN"), Some(Level::Warn));
        assert_eq!(Level::from_word("fATAL"), Some(Level::Fatal));
        for word in ["warning", "1", "", "trace", "info\n", " info"] {
            assert_eq!(Level::from_word(word), None, "{word:?}");
        }
    }

    #[test]
    fn a_line_below_the_level_is_not_even_built() {
        set_level(Level::Error);
        let mut built = false;
        crate::info!("{}", {
            built = true;
            1
        });
        assert!(!built);
        assert!(!enabled(Level::Warn));
        assert!(enabled(Level::Error));
        assert_eq!(level(), Level::Error);
        set_level(Level::Info);
        assert!(enabled(Level::Warn));
    }
}
