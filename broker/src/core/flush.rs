//! One send for each touched connection, and how connections end.

use nsq_protocol::WireError;
use nsq_queue::{ConsumerId, Input};

use crate::client::connection::{Connection, Hold, OUTPUT_BYTES_MAX};
use crate::client::replies::Answer;
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
        self.dirty = dirty;
    }

    fn flush_one(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.closing {
            return;
        }
        if !connection.sending && !connection.output.is_empty() {
            let spare = std::mem::take(&mut connection.spare);
            let bytes = std::mem::replace(&mut connection.output, spare);
            connection.sending = true;
            connection.sending_since = self.now.mono_ns;
            self.actions.push_back(Action::Send(slot, bytes));
        }
        let blocked = connection.output.len() > OUTPUT_BYTES_MAX;
        if blocked != connection.output_blocked {
            connection.output_blocked = blocked;
            if connection.channel.is_some() {
                let consumer = ConsumerId(slot.to_u64());
                self.queue.handle(
                    self.now,
                    Input::Writable { consumer, room_bytes: if blocked { 0 } else { u64::MAX } },
                );
            }
        }
        if connection.sending || !connection.output.is_empty() {
            if connection.replies.ended() && connection.output.is_empty() {
                // The last frame is on its way; the transport sends it before it closes.
                self.close(slot, connection);
            }
            return;
        }
        if connection.replies.ended() || (connection.hold == Hold::Ending && connection.is_done()) {
            self.close(slot, connection);
        } else if matches!(connection.hold, Hold::Moving { .. })
            && connection.replies.is_empty()
            && !connection.detaching
        {
            connection.detaching = true;
            self.actions.push_back(Action::Detach(slot));
        }
    }

    /// The client takes what it is sent, however slowly: its write deadline starts anew.
    pub fn on_taken(&mut self, slot: Slot) {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.sending_since = self.now.mono_ns;
        }
    }

    /// Everything handed to the transport for this slot was sent.
    pub fn on_sent(&mut self, slot: Slot, mut buffer: Vec<u8>) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        connection.sending = false;
        buffer.clear();
        if buffer.capacity() <= OUTPUT_BYTES_MAX {
            connection.spare = buffer;
        }
        self.touch(slot, &mut connection);
        self.connections.put_back(slot, connection);
    }

    /// Answers with an error behind everything owed, then closes.
    pub(super) fn fatal(&mut self, slot: Slot, connection: &mut Connection, error: &WireError) {
        connection.input = Vec::new();
        connection.hold = Hold::Ending;
        self.set_ending_timer(slot, connection);
        self.leave_channel(slot, connection);
        connection.replies.push(Answer::last(error), &mut connection.output);
        self.touch(slot, connection);
    }

    /// Closes without a word; what is being sent is sent first.
    pub(super) fn close(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.closing {
            return;
        }
        connection.closing = true;
        connection.input = Vec::new();
        self.leave_channel(slot, connection);
        self.clear_timer(slot, connection);
        self.actions.push_back(Action::Close(slot));
    }

    /// The transport has let go of the slot.
    pub fn on_closed(&mut self, slot: Slot) {
        if let Some(mut connection) = self.connections.remove(slot) {
            self.leave_channel(slot, &mut connection);
            self.clear_timer(slot, &mut connection);
        }
    }

    /// The socket is broken.
    pub fn on_failed(&mut self, slot: Slot) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        self.close(slot, &mut connection);
        self.connections.put_back(slot, connection);
    }
}
