//! NSQ's log: one line per event on standard error, `<prefix>YYYY/MM/DD hh:mm:ss.micros LEVEL: text`, local time.
//!
//! Lines are written by the macros of the `log` facade, which this crate passes on ([`info`](crate::info),
//! [`warn`](crate::warn) …), so what a dependency says is heard too. [`init`] sets prefix and level once; the level can
//! change at any time (`PUT /config/log_level`). A line below the level costs one relaxed load.
//!
//! Nobody waits for standard error: a line goes into a bounded buffer, and one thread writes it. While nobody reads
//! (a stopped supervisor, a full pipe), lines beyond the buffer are dropped, and their number is told in a line of its
//! own as soon as there is room again.

mod line;
mod rate_limit;
mod writer;

use std::fmt;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use ::log::{LevelFilter, Log, Metadata, Record};

use crate::flag::Word;
use writer::Writer;

pub use line::TEXT_BYTES_MAX;
pub use rate_limit::{RateLimit, Withheld};
pub use writer::BUFFER_BYTES_MAX;

/// Longest wait for lines to be written before the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// The target by which [`fatal`](crate::fatal) is told from an error: the facade has no such level.
#[doc(hidden)]
pub const FATAL: &str = "nsq fatal";

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

    fn of(record: &Metadata<'_>) -> Level {
        match record.level() {
            ::log::Level::Error if record.target() == FATAL => Level::Fatal,
            ::log::Level::Error => Level::Error,
            ::log::Level::Warn => Level::Warn,
            ::log::Level::Info => Level::Info,
            ::log::Level::Debug | ::log::Level::Trace => Level::Debug,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Level::Debug => LevelFilter::Debug,
            Level::Info => LevelFilter::Info,
            Level::Warn => LevelFilter::Warn,
            Level::Error | Level::Fatal => LevelFilter::Error,
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Starts the log: prefix and writer, once for the life of the process, and the level. A second prefix is ignored.
/// Without it nothing is written.
///
/// What it returns is to be kept until the process ends: its drop waits until everything is written, for a second at
/// most.
pub fn init(prefix: &str, level: Level) -> Flush {
    // Where no thread can be had, lines are written by those who have them.
    let logger = LOGGER.get_or_init(|| Logger {
        prefix: prefix.to_owned(),
        writer: Writer::start(std::io::stderr(), prefix.to_owned()).ok(),
    });
    // Only a second call finds one, and it is this one.
    let _ = ::log::set_logger(logger);
    set_level(level);
    Flush(())
}

/// Waits, on drop, until what was logged is written.
#[must_use = "the last lines of the process may be lost"]
pub struct Flush(());

impl Drop for Flush {
    fn drop(&mut self) {
        ::log::logger().flush();
    }
}

/// Changes the level, for all threads at once.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    ::log::set_max_level(level.filter());
}

/// The present level.
pub fn level() -> Level {
    Level::from_number(i64::from(LEVEL.load(Ordering::Relaxed))).expect("invariant: only levels are stored")
}

/// Writes a line at once, whatever the level is now, before there is a log.
pub(crate) fn write_line(prefix: &str, level: Level, text: fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(line::now(prefix, level, text).as_bytes());
}

struct Logger {
    prefix: String,
    writer: Option<Writer>,
}

impl Log for Logger {
    /// Of crates that are not ours only what is wrong is worth a line; their names stand in front of it.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = Level::of(metadata);
        level >= self::level() && (is_ours(metadata.target()) || level >= Level::Warn)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = Level::of(record.metadata());
        let line = if is_ours(record.target()) {
            line::now(&self.prefix, level, *record.args())
        } else {
            line::now(&self.prefix, level, format_args!("{}: {}", record.target(), record.args()))
        };
        match &self.writer {
            Some(writer) => writer.push(line.as_bytes()),
            None => {
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
        if level == Level::Fatal {
            self.flush();
        }
    }

    fn flush(&self) {
        if let Some(writer) = &self.writer {
            writer.flush(FLUSH_MAX);
        }
    }
}

fn is_ours(target: &str) -> bool {
    target.starts_with("nsq")
}

/// Logs that the process ends. It does not end it, but returns when the line is written.
#[macro_export]
macro_rules! fatal {
    ($($text:tt)+) => { $crate::__log::error!(target: $crate::log::FATAL, $($text)+) };
}

/// Logs a line that a peer can cause as often as it likes: `rate_limited!(warn, source, "…", …)`. At most a few at
/// once and then one per second are written for each source (anything that can be hashed, such as the address without
/// the port), here at this place of the code; the next one that is written says how many were not. See
/// [`RateLimit`](crate::log::RateLimit).
#[macro_export]
macro_rules! rate_limited {
    ($level:ident, $source:expr, $($text:tt)+) => {{
        static LIMIT: $crate::log::RateLimit = $crate::log::RateLimit::new();
        if let Some(withheld) = LIMIT.admit(&$source) {
            $crate::$level!("{}{withheld}", ::core::format_args!($($text)+));
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_in_any_case() {
        assert_eq!(Level::from_word("debug"), Some(Level::Debug));
        assert_eq!(Level::from_word("WARN"), Some(Level::Warn));
        assert_eq!(Level::from_word("fATAL"), Some(Level::Fatal));
        for word in ["warning", "1", "", "trace", "info\n", " info"] {
            assert_eq!(Level::from_word(word), None, "{word:?}");
        }
    }

    /// One test, since the level is the process's.
    #[test]
    fn a_line_below_the_level_is_not_even_built() {
        let logger = Logger { prefix: String::new(), writer: None };
        let is_enabled =
            |level, target| logger.enabled(&Metadata::builder().level(level).target(target).build());
        set_level(Level::Error);
        let mut built = false;
        crate::info!("{}", {
            built = true;
            1
        });
        assert!(!built);
        assert!(!is_enabled(::log::Level::Warn, "nsqd::core"));
        assert!(is_enabled(::log::Level::Error, "nsqd::core"));
        assert_eq!(level(), Level::Error);

        set_level(Level::Fatal);
        assert!(!is_enabled(::log::Level::Error, "nsqd::core"));
        assert!(is_enabled(::log::Level::Error, FATAL));

        set_level(Level::Info);
        assert!(is_enabled(::log::Level::Info, "nsq_listen"));
        assert!(is_enabled(::log::Level::Warn, "glommio::sys"), "what a dependency finds wrong is heard");
        assert!(!is_enabled(::log::Level::Info, "glommio::sys"));
    }
}
