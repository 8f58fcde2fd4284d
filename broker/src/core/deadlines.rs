//! Heartbeats that are due, and connections that were silent for too long.

use nsq_protocol::frame::HEARTBEAT_FRAME;

use crate::client::connection::{Connection, Hold};
use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::transport::Slot;

const NS_PER_MS: u64 = 1_000_000;

/// How long a connection whose last command was run may take to read what it is owed.
const ENDING_NS_MAX: u64 = 5_000 * NS_PER_MS;

impl Engine {
    /// Sends heartbeats that are due and ends connections that were silent for too long.
    pub(super) fn run_timers(&mut self) {
        while let Some(slot) = self.timers.pop_due(self.now.mono_ns) {
            let Some(mut connection) = self.connections.take(slot) else { continue };
            connection.timer = None;
            self.on_timer(slot, &mut connection);
            self.connections.put_back(slot, connection);
        }
    }

    fn on_timer(&mut self, slot: Slot, connection: &mut Connection) {
        let now = self.now.mono_ns;
        if connection.closing {
            return;
        }
        if connection.hold == Hold::Ending {
            self.actions.push_back(Action::Abort(slot));
            connection.closing = true;
            return;
        }
        let Some(interval) = interval_ns(connection) else { return };
        if connection.sending && now >= connection.sending_since + interval {
            // The client has not taken a byte for a whole heartbeat: the write deadline.
            self.actions.push_back(Action::Abort(slot));
            connection.closing = true;
            self.leave_channel(slot, connection);
            return;
        }
        let publishing = !connection.replies.is_empty() || connection.is_held();
        if now >= connection.waiting_since + 2 * interval && !publishing {
            self.on_silence(slot, connection);
            return;
        }
        if now >= connection.heartbeat_at {
            connection.heartbeat_at =
                now.saturating_add(connection.delivery.heartbeat_ns.unwrap_or(interval));
            connection.output.extend_from_slice(HEARTBEAT_FRAME);
            self.touch(slot, connection);
        }
        self.set_timer(slot, connection);
    }

    /// Enters the connection's next moment.
    pub(super) fn set_timer(&mut self, slot: Slot, connection: &mut Connection) {
        self.clear_timer(slot, connection);
        let Some(interval) = interval_ns(connection) else { return };
        let silence = (connection.waiting_since + 2 * interval).max(self.now.mono_ns + NS_PER_MS);
        let at = connection.heartbeat_at.min(silence);
        connection.timer = Some(at);
        self.timers.set(slot, at);
    }

    /// Bounds how long a connection takes to end.
    pub(super) fn set_ending_timer(&mut self, slot: Slot, connection: &mut Connection) {
        self.clear_timer(slot, connection);
        let at = self.now.mono_ns + ENDING_NS_MAX;
        connection.timer = Some(at);
        self.timers.set(slot, at);
    }

    /// Forgets the connection's next moment.
    pub(super) fn clear_timer(&mut self, slot: Slot, connection: &mut Connection) {
        if let Some(at) = connection.timer.take() {
            self.timers.cancel(slot, at);
        }
    }
}

/// The heartbeat interval in force, in ns; `None` switches heartbeats and deadlines off.
fn interval_ns(connection: &Connection) -> Option<u64> {
    connection.session.identity().heartbeat_interval_ms.map(|ms| ms * NS_PER_MS)
}
