//! What each endpoint does: functions from arguments to an answer, without waiting for anything.

use hyper::StatusCode;
use hyper::header::HeaderValue;
use nsq_flags::info;
use nsq_http::{ApiError, Query, Reply, reply};
use nsq_protocol::limits::NSQ_VERSION;
use nsq_protocol::names::validate;

use super::route::Endpoint;
use crate::registry::{Category, Full, Listing};
use crate::shared::Shared;

/// Content type of `/metrics`.
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

const MISSING_ARG_TOPIC: ApiError = ApiError::bad_request("MISSING_ARG_TOPIC");
const INVALID_ARG_TOPIC: ApiError = ApiError::bad_request("INVALID_ARG_TOPIC");
const MISSING_ARG_CHANNEL: ApiError = ApiError::bad_request("MISSING_ARG_CHANNEL");
const INVALID_ARG_CHANNEL: ApiError = ApiError::bad_request("INVALID_ARG_CHANNEL");
const MISSING_ARG_NODE: ApiError = ApiError::bad_request("MISSING_ARG_NODE");
const TOPIC_NOT_FOUND: ApiError = ApiError::not_found("TOPIC_NOT_FOUND");
const CHANNEL_NOT_FOUND: ApiError = ApiError::not_found("CHANNEL_NOT_FOUND");
const DIRECTORY_FULL: ApiError = ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "DIRECTORY_FULL");

impl From<Full> for ApiError {
    fn from(_: Full) -> Self {
        DIRECTORY_FULL
    }
}

/// What a request leads to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This answer.
    Reply(Reply),
    /// A list of what the registry holds.
    List(Listing),
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// Executes a request; `query` is what stands behind the `?`.
pub(super) fn execute(endpoint: Endpoint, query: &str, shared: &Shared) -> Outcome {
    match endpoint {
        Endpoint::Ping => reply::plain_text(StatusCode::OK, "OK").into(),
        Endpoint::Info => info().into(),
        Endpoint::Topics => Outcome::List(Listing::Topics),
        Endpoint::Nodes => Outcome::List(Listing::Nodes),
        Endpoint::Debug => Outcome::List(Listing::Debug),
        Endpoint::Metrics => metrics(shared).into(),
        _ => with_arguments(endpoint, query, shared).unwrap_or_else(|error| Reply::from(error).into()),
    }
}

fn with_arguments(endpoint: Endpoint, query: &str, shared: &Shared) -> Result<Outcome, ApiError> {
    let query = Query::parse(query.as_bytes())?;
    let done = match endpoint {
        Endpoint::Channels => return Ok(Outcome::List(Listing::Channels(topic_unchecked(&query)?.into()))),
        Endpoint::Lookup => return lookup(&query, shared),
        Endpoint::CreateTopic => create_topic(&query, shared),
        Endpoint::DeleteTopic => delete_topic(&query, shared),
        Endpoint::CreateChannel => create_channel(&query, shared),
        Endpoint::DeleteChannel => delete_channel(&query, shared),
        _ => tombstone(&query, shared),
    };
    done.map(Outcome::from)
}

fn info() -> Reply {
    let own = env!("CARGO_PKG_VERSION");
    reply::json(format!(
        "{{\"version\":\"{NSQ_VERSION}\",\"server\":\"nsq-uring\",\"server_version\":\"{own}\"}}"
    ))
}

fn metrics(shared: &Shared) -> Reply {
    let counts = shared.registry().counts(shared.clock.now_ns());
    let text = shared.metrics.render(&counts, NSQ_VERSION, shared.clock.started_ns());
    reply::with_type(StatusCode::OK, PROMETHEUS, text)
}

fn lookup(query: &Query<'_>, shared: &Shared) -> Result<Outcome, ApiError> {
    let topic = topic_unchecked(query)?;
    if shared.registry().knows_topic(topic) {
        Ok(Outcome::List(Listing::Lookup(topic.into())))
    } else {
        Err(TOPIC_NOT_FOUND)
    }
}

fn create_topic(query: &Query<'_>, shared: &Shared) -> Result<Reply, ApiError> {
    let topic = topic(query)?;
    info!("DB: adding topic({topic})");
    shared.registry().create_topic(topic)?;
    Ok(reply::empty())
}

fn delete_topic(query: &Query<'_>, shared: &Shared) -> Result<Reply, ApiError> {
    let topic = topic_unchecked(query)?;
    shared.registry().delete_topic(topic, |ended| match ended.category {
        Category::Channel => info!("DB: removing channel({}) from topic({topic})", ended.subkey),
        _ => info!("DB: removing topic({topic})"),
    });
    Ok(reply::empty())
}

fn create_channel(query: &Query<'_>, shared: &Shared) -> Result<Reply, ApiError> {
    let (topic, channel) = topic_and_channel(query)?;
    info!("DB: adding channel({channel}) in topic({topic})");
    shared.registry().create_channel(topic, channel)?;
    Ok(reply::empty())
}

fn delete_channel(query: &Query<'_>, shared: &Shared) -> Result<Reply, ApiError> {
    let (topic, channel) = topic_and_channel(query)?;
    if !shared.registry().delete_channel(topic, channel) {
        return Err(CHANNEL_NOT_FOUND);
    }
    info!("DB: removing channel({channel}) from topic({topic})");
    Ok(reply::empty())
}

fn tombstone(query: &Query<'_>, shared: &Shared) -> Result<Reply, ApiError> {
    let topic = topic_unchecked(query)?;
    let node = query.get("node").ok_or(MISSING_ARG_NODE)?;
    let node = String::from_utf8_lossy(node);
    info!("DB: setting tombstone for producer@{node} of topic({topic})");
    shared.registry().set_tombstones(topic, &node, shared.clock.now_ns());
    Ok(reply::empty())
}

/// The topic of an endpoint that looks it up and does not mind what it is. What is no name names nothing, and
/// neither does `*`, which NSQ takes for everything here: that deleted whole directories.
fn topic_unchecked<'a>(query: &'a Query<'_>) -> Result<&'a str, ApiError> {
    let topic = query.get("topic").ok_or(MISSING_ARG_TOPIC)?;
    Ok(validate(topic).unwrap_or_default())
}

fn topic<'a>(query: &'a Query<'_>) -> Result<&'a str, ApiError> {
    let topic = query.get("topic").ok_or(MISSING_ARG_TOPIC)?;
    validate(topic).ok_or(INVALID_ARG_TOPIC)
}

fn topic_and_channel<'a>(query: &'a Query<'_>) -> Result<(&'a str, &'a str), ApiError> {
    let topic = topic(query)?;
    let channel = query.get("channel").ok_or(MISSING_ARG_CHANNEL)?;
    Ok((topic, validate(channel).ok_or(INVALID_ARG_CHANNEL)?))
}
