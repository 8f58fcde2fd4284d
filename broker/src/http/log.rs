//! A line for each request, as NSQ logs them.

use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use nsq_flags::log::RateLimit;
use nsq_flags::{format_duration, info};

/// A client's own requests, such as a script's that makes topics, are all seen; a flood of them is not.
static LIMIT: RateLimit = RateLimit::with(1_000, 100);

/// Says what was answered. Publishes are too many to be worth a line each, unless they are refused.
pub(super) fn answered(head: &Parts, status: StatusCode, remote: &str, took: Duration) {
    if is_publish(head) && status.is_success() {
        return;
    }
    let uri = head.uri.path_and_query().map_or_else(|| head.uri.path(), |both| both.as_str());
    let host = remote.rsplit_once(':').map_or(remote, |(host, _)| host);
    if let Some(withheld) = LIMIT.admit(&host) {
        let took = format_duration(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX));
        info!("{} {} {uri} ({remote}) {took}{withheld}", status.as_u16(), head.method);
    }
}

fn is_publish(head: &Parts) -> bool {
    head.method == Method::POST && matches!(head.uri.path(), "/pub" | "/mpub")
}
