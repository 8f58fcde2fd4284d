//! What is due for connections: heartbeats, and the end of those that were silent or slow for too long.

use nsq_protocol::frame::HEARTBEAT_FRAME;

use crate::client::connection::Connection;
use crate::client::stage::Act;
use crate::core::engine::Engine;
use crate::transport::Slot;

impl Engine {
    /// Acts on every deadline that has come.
    pub(super) fn run_timers(&mut self) {
        while let Some(slot) = self.timers.pop_due(self.now.mono_ns) {
            let Some(mut connection) = self.connections.take(slot) else { continue };
            connection.timer = None;
            self.on_timer(slot, &mut connection);
            self.connections.put_back(slot, connection);
        }
    }

    /// An entry may have become too early: commands only note when they came.
    fn on_timer(&mut self, slot: Slot, connection: &mut Connection) {
        let now = self.now.mono_ns;
        while let Some((_, event)) = connection.deadline().filter(|(at, _)| *at <= now) {
            if self.happen(slot, connection, event) == Act::Heartbeat {
                connection.output.heartbeat(HEARTBEAT_FRAME);
                connection.schedule_heartbeat(now);
                self.touch(slot, connection);
            }
        }
        self.set_timer(slot, connection);
    }

    /// Enters the connection's next moment.
    pub(super) fn set_timer(&mut self, slot: Slot, connection: &mut Connection) {
        self.clear_timer(slot, connection);
        if let Some((at, _)) = connection.deadline() {
            connection.timer = Some(at);
            self.timers.set(slot, at);
        }
    }

    /// Forgets the connection's next moment.
    pub(super) fn clear_timer(&mut self, slot: Slot, connection: &mut Connection) {
        if let Some(at) = connection.timer.take() {
            self.timers.cancel(slot, at);
        }
    }
}
