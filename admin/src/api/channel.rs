//! `/api/topics/:topic/:channel`.

use std::sync::Arc;

use axum::http::StatusCode;
use nsq_http::reply::failed;
use nsq_http::{ApiError, Reply};

use super::answer::{FORBIDDEN, upstream_failure, with_message};
use super::topics::{carry_out, verb};
use super::visit::Visit;
use crate::action::{Action, Verb};
use crate::app::App;

pub(super) async fn show(app: &App, visit: &Visit) -> Reply {
    let (topic, channel) = (visit.params.get("topic"), visit.params.get("channel"));
    match app.cluster().channel(topic, channel).await {
        Ok(found) => match found.value {
            Some(channel) => with_message(&channel, &found.warnings),
            None => ApiError::not_found("CHANNEL_NOT_FOUND").into(),
        },
        Err(failure) => upstream_failure(&failure),
    }
}

pub(super) async fn act(app: &Arc<App>, visit: &Visit) -> Reply {
    if !visit.is_admin {
        return FORBIDDEN.into();
    }
    match verb(&visit.body) {
        Ok(verb) => carry_out(app, visit, action(verb, visit)).await,
        Err(text) => failed(StatusCode::BAD_REQUEST, &text),
    }
}

pub(super) async fn delete(app: &Arc<App>, visit: &Visit) -> Reply {
    if !visit.is_admin {
        return FORBIDDEN.into();
    }
    carry_out(app, visit, action(Verb::Delete, visit)).await
}

fn action(verb: Verb, visit: &Visit) -> Action {
    Action::channel(verb, visit.params.get("topic"), visit.params.get("channel"))
}
