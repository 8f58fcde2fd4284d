//! `GET /channels` at one nsqlookupd.
//!
//! hyper's client on a connection of its own: topics are made rarely. An nsqlookupd that answers over HTTPS only cannot be
//! asked: there is no TLS here yet.

use std::fmt;
use std::fmt::Write as _;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::future::or;
use glommio::sync::{Semaphore, StaticPermit};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue};
use hyper::{Request, Response};

use crate::config::Config;
use crate::http::Stream;
use crate::lookup::dial::{self, HttpAddress, within};
use crate::lookup::http_reply::{self, ReplyError};
use crate::lookup::limits::{
    BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_BYTES_SMALL, HEAD_BYTES_MAX, HEADERS_COUNT_MAX,
    QUERY_TIMEOUT_NS_MAX,
};

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

/// Room for the answers of all queries under way. Small ones need none.
#[derive(Clone, Debug)]
pub(super) struct AnswerRoom(Rc<Semaphore>);

impl AnswerRoom {
    /// [`BODIES_BYTES_MAX`]
    pub(super) fn new() -> Self {
        Self(Rc::new(Semaphore::new(BODIES_BYTES_MAX)))
    }
}

/// Why a query brought nothing.
#[derive(Debug)]
#[non_exhaustive]
pub(super) enum QueryError {
    /// No connection, or no time left.
    Io(io::Error),
    /// What came is not HTTP, or ended early.
    Http(hyper::Error),
    /// An answer of no use.
    Reply(ReplyError),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::Io(error) => write!(f, "{error}"),
            QueryError::Http(error) => write!(f, "{error}"),
            QueryError::Reply(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for QueryError {}

impl From<hyper::Error> for QueryError {
    fn from(error: hyper::Error) -> Self {
        QueryError::Http(error)
    }
}

impl From<ReplyError> for QueryError {
    fn from(error: ReplyError) -> Self {
        QueryError::Reply(error)
    }
}

/// The channels that the nsqlookupd at `address` knows of `topic`, as it tells them: names are not checked.
///
/// # Errors
/// What went wrong; within the timeouts in any case.
pub(super) async fn channels(
    address: &HttpAddress,
    topic: &str,
    timeouts: QueryTimeouts,
    room: &AnswerRoom,
) -> Result<Vec<String>, QueryError> {
    let mut outcome = Ok(Vec::new());
    within(timeouts.request, async {
        outcome = ask(address, topic, timeouts.connect, room).await;
        Ok(())
    })
    .await
    .map_err(QueryError::Io)?;
    outcome
}

async fn ask(
    address: &HttpAddress,
    topic: &str,
    connect: Duration,
    room: &AnswerRoom,
) -> Result<Vec<String>, QueryError> {
    let socket = dial::connect(&address.addresses, connect).await.map_err(QueryError::Io)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_COUNT_MAX)
        // `Accept`: as NSQ spells it, for those that compare.
        .title_case_headers(true)
        .handshake(Stream::without_deadline(socket))
        .await?;
    let exchange = async {
        let response = sender.send_request(request(&address.authority, topic)).await?;
        answer(response, room).await
    };
    // It reads and writes while the exchange waits, and may end before all of the answer is taken from it.
    let driver = async {
        match connection.await {
            Ok(()) => pending().await,
            Err(error) => Err(error.into()),
        }
    };
    or(exchange, driver).await
}

async fn answer(response: Response<Incoming>, room: &AnswerRoom) -> Result<Vec<String>, QueryError> {
    let status = response.status().as_u16();
    let (body, _permit) = collect(response.into_body(), room).await?;
    Ok(http_reply::decode(status, &body)?)
}

/// The whole body. It grows by what has come, and beyond a little only where there is room.
async fn collect(
    mut body: Incoming,
    room: &AnswerRoom,
) -> Result<(Vec<u8>, Option<StaticPermit>), QueryError> {
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(ReplyError::TooBig.into());
    }
    let (mut bytes, mut permit) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let size = bytes.len() + data.len();
        if size > BODY_BYTES_MAX {
            return Err(ReplyError::TooBig.into());
        }
        if size > BODY_BYTES_SMALL && permit.is_none() {
            let acquired = room.0.acquire_static_permit(BODY_BYTES_MAX as u64).await;
            permit = Some(acquired.map_err(|error| QueryError::Io(error.into()))?);
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, permit))
}

