//! The few requests to nsqd's HTTP API that a run needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::error::BenchError;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer accepted; the statistics of 10,000 topics stay below.
const RESPONSE_BYTES_MAX: u64 = 256 << 20;

/// What is queued on a topic and on its channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depths {
    /// Messages not yet handed to any channel.
    pub(crate) topic: u64,
    /// Messages waiting, in flight or deferred, over all channels.
    pub(crate) channels: u64,
}

/// `POST path`, with an empty body.
///
/// # Errors
/// No connection, or any status but 200.
pub(crate) fn post(address: SocketAddr, path: &str) -> Result<(), BenchError> {
    request(address, "POST", path).map(drop)
}

/// The depths of `topic`; zeros when the server does not know it.
///
/// # Errors
/// As [`post`], and an answer that is no statistics.
pub(crate) fn depths(address: SocketAddr, topic: &str) -> Result<Depths, BenchError> {
    let path = format!("/stats?format=json&include_clients=false&include_mem=false&topic={topic}");
    let body = request(address, "GET", &path)?;
    let stats: Value = serde_json::from_slice(&body)
        .map_err(|error| BenchError::Protocol(format!("GET /stats is no JSON: {error}")))?;
    Ok(depths_in(&stats))
}

fn depths_in(stats: &Value) -> Depths {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let number = |value: &Value, key: &str| value[key].as_u64().unwrap_or(0);
    let mut depths = Depths::default();
    for topic in list(stats, "topics") {
        depths.topic += number(&topic, "depth");
        for channel in list(&topic, "channels") {
            depths.channels += ["depth", "in_flight_count", "deferred_count"]
                .iter()
                .map(|key| number(&channel, key))
                .sum::<u64>();
        }
    }
    depths
}

/// HTTP/1.0, so that the answer ends with the connection and is never chunked.
fn request(address: SocketAddr, method: &str, path: &str) -> Result<Vec<u8>, BenchError> {
    let what = format!("{method} http://{address}{path}");
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    let exchange = || {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(head.as_bytes())?;
        let mut response = Vec::new();
        stream.take(RESPONSE_BYTES_MAX).read_to_end(&mut response)?;
        Ok(response)
    };
    let response = exchange().map_err(BenchError::io(what.clone()))?;
    body_of(&response).ok_or_else(|| {
        let first_line = response.split(|&byte| byte == b'\r').next().unwrap_or_default();
        BenchError::Protocol(format!("{what}: {}", String::from_utf8_lossy(first_line)))
    })
}

/// The body of a 200 answer.
fn body_of(response: &[u8]) -> Option<Vec<u8>> {
    let status = response.split(|&byte| byte == b' ').nth(1)?;
    let head_bytes = response.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    (status == b"200").then(|| response[head_bytes..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_has_a_body() {
        assert_eq!(body_of(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody").unwrap(), b"body");
        assert_eq!(body_of(b"HTTP/1.1 404 Not Found\r\n\r\nx"), None);
        assert_eq!(body_of(b""), None);
    }

    #[test]
    fn depths_add_up_over_channels() {
        let stats = serde_json::json!({"topics": [{"depth": 3, "channels": [
            {"depth": 1, "in_flight_count": 2, "deferred_count": 4}, {"depth": 8}]}]});
        assert_eq!(depths_in(&stats), Depths { topic: 3, channels: 15 });
        assert_eq!(depths_in(&serde_json::json!({"topics": null})), Depths::default());
    }
}
