//! Options: the table, and what the daemon takes from it.

use std::path::PathBuf;

use nsq_flags::log::{LEVEL_WORDS, Level};
use nsq_flags::{Flag, Kind, Parsed, Program, Stop, hostname};

use crate::registry::Lifetimes;

/// Who is starting. The version behind `v` is that of NSQ, since scripts parse it; the build says who it is.
pub const PROGRAM: Program = Program {
    name: "nsqlookupd",
    version_line: concat!("nsqlookupd v1.3.0 (built w/nsq-uring-", env!("CARGO_PKG_VERSION"), ")"),
    log_prefix: "[nsqlookupd] ",
};

/// The options in force, frozen at start.
#[derive(Debug)]
pub struct Config {
    /// Where nsqd registers; default `0.0.0.0:4160`.
    pub tcp_address: String,
    /// Where consumers ask; default `0.0.0.0:4161`.
    pub http_address: String,
    /// Told to nsqd, which asks for channels there; default the host name. An address that nsqd cannot reach
    /// costs new topics their channels.
    pub broadcast_address: String,
    /// Name of this machine.
    pub hostname: String,
    /// What counts as inactive and tombstoned; default 5 minutes and 45 seconds.
    pub lifetimes: Lifetimes,
    /// Where the directory is remembered over a restart; default nowhere.
    pub state_file: Option<PathBuf>,
    /// Lines below it are not written; default info.
    pub log_level: Level,
    /// In front of each line; default `[nsqlookupd] `.
    pub log_prefix: String,
    /// What the operator should hear about the configuration file.
    pub warnings: Vec<String>,
}

/// Every option, declared once.
fn table(hostname: &str) -> Vec<Flag> {
    vec![
        Flag::str("config", "", "path of a TOML file with options").not_in_file(),
        Flag::bool("version", "false", "print the version and exit").not_in_file(),
        Flag::new(
            "log-level",
            Kind::Enum { what: "log level", words: LEVEL_WORDS },
            "info",
            "write log lines of this level and above: debug, info, warn, error, or fatal",
        ),
        Flag::str("log-prefix", PROGRAM.log_prefix, "put this in front of each log line"),
        Flag::bool("verbose", "false", "accepted for old scripts, without effect").not_in_file(),
        Flag::str("tcp-address", "0.0.0.0:4160", "listen here for nsqd"),
        Flag::str("http-address", "0.0.0.0:4161", "listen here for HTTP clients"),
        Flag::str(
            "broadcast-address",
            hostname.to_owned(),
            "tell nsqd this address of ours; it must be reachable from there, or new topics start without the channels they have elsewhere",
        ),
        Flag::duration(
            "inactive-producer-timeout",
            "5m0s",
            "hide an nsqd that has not sent a PING for this long",
        ),
        Flag::duration("tombstone-lifetime", "45s", "hide a tombstoned producer of a topic for this long"),
        Flag::str(
            "state-file",
            "",
            "remember the directory in this file over a restart; empty to start with nothing, as NSQ does",
        ),
    ]
}

impl Config {
    /// Reads the arguments, without the program's name, and the file they name.
    ///
    /// # Errors
    ///
    /// What ends the start.
    pub fn start(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, Stop> {
        let hostname = hostname();
        let parsed = nsq_flags::start(&PROGRAM, table(&hostname), arguments)?;
        Ok(Self::from_parsed(&parsed, hostname))
    }

    fn from_parsed(parsed: &Parsed, hostname: String) -> Self {
        let text = |name| parsed.get_str(name).to_owned();
        let state_file = parsed.get_str("state-file");
        Self {
            tcp_address: text("tcp-address"),
            http_address: text("http-address"),
            broadcast_address: text("broadcast-address"),
            hostname,
            lifetimes: Lifetimes {
                inactive_ns: parsed.get_duration_ns("inactive-producer-timeout"),
                tombstone_ns: parsed.get_duration_ns("tombstone-lifetime"),
            },
            state_file: (!state_file.is_empty()).then(|| PathBuf::from(state_file)),
            log_level: Level::from_number(parsed.get_int("log-level"))
                .expect("invariant: the words of the flag are those of the levels"),
            log_prefix: text("log-prefix"),
            warnings: parsed.warnings().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(arguments: &[&str]) -> Result<Config, Stop> {
        Config::start(arguments.iter().map(|argument| (*argument).into()))
    }

    #[test]
    fn the_defaults_are_nsqs() {
        let config = start(&[]).unwrap();
        assert_eq!(config.tcp_address, "0.0.0.0:4160");
        assert_eq!(config.http_address, "0.0.0.0:4161");
        assert_eq!(config.broadcast_address, config.hostname);
        assert_eq!(config.lifetimes.inactive_ns, 300_000_000_000);
        assert_eq!(config.lifetimes.tombstone_ns, 45_000_000_000);
        assert_eq!(config.state_file, None);
        assert_eq!(config.log_level, Level::Info);
        assert_eq!(config.log_prefix, "[nsqlookupd] ");
    }

    #[test]
    fn the_version_is_that_of_the_protocol_crate() {
        let line = PROGRAM.version_line;
        let start_of_line = format!("nsqlookupd v{} (built w/", nsq_protocol::limits::NSQ_VERSION);
        let build = line.strip_prefix(&start_of_line).and_then(|rest| rest.strip_suffix(')')).unwrap();
        assert!(!build.is_empty() && !build.contains(' '), "one word, as in NSQ: {build}");
        assert_eq!(start(&["--version", "--config=/no/such/file"]).unwrap_err(), Stop::Version);
    }

    #[test]
    fn flags_reach_the_configuration() {
        let config =
            start(&["--state-file", "/x/y", "-log-level=WARN", "--tombstone-lifetime=1.5s"]).unwrap();
        assert_eq!(config.state_file, Some(PathBuf::from("/x/y")));
        assert_eq!(config.log_level, Level::Warn);
        assert_eq!(config.lifetimes.tombstone_ns, 1_500_000_000);
        assert_eq!(start(&["--tombstone-lifetime=45"]).unwrap_err().exit_code(), 2);
    }

    /// Whatever an operator writes, the start goes on or ends with a sentence. NSQ takes negative spans of time here,
    /// and they hide every producer.
    #[test]
    fn no_value_of_any_flag_is_a_panic() {
        for flag in table("h").iter().filter(|flag| flag.name != "config") {
            for value in
                ["-1s", "-1", "0", "-2562047h", "9223372036854775807ns", "9223372036854775808", "", "\u{0}"]
            {
                let argument = format!("--{}={value}", flag.name);
                match std::panic::catch_unwind(|| start(&[&argument])).expect(&argument) {
                    Ok(config) => assert!(config.warnings.is_empty(), "{argument}"),
                    Err(stop) => assert!(matches!(stop.exit_code(), 0..=2), "{argument}"),
                }
            }
        }
        assert_eq!(start(&["--tombstone-lifetime=-1s"]).unwrap().lifetimes.tombstone_ns, -1_000_000_000);
    }
}
