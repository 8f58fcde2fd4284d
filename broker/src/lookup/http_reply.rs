//! An HTTP answer, read from the bytes that have come so far.

use std::fmt;

use serde::Deserialize;

use crate::lookup::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_COUNT_MAX};

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(super) enum ReplyError {
    /// Not HTTP.
    Malformed,
    /// Head or body are beyond their bounds.
    TooBig,
    /// The connection ended before the answer did.
    Truncated,
    /// The answer comes in chunks, which HTTP/1.0 does not have.
    Chunked,
    /// Any status but 200.
    Status(u16),
    /// 403 with an `https_port`: it answers over HTTPS only, and this broker has no TLS.
    HttpsOnly(u16),
    /// The body is not what `/channels` answers.
    Body,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Malformed => f.write_str("the answer is not HTTP"),
            ReplyError::TooBig => f.write_str("the answer is too large"),
            ReplyError::Truncated => f.write_str("the answer ended early"),
            ReplyError::Chunked => f.write_str("the answer is chunked, which HTTP/1.0 does not allow"),
            ReplyError::Status(status) => write!(f, "status {status}"),
            ReplyError::HttpsOnly(port) => {
                write!(f, "it asks for HTTPS on port {port}, which is not available")
            }
            ReplyError::Body => f.write_str("the body is not a list of channels"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// The channels in the answer, or `None` while more bytes are needed. `ended` tells that none will come.
///
/// # Errors
/// As soon as it is certain that no use can be made of the answer.
pub(super) fn decode_channels(input: &[u8], ended: bool) -> Result<Option<Vec<String>>, ReplyError> {
    let Some(head) = Head::decode(input)? else {
        return if ended { Err(ReplyError::Truncated) } else { Ok(None) };
    };
    let behind = &input[head.size..];
    let body = match head.body_size {
        Some(size) if size > BODY_BYTES_MAX => return Err(ReplyError::TooBig),
        Some(size) => match behind.get(..size) {
            Some(body) => body,
            None if ended => return Err(ReplyError::Truncated),
            None => return Ok(None),
        },
        None if behind.len() > BODY_BYTES_MAX => return Err(ReplyError::TooBig),
        None if ended => behind,
        None => return Ok(None),
    };
    match head.status {
        200 => decode_body(body).map(Some),
        403 => Err(https_port(body).map_or(ReplyError::Status(403), ReplyError::HttpsOnly)),
        status => Err(ReplyError::Status(status)),
    }
}

struct Head {
    status: u16,
    /// From `Content-Length`; without it, the body lasts until the connection ends.
    body_size: Option<usize>,
    size: usize,
}

impl Head {
    fn decode(input: &[u8]) -> Result<Option<Self>, ReplyError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_COUNT_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let size = match response.parse(input) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) if input.len() > HEAD_BYTES_MAX => return Err(ReplyError::TooBig),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(ReplyError::TooBig),
            Err(_) => return Err(ReplyError::Malformed),
        };
        let mut body_size = None;
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(ReplyError::Chunked);
            }
            if header.name.eq_ignore_ascii_case("content-length") {
                body_size = Some(decimal(header.value).ok_or(ReplyError::Malformed)?);
            }
        }
        let status = response.code.ok_or(ReplyError::Malformed)?;
        Ok(Some(Self { status, body_size, size }))
    }
}

fn decimal(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[derive(Deserialize)]
struct Channels {
    /// `null` and a missing list are answers without channels.
    channels: Option<Vec<String>>,
}

fn decode_body(body: &[u8]) -> Result<Vec<String>, ReplyError> {
    let channels: Channels = serde_json::from_slice(body).map_err(|_| ReplyError::Body)?;
    Ok(channels.channels.unwrap_or_default())
}

#[derive(Deserialize)]
struct Forbidden {
    https_port: u16,
}

fn https_port(body: &[u8]) -> Option<u16> {
    serde_json::from_slice::<Forbidden>(body).ok().map(|forbidden| forbidden.https_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &[u8] =
        b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 22\r\n\r\n{\"channels\":[\"a\",\"b\"]}";

    fn reply(status: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.0 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[test]
    fn an_answer_is_whole_with_its_last_byte_and_not_before() {
        for cut in 0..REPLY.len() {
            assert_eq!(decode_channels(&REPLY[..cut], false), Ok(None), "cut at {cut}");
            assert_eq!(decode_channels(&REPLY[..cut], true), Err(ReplyError::Truncated), "cut at {cut}");
        }
        assert_eq!(decode_channels(REPLY, false), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_is_the_end() {
        let input = b"HTTP/1.0 200 OK\r\n\r\n{\"channels\":[\"a\"]}";
        assert_eq!(decode_channels(input, false), Ok(None));
        assert_eq!(decode_channels(input, true), Ok(Some(vec!["a".to_owned()])));
    }

    #[test]
    fn an_answer_without_channels_has_none() {
        for body in [r#"{"channels":[]}"#, r#"{"channels":null}"#, "{}"] {
            assert_eq!(decode_channels(&reply("200 OK", body), false), Ok(Some(Vec::new())), "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_list_of_channels_is_refused() {
        for body in ["", "no json", "[]", "7", r#"{"channels":"a"}"#, r#"{"channels":[1]}"#] {
            assert_eq!(decode_channels(&reply("200 OK", body), false), Err(ReplyError::Body), "{body}");
        }
    }

    #[test]
    fn any_other_status_is_a_failure_and_https_only_is_named() {
        assert_eq!(decode_channels(&reply("404 Not Found", "{}"), false), Err(ReplyError::Status(404)));
        assert_eq!(decode_channels(&reply("403 Forbidden", "{}"), false), Err(ReplyError::Status(403)));
        let https = reply("403 Forbidden", r#"{"message":"TLS_REQUIRED","https_port":4162}"#);
        assert_eq!(decode_channels(&https, false), Err(ReplyError::HttpsOnly(4162)));
    }

    #[test]
    fn bounds_hold_before_anything_is_collected() {
        let announced = b"HTTP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n";
        assert_eq!(decode_channels(announced, false), Err(ReplyError::TooBig));
        let beyond = b"HTTP/1.0 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n";
        assert_eq!(decode_channels(beyond, false), Err(ReplyError::Malformed));
        let mut endless = b"HTTP/1.0 200 OK\r\nX: ".to_vec();
        endless.resize(HEAD_BYTES_MAX + 1, b'x');
        assert_eq!(decode_channels(&endless, false), Err(ReplyError::TooBig));
        let mut flood = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
        flood.resize(flood.len() + BODY_BYTES_MAX + 1, b' ');
        assert_eq!(decode_channels(&flood, false), Err(ReplyError::TooBig));
    }

    #[test]
    fn what_is_not_http_is_refused() {
        assert_eq!(decode_channels(b"\0\0\0\x02OK", false), Err(ReplyError::Malformed));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(decode_channels(chunked, false), Err(ReplyError::Chunked));
    }
}
