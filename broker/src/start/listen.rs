//! Listening sockets, made before anything else so that a port in use is an error and not a shared port.
//!
//! glommio's own listener always sets SO_REUSEPORT, with which a second broker on the same port gets no error and
//! half of the connections. So sockets are made here, once for the process; every core accepts from its own
//! duplicate of the descriptor.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use nsq_flags::address::{Endpoint, join_host_port, listen_at};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::config::Config;
use crate::limits::KEEPALIVE_S;
use crate::mesh::process::Address;
use crate::start::error::StartError;

/// Connections that the kernel keeps for us between two turns of the loop.
const BACKLOG: i32 = 4096;

/// Until a silent peer is asked whether it is there, and between two such questions; Go's defaults.
const KEEPALIVE: Duration = Duration::from_secs(KEEPALIVE_S);

/// How long an address in use is tried again. The ring of a killed process is torn down by the kernel a little
/// after the process is gone and can hold its listener open meanwhile.
const ADDRESS_IN_USE_RETRY_MAX: Duration = Duration::from_millis(1500);
const ADDRESS_IN_USE_PAUSE: Duration = Duration::from_millis(10);

/// A bound, listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    address: Address,
}

impl Listener {
    /// Listens at a host and a port; a wildcard host takes both families.
    pub fn tcp(host: &str, port: u16) -> io::Result<Self> {
        let until = Instant::now() + ADDRESS_IN_USE_RETRY_MAX;
        loop {
            match listen_at(host, port, bind_tcp) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                    std::thread::sleep(ADDRESS_IN_USE_PAUSE);
                }
                result => return result,
            }
        }
    }

    /// Binds a unix stream socket. An existing file is an error: it may belong to a running broker.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { socket: listener.into(), address: Address::Unix(path.to_owned()) })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The TCP port; none for a unix socket.
    pub fn port(&self) -> Option<u16> {
        match &self.address {
            Address::Tcp(address) => Some(address.port()),
            Address::Unix(_) => None,
        }
    }

    /// A descriptor of the same socket for one core.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // Left behind, it would block the next start. Somebody may have removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // Accepted sockets inherit all of it, which saves system calls for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let local = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(Listener { socket: socket.into(), address: Address::Tcp(local) })
}

/// The sockets that clients come to.
pub(super) struct Listeners {
    pub(super) tcp: Listener,
    pub(super) http: Option<Listener>,
}

impl Listeners {
    /// Binds what is configured.
    pub(super) fn bind(config: &Config) -> Result<Self, StartError> {
        let tcp = bind(&config.tcp_address)?;
        let http = config.http_address.as_ref().map(bind).transpose()?;
        Ok(Self { tcp, http })
    }
}

fn bind(endpoint: &Endpoint) -> Result<Listener, StartError> {
    let listen = |error| StartError::Listen { address: address_text(endpoint), error };
    match endpoint {
        Endpoint::Unix(path) => Listener::unix(Path::new(path)).map_err(listen),
        Endpoint::Tcp { host, port } => Listener::tcp(host, *port).map_err(listen),
    }
}

fn address_text(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => path.clone(),
        Endpoint::Tcp { host, port } => join_host_port(host, *port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_and_not_shared() {
        let first = Listener::tcp("127.0.0.1", 0).unwrap();
        let Address::Tcp(address) = first.address().clone() else { panic!("not TCP") };
        let error = Listener::tcp("127.0.0.1", address.port()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert_eq!(
            Listener::tcp("127.0.0.1", address.port()).unwrap().address().port(),
            i32::from(address.port())
        );
    }

    #[test]
    fn an_accepted_socket_notices_a_peer_that_is_gone() {
        let listener = Listener::tcp("127.0.0.1", 0).unwrap();
        let Address::Tcp(address) = listener.address().clone() else { panic!("not TCP") };
        let _peer = std::net::TcpStream::connect(address).unwrap();
        let accepted = rustix::net::accept(listener.duplicate().unwrap()).unwrap();
        use rustix::net::sockopt;
        assert!(sockopt::socket_keepalive(&accepted).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&accepted).unwrap(), KEEPALIVE);
        assert_eq!(sockopt::tcp_keepintvl(&accepted).unwrap(), KEEPALIVE);
        assert!(sockopt::tcp_nodelay(&accepted).unwrap());
    }

    #[test]
    fn a_wildcard_takes_both_families() {
        // A machine without IPv6 has nothing to connect from.
        let families: &[&str] = if std::net::TcpListener::bind("[::1]:0").is_ok() {
            &["127.0.0.1", "::1"]
        } else {
            &["127.0.0.1"]
        };
        for host in ["", "0.0.0.0", "::"] {
            let listener = Listener::tcp(host, 0).unwrap();
            let port = listener.port().unwrap();
            for client in families {
                std::net::TcpStream::connect((*client, port))
                    .unwrap_or_else(|error| panic!("{host:?} from {client}: {error}"));
            }
        }
    }

    #[test]
    fn a_unix_socket_is_removed_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nsqd.sock");
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(listener.address().port(), -1);
        assert!(path.exists());
        drop(listener);
        assert!(!path.exists());
    }
}
