//! One send for each touched connection, and how connections end.

use crate::client::connection::Connection;
use crate::client::stage::{Act, Event, Stage};
use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::transport::Slot;

impl Engine {
    /// Marks a connection to be looked at when the turn ends.
    pub(super) fn touch(&mut self, slot: Slot, connection: &mut Connection) {
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// One send for each connection with something to say, and the end of those that are done.
    pub(super) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            let Some(mut connection) = self.connections.take(slot) else { continue };
            connection.dirty = false;
            self.flush_one(slot, &mut connection);
            self.connections.put_back(slot, connection);
        }
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    fn flush_one(&mut self, slot: Slot, connection: &mut Connection) {
        if !matches!(connection.stage, Stage::Detaching { .. } | Stage::Closing(_)) {
            if let Some(bytes) = connection.output.take(self.now.mono_ns) {
                self.actions.push_back(Action::Send(slot, bytes));
            }
            if connection.has_sent_all() {
                self.happen(slot, connection, Event::AllSent);
            }
            if connection.timer.is_none() {
                self.set_timer(slot, connection); // Something may be awaited now.
            }
        }
        self.charge(connection);
    }

    /// The kernel has taken a part of what is being sent.
    pub fn on_taken(&mut self, slot: Slot, bytes: usize) {
        self.with_taken(slot, |engine, connection| connection.output.on_taken(bytes, engine.now.mono_ns));
    }

    /// Everything handed to the transport for this slot was sent.
    pub fn on_sent(&mut self, slot: Slot, buffer: Vec<u8>) {
        self.with_taken(slot, |engine, connection| {
            connection.output.on_sent(&mut engine.buffers, buffer, engine.now.mono_ns);
        });
    }

    fn with_taken(&mut self, slot: Slot, count: impl FnOnce(&mut Self, &mut Connection)) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        count(self, &mut connection);
        let low = connection.output.is_low();
        self.happen(slot, &mut connection, Event::Taken { low });
        self.tell_room(slot, &mut connection);
        self.touch(slot, &mut connection);
        self.connections.put_back(slot, connection);
    }

    /// The transport has let go of the slot.
    pub fn on_closed(&mut self, slot: Slot) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        let act = self.happen(slot, &mut connection, Event::Closed);
        self.connections.put_back(slot, connection);
        if act == Act::Gone {
            self.forget(slot);
        }
    }

    /// Slot and permit are free again.
    pub(super) fn forget(&mut self, slot: Slot) -> Option<Box<Connection>> {
        let mut connection = self.connections.remove(slot)?;
        self.clear_timer(slot, &mut connection);
        self.discharge(slot, &mut connection);
        debug_assert!(connection.channel.is_none(), "left when the stage was");
        Some(connection)
    }

    /// The socket is broken.
    pub fn on_failed(&mut self, slot: Slot, errno: i32) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        connection.errno = errno;
        self.happen(slot, &mut connection, Event::Failed);
        self.connections.put_back(slot, connection);
    }
}
