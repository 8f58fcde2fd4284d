//! `/render`: graphite's pictures, relayed.
//!
//! Only this path of only that host, and only what a picture needs: the visitor's cookies and credentials stay here,
//! and what comes back may not act as a page of ours.

use axum::body::Body;
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use nsq_http::reply::failed;
use reqwest::Url;

use super::visit::Visit;
use crate::app::App;
use crate::guard::headers;
use crate::limits::GRAPHITE_BYTES_MAX;
use crate::upstream::client::causes;

/// What of the visitor's headers graphite gets.
const FORWARDED: [HeaderName; 5] = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT, IF_MODIFIED_SINCE, IF_NONE_MATCH];

/// What of graphite's headers is for the connection between us, or is not for our origin.
const KEPT_BACK: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "set-cookie",
    "location",
];

pub(super) async fn relay(app: &App, visit: &Visit) -> Response {
    match ask(app, visit).await {
        Ok(response) => response,
        Err(text) => {
            nsq_flags::error!("failed to relay graphite - {text}");
            failed(StatusCode::BAD_GATEWAY, "UPSTREAM_ERROR: graphite").map(Body::from)
        }
    }
}

async fn ask(app: &App, visit: &Visit) -> Result<Response, String> {
    let graphite = app.config.graphite.as_ref().ok_or("there is no --graphite-url")?;
    let mut url = Url::parse(&graphite.url).map_err(|error| error.to_string())?;
    // As NSQ has it, the path of the URL is dropped here.
    url.set_path("/render");
    url.set_query(visit.uri.query());
    url.set_fragment(None);
    let mut request = app.graphite_client.get(url).header("X-Forwarded-For", visit.peer.ip().to_string());
    for name in FORWARDED {
        if let Some(value) = visit.headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.map_err(|error| causes(&error))?;
    let status = answer.status();
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return Err(format!("answered {status}, and a redirect is not relayed"));
    }
    let given = answer.headers().clone();
    let body = read(answer, GRAPHITE_BYTES_MAX).await?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = relayed(given);
    headers::of_relayed(response.headers_mut());
    Ok(response)
}

fn relayed(mut given: HeaderMap) -> HeaderMap {
    for name in KEPT_BACK {
        given.remove(name);
    }
    given
}

/// A whole body within a bound.
pub(super) async fn read(mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(format!("the answer is larger than {bytes_max} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
