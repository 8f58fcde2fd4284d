//! What the queue wants: frames, answers, records, messages to other cores.

use nsq_queue::batch::ATTEMPTS_OFFSET;
use nsq_queue::{ConsumerId, Output, QueueRecord, Waiter};

use crate::client::connection::Connection;
use crate::client::output::Buffers;
use crate::client::stage::{Act, Event};
use crate::core::engine::Engine;
use crate::core::handed;
use crate::core::keys::{shard_of, topic_id};
use crate::core::report;
use crate::limits::OUTPUT_ROUNDS_MAX;
use crate::mesh::message::{Change, CoreMessage, LookupNotice};
use crate::transport::Slot;

impl Engine {
    /// Carries out everything that this turn's events have led to, up to the bytes in each connection's output.
    pub(super) fn run_outputs(&mut self) {
        self.queue.handle_timeout(self.now);
        let mut left = self.budget.deal_bytes_max();
        for round in 1..=OUTPUT_ROUNDS_MAX {
            left = left.saturating_sub(self.queue.end_turn(self.now, left));
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
            self.turn_again |= round == OUTPUT_ROUNDS_MAX;
        }
        // What is dealt no more because clients do not read goes on when they do.
        self.turn_again |= self.queue.has_more_to_deal() && self.budget.deal_bytes_max() > 0;
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
                self.deliver(consumer, |connection, buffers| connection.output.deliver(buffers, &payload));
            }
            Output::Redeliver { consumer, message, attempts } => {
                self.deliver(consumer, |connection, buffers| {
                    connection.output.redeliver(buffers, &message, ATTEMPTS_OFFSET, attempts);
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
                    self.happen(slot, &mut connection, Event::ChannelDeleted);
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
            Output::Peer { core, message } => {
                self.handed.add(core, handed::weight(&message));
                self.mesh.send(usize::from(core), CoreMessage::Queue(message));
            }
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
        report::changed(&change);
        if self.id == 0 {
            self.tell_lookup(LookupNotice::Changed(change));
        } else {
            self.mesh.send(0, CoreMessage::Registration(change));
        }
    }

    fn deliver(&mut self, consumer: ConsumerId, write: impl FnOnce(&mut Connection, &mut Buffers)) {
        let slot = Slot::from_u64(consumer.0);
        let Some(mut connection) = self.connections.take(slot) else { return };
        if self.happen(slot, &mut connection, Event::Delivery) == Act::Write {
            write(&mut connection, &mut self.buffers);
            self.touch(slot, &mut connection);
        }
        self.connections.put_back(slot, connection);
    }
}
