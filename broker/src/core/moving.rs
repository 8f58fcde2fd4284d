//! Connections that move to the core of what they work with.
//!
//! A connection is accepted anywhere. It moves at SUB to its channel's core and at its first publish to its
//! topic's core, once; the command that made it move goes with it and runs there. A producer of topics of several
//! cores then stays where it is and forwards the others'.

use crate::client::connection::Connection;
use crate::client::stage::{Act, Event, Stage, Why};
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
        reach!("core.move.begun");
        self.happen(slot, connection, Event::MustMove { to });
    }

    /// The socket is out: off it goes. One that broke on its way goes nowhere.
    pub fn on_detached(&mut self, slot: Slot, socket: Socket, pending: &[u8]) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        let (stage, act) = (connection.stage, self.happen(slot, &mut connection, Event::Detached));
        self.connections.put_back(slot, connection);
        if !matches!(act, Act::HandOver | Act::Gone) {
            return;
        }
        let Some(mut connection) = self.forget(slot) else { return };
        let (Stage::Detaching { to }, Act::HandOver) = (stage, act) else { return };
        if !planted!(PendingForgotten) {
            connection.input.keep(pending);
        }
        connection.settled = true;
        connection.dirty = false;
        connection.input.reading = true;
        connection.input.ended = false; // If it was, the new ring says so again.
        connection.stage = Stage::Held(Why::Core);
        self.mesh.send(usize::from(to), CoreMessage::Move(Box::new(Moving { socket, connection })));
    }

    /// A connection from another core has its slot here: the command that brought it goes on.
    pub fn on_adopted(&mut self, slot: Slot, mut connection: Box<Connection>) {
        reach!("core.move.adopted");
        connection.stage_since = self.now.mono_ns;
        self.set_timer(slot, &mut connection);
        self.go_on(slot, &mut connection, Why::Core);
        self.connections.insert(slot, connection);
        // The turn has ended already; what was begun here is for the next one.
        self.turn_again = true;
    }
}
