//! What the queue wants: frames, answers, records, messages to other cores.

use nsq_queue::{ConsumerId, Output, QueueRecord, Waiter};

use crate::client::connection::Connection;
use crate::core::engine::Engine;
use crate::core::keys::{shard_of, topic_id};
use crate::mesh::message::{Change, CoreMessage, LookupNotice};
use crate::transport::Slot;

/// Rounds of outputs and completions in one turn before the rest waits for the next. Two are usual: the log
/// releases, the queue delivers.
const OUTPUT_ROUNDS_MAX: usize = 64;

impl Engine {
    /// Carries out everything that this turn's events have led to, up to the bytes in each connection's output.
    pub(super) fn run_outputs(&mut self) {
        self.queue.handle_timeout(self.now);
        for _ in 0..OUTPUT_ROUNDS_MAX {
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
    }

    /// Gives the log the facts that the queue has for it, ahead of the other outputs.
    pub(super) fn record_outputs(&mut self) {
        for (topic, record) in self.queue.take_records() {
            self.on_output(Output::Record { topic, record });
        }
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
            Output::Peer { core, message } => self.mesh.send(usize::from(core), CoreMessage::Queue(message)),
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
            self.tell_lookup(LookupNotice::Changed(change));
        } else {
            self.mesh.send(0, CoreMessage::Registration(change));
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
}
