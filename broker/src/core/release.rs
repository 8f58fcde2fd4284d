//! Held connections that go on: first the command that waits, then what was received behind it.

use crate::client::connection::{Connection, Hold};
use crate::client::suspended::Suspended;
use crate::core::engine::Engine;
use crate::core::publication::{Publish, Sized};
use crate::mesh::request::Response;
use crate::transport::Slot;

impl Engine {
    /// The answer that a held connection waits for.
    pub(super) fn on_answered(&mut self, slot: Slot, response: Response) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        match response {
            Response::Ensured { channel, .. } => self.on_ensured(slot, &mut connection, channel),
            _ => {
                self.go_on(slot, &mut connection);
            }
        }
        self.connections.put_back(slot, connection);
    }

    /// Ends a connection's wait: first the command that waits, then what was received behind it.
    pub(super) fn go_on(&mut self, slot: Slot, connection: &mut Connection) {
        connection.hold = Hold::None;
        self.run_suspended(slot, connection);
        if connection.hold == Hold::None {
            self.resume(slot, connection);
        }
    }

    /// Runs a command that had to wait.
    pub(super) fn run_suspended(&mut self, slot: Slot, connection: &mut Connection) {
        match connection.suspended.take() {
            None => {}
            Some(Suspended::MpubTopic { topic }) => self.mpub_topic(slot, connection, &topic),
            Some(Suspended::Publish { topic, verb, defer_ms, messages, count }) => {
                let body_bytes = (messages.len() - 4 * count as usize) as u64;
                let publish = Publish { topic: &topic, verb, defer_ms, count, body_bytes };
                self.publish_for(slot, connection, publish, Sized(&messages));
            }
            Some(Suspended::Subscribe { topic, channel, again }) => {
                self.subscribe_to(slot, connection, topic, channel, again);
            }
        }
    }
}
