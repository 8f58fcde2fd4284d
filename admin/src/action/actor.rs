//! Who does something.

use std::net::SocketAddr;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, USER_AGENT};

use crate::limits::AUDIT_TEXT_BYTES_MAX;

/// Where an action comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A script, over the API.
    Api,
    /// A person, over a page.
    Page,
}

/// Who does it, as far as the request tells. All texts but `remote` are what the client says.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The name in the header of the access list, if it may be believed.
    pub user: Option<String>,
    /// The name of basic authentication, which notifications have. It is not checked.
    pub basic_user: Option<String>,
    /// The peer.
    pub remote: SocketAddr,
    /// Its program.
    pub user_agent: String,
    /// The URL of the request, put together from `Host` and path.
    pub url: String,
    /// API or page.
    pub source: Source,
}

impl Actor {
    /// Whoever sent a request with these headers for this path and query.
    pub fn new(
        headers: &HeaderMap,
        remote: SocketAddr,
        path_and_query: &str,
        user: Option<String>,
        source: Source,
    ) -> Self {
        let text = |name| {
            headers.get(name).map_or("", |value: &axum::http::HeaderValue| value.to_str().unwrap_or(""))
        };
        let is_https = headers.get("x-scheme").is_some_and(|scheme| scheme == "https");
        let scheme = if is_https { "https" } else { "http" };
        Self {
            user: user.as_deref().map(cut),
            basic_user: basic_user(text(AUTHORIZATION)).as_deref().map(cut),
            remote,
            user_agent: cut(text(USER_AGENT)),
            url: cut(&format!("{scheme}://{}{path_and_query}", text(HOST))),
            source,
        }
    }

    /// For people: the user of the access list, or of basic authentication, or nobody.
    pub fn name(&self) -> &str {
        self.user.as_deref().or(self.basic_user.as_deref()).unwrap_or("-")
    }
}

/// Names and programs are the client's, and are kept for long.
fn cut(text: &str) -> String {
    let mut end = text.len().min(AUDIT_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The name in `Basic base64(name:password)`.
fn basic_user(authorization: &str) -> Option<String> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(decode_base64(encoded)?).ok()?;
    decoded.split_once(':').map(|(name, _)| name.to_owned())
}

/// Standard base64 with padding. `None` for anything else.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| -> Option<u32> {
        Some(match byte {
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'a'..=b'z' => u32::from(byte - b'a') + 26,
            b'0'..=b'9' => u32::from(byte - b'0') + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3);
    for chunk in digits.as_bytes().chunks(4) {
        let mut number = 0;
        for &byte in chunk {
            number = number << 6 | digit(byte)?;
        }
        let [_, high, middle, low] = (number << (6 * (4 - chunk.len()))).to_be_bytes();
        decoded.extend([high, middle, low].into_iter().take(chunk.len() - 1));
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basic_name_stands_before_the_colon() {
        for (header, name) in [
            ("Basic bWU6cGFzczp3b3Jk", Some("me")),
            ("basic bWU6", Some("me")),
            ("Basic bm9jb2xvbg==", None),
            ("Basic ***", None),
            ("Bearer bWU6cGFzcw==", None),
            ("", None),
        ] {
            assert_eq!(basic_user(header).as_deref(), name, "{header}");
        }
    }

    #[test]
    fn base64_is_decoded_with_its_padding() {
        for (text, decoded) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zg=", None),
            ("Z===", None),
        ] {
            assert_eq!(decode_base64(text).as_deref(), decoded.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn what_a_client_says_is_cut() {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, "é".repeat(5_000).parse::<axum::http::HeaderValue>().unwrap());
        headers.insert(HOST, "h".parse().unwrap());
        let actor = Actor::new(&headers, "127.0.0.1:1".parse().unwrap(), "/x?y", None, Source::Api);
        assert!(actor.user_agent.len() <= AUDIT_TEXT_BYTES_MAX);
        assert_eq!(actor.url, "http://h/x?y");
    }
}
