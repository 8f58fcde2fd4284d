//! The forms of an answer.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

/// On all answers but that of `/ping`. Without exactly this value go-nsq reads an answer as one of the format
/// before 1.0, and finds no producers in it.
const NSQ_CONTENT_TYPE: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-nsq-content-type"), HeaderValue::from_static("nsq; version=1.0"));

/// What is wrong with a request: a status, and the word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) &'static str);

impl Refusal {
    /// A 400.
    pub(super) const fn bad_request(message: &'static str) -> Self {
        Self(StatusCode::BAD_REQUEST, message)
    }

    /// A 404.
    pub(super) const fn not_found(message: &'static str) -> Self {
        Self(StatusCode::NOT_FOUND, message)
    }

    /// `{"message":"…"}` with the status.
    pub(super) fn answer(self) -> Response {
        let mut response = json(format!("{{\"message\":\"{}\"}}", self.1));
        *response.status_mut() = self.0;
        response
    }
}

/// 200 with JSON.
pub(super) fn json(body: impl Into<Body>) -> Response {
    let mut response = empty();
    *response.body_mut() = body.into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// 200 without anything.
pub(super) fn empty() -> Response {
    let mut response = Response::new(Body::empty());
    let (name, value) = NSQ_CONTENT_TYPE;
    response.headers_mut().insert(name, value);
    response
}

/// 200 with text, and without the mark of NSQ's format.
pub(super) fn text(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 405, naming the methods that would do.
pub(super) fn other_method(allow: &'static str) -> Response {
    let mut response = Refusal(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED").answer();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// The answer to OPTIONS.
pub(super) fn options(allow: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Elsewhere, with the same query. Only GET may be repeated as something else, so the rest gets 307.
pub(super) fn redirect(is_get: bool, path: &str, query: Option<&str>) -> Response {
    let to = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        if is_get { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    // A query that came in a request can stand in a header.
    if let Ok(to) = HeaderValue::from_str(&to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}
