//! Publishing: by a connection, for another core, for an HTTP handler, or after a wait.
//!
//! A publish takes numbers from its topic in the queue and appends to the log of its shard; nothing in here can
//! answer OK. That happens in `outputs`, when the log's completion has gone through the queue.

use bytes::{Bytes, BytesMut};
use nsq_protocol::MessageId;
use nsq_protocol::message::{MESSAGE_OVERHEAD, write_message_header};
use nsq_queue::{Batch, Input, TopicKey, Waiter};

use crate::client::connection::Connection;
use crate::client::replies::{Answer, PublishVerb};
use crate::client::stage::{Event, Why};
use crate::client::suspended::Suspended;
use crate::core::client_report;
use crate::core::delayed::Delayed;
use crate::core::engine::Engine;
use crate::core::keys::{is_memory, shard_of, topic_id};
use crate::core::pending::Requester;
use crate::core::publication::{Publish, Refused, WAITER_IS_REQUEST, refusal, suspend};
use crate::mesh::request::Response;
use crate::transport::Slot;

impl Engine {
    /// A publishing command of one of this core's connections.
    pub(super) fn publish_for<'a>(
        &mut self,
        slot: Slot,
        connection: &mut Connection,
        publish: Publish<'_>,
        bodies: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        let home = self.placement.core_of_topic(publish.topic);
        if home != self.id {
            if self.may_move(connection) {
                connection.suspended = Some(suspend(&publish, bodies));
                self.begin_move(slot, connection, home);
            } else {
                self.forward(slot, connection, home, &publish, bodies);
            }
            return;
        }
        connection.settled = true;
        let Some(topic) = self.queue.topic_by_name(publish.topic) else {
            if self.must_discover(publish.topic) {
                connection.suspended = Some(suspend(&publish, bodies));
                self.hold(slot, connection, Why::Discovery);
                self.discover(publish.topic, Requester::Connection(slot));
            } else {
                self.create_topic(publish.topic);
                self.publish_for(slot, connection, publish, bodies);
            }
            return;
        };
        if self.publishers_wait() {
            connection.suspended = Some(suspend(&publish, bodies));
            reach!("core.publish.held-for-log");
            return self.hold(slot, connection, Why::Log);
        }
        self.count_publish(connection, &publish);
        let reply = connection.replies.wait(publish.verb, publish.body_bytes);
        let waiter = Waiter { origin: self.id, connection: slot.to_u64(), reply };
        if self.publish(topic, &publish, bodies, waiter).is_err() {
            let error = refusal(publish.verb);
            client_report::refused(connection, &error);
            let Connection { replies, output, .. } = connection;
            output.answer(|out| replies.complete(reply, Answer::last(&error), out));
            // Nothing that was sent behind it is carried out, though earlier answers may still be owed.
            self.happen(slot, connection, Event::LastCommand);
        }
        if planted!(OkAtPublish) {
            let Connection { replies, output, .. } = connection;
            output.answer(|out| replies.complete(reply, Answer::Ok, out));
        }
        self.hold_publisher(slot, connection);
    }

    /// Numbers the messages and appends them to the log of their shard.
    pub(super) fn publish<'a>(
        &mut self,
        topic: TopicKey,
        publish: &Publish<'_>,
        bodies: impl Iterator<Item = &'a [u8]> + Clone,
        waiter: Waiter,
    ) -> Result<(), Refused> {
        if is_memory(topic) {
            return self.publish_memory(topic, publish, bodies, waiter);
        }
        let shard = shard_of(topic);
        if self.logs.refuses_publishes(shard) {
            return Err(Refused);
        }
        let first_seq = self.queue.publish(topic, publish.count, waiter).map_err(|_| Refused)?;
        let record = nsq_wal::Publish {
            topic: topic_id(topic),
            first_seq,
            count: publish.count,
            defer_ms: publish.defer_ms,
            timestamp_ns: self.now.wall_ns,
        };
        let placed = self.logs.publish(shard, record, bodies);
        if placed.is_err() {
            self.queue.handle(self.now, Input::AppendFailed { topic, from_seq: first_seq });
            return Ok(()); // The queue answers the waiter.
        }
        Ok(())
    }

    /// A memory-only topic has no log: what is published is there at once.
    fn publish_memory<'a>(
        &mut self,
        topic: TopicKey,
        publish: &Publish<'_>,
        bodies: impl Iterator<Item = &'a [u8]> + Clone,
        waiter: Waiter,
    ) -> Result<(), Refused> {
        let first_seq = self.queue.publish(topic, publish.count, waiter).map_err(|_| Refused)?;
        let first_id = self.memory_message;
        self.memory_message += u64::from(publish.count);
        let mut payload =
            BytesMut::with_capacity(publish.body_bytes as usize + publish.count as usize * MESSAGE_OVERHEAD);
        for (index, body) in bodies.enumerate() {
            let mut header = [0; MESSAGE_OVERHEAD];
            let id = MessageId(first_id + index as u64);
            write_message_header(&mut header, body.len(), self.now.wall_ns, 1, id);
            payload.extend_from_slice(&header);
            payload.extend_from_slice(body);
        }
        let payload = payload.freeze();
        let cost_bytes = payload.len() as u32;
        let batch = Batch {
            first_seq,
            first_id,
            count: publish.count,
            defer_ms: publish.defer_ms,
            payload,
            cost_bytes,
        };
        self.queue.handle(self.now, Input::Appended { topic, batch });
        Ok(())
    }

    /// A publish by an HTTP handler, at the topic's core. `requester` hears of it after the commit.
    pub(super) fn publish_request(
        &mut self,
        requester: Requester,
        topic: String,
        defer_ms: u32,
        bodies: Vec<Bytes>,
    ) {
        if self.must_delay() {
            self.delayed.push_back(Delayed::Request { requester, topic, defer_ms, bodies });
        } else {
            let left = self.run_publish_request(requester, topic, defer_ms, bodies);
            self.delayed.extend(left);
        }
    }

    /// Returns the request if it has to wait for the log.
    pub(super) fn run_publish_request(
        &mut self,
        requester: Requester,
        topic: String,
        defer_ms: u32,
        bodies: Vec<Bytes>,
    ) -> Option<Delayed> {
        let key = self.topic_or_create(&topic);
        if bodies.is_empty() {
            self.answer(requester, Response::Done);
            return None;
        }
        let publish = Publish {
            topic: &topic,
            verb: PublishVerb::Pub,
            defer_ms,
            count: bodies.len() as u32,
            body_bytes: bodies.iter().map(|body| body.len() as u64).sum(),
        };
        if self.publishers_wait() {
            return Some(Delayed::Request { requester, topic, defer_ms, bodies });
        }
        let number = self.pending.add(requester, Response::Done);
        let waiter = Waiter { origin: self.id, connection: WAITER_IS_REQUEST | number, reply: 0 };
        if self.publish(key, &publish, bodies.iter().map(Bytes::as_ref), waiter).is_err() {
            self.answer_waiter(waiter, 1, false);
        }
        None
    }

    /// The line of an MPUB: its topic is created before the body is looked at.
    pub(super) fn mpub_topic(&mut self, slot: Slot, connection: &mut Connection, topic: &str) {
        let home = self.placement.core_of_topic(topic);
        if home != self.id {
            if self.may_move(connection) {
                connection.suspended = Some(Suspended::MpubTopic { topic: topic.to_owned() });
                self.begin_move(slot, connection, home);
            } else {
                // Behind what was handed over before, and before the body: order does the rest, nobody waits.
                self.forward_creation(home, topic);
            }
            return;
        }
        if self.queue.topic_by_name(topic).is_some() {
            return;
        }
        if self.must_discover(topic) {
            self.hold(slot, connection, Why::Discovery);
            self.discover(topic, Requester::Connection(slot));
        } else {
            self.create_topic(topic);
        }
    }

    pub(super) fn count_publish(&self, connection: &mut Connection, publish: &Publish<'_>) {
        connection.count_published(publish.topic, u64::from(publish.count));
    }
}
