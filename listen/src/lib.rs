//! Listeners as Go makes them, accepting that neither spins nor gives up, and connections that do not wait for ever
//! for a client to read. For the daemons that run on tokio.

#![forbid(unsafe_code)]

mod impatient;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nsq_flags::address::{Endpoint, listen_at};
use nsq_flags::warn;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use impatient::{ANSWER_MS_MAX, HEAD_MS_MAX, IDLE_MS_MAX, Impatient, Requests, UnderWay};

/// TCP keep-alive period: a machine that vanished is noticed after some ten periods.
const KEEPALIVE_S: u64 = 15;

/// Pending connections of a listener; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG_MAX: i32 = 4096;

/// Pause of a listener after a failed accept, which is mostly a lack of descriptors.
const ACCEPT_PAUSE_MS: u64 = 100;

/// Opens a listener at `host:port`. Every wildcard address takes IPv4 and IPv6, unless the kernel lacks the
/// latter. Must be called within the runtime.
///
/// # Errors
///
/// Where the address is none, belongs to somebody else, or is in use.
pub fn listen(address: &str) -> io::Result<TcpListener> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    let (host, port) = match Endpoint::tcp(address).map_err(|error| invalid(error.to_string()))? {
        Endpoint::Tcp { host, port } => (host, port),
        Endpoint::Unix(path) => return Err(invalid(format!("{path} is no TCP address"))),
    };
    listen_at(&host, port, bind)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG_MAX)?;
    TcpListener::from_std(socket.into())
}

/// Waits until there is room for one more connection, and takes it.
pub async fn room(room: &Arc<Semaphore>, protocol: &str) -> OwnedSemaphorePermit {
    if room.available_permits() == 0 {
        warn!("{protocol}: no room for further connections (see ulimit -n)");
    }
    let permit = Arc::clone(room).acquire_owned().await;
    permit.expect("invariant: the semaphore is never closed")
}

/// The next connection, with keep-alive and without Nagle's delay; IPv4 peers have IPv4 addresses, whatever the
/// listener is. Passing failures are logged and waited out.
///
/// # Errors
///
/// Where the listener itself is broken.
pub async fn accept(listener: &TcpListener, protocol: &str) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                prepare(&stream);
                return Ok((stream, SocketAddr::new(remote.ip().to_canonical(), remote.port())));
            }
            Err(error) if is_broken(&error) => return Err(error),
            Err(error) => {
                warn!("{protocol}: temporary Accept() failure - {error}");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// A connection that is already gone fails here; its first read will say so.
fn prepare(stream: &TcpStream) {
    let period = Duration::from_secs(KEEPALIVE_S);
    let keepalive = TcpKeepalive::new().with_time(period).with_interval(period);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);
}

fn is_broken(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP | Errno::FAULT))
}

/// Raises the limit of open files as far as it may go without privileges, as Go's runtime does, and returns it.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    now.unwrap_or(u64::MAX)
}
