//! Subscriptions, and connections that move to the core of what they work with.
//!
//! A connection is accepted anywhere. It moves at SUB to its channel's core and at its first publish to its
//! topic's core, once; the command that made it move goes with it and runs there. A producer of topics of several
//! cores then stays where it is and forwards the others'.

use crate::client::connection::{Connection, Hold};
use crate::core::engine::Engine;
use crate::mesh::message::{CoreMessage, Moving};
use crate::transport::{Slot, Socket};

impl Engine {
    /// Whether the connection's home is still open: it owes no answer that only this core knows of.
    pub(super) fn may_move(&self, connection: &Connection) -> bool {
        !connection.settled && connection.channel.is_none() && connection.replies.is_empty()
    }

    /// Takes the socket out of this core's ring. What it still sends meanwhile comes along.
    pub(super) fn begin_move(&mut self, slot: Slot, connection: &mut Connection, to: u16) {
        connection.hold = Hold::Moving { to };
        self.touch(slot, connection);
    }

    /// The socket is out: off it goes.
    pub fn on_detached(&mut self, slot: Slot, socket: Socket, pending: &[u8]) {
        let Some(mut connection) = self.connections.remove(slot) else { return };
        let Hold::Moving { to } = connection.hold else { return };
        self.clear_timer(slot, &mut connection);
        connection.input.extend_from_slice(pending);
        connection.settled = true;
        connection.input_paused = false;
        self.mesh.send(usize::from(to), CoreMessage::Move(Box::new(Moving { socket, connection })));
    }
}
