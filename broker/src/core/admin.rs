//! Operators' requests, and requests of other cores, at the core that they concern.

use std::sync::Arc;

use nsq_queue::{Admin, Input, Token, TopicKey};

use crate::core::engine::Engine;
use crate::core::keys::{is_memory, shard_of};
use crate::core::pending::Requester;
use crate::core::report;
use crate::mesh::message::{CoreMessage, LookupNotice};
use crate::mesh::request::{Request, Response};

impl Engine {
    /// A request at the core that it concerns.
    pub(super) fn on_request(&mut self, requester: Requester, request: Request) {
        match request {
            Request::Publish { topic, defer_ms, bodies } => {
                self.publish_request(requester, topic, defer_ms, bodies);
            }
            Request::CreateTopic { topic } => {
                if self.must_discover(&topic) {
                    return self.discover(&topic, requester);
                }
                let key = self.topic_or_create(&topic);
                let token = self.token(requester, key);
                self.on_effect(token.0);
            }
            Request::Ensure { topic, channel } => {
                let key = self.topic_or_create(&topic);
                // Answered when the channel's core knows the channel: a subscription is refused before.
                let token = self.pending.add(requester, Response::ChannelNotFound);
                match self.channel_or_create(key, &topic, &channel, Some(Token(token))) {
                    Some((channel, core)) => self.pending.prepare(token, Response::Ensured { channel, core }),
                    None => self.answer_pending(token),
                }
            }
            Request::CreateChannel { topic, channel } => {
                let Some(key) = self.queue.topic_by_name(&topic) else {
                    return self.answer(requester, Response::TopicNotFound);
                };
                let token = self.token(requester, key);
                if self.channel_or_create(key, &topic, &channel, Some(token)).is_none() {
                    self.on_effect(token.0);
                }
            }
            Request::DeleteTopic { topic } => self.admin_topic(requester, &topic, Admin::DeleteTopic),
            Request::EmptyTopic { topic } => self.admin_topic(requester, &topic, Admin::EmptyTopic),
            Request::PauseTopic { topic, paused: true } => {
                self.admin_topic(requester, &topic, Admin::PauseTopic)
            }
            Request::PauseTopic { topic, paused: false } => {
                self.admin_topic(requester, &topic, Admin::UnpauseTopic)
            }
            Request::DeleteChannel { topic, channel } => {
                self.admin_channel(requester, &topic, &channel, Admin::DeleteChannel);
            }
            Request::EmptyChannel { topic, channel } => {
                self.admin_channel(requester, &topic, &channel, Admin::EmptyChannel);
            }
            Request::PauseChannel { topic, channel, paused: true } => {
                self.admin_channel(requester, &topic, &channel, Admin::PauseChannel);
            }
            Request::PauseChannel { topic, channel, paused: false } => {
                self.admin_channel(requester, &topic, &channel, Admin::UnpauseChannel);
            }
            Request::LookupdChanged => {
                self.tell_lookup(LookupNotice::AddressesChanged);
                self.answer(requester, Response::Done);
            }
            Request::Stats(filter) => {
                let stats = self.core_stats(&filter);
                self.answer(requester, Response::Stats(Box::new(stats)));
            }
        }
    }

    /// For an operator's request on `topic`: what was answered survives a crash.
    fn token(&mut self, requester: Requester, topic: TopicKey) -> Token {
        let number = if is_memory(topic) {
            self.pending.add(requester, Response::Done)
        } else {
            self.pending.add_durable(requester, Response::Done, shard_of(topic))
        };
        Token(number)
    }

    fn admin_topic(&mut self, requester: Requester, topic: &str, action: Admin) {
        let Some(key) = self.queue.topic_by_name(topic) else {
            return self.answer(requester, Response::TopicNotFound);
        };
        let token = Some(self.token(requester, key));
        report::operated(topic, &action);
        self.queue.handle(self.now, Input::Admin { topic: key, action, token });
    }

    fn admin_channel(
        &mut self,
        requester: Requester,
        topic: &str,
        channel: &str,
        action: fn(Arc<str>) -> Admin,
    ) {
        let Some(key) = self.queue.topic_by_name(topic) else {
            return self.answer(requester, Response::TopicNotFound);
        };
        if self.queue.channel_by_name(key, channel).is_none() {
            return self.answer(requester, Response::ChannelNotFound);
        }
        let token = Some(self.token(requester, key));
        let action = action(channel.into());
        report::operated(topic, &action);
        self.queue.handle(self.now, Input::Admin { topic: key, action, token });
    }

    /// Sends a request to the core that it concerns.
    pub(super) fn request(&mut self, core: u16, requester: Requester, request: Request) {
        if core == self.id {
            self.on_request(requester, request);
        } else {
            let number = self.pending.add(requester, Response::Refused);
            self.mesh.send(usize::from(core), CoreMessage::Request { number, request: Box::new(request) });
        }
    }

    /// A request has taken effect on every core. It is answered at once, or when the log has it too.
    pub(super) fn on_effect(&mut self, number: u64) {
        match self.pending.take_durable(number) {
            Some(shard) => self.logs.notify(shard, number),
            None => self.answer_pending(number),
        }
    }

    /// Gives the answer that was prepared.
    pub(super) fn answer_pending(&mut self, number: u64) {
        if let Some((requester, response)) = self.pending.take(number) {
            self.answer(requester, response);
        }
    }

    /// Hands an answer to the requester.
    pub(super) fn answer(&mut self, requester: Requester, response: Response) {
        match requester {
            Requester::Task(pending) => {
                pending.complete(response);
                self.tasks_woken = true;
            }
            Requester::Core { core, number } => {
                self.mesh
                    .send(usize::from(core), CoreMessage::Response { number, response: Box::new(response) });
            }
            Requester::Connection(slot) => self.answered.push_back((slot, response)),
        }
    }
}
