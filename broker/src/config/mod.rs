//! The configuration of the broker: made once at start from flags and file, checked, and frozen.
//!
//! What an operator may write is in [`options`]; what forbids a start is in [`validate`]; this file turns the one
//! into the values that the program works with. Only two things change while the process runs, and both live
//! elsewhere: the log level in the log, the list of nsqlookupds in the process.

mod options;
mod validate;

use std::ffi::OsString;
use std::path::PathBuf;

use nsq_flags::address::{AddressError, Endpoint, join_host_port};
use nsq_flags::log::{self, Level};
use nsq_flags::{Parsed, Program, Rendered, Stop};
use nsq_protocol::limits::{Features, Limits};

pub use validate::{ConfigError, SHARD_COUNT_MAX, SIZE_BYTES_MAX};

/// Who we are, to an operator at a terminal. The first version is the one that clients parse: NSQ's.
pub const PROGRAM: Program = Program {
    name: "nsqd",
    version_line: concat!("nsqd v1.3.0 (built w/nsq-uring-", env!("CARGO_PKG_VERSION"), ")"),
    log_prefix: "[nsqd] ",
};

/// What an `OK` to a publisher promises. `--durability`, default `sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The message is on disk: it survives a power loss.
    Sync,
    /// The message was handed to the disk: it survives a kill; a power loss costs what came after the last sync.
    Write,
    /// The message is in memory: a kill costs [`Config::sync_messages_max`] or [`Config::sync_interval_ns_max`].
    Async,
}

/// What to do about a log that is damaged where messages were acknowledged. `--recover`, default `refuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recover {
    /// Do not start: the operator decides.
    Refuse,
    /// Copy the damaged ranges aside, list them, and go on without.
    Quarantine,
}

/// How sockets are driven. `--transport`, default `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The own ring where the kernel allows it, glommio otherwise.
    Auto,
    /// The own ring, or no start.
    Ring,
    /// glommio's streams: slower, for older kernels and for comparison.
    Glommio,
}

/// All that the broker knows from its operator. Durations are in nanoseconds; a limit of 0, where that means
/// "none", is the type's maximum here, so that no comparison needs a special case.
#[derive(Debug, Clone)]
pub struct Config {
    options: Parsed,
    /// Text in front of each log line; `[nsqd] `.
    pub log_prefix: String,
    /// First level of the log; info. `PUT /config/log_level` changes it in the log, not here.
    pub log_level: Level,
    /// Ten bits of each message id; from the host name. Two nsqds with one id can issue equal ids.
    pub node_id: u16,
    /// Where TCP clients are listened for; port 4150 of all interfaces.
    pub tcp_address: Endpoint,
    /// Where HTTP is served; port 4151 of all interfaces. `None` for none.
    pub http_address: Option<Endpoint>,
    /// What nsqlookupd and `/info` tell consumers to connect to; the host name.
    pub broadcast_address: String,
    /// The TCP port told with it; the one listened on, once [`Config::with_bound_ports`] knows it; 0 for a unix
    /// socket.
    pub broadcast_tcp_port: u16,
    /// The HTTP port told with it, likewise.
    pub broadcast_http_port: u16,
    /// nsqlookupds at start; none. The living list is in the process.
    pub lookupd_tcp_addresses: Vec<String>,
    /// Longest wait for an HTTP connection to an nsqlookupd, 0 for none; 2 s. Delays the first publish to a new topic.
    pub http_client_connect_timeout_ns: u64,
    /// Longest wait for its answer, 0 for none; 5 s.
    pub http_client_request_timeout_ns: u64,
    /// Directory of the log, which must exist; the working directory.
    pub data_path: PathBuf,
    /// Bounds that the wire protocol enforces, with the timeouts and buffers of clients that name none.
    pub limits: Limits,
    /// Messages that an `#ephemeral` topic or channel holds; 10,000. What comes on top is dropped and counted.
    pub mem_queue_size: u64,
    /// Memory for messages, of all cores together; 256 MiB. What does not fit is read back from disk.
    pub cache_bytes_max: u64,
    /// Size of a file of the log; 100 MiB. The log holds it between 4 and 64 MiB.
    pub segment_bytes_max: u64,
    /// With `async`: messages per shard that may wait for the disk; 2,500.
    pub sync_messages_max: u64,
    /// With `write` and `async`: how long they may wait; 2 s.
    pub sync_interval_ns_max: u64,
    /// What an `OK` promises; `sync`.
    pub durability: Durability,
    /// What a damaged log means; `refuse`.
    pub recover: Recover,
    /// Quantiles of the time from publish to FIN that `/stats` shows; none, and then it is not measured.
    pub latency_quantiles: Vec<f64>,
    /// How far they look back; 10 minutes.
    pub latency_window_ns: u64,
    /// How sockets are driven; `auto`.
    pub transport: Transport,
    /// Threads, one per core; 0 for every core of the affinity mask.
    pub cores: usize,
    /// Shards of a data directory that is new; 0 for one per core, and 4 at least. An existing one keeps its number.
    pub shards: u16,
    /// TCP clients at once; no limit. One more is accepted and closed.
    pub connections_max: usize,
    /// Consumers of one channel; no limit. One more is answered with `E_SUB_FAILED`.
    pub consumers_per_channel_max: usize,
}

