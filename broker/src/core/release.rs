//! Held connections that go on: first the command that waits, then what was received behind it.

use crate::client::connection::Connection;
use crate::client::stage::{Act, Event, Stage, Why};
use crate::client::suspended::Suspended;
use crate::core::engine::Engine;
use crate::core::publication::{Publish, Sized};
use crate::mesh::request::Response;
use crate::transport::Slot;

impl Engine {
    /// The answer that a held connection waits for. One that has ended meanwhile does not wait any more.
    pub(super) fn on_answered(&mut self, slot: Slot, response: Response) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        match (connection.stage, response) {
            (Stage::Held(Why::Core), Response::Ensured { channel, .. }) => {
                self.on_ensured(slot, &mut connection, channel);
            }
            (Stage::Held(why @ (Why::Core | Why::Discovery)), _) => self.go_on(slot, &mut connection, why),
            _ => {}
        }
        self.connections.put_back(slot, connection);
    }

    /// Ends a connection's wait, if it is this one: first the command that waits, then what was received behind it.
    pub(super) fn go_on(&mut self, slot: Slot, connection: &mut Connection, why: Why) {
        if self.happen(slot, connection, Event::Released(why)) != Act::Resume {
            return;
        }
        connection.waiting_since = self.now.mono_ns;
        self.run_suspended(slot, connection);
        self.run_input(slot, connection);
        self.after_commands(slot, connection);
    }

    /// Runs a command that had to wait.
    fn run_suspended(&mut self, slot: Slot, connection: &mut Connection) {
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
