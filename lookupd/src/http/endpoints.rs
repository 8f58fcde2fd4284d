//! What each endpoint does: functions from arguments to an answer, without waiting for anything.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use nsq_flags::info;
use nsq_protocol::limits::NSQ_VERSION;
use nsq_protocol::names::validate;

use super::answer::{self, Refusal};
use super::debug;
use super::query::Query;
use super::route::Endpoint;
use crate::registry::{Category, Full};
use crate::shared::Shared;

const INVALID_REQUEST: Refusal = Refusal::bad_request("INVALID_REQUEST");
const MISSING_ARG_TOPIC: Refusal = Refusal::bad_request("MISSING_ARG_TOPIC");
const INVALID_ARG_TOPIC: Refusal = Refusal::bad_request("INVALID_ARG_TOPIC");
const MISSING_ARG_CHANNEL: Refusal = Refusal::bad_request("MISSING_ARG_CHANNEL");
const INVALID_ARG_CHANNEL: Refusal = Refusal::bad_request("INVALID_ARG_CHANNEL");
const MISSING_ARG_NODE: Refusal = Refusal::bad_request("MISSING_ARG_NODE");
const TOPIC_NOT_FOUND: Refusal = Refusal::not_found("TOPIC_NOT_FOUND");
const CHANNEL_NOT_FOUND: Refusal = Refusal::not_found("CHANNEL_NOT_FOUND");
const DIRECTORY_FULL: Refusal = Refusal(StatusCode::INSUFFICIENT_STORAGE, "DIRECTORY_FULL");

impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        DIRECTORY_FULL
    }
}

/// Executes a request; `query` is what stands behind the `?`.
pub(super) fn execute(endpoint: Endpoint, query: &str, shared: &Arc<Shared>) -> Response {
    let result = match endpoint {
        Endpoint::Ping => Ok(answer::text("text/plain; charset=utf-8", "OK")),
        Endpoint::Info => Ok(info()),
        Endpoint::Topics => Ok(written(|json| shared.registry().push_topics(json))),
        Endpoint::Nodes => Ok(written(|json| shared.registry().push_nodes(json, shared.clock.now_ns()))),
        Endpoint::Debug => Ok(debug::answer(shared)),
        Endpoint::Metrics => Ok(metrics(shared)),
        _ => with_arguments(endpoint, query, shared),
    };
    result.unwrap_or_else(Refusal::answer)
}

fn with_arguments(endpoint: Endpoint, query: &str, shared: &Shared) -> Result<Response, Refusal> {
    let query = Query::parse(query).map_err(|_| INVALID_REQUEST)?;
    match endpoint {
        Endpoint::Channels => channels(&query, shared),
        Endpoint::Lookup => lookup(&query, shared),
        Endpoint::CreateTopic => create_topic(&query, shared),
        Endpoint::DeleteTopic => delete_topic(&query, shared),
        Endpoint::CreateChannel => create_channel(&query, shared),
        Endpoint::DeleteChannel => delete_channel(&query, shared),
        _ => tombstone(&query, shared),
    }
}

fn info() -> Response {
    let own = env!("CARGO_PKG_VERSION");
    answer::json(format!(
        "{{\"version\":\"{NSQ_VERSION}\",\"server\":\"nsq-uring\",\"server_version\":\"{own}\"}}"
    ))
}

fn metrics(shared: &Shared) -> Response {
    let counts = shared.registry().counts(shared.clock.now_ns());
    let text = shared.metrics.render(&counts, NSQ_VERSION, shared.clock.started_ns());
    answer::text("text/plain; version=0.0.4; charset=utf-8", text)
}

fn channels(query: &Query<'_>, shared: &Shared) -> Result<Response, Refusal> {
    let topic = topic_unchecked(query)?;
    Ok(written(|json| shared.registry().push_channels(json, topic)))
}

fn lookup(query: &Query<'_>, shared: &Shared) -> Result<Response, Refusal> {
    let topic = topic_unchecked(query)?;
    let mut json = String::new();
    if shared.registry().push_lookup(&mut json, topic, shared.clock.now_ns()) {
        Ok(answer::json(Bytes::from(json)))
    } else {
        Err(TOPIC_NOT_FOUND)
    }
}

fn create_topic(query: &Query<'_>, shared: &Shared) -> Result<Response, Refusal> {
    let topic = topic(query)?;
    info!("DB: adding topic({topic})");
    shared.registry().create_topic(topic)?;
    Ok(answer::empty())
}

fn delete_topic(query: &Query<'_>, shared: &Shared) -> Result<Response, Refusal> {
    let topic = topic_unchecked(query)?;
    shared.registry().delete_topic(topic, |ended| match ended.category {
        Category::Channel => info!("DB: removing channel({}) from topic({topic})", ended.subkey),
        _ => info!("DB: removing topic({topic})"),
    });
    Ok(answer::empty())
}

fn create_channel(query: &Query<'_>, shared: &Shared) -> Result<Response, Refusal> {
    let (topic, channel) = topic_and_channel(query)?;
    info!("DB: adding channel({channel}) in topic({topic})");
    shared.registry().create_channel(topic, channel)?;
    Ok(answer::empty())
}

fn delete_channel(query: &Query<'_>, shared: &Shared) -> Result<Response, Refusal> {
    let (topic, channel) = topic_and_channel(query)?;
    if !shared.registry().delete_channel(topic, channel) {
        return Err(CHANNEL_NOT_FOUND);
    }
    info!("DB: removing channel({channel}) from topic({topic})");
    Ok(answer::empty())
}

fn tombstone(query: &Query<'_>, shared: &Shared) -> Result<Response, Refusal> {
    let topic = topic_unchecked(query)?;
    let node = query.first("node").ok_or(MISSING_ARG_NODE)?;
    let node = String::from_utf8_lossy(node);
    info!("DB: setting tombstone for producer@{node} of topic({topic})");
    shared.registry().set_tombstones(topic, &node, shared.clock.now_ns());
    Ok(answer::empty())
}

/// The topic of an endpoint that looks it up and does not mind what it is. What is no name names nothing, and
/// neither does `*`, which NSQ takes for everything here: that deleted whole directories.
fn topic_unchecked<'a>(query: &'a Query<'_>) -> Result<&'a str, Refusal> {
    let topic = query.first("topic").ok_or(MISSING_ARG_TOPIC)?;
    Ok(validate(topic).unwrap_or_default())
}

fn topic<'a>(query: &'a Query<'_>) -> Result<&'a str, Refusal> {
    let topic = query.first("topic").ok_or(MISSING_ARG_TOPIC)?;
    validate(topic).ok_or(INVALID_ARG_TOPIC)
}

fn topic_and_channel<'a>(query: &'a Query<'_>) -> Result<(&'a str, &'a str), Refusal> {
    let topic = topic(query)?;
    let channel = query.first("channel").ok_or(MISSING_ARG_CHANNEL)?;
    Ok((topic, validate(channel).ok_or(INVALID_ARG_CHANNEL)?))
}

fn written(write: impl FnOnce(&mut String)) -> Response {
    let mut json = String::new();
    write(&mut json);
    answer::json(Bytes::from(json))
}
