//! Answers, in the shapes that NSQ has.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use nsq_protocol::json::push_escaped;

use crate::query::BadQuery;

/// What is answered.
pub type Reply = Response<Bytes>;

/// On every answer of the API. Without exactly this value go-nsq reads an answer as one of the format before 1.0,
/// and finds no producers in it.
const MARKER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-nsq-content-type"), HeaderValue::from_static("nsq; version=1.0"));

/// Content type of text.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Content type of JSON.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Content type of HTML.
pub const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// An error as NSQ's API tells it: a status and a word in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// The word.
    pub code: &'static str,
}

impl ApiError {
    /// What a handler says that cannot say more.
    pub const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR");

    /// An error with this status and word.
    pub const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code }
    }

    /// A 400.
    pub const fn bad_request(code: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code)
    }

    /// A 404.
    pub const fn not_found(code: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code)
    }

    /// A 413.
    pub const fn too_large(code: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code)
    }

    /// A 503.
    pub const fn unavailable(code: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code)
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Reply {
        failed(error.status, error.code)
    }
}

impl From<BadQuery> for ApiError {
    fn from(_: BadQuery) -> ApiError {
        ApiError::bad_request("INVALID_REQUEST")
    }
}

/// `{"message":"…"}` with a status: an error whose text is not one of a few words.
pub fn failed(status: StatusCode, message: &str) -> Reply {
    let mut body = String::with_capacity(message.len() + 16);
    body.push_str("{\"message\":\"");
    push_escaped(&mut body, message);
    body.push_str("\"}");
    marked(with_type(status, JSON, body))
}

/// A text result of the API.
pub fn text(body: impl Into<Bytes>) -> Reply {
    marked(with_type(StatusCode::OK, TEXT, body))
}

/// A JSON result of the API.
pub fn json(body: impl Into<Bytes>) -> Reply {
    marked(with_type(StatusCode::OK, JSON, body))
}

/// The result of the API where there is nothing to say: no body and no content type.
pub fn empty() -> Reply {
    marked(Response::new(Bytes::new()))
}

/// A text of the few endpoints whose answers do not carry the API's marker (`/ping`).
pub fn plain_text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    with_type(status, TEXT, body)
}

/// Anything else, without the marker.
pub fn with_type(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// What Go's server says where the request is none, before any handler has seen it. It ends the connection.
pub fn malformed() -> Reply {
    let mut reply = plain_text(StatusCode::BAD_REQUEST, "400 Bad Request");
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// What a known path answers to a method that it does not have.
pub(crate) fn method_not_allowed(allow: &str) -> Reply {
    with_allow(failed(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"), allow)
}

/// What a known path answers to OPTIONS.
pub(crate) fn options(allow: &str) -> Reply {
    with_allow(Response::new(Bytes::new()), allow)
}

/// Sends a client to the right spelling of a path: a GET for good, any other method with its body.
pub(crate) fn redirect(is_get: bool, location: &str) -> Reply {
    let Ok(target) = HeaderValue::try_from(location) else {
        return ApiError::not_found("NOT_FOUND").into();
    };
    let mut reply = if is_get {
        let link = format!("<a href=\"{}\">Moved Permanently</a>.\n\n", escape_html(location));
        with_type(StatusCode::MOVED_PERMANENTLY, HTML, link)
    } else {
        let mut reply = Response::new(Bytes::new());
        *reply.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        reply
    };
    reply.headers_mut().insert(LOCATION, target);
    reply
}

fn with_allow(mut reply: Reply, allow: &str) -> Reply {
    if let Ok(allow) = HeaderValue::try_from(allow) {
        reply.headers_mut().insert(ALLOW, allow);
    }
    reply
}

fn marked(mut reply: Reply) -> Reply {
    let (name, value) = MARKER;
    reply.headers_mut().insert(name, value);
    reply
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_word_in_json_with_the_marker() {
        let reply = Reply::from(ApiError::too_large("MSG_TOO_BIG"));
        assert_eq!(reply.status(), 413);
        assert_eq!(reply.headers()[CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(reply.headers()["X-NSQ-Content-Type"], "nsq; version=1.0");
        assert_eq!(reply.body(), "{\"message\":\"MSG_TOO_BIG\"}");
        let reply = failed(StatusCode::BAD_GATEWAY, "got \"no\" from <x>");
        assert_eq!(reply.body(), "{\"message\":\"got \\\"no\\\" from \\u003cx\\u003e\"}");
    }

    #[test]
    fn an_empty_result_has_no_content_type() {
        assert!(!empty().headers().contains_key(CONTENT_TYPE));
        assert_eq!(empty().headers()["X-NSQ-Content-Type"], "nsq; version=1.0");
        assert!(!plain_text(StatusCode::OK, "OK").headers().contains_key("X-NSQ-Content-Type"));
    }

    #[test]
    fn a_redirect_tells_a_get_in_html_and_others_nothing() {
        let get = redirect(true, "/ping?a=1&b=2");
        assert_eq!(
            (get.status().as_u16(), &get.headers()[LOCATION]),
            (301, &"/ping?a=1&b=2".parse().unwrap())
        );
        assert_eq!(get.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(get.body(), "<a href=\"/ping?a=1&amp;b=2\">Moved Permanently</a>.\n\n");
        let post = redirect(false, "/pub");
        assert_eq!(post.status(), 307);
        assert!(!post.headers().contains_key(CONTENT_TYPE));
    }
}