impl Config {
    /// Reads flags (without the program's name) and file, and checks them. Touches nothing but that file.
    ///
    /// # Errors
    /// What ends the start, `--help` and `--version` among it.
    pub fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Config, Stop> {
        let hostname = nsq_flags::hostname();
        let parsed = nsq_flags::start(&PROGRAM, options::options(&hostname), arguments)?;
        Config::from_options(parsed)
    }

    fn from_options(options: Parsed) -> Result<Config, Stop> {
        let refuse = |error: ConfigError| Stop::Refused(format!("failed to instantiate nsqd - {error}"));
        validate::validate(&options).map_err(refuse)?;
        options.refuse_unavailable()?;
        let (tcp_address, http_address) = endpoints(&options).map_err(refuse)?;
        Ok(Config {
            log_prefix: options.get_str("log-prefix").to_owned(),
            log_level: Level::from_number(options.get_int("log-level"))
                .expect("invariant: the table has only levels"),
            node_id: small(&options, "node-id"),
            tcp_address,
            http_address,
            broadcast_address: options.get_str("broadcast-address").to_owned(),
            broadcast_tcp_port: small(&options, "broadcast-tcp-port"),
            broadcast_http_port: small(&options, "broadcast-http-port"),
            lookupd_tcp_addresses: options.get_list("lookupd-tcp-address").to_vec(),
            http_client_connect_timeout_ns: ns(&options, "http-client-connect-timeout"),
            http_client_request_timeout_ns: ns(&options, "http-client-request-timeout"),
            data_path: data_path(options.get_str("data-path")),
            limits: limits(&options),
            latency_quantiles: options.get_floats("e2e-processing-latency-percentile").to_vec(),
            latency_window_ns: ns(&options, "e2e-processing-latency-window-time"),
            mem_queue_size: count(&options, "mem-queue-size"),
            cache_bytes_max: count(&options, "mem-cache-size"),
            segment_bytes_max: count(&options, "max-bytes-per-file"),
            sync_messages_max: count(&options, "sync-every").max(1),
            sync_interval_ns_max: ns(&options, "sync-timeout"),
            durability: durability(&options),
            recover: recover(&options),
            transport: transport(&options),
            cores: small::<u8>(&options, "cores").into(),
            shards: small(&options, "shards"),
            connections_max: limit(&options, "max-connections"),
            consumers_per_channel_max: limit(&options, "max-channel-consumers"),
            options,
        })
    }

    /// Fills in the ports that were bound, where the operator named none to announce. `None` is a unix socket, or
    /// no listener.
    #[must_use]
    pub fn with_bound_ports(mut self, tcp_port: Option<u16>, http_port: Option<u16>) -> Config {
        if self.broadcast_tcp_port == 0 {
            self.broadcast_tcp_port = tcp_port.unwrap_or(0);
        }
        if self.broadcast_http_port == 0 {
            self.broadcast_http_port = http_port.unwrap_or(0);
        }
        self
    }

    /// The value of an option by its key in the file, as `GET /config/<key>` shows it; `None` for what is no such
    /// key. Ports, statsd prefix and log level are the real ones. The list of nsqlookupds is the one at start: the
    /// caller shows the living one.
    pub fn render(&self, key: &str) -> Option<Rendered> {
        match key {
            "log_level" => Some(Rendered::Json((log::level() as u8).to_string())),
            "broadcast_tcp_port" => Some(Rendered::Json(self.broadcast_tcp_port.to_string())),
            "broadcast_http_port" => Some(Rendered::Json(self.broadcast_http_port.to_string())),
            "statsd_prefix" => Some(Rendered::Text(self.statsd_prefix())),
            _ => self.options.render(key),
        }
    }

