//! Every option of nsqd, declared once: name, key in the file, type, default, and what follows from it.
//!
//! The first table is NSQ's, complete, with NSQ's defaults: a unit file or a configuration file that works with
//! NSQ's nsqd must be understood here. The second is our own.

use nsq_flags::log::LEVEL_WORDS;
use nsq_flags::{Flag, Kind, Word};

/// Numbers of `--tls-required`, as `/config/tls_required` shows them.
pub(super) const TLS_REQUIRED_WORDS: &[Word] = &[("false", 0), ("tcp-https", 1), ("true", 2)];

/// Numbers of `--tls-min-version`: those of the protocol. Empty is the default. The help of NSQ's nsqd also names
/// `ssl3.0`, and then refuses it.
const TLS_VERSION_WORDS: &[Word] =
    &[("tls1.0", 769), ("tls1.1", 770), ("tls1.2", 771), ("tls1.3", 772), ("", 769)];

/// Words of `--durability`.
pub(super) const DURABILITY_WORDS: &[&str] = &["sync", "write", "async"];
/// Words of `--recover`.
pub(super) const RECOVER_WORDS: &[&str] = &["refuse", "quarantine"];
/// Words of `--transport`.
pub(super) const TRANSPORT_WORDS: &[&str] = &["auto", "ring", "glommio"];

const NO_TLS: &str = "this broker has no TLS; leave the option out, or put a TLS proxy in front.";
const NO_AUTH: &str = "this broker cannot ask an auth server, and starting without would admit everybody.";
const NO_STATSD: &str = "this broker pushes no statistics to statsd; read /stats instead.";
const NO_HTTPS: &str = "this broker has no TLS, and so no HTTPS.";
const NO_AUTH_METHOD: &str = "this broker cannot ask an auth server.";
const NO_SCAN: &str = "time-outs need no scan here.";
const NO_COMPRESSION: &str =
    "this broker does not compress; clients that ask are told so, and go on without.";
const NO_TOPOLOGY: &str = "this broker does not deliver by region or zone.";

/// The whole table, in the order in which options are checked and shown.
pub(super) fn options(hostname: &str) -> Vec<Flag> {
    let mut table = general(hostname);
    table.extend(network(hostname));
    table.extend(storage());
    table.extend(limits());
    table.extend(statistics());
    table.extend(tls_and_compression());
    table.extend(our_own());
    table
}

fn general(hostname: &str) -> Vec<Flag> {
    let node_id = nsq_flags::default_node_id(hostname).to_string();
    let level = Kind::Enum { what: "log level", words: LEVEL_WORDS };
    vec![
        Flag::bool("version", "false", "print the version and exit").not_in_file(),
        Flag::str("config", "", "path of a TOML file with options; flags win over it").not_in_file(),
        Flag::new(
            "log-level",
            level,
            "info",
            "log lines of this level and above: debug, info, warn, error, fatal",
        ),
        Flag::str("log-prefix", "[nsqd] ", "text in front of each log line"),
        Flag::bool("verbose", "false", "deprecated, has no effect; use --log-level").not_in_file(),
        Flag::int(
            "node-id",
            node_id,
            "part of each message id, 0 to 1023; unique among the nsqds of a cluster",
        )
        .with_key("id"),
        Flag::bool("worker-id", "false", "deprecated, has no effect; use --node-id").not_in_file(),
    ]
}

