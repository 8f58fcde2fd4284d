//! New connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::client::connection::Connection;
use crate::core::client_report;
use crate::core::engine::Engine;
use crate::transport::{Slot, Socket};

const NS_PER_S: i64 = 1_000_000_000;

impl Engine {
    /// A client has connected. `None` turns it away.
    pub fn on_accepted(&mut self, socket: Socket) -> Option<(Socket, Box<Connection>)> {
        if self.is_stopping() {
            return None;
        }
        let Some(permit) = self.process.permits.take() else {
            self.on_turned_away();
            return None;
        };
        let (ip, address) = describe(socket.peer_address());
        let seconds = self.now.wall_ns / NS_PER_S;
        let connection = Connection::new(ip, address, seconds, self.now.mono_ns, &self.limits, permit);
        client_report::connected(&connection);
        Some((socket, Box::new(connection)))
    }

    /// Its socket has a slot.
    pub fn on_attached(&mut self, slot: Slot, mut connection: Box<Connection>) {
        self.set_timer(slot, &mut connection);
        self.connections.insert(slot, connection);
    }

    /// There are as many clients as there may be. Said once a second at most.
    fn on_turned_away(&mut self) {
        self.turned_away += 1;
        if self.now.mono_ns >= self.turned_away_said_at + NS_PER_S as u64 {
            let max = self.process.config.connections_max;
            nsq_flags::warn!(
                "TCP: {} client(s) turned away: {max} are connected (--max-connections)",
                self.turned_away
            );
            (self.turned_away, self.turned_away_said_at) = (0, self.now.mono_ns);
        }
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
