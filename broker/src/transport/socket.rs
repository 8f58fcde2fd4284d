//! A connected socket that belongs to no core at the moment: just accepted, or on its way to another core.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{SockAddr, SockRef};

/// Closes the connection when it is dropped.
#[derive(Debug)]
pub struct Socket(Kind);

#[derive(Debug)]
enum Kind {
    Descriptor(OwnedFd),
    #[cfg(feature = "sim")]
    Ticket(Option<SocketAddr>, Box<dyn std::any::Any + Send>),
}

impl From<OwnedFd> for Socket {
    fn from(descriptor: OwnedFd) -> Self {
        Self(Kind::Descriptor(descriptor))
    }
}

#[cfg(test)]
impl From<std::net::TcpStream> for Socket {
    fn from(stream: std::net::TcpStream) -> Self {
        OwnedFd::from(stream).into()
    }
}

impl Socket {
    /// Who is at the other end; none for a unix socket, or one whose peer is gone.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Descriptor(descriptor) => {
                SockRef::from(descriptor).peer_addr().ok().as_ref().and_then(SockAddr::as_socket)
            }
            #[cfg(feature = "sim")]
            Kind::Ticket(peer, _) => *peer,
        }
    }

    /// The descriptor, for a driver.
    pub(super) fn into_descriptor(self) -> OwnedFd {
        match self.0 {
            Kind::Descriptor(descriptor) => descriptor,
            #[cfg(feature = "sim")]
            Kind::Ticket(..) => panic!("invariant: a driver of the kernel is given sockets of the kernel"),
        }
    }
}

#[cfg(feature = "sim")]
impl Socket {
    /// A connection of a simulated world; the drop of `ticket` closes it.
    pub fn ticket(peer: Option<SocketAddr>, ticket: Box<dyn std::any::Any + Send>) -> Self {
        Self(Kind::Ticket(peer, ticket))
    }

    /// What [`Socket::ticket`] was given.
    pub fn into_ticket(self) -> Option<Box<dyn std::any::Any + Send>> {
        match self.0 {
            Kind::Descriptor(_) => None,
            Kind::Ticket(_, ticket) => Some(ticket),
        }
    }
}
