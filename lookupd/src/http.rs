//! The listener for consumers, nsqadmin and operators: NSQ's HTTP API, and `/metrics`.
//!
//! The routes are not given to the router, which has rules of its own for HEAD, `Allow` and OPTIONS where NSQ's
//! are others; it gets one handler for everything, and [`route`] holds the table.

mod answer;
mod debug;
mod endpoints;
mod query;
mod route;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Extension, Request, State};
use axum::http::Method;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nsq_flags::{format_duration, info, warn};
use nsq_listen::Impatient;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::clock::saturating_ns;
use crate::limits::{HTTP_BODY_MS_MAX, HTTP_BODY_SIZE_MAX, HTTP_HEAD_MS_MAX, HTTP_HEAD_SIZE_MAX};
use crate::shared::Shared;
use answer::Refusal;
use route::Route;

/// Accepts clients until the listener fails for good. At most `clients_max` at a time.
///
/// # Errors
///
/// That of the listener.
pub async fn serve(listener: TcpListener, clients_max: usize, shared: Arc<Shared>) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(clients_max));
    let router = Router::new().fallback(dispatch).with_state(shared);
    loop {
        let permit = nsq_listen::room(&room, "HTTP").await;
        let (stream, remote) = nsq_listen::accept(&listener, "HTTP").await?;
        tokio::spawn(client(stream, router.clone().layer(Extension(remote)), permit));
    }
}

async fn client(stream: TcpStream, router: Router, _room: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HTTP_HEAD_MS_MAX))
        .max_buf_size(HTTP_HEAD_SIZE_MAX)
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Impatient::new(stream)), TowerToHyperService::new(router));
    if let Err(error) = connection.await
        && !error.is_timeout()
    {
        warn!("HTTP: {error}");
    }
}

/// Answers one request.
async fn dispatch(
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<SocketAddr>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    discard(body).await;
    let path = head.uri.path();
    let query = head.uri.query();
    let response = match route::find(&head.method, path) {
        Route::Found(endpoint) => endpoints::execute(endpoint, query.unwrap_or_default(), &shared),
        Route::OtherMethod(allow) => answer::other_method(allow),
        Route::Options(allow) => answer::options(allow),
        Route::Repaired(path) => answer::redirect(head.method == Method::GET, path, query),
        Route::Unknown => Refusal::not_found("NOT_FOUND").answer(),
    };
    let status = response.status();
    let counter = match status.as_u16() {
        500.. => &shared.metrics.http_failures,
        400.. => &shared.metrics.http_refusals,
        _ => &shared.metrics.http_successes,
    };
    counter.add_one();
    let uri = head.uri.path_and_query().map_or(path, |both| both.as_str());
    let took = format_duration(saturating_ns(started.elapsed()));
    info!("{} {} {uri} ({remote}) {took}", status.as_u16(), head.method);
    response
}

/// Reads a body to its end, since no argument is in it but the next request is behind it. What is too large or
/// too slow is left alone, and its connection is closed after the answer.
async fn discard(mut body: Body) {
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