fn request(authority: &str, topic: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = format!("/channels?topic={}", escape(topic))
        .parse()
        .expect("invariant: an escaped topic can stand in a URI");
    // Announced by a peer: what would end the line is left out.
    let host = authority.replace(|character: char| character.is_ascii_control(), "");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(host).unwrap_or(HeaderValue::from_static("nsqlookupd")));
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.nsq; version=1.0"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    request
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
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_topic_is_escaped_in_the_request() {
        let request = request("host:4161", "dot.s-and_#ephemeral");
        assert_eq!(request.uri(), "/channels?topic=dot.s-and_%23ephemeral");
        assert_eq!(request.headers()[HOST], "host:4161");
        assert_eq!(request.headers()[ACCEPT], "application/vnd.nsq; version=1.0");
    }

    #[test]
    fn an_announced_address_cannot_add_lines() {
        assert_eq!(request("host\r\nX: y:1", "t").headers()[HOST], "hostX: y:1");
    }

    /// Asks a server that sends `reply` and closes.
    fn asked(reply: Vec<u8>) -> Result<Vec<String>, QueryError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            // The client may have heard enough before the end.
            let _ = socket.write_all(&reply);
            drop(socket);
        });
        let long = Duration::from_secs(20);
        let answer = glommio::LocalExecutor::default().run(async move {
            let address = HttpAddress { authority: address.to_string(), addresses: vec![address] };
            channels(&address, "t", QueryTimeouts { connect: long, request: long }, &AnswerRoom::new()).await
        });
        server.join().unwrap();
        answer
    }

    const LIST: &str = r#"{"channels":["a","b"]}"#;

    #[test]
    fn a_list_is_taken_however_it_is_framed() {
        for reply in [
            format!("HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{LIST}"),
            format!("HTTP/1.0 200 OK\r\n\r\n{LIST}"),
            format!("HTTP/1.1 200 OK\r\n\r\n{LIST}"),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n{LIST}\r\n0\r\n\r\n"),
        ] {
            assert_eq!(asked(reply.clone().into_bytes()).unwrap(), ["a", "b"], "{reply}");
        }
    }

    #[test]
    fn an_answer_that_ends_early_or_is_no_http_is_none() {
        for reply in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{\"channels\":[\"a\",\"b\"]}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n{\"channels\"",
            "\0\0\0\x02OK",
            "HTTP/1.0 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        ] {
            let error = asked(reply.as_bytes().to_vec()).unwrap_err();
            assert!(matches!(error, QueryError::Http(_)), "{reply:?}: {error:?}");
        }
    }

    #[test]
    fn an_answer_beyond_the_bounds_is_given_up() {
        let too_big = |error| matches!(error, QueryError::Reply(ReplyError::TooBig));
        let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY_BYTES_MAX + 1);
        assert!(too_big(asked(announced.into_bytes()).unwrap_err()));
        let mut flood = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
        flood.resize(flood.len() + BODY_BYTES_MAX + 1, b' ');
        assert!(too_big(asked(flood).unwrap_err()));
        let mut endless = b"HTTP/1.0 200 OK\r\nX: ".to_vec();
        endless.resize(4 * HEAD_BYTES_MAX, b'x');
        assert!(matches!(asked(endless).unwrap_err(), QueryError::Http(_)));
        let many = "X: y\r\n".repeat(HEADERS_COUNT_MAX + 1);
        assert!(asked(format!("HTTP/1.0 200 OK\r\n{many}\r\n{LIST}").into_bytes()).is_err());
    }
}
