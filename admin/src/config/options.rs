//! Every option, declared once: NSQ's, and ours behind them.

use nsq_flags::log::LEVEL_WORDS;
use nsq_flags::{Flag, Kind};

use super::PROGRAM;

pub(super) fn table() -> Vec<Flag> {
    let mut table = general().to_vec();
    table.extend(upstreams());
    table.extend(graphite());
    table.extend(guard());
    table.extend(ours());
    table
}

fn general() -> [Flag; 8] {
    [
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
        Flag::str("http-address", "0.0.0.0:4171", "listen here for browsers and scripts"),
        Flag::str("base-path", "/", "serve everything below this path, for a proxy that keeps it"),
        Flag::str(
            "dev-static-dir",
            "",
            "read the assets of the pages from this directory; for working on them",
        ),
    ]
}

fn upstreams() -> [Flag; 9] {
    [
        Flag::list("lookupd-http-address", "host:port of an nsqlookupd to ask; may be given several times")
            .with_key("nsqlookupd_http_addresses"),
        Flag::list(
            "nsqd-http-address",
            "host:port of an nsqd to ask, in place of nsqlookupds; may be given several times",
        )
        .with_key("nsqd_http_addresses"),
        Flag::duration(
            "http-client-connect-timeout",
            "2s",
            "give an upstream up that does not take a connection for this long",
        ),
        Flag::duration(
            "http-client-request-timeout",
            "5s",
            "give an upstream up that has not answered within this time",
        ),
        Flag::bool(
            "http-client-tls-insecure-skip-verify",
            "false",
            "take any certificate of an upstream; whoever is on the way can then read and change everything",
        ),
        Flag::str(
            "http-client-tls-root-ca-file",
            "",
            "PEM file with the authorities that certify upstreams; empty for the system's",
        ),
        Flag::str("http-client-tls-cert", "", "PEM file with the certificate that is shown to upstreams"),
        Flag::str("http-client-tls-key", "", "PEM file with the key to that certificate"),
        Flag::str(
            "notification-http-endpoint",
            "",
            "POST every action to this URL as JSON; a lost one is not repeated",
        ),
    ]
}

fn graphite() -> [Flag; 6] {
    [
        Flag::str(
            "graphite-url",
            "",
            "URL of graphite, for long graphs; without one there is the memory of this process",
        ),
        Flag::bool("proxy-graphite", "false", "relay graphite's graphs, so that browsers need not reach it"),
        Flag::str(
            "statsd-prefix",
            "nsq.%s",
            "prefix of the series in graphite, as nsqd has it; %s is the node",
        ),
        Flag::str(
            "statsd-counter-format",
            "stats.counters.%s.count",
            "what the statsd daemon makes of the name of a counter; %s is the name",
        ),
        Flag::str(
            "statsd-gauge-format",
            "stats.gauges.%s",
            "what the statsd daemon makes of the name of a gauge; %s is the name",
        ),
        Flag::duration(
            "statsd-interval",
            "60s",
            "period of nsqd's pushes to statsd; it must be the same there",
        ),
    ]
}

fn guard() -> [Flag; 7] {
    [
        Flag::str(
            "allow-config-from-cidr",
            "127.0.0.1/8",
            "let only peers of this network use /config; empty for everybody. Behind a local proxy everybody is local",
        ),
        Flag::str(
            "acl-http-header",
            "X-Forwarded-User",
            "header in which a proxy gives the name of the user; the proxy must not pass on one of a stranger",
        ),
        Flag::list(
            "admin-user",
            "name of a user who may change things; none for everybody; may be given several times",
        )
        .with_key("admin_users"),
        Flag::list(
            "acl-trusted-cidr",
            "believe the header only from peers of this network; may be given several times; none for everybody",
        ),
        Flag::bool("read-only", "false", "let nobody change anything"),
        Flag::list(
            "trusted-origin",
            "let pages of this origin (https://host) change things, for a proxy that rewrites Host; may be given several times",
        ),
        Flag::list(
            "allowed-host",
            "refuse requests for any other host name, against DNS rebinding; may be given several times; none for any",
        ),
    ]
}

fn ours() -> [Flag; 5] {
    [
        Flag::duration(
            "poll-interval",
            "10s",
            "ask every nsqd for its figures this often; 0 for never, and then there is no history",
        ),
        Flag::new(
            "history-memory",
            Kind::Bytes,
            "32MiB",
            "keep at most this much history; what does not fit has no charts",
        ),
        Flag::str("cluster-name", "", "name of this cluster, on every page"),
        Flag::list(
            "peer-link",
            "NAME=URL of another cluster's nsqadmin, for the menu; may be given several times",
        ),
        Flag::bool(
            "notification-details",
            "false",
            "tell the outcome and the user of the access list in notifications, which NSQ does not",
        ),
    ]
}
