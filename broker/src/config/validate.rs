//! What forbids a start although every value could be read.

use std::fmt;

use nsq_flags::Parsed;
use nsq_flags::address::AddressError;
use nsq_wal::limits::{MESSAGE_HEADER_BYTES, PUBLISH_BYTES_MAX};

/// Largest body and output buffer that an operator may allow: what the log takes of one publish. They are held in memory
/// whole, so a larger limit is more likely a slip in a unit file, better found at start than by the first such body.
pub const SIZE_BYTES_MAX: i64 = PUBLISH_BYTES_MAX as i64;

/// Largest message that an operator may allow: the log also keeps its header.
const MESSAGE_BYTES_MAX: i64 = SIZE_BYTES_MAX - MESSAGE_HEADER_BYTES as i64;

/// Longest delay of a message that the log can keep: milliseconds in 32 bits.
const DELAY_NS_MAX: i64 = u32::MAX as i64 * 1_000_000;

/// Most shards of a data directory, and most cores.
pub const SHARD_COUNT_MAX: i64 = 64;

/// Largest value of options that count things.
const COUNT_MAX: i64 = i32::MAX as i64;

/// Why the options forbid a start. The first five texts are NSQ's, and follow "failed to instantiate nsqd - ".
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// `--max-deflate-level` outside 1 to 9.
    DeflateLevel,
    /// `--node-id` outside 0 to 1023.
    NodeId,
    /// One of `--tls-cert` and `--tls-key` without the other.
    TlsPair,
    /// TLS required, by its flag or by a client policy, without a certificate.
    TlsRequired,
    /// `--auth-http-request-method` is neither `post` nor `get`.
    AuthMethod,
    /// A percentile outside (0, 1].
    Percentile(f64),
    /// An address that cannot be listened on.
    Listen {
        /// As the operator wrote it.
        address: String,
        /// What is wrong with it.
        error: AddressError,
    },
    /// An empty `--tcp-address`: a broker without clients.
    NoTcpAddress,
    /// An integer outside its range.
    Range {
        /// Name of the flag.
        flag: &'static str,
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A longest delay that a message could not be kept for.
    Delay,
    /// A duration that must not be zero or less.
    NotPositive(&'static str),
    /// A duration that must not be negative.
    Negative(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::DeflateLevel => write!(f, "--max-deflate-level must be [1,9]"),
            ConfigError::NodeId => write!(f, "--node-id must be [0,1024)"),
            ConfigError::TlsPair => {
                write!(f, "failed to build TLS config - --tls-cert and --tls-key must be given together")
            }
            ConfigError::TlsRequired => {
                write!(f, "cannot require TLS client connections without TLS key and cert")
            }
            ConfigError::AuthMethod => write!(f, "--auth-http-request-method must be post or get"),
            ConfigError::Percentile(v) => write!(f, "invalid E2E processing latency percentile: {v}"),
            ConfigError::Listen { address, error } => {
                write!(f, "listen ({address}) failed - listen tcp: {error}")
            }
            ConfigError::NoTcpAddress => write!(f, "--tcp-address must not be empty"),
            ConfigError::Range { flag, min, max } => write!(f, "--{flag} must be [{min},{max}]"),
            ConfigError::Delay => write!(f, "--max-req-timeout must be at most 1193h2m47s"),
            ConfigError::NotPositive(flag) => write!(f, "--{flag} must be greater than 0"),
            ConfigError::Negative(flag) => write!(f, "--{flag} must not be negative"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Integers and their ranges.
const RANGES: &[(&str, i64, i64)] = &[
    ("broadcast-tcp-port", 0, 65_535),
    ("broadcast-http-port", 0, 65_535),
    ("mem-queue-size", 0, COUNT_MAX),
    ("max-bytes-per-file", 1, i64::MAX),
    ("sync-every", 0, i64::MAX),
    ("max-msg-size", 1, MESSAGE_BYTES_MAX),
    ("max-body-size", 1, SIZE_BYTES_MAX),
    ("max-rdy-count", 0, COUNT_MAX),
    ("max-output-buffer-size", 0, SIZE_BYTES_MAX),
    ("max-channel-consumers", 0, COUNT_MAX),
    ("cores", 0, SHARD_COUNT_MAX),
    ("shards", 0, SHARD_COUNT_MAX),
    ("max-connections", 0, COUNT_MAX),
    ("queue-scan-worker-pool-max", 0, COUNT_MAX),
    ("queue-scan-selection-count", 0, COUNT_MAX),
    ("statsd-udp-packet-size", 1, 65_507),
];

/// Durations that need to be there: each is the period of something, or the timeouts with somebody.
const POSITIVE: &[&str] = &[
    "sync-timeout",
    "output-buffer-timeout",
    "msg-timeout",
    "max-msg-timeout",
    "e2e-processing-latency-window-time",
];

/// Checks the options in NSQ's order, then those that NSQ does not check and fails on later, or not at all.
pub(super) fn validate(options: &Parsed) -> Result<(), ConfigError> {
    if !(1..=9).contains(&options.get_int("max-deflate-level")) {
        return Err(ConfigError::DeflateLevel);
    }
    if !(0..1024).contains(&options.get_int("node-id")) {
        return Err(ConfigError::NodeId);
    }
    validate_tls(options)?;
    if !matches!(options.get_str("auth-http-request-method"), "get" | "post") {
        return Err(ConfigError::AuthMethod);
    }
    let percentiles = options.get_floats("e2e-processing-latency-percentile");
    if let Some(&bad) = percentiles.iter().find(|&&p| !(p > 0.0 && p <= 1.0)) {
        return Err(ConfigError::Percentile(bad));
    }
    validate_numbers(options)
}

fn validate_tls(options: &Parsed) -> Result<(), ConfigError> {
    let has_cert = !options.get_str("tls-cert").is_empty();
    let has_key = !options.get_str("tls-key").is_empty();
    if has_cert != has_key {
        return Err(ConfigError::TlsPair);
    }
    // A policy about client certificates makes no sense without TLS, so any policy requires it.
    let required =
        options.get_int("tls-required") != 0 || !options.get_str("tls-client-auth-policy").is_empty();
    if required && !has_cert { Err(ConfigError::TlsRequired) } else { Ok(()) }
}

fn validate_numbers(options: &Parsed) -> Result<(), ConfigError> {
    for &(flag, min, max) in RANGES {
        if !(min..=max).contains(&options.get_int(flag)) {
            return Err(ConfigError::Range { flag, min, max });
        }
    }
    for flag in POSITIVE {
        if options.get_duration_ns(flag) <= 0 {
            return Err(ConfigError::NotPositive(flag));
        }
    }
    if options.get_duration_ns("max-req-timeout") > DELAY_NS_MAX {
        return Err(ConfigError::Delay);
    }
    // A span of time that is negative means nothing, whatever it is for.
    match options.durations_ns().find(|&(_, ns)| ns < 0) {
        Some((flag, _)) => Err(ConfigError::Negative(flag)),
        None => Ok(()),
    }
}
