//! New connections: accepted here, or adopted from another core.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::client::connection::Connection;
use crate::core::engine::Engine;
use crate::transport::{Slot, Socket};

const NS_PER_S: i64 = 1_000_000_000;

impl Engine {
    /// A client has connected. `None` turns it away.
    pub fn on_accepted(&mut self, socket: Socket) -> Option<(Socket, Box<Connection>)> {
        if self.is_stopping() || self.connections.len() >= self.connections_max {
            return None;
        }
        let (ip, address) = describe(socket.peer_address());
        let seconds = self.now.wall_ns / NS_PER_S;
        let mut connection = Connection::new(ip, address, seconds, self.now.mono_ns, &self.limits);
        connection.heartbeat_at = self.now.mono_ns + self.heartbeat_default_ns();
        nsq_flags::info!("TCP: new client({})", connection.remote_address);
        Some((socket, Box::new(connection)))
    }

    /// Its socket has a slot.
    pub fn on_attached(&mut self, slot: Slot, mut connection: Box<Connection>) {
        self.set_timer(slot, &mut connection);
        self.connections.insert(slot, connection);
    }

    /// A connection from another core has its slot here: the command that brought it goes on.
    pub fn on_adopted(&mut self, slot: Slot, mut connection: Box<Connection>) {
        connection.dirty = false;
        connection.detaching = false;
        connection.end_of_input = false; // If it was, the new ring says so again.
        self.set_timer(slot, &mut connection);
        self.go_on(slot, &mut connection);
        self.touch(slot, &mut connection);
        self.connections.insert(slot, connection);
        // The turn has settled already; what was begun here is for the next one.
        self.turn_again = true;
    }
}

/// The peer's IP for the session, and how logs and statistics name it.
fn describe(peer: Option<SocketAddr>) -> (String, Arc<str>) {
    match peer {
        None => (String::new(), "@".into()),
        Some(peer) => {
            // An IPv4 client of a dual-stack listener is shown as what it is.
            let ip = match peer.ip() {
                IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
                ip => ip,
            };
            (ip.to_string(), SocketAddr::new(ip, peer.port()).to_string().into())
        }
    }
}
