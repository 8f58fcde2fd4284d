//! `/api/topics` and `/api/topics/:topic`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use nsq_http::reply::failed;
use nsq_http::{ApiError, Query, Reply};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{FORBIDDEN, outcome, upstream_failure, with_message};
use super::visit::Visit;
use crate::action::{Action, Source, Verb, execute};
use crate::app::App;

#[derive(serde::Serialize)]
struct Topics<T> {
    topics: T,
}

pub(super) async fn list(app: &App, visit: &Visit) -> Reply {
    let Ok(query) = Query::parse(visit.query().as_bytes()) else {
        return failed(StatusCode::BAD_REQUEST, "malformed query: a wrong % escape, or a ;");
    };
    let mut warnings = Vec::new();
    if query.get("inactive") == Some(b"true") {
        return match app.cluster().inactive_topics().await {
            Ok(topics) => {
                let topics: BTreeMap<_, _> = topics.take(&mut warnings);
                with_message(&Topics { topics }, &warnings)
            }
            Err(failure) => upstream_failure(&failure),
        };
    }
    match app.cluster().topics().await {
        Ok(topics) => {
            let topics = topics.take(&mut warnings);
            with_message(&Topics { topics }, &warnings)
        }
        Err(failure) => upstream_failure(&failure),
    }
}

pub(super) async fn show(app: &App, visit: &Visit) -> Reply {
    match app.cluster().topic(visit.params.get("topic")).await {
        Ok(topic) => with_message(&topic.value, &topic.warnings),
        Err(failure) => upstream_failure(&failure),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Create {
    #[serde(deserialize_with = "crate::cluster::producers::null_is_default")]
    topic: String,
    #[serde(deserialize_with = "crate::cluster::producers::null_is_default")]
    channel: String,
}

pub(super) async fn create(app: &Arc<App>, visit: &Visit) -> Reply {
    if !visit.is_admin {
        return FORBIDDEN.into();
    }
    let body: Create = match parse(&visit.body) {
        Ok(body) => body,
        Err(text) => return failed(StatusCode::BAD_REQUEST, &text),
    };
    let action = Action {
        channel: Some(body.channel).filter(|channel| !channel.is_empty()),
        ..Action::topic(Verb::Create, body.topic)
    };
    carry_out(app, visit, action).await
}

pub(super) async fn act(app: &Arc<App>, visit: &Visit) -> Reply {
    if !visit.is_admin {
        return FORBIDDEN.into();
    }
    match verb(&visit.body) {
        Ok(verb) => carry_out(app, visit, Action::topic(verb, visit.params.get("topic"))).await,
        Err(text) => failed(StatusCode::BAD_REQUEST, &text),
    }
}

pub(super) async fn delete(app: &Arc<App>, visit: &Visit) -> Reply {
    if !visit.is_admin {
        return FORBIDDEN.into();
    }
    carry_out(app, visit, Action::topic(Verb::Delete, visit.params.get("topic"))).await
}

/// The verb of an action's body, or what is wrong with it: a 400.
pub(super) fn verb(body: &[u8]) -> Result<Verb, String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Act {
        #[serde(deserialize_with = "crate::cluster::producers::null_is_default")]
        action: String,
    }
    let act: Act = parse(body)?;
    match Verb::from_word(&act.action) {
        Some(verb @ (Verb::Pause | Verb::Unpause | Verb::Empty)) => Ok(verb),
        _ => Err("INVALID_ACTION".to_owned()),
    }
}

/// A JSON object from a body, whatever its content type; `EOF` for no body, as NSQ's decoder has it.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if body.is_empty() {
        return Err("EOF".to_owned());
    }
    // serde would take an array for an object, field by field.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err("the body must be a JSON object".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// Checks the names, does it, and tells how it went.
pub(super) async fn carry_out(app: &Arc<App>, visit: &Visit, action: Action) -> Reply {
    if let Err(bad) = action.check_names() {
        return ApiError::bad_request(bad.word()).into();
    }
    outcome(&execute(app, &visit.actor(Source::Api), action).await)
}
