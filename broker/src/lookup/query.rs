//! `GET /channels` at one nsqlookupd.
//!
//! HTTP/1.0 on a connection of its own: topics are made rarely, and without chunks, keep-alive and redirects there is
//! little left to get wrong. An nsqlookupd that answers over HTTPS only cannot be asked: there is no TLS here yet.

use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::TcpStream;

use crate::config::Config;
use crate::lookup::dial::{self, HttpAddress, within};
use crate::lookup::http_reply::{self, ReplyError};
use crate::lookup::limits::QUERY_TIMEOUT_NS_MAX;

/// Bytes read at once.
const READ_BYTES: usize = 8192;

/// How long a query may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueryTimeouts {
    /// For the connection alone.
    pub(super) connect: Duration,
    /// For everything, the connection included.
    pub(super) request: Duration,
}

impl QueryTimeouts {
    /// The operator's; 0, which is none, becomes a bound of ours.
    pub(super) fn new(config: &Config) -> Self {
        let bounded = |ns| Duration::from_nanos(if ns == 0 { QUERY_TIMEOUT_NS_MAX } else { ns });
        Self {
            connect: bounded(config.http_client_connect_timeout_ns),
            request: bounded(config.http_client_request_timeout_ns),
        }
    }
}

/// Why a query brought nothing.
#[derive(Debug)]
#[non_exhaustive]
pub(super) enum QueryError {
    /// No connection, a broken one, or no time left.
    Io(io::Error),
    /// An answer of no use.
    Reply(ReplyError),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::Io(error) => write!(f, "{error}"),
            QueryError::Reply(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for QueryError {}

/// The channels that the nsqlookupd at `address` knows of `topic`, as it tells them: names are not checked.
///
/// # Errors
/// What went wrong; within the timeouts in any case.
pub(super) async fn channels(
    address: &HttpAddress,
    topic: &str,
    timeouts: QueryTimeouts,
) -> Result<Vec<String>, QueryError> {
    let mut outcome = Ok(Vec::new());
    within(timeouts.request, async {
        outcome = ask(address, topic, timeouts.connect).await;
        Ok(())
    })
    .await
    .map_err(QueryError::Io)?;
    outcome
}

async fn ask(address: &HttpAddress, topic: &str, connect: Duration) -> Result<Vec<String>, QueryError> {
    let mut stream = dial::connect(&address.addresses, connect).await.map_err(QueryError::Io)?;
    let request = request(&address.authority, topic);
    stream.write_all(request.as_bytes()).await.map_err(QueryError::Io)?;
    answer(&mut stream).await
}

async fn answer(stream: &mut TcpStream) -> Result<Vec<String>, QueryError> {
    // Bounded by what the decoder refuses, and one read.
    let mut input = Vec::new();
    let mut chunk = [0; READ_BYTES];
    loop {
        let count = stream.read(&mut chunk).await.map_err(QueryError::Io)?;
        input.extend_from_slice(&chunk[..count]);
        match http_reply::decode_channels(&input, count == 0) {
            Ok(Some(channels)) => return Ok(channels),
            Ok(None) => {}
            Err(error) => return Err(QueryError::Reply(error)),
        }
    }
}

fn request(authority: &str, topic: &str) -> String {
    format!(
        "GET /channels?topic={} HTTP/1.0\r\nHost: {}\r\nAccept: application/vnd.nsq; version=1.0\r\n\
         Connection: close\r\n\r\n",
        escape(topic),
        // Announced by a peer: what would end the line is left out.
        authority.replace(|character: char| character.is_ascii_control(), ""),
    )
}

/// Escapes a query's value. Of a valid topic name only the `#` of `#ephemeral` needs it.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_is_escaped_in_the_request() {
        let text = request("host:4161", "dot.s-and_#ephemeral");
        assert_eq!(
            text,
            "GET /channels?topic=dot.s-and_%23ephemeral HTTP/1.0\r\nHost: host:4161\r\n\
             Accept: application/vnd.nsq; version=1.0\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn an_announced_address_cannot_add_lines() {
        assert!(request("host\r\nX: y:1", "t").contains("Host: hostX: y:1\r\nAccept"));
    }
}