    /// The prefix of statsd keys, with the host in it and a dot at its end, unless it is empty. Dots and colons of
    /// the host would be levels of the key, so they become underscores.
    pub fn statsd_prefix(&self) -> String {
        let host = join_host_port(&self.broadcast_address, self.broadcast_http_port).replace(['.', ':'], "_");
        let mut prefix = self.options.get_str("statsd-prefix").replace("%s", &host);
        if !prefix.is_empty() && !prefix.ends_with('.') {
            prefix.push('.');
        }
        prefix
    }

    /// What the operator should know about the options, one sentence each, to be logged once the log is set up.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.options.warnings().to_vec();
        for (flag, instead) in [("verbose", "log-level"), ("worker-id", "node-id")] {
            if self.options.is_set(flag) {
                warnings.push(format!("--{flag} is deprecated and has no effect, use --{instead}"));
            }
        }
        warnings.extend(self.options.without_effect());
        if self.recover == Recover::Quarantine {
            warnings.push("--recover=quarantine: damaged parts of the log are left out".to_owned());
        }
        warnings
    }
}

fn endpoints(options: &Parsed) -> Result<(Endpoint, Option<Endpoint>), ConfigError> {
    let tcp = options.get_str("tcp-address");
    if tcp.is_empty() {
        return Err(ConfigError::NoTcpAddress);
    }
    let http = options.get_str("http-address");
    let http = if http.is_empty() { None } else { Some(endpoint(http)?) };
    Ok((endpoint(tcp)?, http))
}

fn endpoint(address: &str) -> Result<Endpoint, ConfigError> {
    Endpoint::tcp_or_unix(address)
        .map_err(|error: AddressError| ConfigError::Listen { address: address.to_owned(), error })
}

fn limits(options: &Parsed) -> Limits {
    Limits {
        body_size_max: options.get_int("max-body-size"),
        message_size_max: options.get_int("max-msg-size"),
        credit_max: options.get_int("max-rdy-count"),
        requeue_delay_ns_max: options.get_duration_ns("max-req-timeout"),
        heartbeat_interval_ns_max: options.get_duration_ns("max-heartbeat-interval"),
        output_buffer_size_max: options.get_int("max-output-buffer-size"),
        output_buffer_timeout_ns_min: options.get_duration_ns("min-output-buffer-timeout"),
        output_buffer_timeout_ns_max: options.get_duration_ns("max-output-buffer-timeout"),
        output_buffer_timeout_ns_default: options.get_duration_ns("output-buffer-timeout"),
        message_timeout_ns_default: options.get_duration_ns("msg-timeout"),
        message_timeout_ns_max: options.get_duration_ns("max-msg-timeout"),
        deflate_level_max: options.get_int("max-deflate-level"),
        // `--snappy` and `--deflate` are true by default, so they cannot be refused like other missing features.
        // A client that asks is told no, and talks plainly.
        features: Features { tls: false, snappy: false, deflate: false },
        tls_required: false,
        auth_enabled: false,
        topology: None,
    }
}

fn data_path(text: &str) -> PathBuf {
    PathBuf::from(if text.is_empty() { "." } else { text })
}

fn durability(options: &Parsed) -> Durability {
    match options.get_str("durability") {
        "write" => Durability::Write,
        "async" => Durability::Async,
        _ => Durability::Sync,
    }
}

fn recover(options: &Parsed) -> Recover {
    match options.get_str("recover") {
        "quarantine" => Recover::Quarantine,
        _ => Recover::Refuse,
    }
}

fn transport(options: &Parsed) -> Transport {
    match options.get_str("transport") {
        "ring" => Transport::Ring,
        "glommio" => Transport::Glommio,
        _ => Transport::Auto,
    }
}

/// An integer of a small type, whose range was checked.
fn small<T: TryFrom<i64>>(options: &Parsed, flag: &str) -> T {
    T::try_from(options.get_int(flag))
        .unwrap_or_else(|_| unreachable!("invariant: the range of --{flag} was checked"))
}

fn count(options: &Parsed, flag: &str) -> u64 {
    small(options, flag)
}

/// A limit; 0 is none.
fn limit(options: &Parsed, flag: &str) -> usize {
    match small(options, flag) {
        0 => usize::MAX,
        limit => limit,
    }
}

fn ns(options: &Parsed, flag: &str) -> u64 {
    u64::try_from(options.get_duration_ns(flag)).expect("invariant: the sign was checked")
}

#[cfg(test)]
mod tests;
