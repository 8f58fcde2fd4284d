//! Answers of the API.

use axum::http::StatusCode;
use nsq_http::reply::{failed, json};
use nsq_http::{ApiError, Reply};
use serde::Serialize;

use crate::action::Outcome;
use crate::cluster::partial::{UpstreamFailure, message};

/// Somebody who is no admin wants to change something.
pub const FORBIDDEN: ApiError = ApiError::new(StatusCode::FORBIDDEN, "FORBIDDEN");

/// A value as JSON.
pub fn value(value: &impl Serialize) -> Reply {
    json(nsq_http::json::to_json(value))
}

/// The fields of a value, and the warnings in `message` behind them.
pub fn with_message(fields: &impl Serialize, warnings: &[String]) -> Reply {
    #[derive(Serialize)]
    struct WithMessage<'a, T> {
        #[serde(flatten)]
        fields: &'a T,
        message: String,
    }
    value(&WithMessage { fields, message: message(warnings) })
}

/// Nobody answered.
pub fn upstream_failure(failure: &UpstreamFailure) -> Reply {
    failed(StatusCode::BAD_GATEWAY, &format!("UPSTREAM_ERROR: {failure}"))
}

/// How an action went. All of its failures are one list, unlike those of the phases of a read.
pub fn outcome(outcome: &Outcome) -> Reply {
    #[derive(Serialize)]
    struct Message {
        message: String,
    }
    if let Some(failure) = &outcome.failure {
        return upstream_failure(failure);
    }
    let list = outcome.errors.join("\n");
    let warnings = if list.is_empty() { Vec::new() } else { vec![list] };
    value(&Message { message: message(&warnings) })
}
