//! One connection: hyper between a socket and the routes, from its first byte to its orderly end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glommio::net::TcpStream;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::rt::Write;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::body::RequestBody;
use super::deadline::{Deadline, LINGER_NS_MAX, Phase};
use super::stream::Stream;
use super::{HttpContext, log, routes};

/// Largest header, and what hyper reads ahead of a body.
const HEADER_SIZE_MAX: usize = 64 * 1024;

/// Serves `socket` until it or the process ends, or its deadline passes.
pub(super) async fn run(socket: TcpStream, deadline: &Rc<Deadline>, context: &Rc<HttpContext>) {
    // A unix socket's peer has no address.
    let remote: Rc<str> = socket.peer_addr().map_or_else(
        |_| "@".into(),
        |peer| SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string().into(),
    );
    let stream = Stream::new(socket, deadline.clone());
    serve(stream.clone(), remote, deadline, context).await;
    if !deadline.has_expired() {
        linger(stream, deadline).await;
    }
}

async fn serve(stream: Stream, remote: Rc<str>, deadline: &Rc<Deadline>, context: &Rc<HttpContext>) {
    let service = service_fn(|request| answer(request, remote.clone(), deadline.clone(), context.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .half_close(true)
            // Not `pipeline_flush`: with it hyper does not send its 400 while the garbage is still in its buffer.
            // `X-Nsq-Content-Type`: the spelling that NSQ has on the wire.
            .title_case_headers(true)
            .max_buf_size(HEADER_SIZE_MAX)
            // See `deadline`: hyper's own would close idle connections too.
            .header_read_timeout(None)
            .serve_connection(stream, service)
    );
    let mut told_to_stop = false;
    poll_fn(|task| {
        deadline.register(task.waker());
        if deadline.has_expired() {
            return Poll::Ready(());
        }
        if context.stopping.get() && !std::mem::replace(&mut told_to_stop, true) {
            connection.as_mut().graceful_shutdown();
        }
        // An error is the peer's: broken HTTP, which hyper has answered with 400, or a broken connection.
        connection.as_mut().poll(task).map(drop)
    })
    .await;
}

/// Closes our direction and waits a little for the peer's. Closing a socket with unread bytes in it resets the
/// connection, and the reset destroys an answer that the peer has not read yet: the one that says why its body was
/// not taken, of all.
async fn linger(mut stream: Stream, deadline: &Deadline) {
    deadline.enter(Phase::Working);
    let closed = poll_fn(|task| Pin::new(&mut stream).poll_shutdown(task)).await;
    if closed.is_err() || stream.has_ended() {
        return;
    }
    let mut dropped = [0; 4096];
    let end = poll_fn(|task| {
        deadline.register(task.waker());
        loop {
            if deadline.has_expired() {
                return Poll::Ready(());
            }
            match stream.poll_bytes(task, &mut dropped) {
                Poll::Ready(Ok(size)) if size > 0 => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    // Running out of time is an end like any other.
    let _ = glommio::timer::timeout(Duration::from_nanos(LINGER_NS_MAX), async {
        end.await;
        Ok(())
    })
    .await;
}

async fn answer(
    request: hyper::Request<Incoming>,
    remote: Rc<str>,
    deadline: Rc<Deadline>,
    context: Rc<HttpContext>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let begun = Instant::now();
    deadline.enter(Phase::Working);
    deadline.be_prompt(|| context.core.work_outside());
    let (head, incoming) = request.into_parts();
    let mut body = RequestBody::new(incoming, &head.headers, deadline.clone(), context.receipt.clone());
    let mut reply = routes::dispatch(&context, &head, &mut body).await;
    log::answered(&head, reply.status(), &remote, begun.elapsed());
    if !body.drop_rest().await {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    deadline.enter(Phase::Idle);
    Ok(reply.map(Full::new))
}