fn network(hostname: &str) -> Vec<Flag> {
    vec![
        Flag::str("tcp-address", "0.0.0.0:4150", "<addr>:<port>, or path of a unix socket, for TCP clients"),
        Flag::str(
            "http-address",
            "0.0.0.0:4151",
            "<addr>:<port>, or path of a unix socket, for HTTP; empty: no HTTP",
        ),
        Flag::str("https-address", "0.0.0.0:4152", "<addr>:<port> for HTTPS; used only with a certificate")
            .no_effect(NO_HTTPS),
        Flag::str(
            "broadcast-address",
            hostname.to_owned(),
            "address told to nsqlookupd; consumers must reach it",
        ),
        Flag::int("broadcast-tcp-port", "0", "TCP port told to nsqlookupd; 0: the port listened on"),
        Flag::int("broadcast-http-port", "0", "HTTP port told to nsqlookupd; 0: the port listened on"),
        Flag::list(
            "lookupd-tcp-address",
            "<addr>:<port> of an nsqlookupd to register with (may be repeated)",
        )
        .with_key("nsqlookupd_tcp_addresses"),
        Flag::list("auth-http-address", "<addr>:<port> or URL of an auth server (may be repeated)")
            .with_key("auth_http_addresses")
            .not_yet(NO_AUTH),
        Flag::str("auth-http-request-method", "get", "HTTP method towards the auth server: get or post")
            .no_effect(NO_AUTH_METHOD),
        Flag::duration(
            "http-client-connect-timeout",
            "2s",
            "longest wait for an HTTP connection to nsqlookupd; 0: none",
        ),
        Flag::duration(
            "http-client-request-timeout",
            "5s",
            "longest wait for an HTTP answer of nsqlookupd; 0: none",
        ),
        Flag::str("topology-region", "", "region of this nsqd").not_yet(NO_TOPOLOGY),
        Flag::str("topology-zone", "", "zone of this nsqd").not_yet(NO_TOPOLOGY),
        Flag::list("enable-experiment", "experimental feature to switch on (may be repeated)")
            .not_yet(NO_TOPOLOGY),
    ]
}

fn storage() -> Vec<Flag> {
    vec![
        Flag::str("data-path", "", "directory of the log, which must exist; empty: the working directory"),
        Flag::int(
            "mem-queue-size",
            "10000",
            "messages that an #ephemeral topic or channel holds; more are dropped",
        ),
        Flag::int("max-bytes-per-file", "104857600", "bytes per file of the log; held between 4 and 64 MiB"),
        Flag::int(
            "sync-every",
            "2500",
            "with --durability=async: messages per shard that a crash may cost at most",
        ),
        Flag::duration(
            "sync-timeout",
            "2s",
            "with --durability=write or async: age of what a power loss may cost at most",
        ),
        Flag::int(
            "queue-scan-worker-pool-max",
            "4",
            "accepted for compatibility: time-outs need no scan here",
        )
        .no_effect(NO_SCAN),
        Flag::int(
            "queue-scan-selection-count",
            "20",
            "accepted for compatibility: time-outs need no scan here",
        )
        .no_effect(NO_SCAN),
    ]
}

fn limits() -> Vec<Flag> {
    vec![
        Flag::duration(
            "msg-timeout",
            "60s",
            "time for FIN where the client names none; then the message is redelivered",
        ),
        Flag::duration("max-msg-timeout", "15m", "longest message timeout, also with TOUCH"),
        Flag::int("max-msg-size", "1048576", "largest message in bytes"),
        Flag::duration("max-req-timeout", "1h", "longest delay; REQ is clamped to it, DPUB refused above it"),
        Flag::int("max-body-size", "5242880", "largest body of a command in bytes; bounds a whole MPUB"),
        Flag::duration("max-heartbeat-interval", "60s", "longest heartbeat interval a client may ask for"),
        Flag::int("max-rdy-count", "2500", "largest RDY of a client"),
        Flag::int("max-output-buffer-size", "65536", "largest output buffer in bytes a client may ask for"),
        Flag::duration(
            "max-output-buffer-timeout",
            "30s",
            "longest output buffer timeout a client may ask for",
        ),
        Flag::duration(
            "min-output-buffer-timeout",
            "25ms",
            "shortest output buffer timeout a client may ask for",
        ),
        Flag::duration("output-buffer-timeout", "250ms", "output buffer timeout of a client that names none"),
        Flag::int("max-channel-consumers", "0", "consumers per channel; 0: no limit"),
    ]
}

