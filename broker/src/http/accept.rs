//! The accept loop of one core.
//!
//! All cores wait on the same listening socket, each by a descriptor of its own; the kernel gives a connection to one
//! of them. A core with no slot left does not accept, so the others do. The socket is non-blocking from birth: glommio
//! would make it so, and blocking again, around each try, and cores that share it would be caught in between. The
//! kernel waits on it all the same (Linux 6.18: an idle broker accepts and polls nothing under `strace`).

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use glommio::GlommioError;
use glommio::net::{TcpListener, TcpStream};
use glommio::sync::StaticPermit;
use nsq_flags::warn;
use rustix::io::Errno;

use super::deadline::Deadline;
use super::{HttpContext, connection, deadline};
use crate::transport::Taker;

/// Pause after an accept that failed for want of descriptors or memory. Trying at once would fail again and spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pause after an accept that found nothing: another core was faster, or the kernel does not wait on our behalf.
const LOST_RACE_PAUSE: Duration = Duration::from_millis(10);
/// How long a stop waits for answers under way.
pub(super) const STOP_GRACE: Duration = Duration::from_millis(500);
const STOP_POLL: Duration = Duration::from_millis(5);

/// Serves HTTP on `listener`, a listening TCP or unix stream socket, until [`HttpContext::stop`]; returns when the
/// last connection is closed. Runs on the executor that `context` lives on.
pub async fn serve(listener: OwnedFd, context: Rc<HttpContext>) {
    let listener = into_glommio(listener);
    {
        let mut accepting = pin!(accept_all(&listener, &context));
        poll_fn(|task| {
            if context.stopping.get() {
                return Poll::Ready(());
            }
            *context.acceptor.borrow_mut() = Some(task.waker().clone());
            accepting.as_mut().poll(task)
        })
        .await;
    }
    drop(listener);
    close_all(&context).await;
}

async fn accept_all(listener: &TcpListener, context: &Rc<HttpContext>) {
    let mut failing = false;
    loop {
        let Ok(slot) = context.slots.acquire_static_permit(1).await else { return };
        match listener.shared_accept().await.map_err(io_error) {
            Ok(accepted) => {
                let socket = accepted.bind_to_executor();
                if Taker::Http.may_keep(&socket) {
                    failing = false;
                    start(socket, slot, context);
                } else {
                    drop((socket, slot));
                    recover(&Errno::MFILE.into(), &mut failing).await;
                }
            }
            Err(error) => {
                drop(slot);
                recover(&error, &mut failing).await;
            }
        }
    }
}

fn start(socket: TcpStream, slot: StaticPermit, context: &Rc<HttpContext>) {
    let registered = Registered::new(context);
    glommio::spawn_local(async move {
        connection::run(socket, &registered.deadline, &registered.context).await;
        drop(registered);
        drop(slot);
    })
    .detach();
    deadline::start_sweep(context);
}

/// A connection in the list of its core, for as long as it lives.
struct Registered {
    context: Rc<HttpContext>,
    deadline: Rc<Deadline>,
    number: u64,
}

impl Registered {
    fn new(context: &Rc<HttpContext>) -> Self {
        let number = context.connection_next.get();
        context.connection_next.set(number.wrapping_add(1));
        let deadline = Rc::new(Deadline::new(deadline::now_ns()));
        deadline.be_prompt(|| context.core.work_outside());
        context.connections.borrow_mut().insert(number, deadline.clone());
        Self { context: context.clone(), deadline, number }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.context.connections.borrow_mut().remove(&self.number);
    }
}

/// Waits as long as `error` makes sensible. The first of a row of failures is logged.
async fn recover(error: &io::Error, failing: &mut bool) {
    match error.kind() {
        // The peer was gone before it was accepted: nothing to recover from.
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
        io::ErrorKind::WouldBlock => glommio::timer::sleep(LOST_RACE_PAUSE).await,
        _ => {
            if !std::mem::replace(failing, true) {
                warn!("HTTP: temporary Accept() failure - {error}");
            }
            glommio::timer::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Waits for the connections to end by themselves, and then ends them.
async fn close_all(context: &HttpContext) {
    let mut waited = Duration::ZERO;
    while !context.connections.borrow().is_empty() && waited < STOP_GRACE {
        glommio::timer::sleep(STOP_POLL).await;
        waited += STOP_POLL;
    }
    for deadline in context.connections.borrow().values() {
        deadline.expire();
    }
    while !context.connections.borrow().is_empty() {
        glommio::timer::sleep(STOP_POLL).await;
    }
}

fn io_error(error: GlommioError<()>) -> io::Error {
    error.into()
}

/// glommio makes listeners only by binding, with SO_REUSEPORT. Ours is bound already.
#[allow(unsafe_code)]
fn into_glommio(listener: OwnedFd) -> TcpListener {
    // SAFETY: the descriptor is open and ours, and its ownership goes over. A unix socket is as good as a TCP one:
    // glommio only accepts on it, and never asks for its addresses.
    unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) }
}
