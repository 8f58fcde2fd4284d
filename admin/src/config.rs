//! Options: the table, and what the daemon takes from it.

mod attention;
mod options;

use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderName;
use nsq_flags::address::{Endpoint, socket_addresses};
use nsq_flags::log::Level;
use nsq_flags::{Parsed, Program, Stop, hostname};
use reqwest::Url;

use crate::attention::Policy;
use crate::guard::{Acl, Cidr, csrf};
use crate::limits::POLL_INTERVAL_MS_MIN;
use crate::upstream::TlsFiles;
use crate::upstream::client::{Client, Timeouts};
use crate::url::clean_base_path;

/// Who is starting. The version behind `v` is that of NSQ, since scripts parse it; the build says who it is.
pub const PROGRAM: Program = Program {
    name: "nsqadmin",
    version_line: concat!("nsqadmin v1.3.0 (built w/nsq-uring-", env!("CARGO_PKG_VERSION"), ")"),
    log_prefix: "[nsqadmin] ",
};

/// The options in force, frozen at start but for the addresses of the nsqlookupds and the level of the log.
#[derive(Debug)]
pub struct Config {
    /// Where visitors come; default `0.0.0.0:4171`.
    pub http_address: String,
    /// Before every path, cleaned: empty, or with a slash before and none behind.
    pub base_path: String,
    /// Assets are read from here if set, for those who work on them.
    pub dev_static_dir: Option<PathBuf>,
    /// nsqlookupds at start, `host:port`.
    pub lookupds: Vec<String>,
    /// nsqds, if there are no nsqlookupds.
    pub nsqds: Vec<String>,
    /// Graphite, if there is one.
    pub graphite: Option<Graphite>,
    /// How nsqd and statsd name what they send to graphite.
    pub statsd: Statsd,
    /// Where actions are told, if anywhere.
    pub notification: Option<Url>,
    /// Whether notifications tell the outcome as well.
    pub notification_details: bool,
    /// Time limits towards upstreams.
    pub timeouts: Timeouts,
    /// Who may use `/config`; `None` is everybody.
    pub config_cidr: Option<Cidr>,
    /// Who may change things.
    pub acl: Acl,
    /// Further origins whose pages may change things.
    pub trusted_origins: Vec<String>,
    /// The names under which we are addressed; empty is any.
    pub allowed_hosts: Vec<String>,
    /// Period of the poll; zero is no poll.
    pub poll_interval: Duration,
    /// Bytes of history.
    pub history_bytes_max: usize,
    /// The numbers of the rules of what is wrong.
    pub attention: Policy,
    /// Shown on every page.
    pub cluster_name: String,
    /// Other clusters' nsqadmins: name and URL.
    pub peer_links: Vec<(String, String)>,
    /// Name of this machine.
    pub hostname: String,
    /// Lines below it are not written; default info.
    pub log_level: Level,
    /// In front of each line; default `[nsqadmin] `.
    pub log_prefix: String,
    /// What the operator should hear about the configuration file.
    pub warnings: Vec<String>,
    /// All options by key, for `/config`.
    pub parsed: Parsed,
}

/// Where graphite is.
#[derive(Clone, Debug)]
pub struct Graphite {
    /// As configured.
    pub url: String,
    /// Whether we relay `/render`, and browsers do not ask graphite themselves.
    pub is_proxied: bool,
}

/// Names of series.
#[derive(Clone, Debug)]
pub struct Statsd {
    /// Prefix of nsqd, with `%s` for the node.
    pub prefix: String,
    /// What the statsd daemon puts around counters.
    pub counter_format: String,
    /// The same for gauges.
    pub gauge_format: String,
    /// Period of nsqd's pushes.
    pub interval: Duration,
}

