//! `/config/:option`, for peers of one network.

use axum::http::StatusCode;
use nsq_flags::log::{self, Level};
use nsq_flags::{Rendered, info};
use nsq_http::{ApiError, Reply, reply};

use super::answer::FORBIDDEN;
use super::visit::Visit;
use crate::app::App;
use crate::metrics::Refusal;

const INVALID_OPTION: ApiError = ApiError::bad_request("INVALID_OPTION");
const INVALID_VALUE: ApiError = ApiError::bad_request("INVALID_VALUE");
const LOOKUPDS: &str = "nsqlookupd_http_addresses";
const LOG_LEVEL: &str = "log_level";

pub(super) fn get(app: &App, visit: &Visit) -> Reply {
    if !may(app, visit) {
        return FORBIDDEN.into();
    }
    show(app, visit.params.get("option"))
}

pub(super) fn put(app: &App, visit: &Visit) -> Reply {
    if !may(app, visit) {
        return FORBIDDEN.into();
    }
    if visit.body.is_empty() || visit.body_is_too_large {
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID_VALUE.code).into();
    }
    let option = visit.params.get("option");
    match option {
        LOOKUPDS => match serde_json::from_slice::<Option<Vec<String>>>(&visit.body) {
            Ok(addresses) => {
                let addresses = addresses.unwrap_or_default();
                info!("config: {} sets {LOOKUPDS} to {addresses:?}", visit.peer);
                app.set_lookupds(addresses);
            }
            Err(_) => return INVALID_VALUE.into(),
        },
        LOG_LEVEL => match std::str::from_utf8(&visit.body).ok().and_then(Level::from_word) {
            Some(level) => {
                info!("config: {} sets {LOG_LEVEL} to {}", visit.peer, level.label());
                log::set_level(level);
            }
            None => return INVALID_VALUE.into(),
        },
        _ => return INVALID_OPTION.into(),
    }
    show(app, option)
}

/// The peer counts and nothing that a header says, as with NSQ.
fn may(app: &App, visit: &Visit) -> bool {
    let may = app.config.config_cidr.is_none_or(|network| network.contains(visit.peer.ip()));
    if !may {
        app.metrics.count_refusal(Refusal::ConfigNetwork);
    }
    may
}

fn show(app: &App, option: &str) -> Reply {
    match option {
        LOOKUPDS => reply::json(nsq_flags::json_strings(&app.lookupds())),
        LOG_LEVEL => reply::json((log::level() as u8).to_string()),
        _ => match app.config.parsed.render(option) {
            Some(Rendered::Text(text)) if text.is_empty() => reply::empty(),
            Some(Rendered::Text(text)) => reply::text(without_password(&text)),
            Some(Rendered::Json(json)) => reply::json(json),
            None => INVALID_OPTION.into(),
        },
    }
}

/// A URL may carry a password, and behind a proxy on this machine everybody may come here.
fn without_password(text: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(text) else { return text.to_owned() };
    if url.password().is_none() || url.set_password(Some("xxxxx")).is_err() {
        return text.to_owned();
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("http://me:secret@g/x"), "http://me:xxxxx@g/x");
        for text in ["http://g", "nsq.%s", "127.0.0.1:4171", "http://me@g"] {
            assert_eq!(without_password(text), text);
        }
    }
}
