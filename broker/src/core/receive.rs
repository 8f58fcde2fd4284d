//! From bytes to commands.

use nsq_protocol::Step;

use crate::client::connection::Connection;
use crate::client::stage::{Act, Event, Stage, Why};
use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::limits::{INPUT_BYTES_PER_TURN, RECEIPT_BYTES_MAX};
use crate::transport::Slot;

/// Bytes that an unfinished command is given at the least when more arrive: enough for most commands, few enough
/// that copying them does not count.
const STITCH_BYTES: usize = 512;

impl Engine {
    /// Bytes of a client. They are parsed in place; only an unfinished rest is kept.
    pub fn on_received(&mut self, slot: Slot, bytes: &[u8]) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        match self.happen(slot, &mut connection, Event::Bytes) {
            Act::Run => {
                let mut at = self.stitch(slot, &mut connection, bytes);
                if connection.input.is_empty() {
                    at += self.run_commands(slot, &mut connection, &bytes[at..]);
                }
                let ends = matches!(connection.stage, Stage::Ending(_) | Stage::Closing(_));
                if at < bytes.len() && !ends {
                    if connection.input.is_empty() {
                        connection.input.begun_at = self.now.mono_ns;
                    }
                    connection.input.keep(&bytes[at..]);
                }
            }
            Act::Keep => connection.input.keep(bytes),
            _ => {}
        }
        self.after_commands(slot, &mut connection);
        self.connections.put_back(slot, connection);
    }

    /// Completes the command that an earlier buffer has left unfinished with no more of `bytes` than it needs, so
    /// that the rest is parsed in place. Returns how many bytes were used.
    fn stitch(&mut self, slot: Slot, connection: &mut Connection, bytes: &[u8]) -> usize {
        let mut at = 0;
        while !connection.input.is_empty() && at < bytes.len() && connection.runs() {
            let kept = connection.input.len();
            let missing = connection.session.wanted(kept) - kept;
            let more = missing.max(STITCH_BYTES).min(bytes.len() - at);
            if missing > bytes.len() {
                connection.input.expect(missing);
            }
            connection.input.keep(&bytes[at..at + more]);
            let input = connection.input.take();
            let consumed = self.run_commands(slot, connection, &input);
            if consumed >= kept {
                // What is left of the buffer is parsed in place.
                at += consumed - kept;
                let all = input.len();
                self.put_back(connection, input, all);
            } else {
                at += more;
                self.put_back(connection, input, consumed);
            }
        }
        at
    }

    fn put_back(&self, connection: &mut Connection, input: Vec<u8>, used: usize) {
        if !matches!(connection.stage, Stage::Ending(_) | Stage::Closing(_)) {
            connection.input.put_back(input, used);
        }
    }

    /// The client will send nothing more. What it has sent is still run and answered.
    pub fn on_end_of_input(&mut self, slot: Slot) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        if self.happen(slot, &mut connection, Event::EndOfInput) == Act::Note {
            connection.input.ended = true;
        }
        self.connections.put_back(slot, connection);
    }

    /// Runs what a connection has received while it was held.
    pub(super) fn run_input(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.runs() && !connection.input.is_empty() {
            let input = connection.input.take();
            let consumed = self.run_commands(slot, connection, &input);
            self.put_back(connection, input, consumed);
        }
    }

    /// Runs whole commands at the front of `input`; returns the bytes they took.
    fn run_commands(&mut self, slot: Slot, connection: &mut Connection, input: &[u8]) -> usize {
        if connection.share.0 != self.turn {
            connection.share = (self.turn, 0);
        }
        let had = connection.share.1;
        let mut at = 0;
        while connection.runs() {
            match connection.session.next(&self.limits, &input[at..]) {
                Step::NeedMore => break,
                Step::Consumed(count) => {
                    at += count;
                    connection.waiting_since = self.now.mono_ns;
                    if connection.stage == Stage::Magic {
                        self.happen(slot, connection, Event::MagicRead);
                    }
                }
                Step::Command { consumed, command } => {
                    at += consumed;
                    connection.waiting_since = self.now.mono_ns;
                    self.command(slot, connection, command);
                }
                Step::Fatal(error) => self.fatal(slot, connection, &error),
                Step::Close => {
                    self.happen(slot, connection, Event::LastCommand);
                }
            }
            if connection.stage == Stage::Open {
                if connection.output.is_over() {
                    self.hold(slot, connection, Why::Output);
                } else if had + at > INPUT_BYTES_PER_TURN {
                    self.hold(slot, connection, Why::Turn);
                }
            }
        }
        connection.share.1 = had + at;
        at
    }

    /// Behind everything that can change a connection's input: the end that was noted, the reservation, the reading.
    pub(super) fn after_commands(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.input.ended && connection.stage == Stage::Open {
            self.happen(slot, connection, Event::EndOfInput);
        }
        self.reserve(slot, connection);
        let wants = match connection.stage {
            Stage::Magic | Stage::Open => connection.input.wants(false, false),
            Stage::Held(_) | Stage::Moving { .. } => {
                connection.input.wants(true, self.budget.receipt > RECEIPT_BYTES_MAX / 2)
            }
            // What arrives is dropped, so that the last frame is not lost to a reset.
            Stage::Ending(_) => true,
            Stage::Detaching { .. } | Stage::Closing(_) => connection.input.reading,
        };
        if wants != connection.input.reading {
            connection.input.reading = wants;
            self.actions.push_back(if wants { Action::Resume(slot) } else { Action::Pause(slot) });
        }
        self.touch(slot, connection);
    }
}
