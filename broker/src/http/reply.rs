//! Responses, in the shapes that NSQ has.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io;

/// What a handler answers.
pub type Reply = Response<Full<Bytes>>;

/// An error as NSQ's API tells it: a status and a word in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
}

impl ApiError {
    pub(super) const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR");

    const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code }
    }

    pub(super) const fn bad_request(code: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code)
    }

    pub(super) const fn not_found(code: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code)
    }

    pub(super) const fn too_large(code: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code)
    }

    pub(super) const fn unavailable(code: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code)
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Reply {
        let body = format!("{{\"message\":\"{}\"}}", error.code);
        marked(with_type(error.status, body, JSON))
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const MARKER: HeaderName = HeaderName::from_static("x-nsq-content-type");

/// A text result of the API.
pub(super) fn text(body: impl Into<Bytes>) -> Reply {
    marked(with_type(StatusCode::OK, body, TEXT))
}

/// A JSON result of the API.
pub(super) fn json(body: impl Into<Bytes>) -> Reply {
    marked(with_type(StatusCode::OK, body, JSON))
}

/// The result of the API where there is nothing to say: no body and no content type.
pub(super) fn empty() -> Reply {
    marked(Response::new(Full::default()))
}

/// A text of the few endpoints whose answers do not carry the API's marker.
pub(super) fn plain_text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    with_type(status, body, TEXT)
}

/// What a known path answers to a method that it does not have.
pub(super) fn method_not_allowed(allow: &str) -> Reply {
    with_allow(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED").into(), allow)
}

/// What a known path answers to OPTIONS.
pub(super) fn options(allow: &str) -> Reply {
    with_allow(Response::new(Full::default()), allow)
}

/// Sends a client to the right spelling of a path: a GET for good, any other method with its body.
pub(super) fn redirect(is_get: bool, location: &str) -> Reply {
    let Ok(target) = HeaderValue::try_from(location) else {
        return ApiError::not_found("NOT_FOUND").into();
    };
    let mut reply = if is_get {
        let link = format!("<a href=\"{}\">Moved Permanently</a>.\n\n", escape_html(location));
        with_type(StatusCode::MOVED_PERMANENTLY, link, HTML)
    } else {
        let mut reply = Response::new(Full::default());
        *reply.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        reply
    };
    reply.headers_mut().insert(LOCATION, target);
    reply
}

fn with_type(status: StatusCode, body: impl Into<Bytes>, content_type: HeaderValue) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

fn with_allow(mut reply: Reply, allow: &str) -> Reply {
    if let Ok(allow) = HeaderValue::try_from(allow) {
        reply.headers_mut().insert(ALLOW, allow);
    }
    reply
}

fn marked(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(MARKER, HeaderValue::from_static("nsq; version=1.0"));
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

/// `value` as compact JSON with Go's escapes.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(512);
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, GoFormatter(CompactFormatter));
    value
        .serialize(&mut serializer)
        .expect("invariant: structs of texts and numbers can be written to memory");
    json
}

/// Compact JSON in which `<`, `>`, `&` and the two line separators are escaped, as Go's encoder does.
struct GoFormatter(CompactFormatter);

impl Formatter for GoFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            let Some(c) = from.chars().next() else { break };
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &from[c.len_utf8()..];
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_texts_are_escaped_as_go_does() {
        let json = to_json(&"é<b>&\"\\\n\u{1}\u{2028}\u{2029}日");
        assert_eq!(
            String::from_utf8(json).unwrap(),
            "\"é\\u003cb\\u003e\\u0026\\\"\\\\\\n\\u0001\\u2028\\u2029日\""
        );
    }

    #[test]
    fn an_error_is_a_word_in_json_with_the_marker() {
        let reply = Reply::from(ApiError::too_large("MSG_TOO_BIG"));
        assert_eq!(reply.status(), 413);
        assert_eq!(reply.headers()[CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(reply.headers()[MARKER], "nsq; version=1.0");
    }

    #[test]
    fn an_empty_result_has_no_content_type() {
        assert!(!empty().headers().contains_key(CONTENT_TYPE));
        assert!(empty().headers().contains_key(MARKER));
    }

    #[test]
    fn a_redirect_tells_a_get_in_html_and_others_nothing() {
        let get = redirect(true, "/ping?a=1&b=2");
        assert_eq!(
            (get.status().as_u16(), &get.headers()[LOCATION]),
            (301, &HeaderValue::from_static("/ping?a=1&b=2"))
        );
        assert_eq!(get.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let post = redirect(false, "/pub");
        assert_eq!(post.status(), 307);
        assert!(!post.headers().contains_key(CONTENT_TYPE));
    }
}