impl Config {
    /// Reads the arguments, without the program's name, and the file they name, and checks everything in NSQ's order.
    /// Names of upstreams are looked up, which can take seconds. The client for upstreams comes with it, since making
    /// it is the check of the TLS files.
    ///
    /// # Errors
    ///
    /// What ends the start.
    pub fn start(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<(Self, Client), Stop> {
        let parsed = nsq_flags::start_with_tables(&PROGRAM, options::table(), &["attention"], arguments)?;
        Self::from_parsed(parsed).map_err(Stop::Refused)
    }

    fn from_parsed(parsed: Parsed) -> Result<(Self, Client), String> {
        let text = |name| parsed.get_str(name).to_owned();
        let list = |name| parsed.get_list(name).to_vec();
        let lookupds = list("lookupd-http-address");
        let nsqds = list("nsqd-http-address");
        match (lookupds.is_empty(), nsqds.is_empty()) {
            (true, true) => {
                return Err("--nsqd-http-address or --lookupd-http-address required".into());
            }
            (false, false) => {
                return Err("use --nsqd-http-address or --lookupd-http-address, not both".into());
            }
            _ => {}
        }
        let timeouts = Timeouts {
            connect: not_negative(&parsed, "http-client-connect-timeout")?,
            request: not_negative(&parsed, "http-client-request-timeout")?,
        };
        let tls = TlsFiles {
            root_ca_file: text("http-client-tls-root-ca-file"),
            cert_file: text("http-client-tls-cert"),
            key_file: text("http-client-tls-key"),
            insecure_skip_verify: parsed.get_bool("http-client-tls-insecure-skip-verify"),
        };
        let client = Client::new(timeouts, &tls).map_err(|error| error.to_string())?;
        for (flag, addresses) in [("lookupd-http-address", &lookupds), ("nsqd-http-address", &nsqds)] {
            for address in addresses {
                resolve(address).map_err(|error| {
                    format!("failed to resolve --{flag}={address} (write it as host:port) - {error}")
                })?;
            }
        }
        let graphite = graphite(&parsed)?;
        let cidr = parsed.get_str("allow-config-from-cidr");
        let config_cidr = if cidr.is_empty() {
            None
        } else {
            Some(Cidr::parse(cidr).map_err(|error| format!("--allow-config-from-cidr - {error}"))?)
        };
        let trusted_origins = list("trusted-origin");
        if let Err(error) = csrf::layer(&trusted_origins) {
            return Err(format!("--trusted-origin - {error}"));
        }
        let config = Self {
            http_address: text("http-address"),
            base_path: clean_base_path(parsed.get_str("base-path")),
            dev_static_dir: some_text(&parsed, "dev-static-dir").map(PathBuf::from),
            lookupds,
            nsqds,
            graphite,
            statsd: Statsd {
                prefix: text("statsd-prefix"),
                counter_format: text("statsd-counter-format"),
                gauge_format: text("statsd-gauge-format"),
                interval: not_negative(&parsed, "statsd-interval")?,
            },
            notification: notification(&parsed)?,
            notification_details: parsed.get_bool("notification-details"),
            timeouts,
            config_cidr,
            acl: acl(&parsed)?,
            trusted_origins,
            allowed_hosts: list("allowed-host"),
            poll_interval: poll_interval(&parsed)?,
            history_bytes_max: usize::try_from(parsed.get_int("history-memory")).unwrap_or(usize::MAX),
            attention: attention::policy(parsed.table("attention"))?,
            cluster_name: text("cluster-name"),
            peer_links: peer_links(&parsed)?,
            hostname: hostname(),
            log_level: Level::from_number(parsed.get_int("log-level"))
                .expect("invariant: the words of the flag are those of the levels"),
            log_prefix: text("log-prefix"),
            warnings: parsed.warnings().to_vec(),
            parsed,
        };
        Ok((config, client))
    }
}

fn some_text(parsed: &Parsed, name: &str) -> Option<String> {
    let text = parsed.get_str(name);
    (!text.is_empty()).then(|| text.to_owned())
}

fn not_negative(parsed: &Parsed, name: &str) -> Result<Duration, String> {
    let ns = parsed.get_duration_ns(name);
    u64::try_from(ns)
        .map(Duration::from_nanos)
        .map_err(|_| format!("--{name} must not be negative; 0 means no limit"))
}

fn resolve(address: &str) -> Result<(), String> {
    let (host, port) = match Endpoint::tcp(address).map_err(|error| error.to_string())? {
        Endpoint::Tcp { host, port } => (host, port),
        Endpoint::Unix(path) => return Err(format!("{path} is no TCP address")),
    };
    socket_addresses(&host, port).map(drop).map_err(|error| error.to_string())
}

fn graphite(parsed: &Parsed) -> Result<Option<Graphite>, String> {
    let Some(url) = some_text(parsed, "graphite-url") else { return Ok(None) };
    let is_proxied = parsed.get_bool("proxy-graphite");
    if is_proxied {
        // NSQ looks at the URL only here, so one that works without a proxy is not refused.
        let parsed =
            Url::parse(&url).map_err(|error| format!("failed to parse --graphite-url={url} - {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(format!("--graphite-url={url} must begin with http:// or https://"));
        }
    }
    Ok(Some(Graphite { url, is_proxied }))
}

fn notification(parsed: &Parsed) -> Result<Option<Url>, String> {
    let Some(url) = some_text(parsed, "notification-http-endpoint") else { return Ok(None) };
    Url::parse(&url)
        .map(Some)
        .map_err(|error| format!("--notification-http-endpoint={url} is no URL - {error}"))
}

fn acl(parsed: &Parsed) -> Result<Acl, String> {
    let header = parsed.get_str("acl-http-header");
    let trusted = parsed.get_list("acl-trusted-cidr").iter().map(|text| Cidr::parse(text));
    Ok(Acl {
        header: HeaderName::try_from(header)
            .map_err(|_| format!("--acl-http-header={header} is no name of a header"))?,
        admin_users: parsed.get_list("admin-user").to_vec(),
        trusted: trusted
            .collect::<Result<_, _>>()
            .map_err(|error| format!("--acl-trusted-cidr - {error}"))?,
        read_only: parsed.get_bool("read-only"),
    })
}

fn poll_interval(parsed: &Parsed) -> Result<Duration, String> {
    let interval = not_negative(parsed, "poll-interval")?;
    let min = Duration::from_millis(POLL_INTERVAL_MS_MIN.unsigned_abs());
    if !interval.is_zero() && interval < min {
        return Err("--poll-interval must be 100ms or more, or 0 for no poll".into());
    }
    Ok(interval)
}

fn peer_links(parsed: &Parsed) -> Result<Vec<(String, String)>, String> {
    let link = |text: &String| match text.split_once('=') {
        Some((name, url)) if url.starts_with("http://") || url.starts_with("https://") => {
            Ok((name.to_owned(), url.to_owned()))
        }
        _ => Err(format!("--peer-link={text} must be NAME=URL with an http or https URL")),
    };
    parsed.get_list("peer-link").iter().map(link).collect()
}

#[cfg(test)]
mod tests;
