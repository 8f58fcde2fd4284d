//! What an nsqlookupd's answer to `/channels` says.

use std::fmt;

use serde::Deserialize;

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(super) enum ReplyError {
    /// The body is beyond its bound.
    TooBig,
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
            ReplyError::TooBig => f.write_str("the answer is too large"),
            ReplyError::Status(status) => write!(f, "status {status}"),
            ReplyError::HttpsOnly(port) => {
                write!(f, "it asks for HTTPS on port {port}, which is not available")
            }
            ReplyError::Body => f.write_str("the body is not a list of channels"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// The channels in an answer.
///
/// # Errors
/// Where no use can be made of it.
pub(super) fn decode(status: u16, body: &[u8]) -> Result<Vec<String>, ReplyError> {
    match status {
        200 => decode_body(body),
        403 => Err(https_port(body).map_or(ReplyError::Status(403), ReplyError::HttpsOnly)),
        status => Err(ReplyError::Status(status)),
    }
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

    #[test]
    fn an_answer_without_channels_has_none() {
        for body in [r#"{"channels":[]}"#, r#"{"channels":null}"#, "{}"] {
            assert_eq!(decode(200, body.as_bytes()), Ok(Vec::new()), "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_list_of_channels_is_refused() {
        for body in ["", "no json", "[]", "7", r#"{"channels":"a"}"#, r#"{"channels":[1]}"#] {
            assert_eq!(decode(200, body.as_bytes()), Err(ReplyError::Body), "{body}");
        }
    }

    #[test]
    fn any_other_status_is_a_failure_and_https_only_is_named() {
        assert_eq!(decode(404, b"{}"), Err(ReplyError::Status(404)));
        assert_eq!(decode(403, b"{}"), Err(ReplyError::Status(403)));
        let https = br#"{"message":"TLS_REQUIRED","https_port":4162}"#;
        assert_eq!(decode(403, https), Err(ReplyError::HttpsOnly(4162)));
    }
}
