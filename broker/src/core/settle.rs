//! The second half of a turn: what the queue wants done, answers, and bytes for clients.

use nsq_protocol::WireError;
use nsq_queue::{ConsumerId, Input, Output, QueueRecord, Waiter};

use crate::client::connection::{Connection, Hold, OUTPUT_BYTES_MAX, REPLIES_WAITING_MAX};
use crate::client::replies::Answer;
use crate::core::engine::{Action, Engine};
use crate::core::publish::{WAITER_IS_REQUEST, refusal};
use crate::core::topics::{shard_of, topic_id};
use crate::lookup::Change;
use crate::mesh::message::{Mail, RemoteReply};
use crate::mesh::request::Response;
use crate::transport::Slot;

/// Rounds of outputs and completions in one turn before the rest waits for the next. Two are usual: the log
/// releases, the queue delivers.
const SETTLE_ROUNDS_MAX: usize = 64;

impl Engine {
    /// Carries out everything that this turn's events have led to, up to the bytes in each connection's output.
    pub fn settle(&mut self) {
        self.queue.handle_timeout(self.now);
        for _ in 0..SETTLE_ROUNDS_MAX {
            self.queue.end_turn(self.now, u64::MAX);
            let mut progress = false;
            while let Some(output) = self.queue.poll_output() {
                progress = true;
                self.on_output(output);
            }
            while let Some((slot, response)) = self.answered.pop_front() {
                progress = true;
                self.on_answered(slot, response);
            }
            progress |= self.turn_logs();
            if !progress {
                break;
            }
        }
        self.run_delayed();
        self.release_backlogged();
        self.send_gathered_mail();
        self.flush();
    }

    fn on_output(&mut self, output: Output) {
        match output {
            Output::Deliver { consumer, payload, count: _ } => {
                self.with_consumer(consumer, |connection| connection.output.extend_from_slice(&payload));
            }
            Output::Redeliver { consumer, message, attempts } => {
                self.with_consumer(consumer, |connection| {
                    let at = connection.output.len() + nsq_queue::batch::ATTEMPTS_OFFSET;
                    connection.output.extend_from_slice(&message);
                    connection.output[at..at + 2].copy_from_slice(&attempts.to_be_bytes());
                });
            }
            Output::Reply { origin, connection, first_reply, count, result } => {
                let waiter = Waiter { origin, connection, reply: first_reply };
                self.answer_waiter(waiter, count, result.is_ok());
            }
            // FIN, REQ and TOUCH go in by methods that return what is wrong with them.
            Output::Failed { .. } => {}
            Output::Subscribed { consumer, result } => {
                let slot = Slot::from_u64(consumer.0);
                if let Some(mut connection) = self.connections.take(slot) {
                    self.on_subscribed(slot, &mut connection, result);
                    self.connections.put_back(slot, connection);
                }
            }
            Output::Close { consumer } => {
                let slot = Slot::from_u64(consumer.0);
                if let Some(mut connection) = self.connections.take(slot) {
                    connection.channel = None; // The queue has forgotten it already.
                    self.close(slot, &mut connection);
                    self.connections.put_back(slot, connection);
                }
            }
            // The log was told when the topic was opened.
            Output::Record { record: QueueRecord::TopicCreated { .. }, .. } => {}
            Output::Record { topic, record } => {
                self.logs.record(shard_of(topic), topic_id(topic), record);
            }
            Output::Fetch { topic, seq, core } => {
                self.logs.fetch(shard_of(topic), topic_id(topic), seq, core)
            }
            Output::Peer { core, message } => self.mesh.send(usize::from(core), Mail::Queue(message)),
            Output::AdminDone { token } => {
                self.on_effect(token.0);
            }
            Output::Registered { topic_name, channel, .. } => {
                self.register(Change::added(&topic_name, channel.as_ref().map(|(_, name)| &**name)));
            }
            Output::Unregistered { topic_name, channel, .. } => {
                self.register(Change::removed(&topic_name, channel.as_ref().map(|(_, name)| &**name)));
            }
            Output::Latency { channel, latency_ns } => {
                if let Some(latencies) = &mut self.latencies {
                    latencies.record(channel, self.now.mono_ns, latency_ns);
                }
            }
        }
    }

    fn register(&mut self, change: Change) {
        if self.id == 0 {
            self.tasks_woken = true;
            self.registrations.push(change);
        } else {
            self.mesh.send(0, Mail::Registration(change));
        }
    }

    fn with_consumer(&mut self, consumer: ConsumerId, act: impl FnOnce(&mut Connection)) {
        let slot = Slot::from_u64(consumer.0);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.closing {
            return;
        }
        act(connection);
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// Answers `count` publishes from `waiter` on, wherever their connection lives.
    pub(super) fn answer_waiter(&mut self, waiter: Waiter, count: u64, ok: bool) {
        let Waiter { origin, connection, reply } = waiter;
        if origin != self.id {
            let reply = RemoteReply { connection, first: reply, count, ok };
            self.remote_replies[usize::from(origin)].push(reply);
        } else if connection & WAITER_IS_REQUEST != 0 {
            if let Some((asker, response)) = self.asks.take(connection & !WAITER_IS_REQUEST) {
                self.answer(asker, if ok { response } else { Response::Refused });
            }
        } else {
            self.on_replies(RemoteReply { connection, first: reply, count, ok });
        }
    }

    /// Answers to publishes of a connection of this core.
    pub(super) fn on_replies(&mut self, reply: RemoteReply) {
        let slot = Slot::from_u64(reply.connection);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if reply.ok {
            connection.replies.complete_ok(reply.first, reply.count, &mut connection.output);
        } else {
            for number in reply.first..reply.first + reply.count {
                let verb = connection.replies.verb(number);
                connection.replies.complete(number, refusal(verb), &mut connection.output);
            }
        }
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// The answer that a held connection waits for.
    fn on_answered(&mut self, slot: Slot, response: Response) {
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

    /// Lets connections go on that waited for the log, or for their own answers.
    fn release_backlogged(&mut self) {
        if self.backlogged.is_empty() || self.logs.are_backlogged() {
            return;
        }
        for slot in std::mem::take(&mut self.backlogged) {
            let Some(mut connection) = self.connections.take(slot) else { continue };
            if connection.hold == Hold::Backlog {
                if connection.replies.len() < REPLIES_WAITING_MAX / 2 {
                    self.go_on(slot, &mut connection);
                } else {
                    self.backlogged.push(slot);
                }
            }
            self.connections.put_back(slot, connection);
        }
    }

    fn send_gathered_mail(&mut self) {
        for (core, forward) in self.forwards.iter_mut().enumerate() {
            if !forward.items.is_empty() {
                self.mesh.send(core, Mail::Forward(Box::new(std::mem::take(forward))));
            }
        }
        for (core, replies) in self.remote_replies.iter_mut().enumerate() {
            if !replies.is_empty() {
                self.mesh.send(core, Mail::Replies(std::mem::take(replies)));
            }
        }
    }

    /// Marks a connection to be looked at when the turn ends.
    pub(super) fn touch(&mut self, slot: Slot, connection: &mut Connection) {
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// One send for each connection with something to say, and the end of those that are done.
    fn flush(&mut self) {
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
