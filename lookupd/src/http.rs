//! The listener for consumers, nsqadmin and operators: NSQ's HTTP API, and `/metrics`.

mod debug;
mod endpoints;
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
use hyper_util::rt::{TokioIo, TokioTimer};
use nsq_flags::{format_duration, info, warn};
use nsq_http::{Found, Reply};
use nsq_listen::Impatient;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::clock::saturating_ns;
use crate::limits::{HTTP_BODY_MS_MAX, HTTP_BODY_SIZE_MAX, HTTP_HEAD_MS_MAX, HTTP_HEAD_SIZE_MAX};
use crate::shared::Shared;
use debug::Pieces;
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
    loop {
        let permit = nsq_listen::room(&room, "HTTP").await;
        let (stream, remote) = nsq_listen::accept(&listener, "HTTP").await?;
        tokio::spawn(client(stream, remote, Arc::clone(&shared), permit));
    }
}

async fn client(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>, _room: OwnedSemaphorePermit) {
    let service = service_fn(|request| dispatch(Arc::clone(&shared), remote, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HTTP_HEAD_MS_MAX))
        .max_buf_size(HTTP_HEAD_SIZE_MAX)
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Impatient::new(stream)), service);
    if let Err(error) = connection.await
        && !error.is_timeout()
    {
        warn!("HTTP: {error}");
    }
}

/// Answers one request.
async fn dispatch(
    shared: Arc<Shared>,
    remote: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    discard(body).await;
    let response = match ROUTER.find(&head.method, &head.uri) {
        Found::Endpoint(endpoint, _) => {
            endpoints::execute(endpoint, head.uri.query().unwrap_or_default(), &shared)
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