fn statistics() -> Vec<Flag> {
    vec![
        Flag::str("statsd-address", "", "UDP <addr>:<port> of a statsd; empty: none").not_yet(NO_STATSD),
        Flag::str("statsd-prefix", "nsq.%s", "prefix of statsd keys; %s is this host").no_effect(NO_STATSD),
        Flag::duration("statsd-interval", "60s", "time between two pushes to statsd").no_effect(NO_STATSD),
        Flag::bool("statsd-mem-stats", "true", "push statistics of memory too").no_effect(NO_STATSD),
        Flag::int("statsd-udp-packet-size", "508", "bytes per datagram to statsd").no_effect(NO_STATSD),
        Flag::bool("statsd-exclude-ephemeral", "false", "leave out #ephemeral topics and channels")
            .no_effect(NO_STATSD),
        Flag::new(
            "e2e-processing-latency-percentile",
            Kind::Floats,
            "",
            "quantile in (0,1] of the time from publish to FIN (may be repeated)",
        )
        .with_key("e2e_processing_latency_percentiles"),
        Flag::duration("e2e-processing-latency-window-time", "10m", "time that the quantiles look back"),
    ]
}

fn tls_and_compression() -> Vec<Flag> {
    let required = Kind::BoolOr { words: TLS_REQUIRED_WORDS };
    let version = Kind::Enum { what: "TLS version", words: TLS_VERSION_WORDS };
    vec![
        Flag::str("tls-cert", "", "path of the certificate").not_yet(NO_TLS),
        Flag::str("tls-key", "", "path of the key").not_yet(NO_TLS),
        Flag::str("tls-client-auth-policy", "", "require or require-verify: ask clients for a certificate")
            .not_yet(NO_TLS),
        Flag::str("tls-root-ca-file", "", "path of the authorities that certificates are checked against")
            .not_yet(NO_TLS),
        Flag::new(
            "tls-required",
            required,
            "false",
            "refuse clients without TLS: true, false, or tcp-https to spare HTTP",
        )
        .not_yet(NO_TLS),
        Flag::new(
            "tls-min-version",
            version,
            "tls1.0",
            "lowest version of TLS: tls1.0, tls1.1, tls1.2, tls1.3",
        )
        .no_effect(NO_TLS),
        Flag::bool(
            "deflate",
            "true",
            "accepted for compatibility: clients that ask for deflate are told there is none",
        )
        .no_effect(NO_COMPRESSION),
        Flag::int("max-deflate-level", "6", "highest deflate level a client may ask for, 1 to 9")
            .no_effect(NO_COMPRESSION),
        Flag::bool(
            "snappy",
            "true",
            "accepted for compatibility: clients that ask for snappy are told there is none",
        )
        .no_effect(NO_COMPRESSION),
    ]
}

fn our_own() -> Vec<Flag> {
    let durability = Kind::Choice { what: "durability", words: DURABILITY_WORDS };
    let recover = Kind::Choice { what: "way to recover", words: RECOVER_WORDS };
    let transport = Kind::Choice { what: "transport", words: TRANSPORT_WORDS };
    vec![
        Flag::int("cores", "0", "threads, one pinned to each core; 0: every core this process may run on"),
        Flag::int(
            "shards",
            "0",
            "shards of a new data directory, 1 to 64, fixed for its life; 0: one per core, and 4 at least",
        ),
        Flag::new(
            "durability",
            durability,
            "sync",
            "what OK means: sync: on disk; write: survives a kill; async: see --sync-every",
        ),
        Flag::new(
            "recover",
            recover,
            "refuse",
            "on a damaged log: refuse to start, or quarantine the damage and go on without it",
        ),
        Flag::new(
            "mem-cache-size",
            Kind::Bytes,
            "256MiB",
            "memory for messages, of all cores together; what does not fit is read back from disk",
        ),
        Flag::int(
            "max-connections",
            "0",
            "TCP clients at once; more are closed at once; 0: no limit but that of descriptors",
        ),
        Flag::new(
            "transport",
            transport,
            "auto",
            "sockets by an own io_uring (ring), by the runtime (glommio), or by what the kernel allows",
        ),
    ]
}
