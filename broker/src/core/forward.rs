//! Publishes of connections that live on another core than their topic: to and for other cores.

use nsq_queue::Waiter;

use crate::client::connection::Connection;
use crate::core::delayed::Delayed;
use crate::core::engine::Engine;
use crate::core::publication::{Publish, Sized, WAITER_IS_REQUEST, append_sized, refusal};
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
        bodies: impl Iterator<Item = &'a [u8]>,
    ) {
        self.count_publish(connection, publish);
        let reply = connection.replies.wait(publish.verb);
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
        self.hold_if_backlogged(slot, connection);
    }

    /// Publishes of connections of another core.
    pub(super) fn on_forward(&mut self, from: u16, forward: Box<Forward>) {
        if self.must_delay() {
            self.delayed.push_back(Delayed::Forward(from, forward));
        } else {
            self.run_forward(from, &forward);
        }
    }

    pub(super) fn run_forward(&mut self, from: u16, forward: &Forward) {
        let mut at = 0;
        for item in &forward.items {
            let bytes = &forward.bytes[at..at + item.size];
            at += item.size;
            let (name, messages) = bytes.split_at(usize::from(item.topic_size));
            let Ok(topic) = std::str::from_utf8(name) else { continue };
            let publish = Publish {
                topic,
                verb: item.verb,
                defer_ms: item.defer_ms,
                count: item.count,
                body_bytes: (messages.len() - 4 * item.count as usize) as u64,
            };
            let waiter = Waiter { origin: from, connection: item.connection, reply: item.reply };
            let key = self.topic_or_create(topic);
            if self.publish(key, &publish, Sized(messages), waiter).is_err() {
                self.answer_waiter(waiter, 1, false);
            }
        }
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
}
