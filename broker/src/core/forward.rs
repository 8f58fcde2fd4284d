//! Publishes of connections that live on another core than their topic: to and for other cores.

use nsq_protocol::frame::OK_FRAME;
use nsq_queue::Waiter;

use crate::client::connection::Connection;
use crate::client::replies::{Answer, PublishVerb};
use crate::client::stage::{Event, Stage, Why};
use crate::core::client_report;
use crate::core::delayed::Delayed;
use crate::core::engine::Engine;
use crate::core::publication::{Publish, Sized, WAITER_IS_REQUEST, append_sized, refusal, suspend};
use crate::limits::UNANSWERED_BYTES_MAX;
use crate::mesh::message::{CoreMessage, Forward, ForwardItem, RemoteReply};
use crate::mesh::request::Response;
use crate::transport::Slot;

impl Engine {
    pub(super) fn forward<'a>(
        &mut self,
        slot: Slot,
        connection: &mut Connection,
        home: u16,
        publish: &Publish<'_>,
        bodies: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        let bytes = publish.body_bytes + 4 * u64::from(publish.count) + publish.topic.len() as u64;
        if !self.handed.takes(home, bytes) {
            connection.suspended = Some(suspend(publish, bodies));
            self.handed.wait(home, slot);
            return self.hold(slot, connection, Why::Window);
        }
        self.handed.add(home, bytes);
        self.count_publish(connection, publish);
        let reply = connection.replies.wait(publish.verb, publish.body_bytes);
        let forward = &mut self.forwards[usize::from(home)];
        let before = forward.bytes.len();
        forward.bytes.extend_from_slice(publish.topic.as_bytes());
        append_sized(&mut forward.bytes, bodies);
        forward.items.push(ForwardItem {
            topic_size: publish.topic.len() as u8,
            defer_ms: publish.defer_ms,
            count: publish.count,
            size: forward.bytes.len() - before,
            connection: slot.to_u64(),
            reply,
            verb: publish.verb,
        });
        if connection.replies.bytes() >= UNANSWERED_BYTES_MAX as u64 {
            self.hold(slot, connection, Why::Window);
        }
    }

    /// The line of an MPUB: its topic is to exist even if its body is refused.
    pub(super) fn forward_creation(&mut self, home: u16, topic: &str) {
        let forward = &mut self.forwards[usize::from(home)];
        forward.bytes.extend_from_slice(topic.as_bytes());
        forward.items.push(ForwardItem {
            topic_size: topic.len() as u8,
            defer_ms: 0,
            count: 0,
            size: topic.len(),
            connection: 0,
            reply: 0,
            verb: PublishVerb::Mpub,
        });
        self.handed.add(home, topic.len() as u64);
    }

    /// Publishes of connections of another core.
    pub(super) fn on_forward(&mut self, from: u16, forward: Box<Forward>) {
        if self.must_delay() {
            self.delayed.push_back(Delayed::Forward { from, forward, done: (0, 0) });
        } else {
            let left = self.run_forward(from, forward, (0, 0));
            self.delayed.extend(left);
        }
    }

    /// Carries publishes out, from `done` items and their bytes on; returns what has to wait for the log.
    pub(super) fn run_forward(
        &mut self,
        from: u16,
        forward: Box<Forward>,
        done: (usize, usize),
    ) -> Option<Delayed> {
        let (start, mut at) = done;
        for (index, item) in forward.items.iter().enumerate().skip(start) {
            let bytes = &forward.bytes[at..at + item.size];
            let (name, messages) = bytes.split_at(usize::from(item.topic_size));
            let topic = std::str::from_utf8(name).expect("invariant: the name of a topic that was checked");
            let publish = Publish {
                topic,
                verb: item.verb,
                defer_ms: item.defer_ms,
                count: item.count,
                body_bytes: (messages.len() - 4 * item.count as usize) as u64,
            };
            let key = self.topic_or_create(topic);
            if self.publishers_wait() {
                self.took(from, (at - done.1) as u64);
                return Some(Delayed::Forward { from, forward, done: (index, at) });
            }
            at += item.size;
            if item.count == 0 {
                continue;
            }
            let waiter = Waiter { origin: from, connection: item.connection, reply: item.reply };
            if self.publish(key, &publish, Sized(messages), waiter).is_err() {
                self.answer_waiter(waiter, 1, false);
            }
        }
        self.took(from, (at - done.1) as u64);
        None
    }

    pub(super) fn send_gathered(&mut self) {
        for (core, forward) in self.forwards.iter_mut().enumerate() {
            if !forward.items.is_empty() {
                self.mesh.send(core, CoreMessage::Forward(Box::new(std::mem::take(forward))));
            }
        }
        for (core, replies) in self.remote_replies.iter_mut().enumerate() {
            if !replies.is_empty() {
                self.mesh.send(core, CoreMessage::Replies(std::mem::take(replies)));
            }
        }
    }

    /// Answers `count` publishes from `waiter` on, wherever their connection lives.
    pub(super) fn answer_waiter(&mut self, waiter: Waiter, count: u64, ok: bool) {
        let Waiter { origin, connection, reply } = waiter;
        if origin != self.id {
            let reply = RemoteReply { connection, first: reply, count, ok };
            self.remote_replies[usize::from(origin)].push(reply);
        } else if connection & WAITER_IS_REQUEST != 0 {
            if let Some((requester, response)) = self.pending.take(connection & !WAITER_IS_REQUEST) {
                self.answer(requester, if ok { response } else { Response::Refused });
            }
        } else {
            self.on_replies(RemoteReply { connection, first: reply, count, ok });
        }
    }

    /// Answers to publishes of a connection of this core.
    pub(super) fn on_replies(&mut self, reply: RemoteReply) {
        let slot = Slot::from_u64(reply.connection);
        let Some(mut connection) = self.connections.take(slot) else { return };
        if !reply.ok {
            client_report::refused(&connection, &refusal(connection.replies.verb(reply.first)));
        }
        let Connection { replies, output, .. } = &mut *connection;
        output.grow(&mut self.buffers, reply.count as usize * OK_FRAME.len());
        output.answer(|out| {
            if reply.ok {
                replies.complete_ok(reply.first, reply.count, out);
            } else {
                for number in reply.first..reply.first + reply.count {
                    replies.complete(number, Answer::last(&refusal(replies.verb(number))), out);
                }
            }
        });
        if connection.replies.is_empty() {
            connection.waiting_since = self.now.mono_ns; // Until now it was the client who waited.
        }
        let low = connection.replies.bytes() < UNANSWERED_BYTES_MAX as u64 / 2;
        self.happen(slot, &mut connection, Event::Answered { low });
        if !reply.ok && matches!(connection.stage, Stage::Open | Stage::Held(_) | Stage::Moving { .. }) {
            self.happen(slot, &mut connection, Event::LastCommand);
        }
        self.touch(slot, &mut connection);
        self.connections.put_back(slot, connection);
    }
}
