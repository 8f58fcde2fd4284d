//! The listener for consumers, nsqadmin and operators: NSQ's HTTP API, and `/metrics`.

mod endpoints;
mod pieces;
mod route;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use nsq_flags::{format_duration, info, warn};
use nsq_http::{Found, Reply};
use nsq_listen::Impatient;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::clock::saturating_ns;
use crate::limits::{HTTP_BODY_MS_MAX, HTTP_BODY_SIZE_MAX, HTTP_HEAD_SIZE_MAX};
use crate::shared::Shared;
use endpoints::Outcome;
use pieces::Pieces;
use route::ROUTER;

/// What is answered: as a whole, or made piece by piece while it is sent.
type Answer = Response<Either<Full<Bytes>, Pieces>>;

fn whole(reply: Reply) -> Answer {
    reply.map(|body| Either::Left(Full::new(body)))
}

/// Accepts clients until the listener fails for good. At most `clients_max` at a time.
///
/// # Errors
///
/// That of the listener.
pub async fn serve(listener: TcpListener, clients_max: usize, shared: Arc<Shared>) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(clients_max));
    let budget = pieces::budget();
    loop {
        let permit = nsq_listen::room(&room, "HTTP").await;
        let (stream, remote) = nsq_listen::accept(&listener, "HTTP").await?;
        tokio::spawn(client(stream, remote, Arc::clone(&shared), Arc::clone(&budget), permit));
    }
}

async fn client(
    stream: TcpStream,
    remote: SocketAddr,
    shared: Arc<Shared>,
    budget: Arc<Semaphore>,
    _room: OwnedSemaphorePermit,
) {
    let (stream, requests) = Impatient::between_requests(stream);
    let service = service_fn(|request| {
        let under_way = requests.begin();
        let answer = dispatch(Arc::clone(&shared), Arc::clone(&budget), remote, request);
        async move {
            let answer = answer.await;
            drop(under_way);
            answer
        }
    });
    let connection = http1::Builder::new()
        // Its time for a head runs between requests too, and those of a pool may be far apart.
        .header_read_timeout(None)
        .max_buf_size(HTTP_HEAD_SIZE_MAX)
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await
        && !error.is_timeout()
    {
        warn!("HTTP: {error}");
    }
}

/// Answers one request.
async fn dispatch(
    shared: Arc<Shared>,
    budget: Arc<Semaphore>,
    remote: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    discard(body).await;
    let response = match ROUTER.find(&head.method, &head.uri) {
        Found::Endpoint(endpoint, _) => {
            match endpoints::execute(endpoint, head.uri.query().unwrap_or_default(), &shared) {
                Outcome::Reply(reply) => whole(reply),
                Outcome::List(listing) => pieces::answer(Arc::clone(&shared), budget, listing).await,
            }
        }
        Found::Reply(reply) => whole(reply),
    };
    let status = response.status();
    let counter = match status.as_u16() {
        500.. => &shared.metrics.http_failures,
        400.. => &shared.metrics.http_refusals,
        _ => &shared.metrics.http_successes,
    };
    counter.add_one();
    let uri = head.uri.path_and_query().map_or_else(|| head.uri.path(), |both| both.as_str());
    let took = format_duration(saturating_ns(started.elapsed()));
    info!("{} {} {uri} ({remote}) {took}", status.as_u16(), head.method);
    Ok(response)
}

/// Reads a body to its end, since no argument is in it but the next request is behind it. What is too large or
/// too slow is left alone, and its connection is closed after the answer.
async fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    let read = async {
        let mut size = 0;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, |data| data.len());
            if size > HTTP_BODY_SIZE_MAX {
                break;
            }
        }
    };
    let _ = timeout(Duration::from_millis(HTTP_BODY_MS_MAX), read).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::clock::Clock;
    use crate::registry::{Lifetimes, Registry};

    async fn connect() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let registry = Registry::new(Lifetimes { inactive_ns: i64::MAX, tombstone_ns: 0 });
        let shared = Arc::new(Shared::new(registry, Clock::start(), Vec::new()));
        tokio::spawn(serve(listener, 10, shared));
        TcpStream::connect(address).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripped_head_ends_after_ten_seconds() {
        let mut client = connect().await;
        let started = tokio::time::Instant::now();
        client.write_all(b"GET /ping HTTP/1.1\r\n").await.unwrap();
        let (mut reader, mut writer) = client.split();
        let drip = async {
            while writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            ended = reader.read_u8() => assert!(ended.is_err()),
            () = drip => {}
        }
        assert!(started.elapsed() < Duration::from_secs(13), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_for_reuse_is_kept_for_two_minutes() {
        let mut client = connect().await;
        for _ in 0..3 {
            client.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\nOK") {
                answer.push(client.read_u8().await.unwrap());
            }
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        let started = tokio::time::Instant::now();
        assert!(client.read_u8().await.is_err());
        assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    }
}
