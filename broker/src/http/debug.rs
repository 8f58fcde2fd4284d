//! `/debug/*`: what NSQ's runtime offers there, as far as it has a meaning here.
//!
//! The profiles of NSQ are those of Go's runtime. There is no such runtime, so the paths that NSQ has say that in
//! plain text; `perf` works on this process as on any other.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::body::{BodyError, RequestBody};
use super::request::Request;
use nsq_http::Query;
use nsq_http::reply::{self, ApiError, Reply};

/// NSQ frees memory here, and answers with this error all the same. We have no garbage to collect.
pub(super) const FREE_MEMORY: ApiError = ApiError::INTERNAL;

/// Largest form with a `rate` in it.
const FORM_SIZE_MAX: usize = 4 * 1024;

const INDEX: &str = "/debug/pprof/\n\n\
    cmdline: the command line\n\
    symbol: no symbols\n\
    heap, goroutine, block, threadcreate, profile: not kept, there is no Go runtime; use perf\n";

pub(super) fn index() -> Reply {
    reply::plain_text(StatusCode::OK, INDEX)
}

pub(super) fn profile() -> Reply {
    reply::plain_text(StatusCode::OK, "This profile is one of Go's runtime, which is not in this process.\n")
}

pub(super) fn cpu_profile() -> Reply {
    reply::plain_text(StatusCode::NOT_IMPLEMENTED, "There is no profiler in this process; use perf.\n")
}

/// How many symbols can be looked up: none.
pub(super) fn symbol() -> Reply {
    reply::plain_text(StatusCode::OK, "num_symbols: 0\n")
}

/// The arguments that the process was started with, separated by zeros.
pub(super) fn command_line() -> Reply {
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    reply::plain_text(StatusCode::OK, arguments.join("\0"))
}

/// Reads the rate as NSQ does, from form or query, and tells a bad one. A good one ends in the error with which
/// NSQ answers although it has set it; here there is nothing to set.
pub(super) async fn set_block_rate(request: &Request<'_>, body: &mut RequestBody) -> Result<Reply, ApiError> {
    let form = match request.head.headers.get(CONTENT_TYPE) {
        Some(kind) if is_form(kind) => body.collect(FORM_SIZE_MAX).await.map_err(|error| match error {
            BodyError::TooBig => ApiError::too_large("BODY_TOO_BIG"),
            BodyError::Broken => ApiError::INTERNAL,
        })?,
        _ => Bytes::new(),
    };
    let form = Query::parse(&form).unwrap_or_default();
    let query = request.query().unwrap_or_default();
    let rate = if form.get("rate").is_some() { form.text("rate") } else { query.text("rate") };
    if rate.parse::<i64>().is_ok() {
        return Err(ApiError::INTERNAL);
    }
    let quoted = nsq_protocol::names::quote(rate.as_bytes());
    let text = format!("invalid block rate : strconv.Atoi: parsing {quoted}: invalid syntax");
    Ok(reply::plain_text(StatusCode::BAD_REQUEST, text))
}

fn is_form(kind: &HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"application/x-www-form-urlencoded")
}
