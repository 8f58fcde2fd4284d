//! The listener, and what stands between it and the endpoints.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::{Extension, Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nsq_flags::{format_duration, info, warn};
use nsq_http::reply::failed;
use nsq_http::{Found, Router};
use nsq_listen::Impatient;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower_http::compression::CompressionLayer;

use crate::api;
use crate::api::routes::{Endpoint, router};
use crate::api::visit::Visit;
use crate::app::App;
use crate::guard::{csrf, headers, host};
use crate::limits::{BODY_BYTES_MAX, BODY_MS_MAX, HEAD_BYTES_MAX, HEAD_MS_MAX};
use crate::metrics::Refusal;

/// The daemon and its routes.
struct Served {
    app: Arc<App>,
    router: Router<Endpoint>,
    /// Set once a foreign `Host` was met, so that the log says it once.
    foreign_host_met: std::sync::atomic::AtomicBool,
    /// Whether we listen on this machine only, where every name but ours is suspect.
    is_local: bool,
}

/// Everything but the connection.
pub fn service(app: Arc<App>, listening: SocketAddr) -> axum::Router {
    let trusted = &app.config.trusted_origins;
    let csrf = csrf::layer(trusted).expect("invariant: the origins were checked at start");
    let served = Arc::new(Served {
        router: router(&app.config),
        app,
        foreign_host_met: false.into(),
        is_local: listening.ip().is_loopback(),
    });
    axum::Router::new()
        .fallback(dispatch)
        .with_state(Arc::clone(&served))
        .layer(csrf)
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(served, observe))
}

/// Accepts clients until the listener fails for good. At most `clients_max` at a time.
///
/// # Errors
///
/// That of the listener.
pub async fn serve(listener: TcpListener, clients_max: usize, app: Arc<App>) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(clients_max));
    let router = service(app, listener.local_addr()?);
    loop {
        let permit = nsq_listen::room(&room, "HTTP").await;
        let (stream, remote) = nsq_listen::accept(&listener, "HTTP").await?;
        tokio::spawn(client(stream, router.clone().layer(Extension(remote)), permit));
    }
}

async fn client(stream: TcpStream, router: axum::Router, _room: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_MS_MAX))
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Impatient::new(stream)), TowerToHyperService::new(router));
    if let Err(error) = connection.await
        && !error.is_timeout()
        && !error.is_incomplete_message()
    {
        warn!("HTTP: {error}");
    }
}

/// Outermost: the log line, the count, and what every answer has.
async fn observe(
    State(served): State<Arc<Served>>,
    Extension(remote): Extension<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let asked: HeaderMap = request.headers().clone();
    let mut response = next.run(request).await;
    let metrics = &served.app.metrics;
    if csrf::log_refusal(&response, &asked) {
        metrics.count_refusal(Refusal::CrossOrigin);
    }
    headers::of_anything(response.headers_mut());
    let (status, took) = (response.status().as_u16(), started.elapsed());
    metrics.count_answer(status);
    metrics.request_seconds.observe(took);
    let path = uri.path_and_query().map_or_else(|| uri.path(), |both| both.as_str());
    let took_ns = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
    info!("{status} {method} {path} ({remote}) {}", format_duration(took_ns));
    response
}

/// Innermost: whether the host is ours, what the path leads to, and who asks.
async fn dispatch(
    State(served): State<Arc<Served>>,
    Extension(remote): Extension<SocketAddr>,
    request: Request,
) -> Response {
    let app = &served.app;
    let (head, body) = request.into_parts();
    if !host_is_ours(&served, &head.headers) {
        app.metrics.count_refusal(Refusal::Host);
        return failed(StatusCode::FORBIDDEN, "HOST_NOT_ALLOWED").map(Body::from);
    }
    let (endpoint, params) = match served.router.find(&head.method, &head.uri) {
        Found::Endpoint(endpoint, params) => (endpoint, params),
        Found::Reply(reply) => {
            drain(body).await;
            return reply.map(Body::from);
        }
    };
    let read = match timeout(Duration::from_millis(BODY_MS_MAX), collect(body)).await {
        Ok(read) => read,
        Err(_) => {
            app.metrics.count_refusal(Refusal::Body);
            return failed(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW").map(Body::from);
        }
    };
    if read.is_none() && endpoint != Endpoint::ConfigPut {
        app.metrics.count_refusal(Refusal::Body);
        return failed(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE").map(Body::from);
    }
    let user = app.config.acl.user(&head.headers, remote.ip());
    let visit = Visit {
        is_admin: app.config.acl.is_admin(user.as_deref()),
        user,
        uri: head.uri,
        headers: head.headers,
        peer: remote,
        params,
        body_is_too_large: read.is_none(),
        body: if head.method == Method::GET { Bytes::new() } else { read.unwrap_or_default() },
    };
    let refusable = !visit.is_admin && head.method != Method::GET;
    let response = api::execute(app, endpoint, visit).await;
    if refusable && response.status() == StatusCode::FORBIDDEN && endpoint != Endpoint::ConfigPut {
        app.metrics.count_refusal(Refusal::Forbidden);
    }
    response
}

fn host_is_ours(served: &Served, headers: &HeaderMap) -> bool {
    use std::sync::atomic::Ordering;
    let host = headers.get(HOST).map_or("", |host| host.to_str().unwrap_or("?"));
    let allowed = host::is_allowed(&served.app.config.allowed_hosts, host);
    let is_suspect = !allowed || (served.is_local && !host.is_empty() && !host::is_local(host));
    let is_new = served.app.config.allowed_hosts.is_empty() || !allowed;
    if is_suspect && is_new && !served.foreign_host_met.swap(true, Ordering::Relaxed) {
        warn!(
            "first request for another host name: {host}; to refuse all names but your own, or to admit this one, \
             use --allowed-host"
        );
    }
    allowed
}

/// A whole body; `None` if it is larger than the bound, or breaks off.
async fn collect(body: Body) -> Option<Bytes> {
    if body.is_end_stream() {
        return Some(Bytes::new());
    }
    let limited = http_body_util::Limited::new(body, BODY_BYTES_MAX);
    limited.collect().await.ok().map(http_body_util::Collected::to_bytes)
}

/// Reads a body to its end, since no argument is in it but the next request is behind it. What is too large or too
/// slow is left alone, and its connection is closed after the answer.
async fn drain(body: Body) {
    let _ = timeout(Duration::from_millis(BODY_MS_MAX), collect(body)).await;
}
