//! From bytes to commands.

use nsq_protocol::Step;

use crate::client::connection::{Connection, Hold, INPUT_BYTES_PAUSE};
use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::transport::Slot;

/// Bytes that an unfinished command is given at the least when more arrive: enough for most commands, few enough
/// that copying them does not count.
const STITCH_BYTES: usize = 512;

/// Capacity of an empty input buffer that is worth keeping.
const KEPT_BUFFER_BYTES: usize = 4096;

impl Engine {
    /// Bytes of a client. They are parsed in place; only an unfinished rest is kept.
    pub fn on_received(&mut self, slot: Slot, bytes: &[u8]) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        let mut at = self.stitch(slot, &mut connection, bytes);
        if connection.input.is_empty() {
            at += self.run_commands(slot, &mut connection, &bytes[at..]);
        }
        if !connection.closing && connection.hold != Hold::Ending {
            connection.input.extend_from_slice(&bytes[at..]);
        }
        self.after_commands(slot, &mut connection);
        self.connections.put_back(slot, connection);
    }

    /// Completes the command that an earlier buffer has left unfinished with no more of `bytes` than it needs, so
    /// that the rest is parsed in place. Returns how many bytes were used.
    fn stitch(&mut self, slot: Slot, connection: &mut Connection, bytes: &[u8]) -> usize {
        let mut at = 0;
        while !connection.input.is_empty() && at < bytes.len() && connection.hold == Hold::None {
            let kept = connection.input.len();
            let missing = connection.session.wanted(kept) - kept;
            let more = missing.max(STITCH_BYTES).min(bytes.len() - at);
            if missing > bytes.len() {
                connection.input.reserve(missing.min(INPUT_BYTES_PAUSE));
            }
            connection.input.extend_from_slice(&bytes[at..at + more]);
            let mut input = std::mem::take(&mut connection.input);
            let consumed = self.run_commands(slot, connection, &input);
            if consumed >= kept {
                at += consumed - kept;
                input.clear();
            } else {
                at += more;
                input.drain(..consumed);
            }
            if connection.hold != Hold::Ending && !connection.closing {
                connection.input = keep_buffer(input);
            }
        }
        at
    }

    /// The client will send nothing more. What it has sent is still run and answered.
    pub fn on_end_of_input(&mut self, slot: Slot) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        connection.end_of_input = true;
        self.end_if_done(slot, &mut connection);
        self.connections.put_back(slot, connection);
    }

    /// Runs what a connection has received while it was held.
    pub(super) fn resume(&mut self, slot: Slot, connection: &mut Connection) {
        connection.hold = Hold::None;
        self.run_input(slot, connection);
        self.after_commands(slot, connection);
    }

    fn run_input(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.hold != Hold::None || connection.closing {
            return;
        }
        let mut input = std::mem::take(&mut connection.input);
        let consumed = self.run_commands(slot, connection, &input);
        input.drain(..consumed);
        if connection.hold != Hold::Ending && !connection.closing {
            connection.input = keep_buffer(input);
        }
    }

    /// Runs whole commands at the front of `input`; returns the bytes they took.
    fn run_commands(&mut self, slot: Slot, connection: &mut Connection, input: &[u8]) -> usize {
        let mut at = 0;
        while connection.hold == Hold::None && !connection.closing {
            match connection.session.next(&self.limits, &input[at..]) {
                Step::NeedMore => break,
                Step::Consumed(count) => {
                    at += count;
                    connection.waiting_since = self.now.mono_ns;
                }
                Step::Command { consumed, command } => {
                    at += consumed;
                    connection.waiting_since = self.now.mono_ns;
                    self.command(slot, connection, command);
                }
                Step::Fatal(error) => self.fatal(slot, connection, &error),
                Step::Close => self.end(slot, connection),
            }
        }
        at
    }

    fn after_commands(&mut self, slot: Slot, connection: &mut Connection) {
        let waits = connection.hold != Hold::None;
        if waits && !connection.input_paused && connection.input.len() > INPUT_BYTES_PAUSE {
            connection.input_paused = true;
            self.actions.push_back(Action::Pause(slot));
        } else if !waits && connection.input_paused && !connection.closing {
            connection.input_paused = false;
            self.actions.push_back(Action::Resume(slot));
        }
        if connection.end_of_input {
            self.end_if_done(slot, connection);
        }
        self.touch(slot, connection);
    }

    /// After the last byte: the error for a command cut short, or the end once everything owed was sent.
    fn end_if_done(&mut self, slot: Slot, connection: &mut Connection) {
        if !connection.closing && connection.hold == Hold::None {
            self.end_of_commands(slot, connection);
        }
    }

    /// The read deadline passed. As the end of input.
    pub(super) fn on_silence(&mut self, slot: Slot, connection: &mut Connection) {
        self.end_of_commands(slot, connection);
    }

    fn end_of_commands(&mut self, slot: Slot, connection: &mut Connection) {
        let input = std::mem::take(&mut connection.input);
        match connection.session.end(&self.limits, &input) {
            Some(error) => self.fatal(slot, connection, &error),
            None => self.end(slot, connection),
        }
    }

    /// Sends what is owed, then closes.
    fn end(&mut self, slot: Slot, connection: &mut Connection) {
        connection.input = Vec::new();
        connection.hold = Hold::Ending;
        self.set_ending_timer(slot, connection);
        self.leave_channel(slot, connection);
        self.touch(slot, connection);
    }
}

/// An idle connection keeps a small buffer, not that of its largest command.
fn keep_buffer(input: Vec<u8>) -> Vec<u8> {
    if input.is_empty() && input.capacity() > KEPT_BUFFER_BYTES { Vec::new() } else { input }
}
