//! Operators' requests, and requests of other cores, at the core that they concern.

use std::sync::Arc;

use nsq_queue::{Admin, Input, Token, TopicKey};

use crate::core::engine::Engine;
use crate::core::keys::{is_memory, shard_of};
use crate::core::pending::Asker;
use crate::mesh::message::Mail;
use crate::mesh::request::{Request, Response};

impl Engine {
    /// A request at the core that it concerns.
    pub(super) fn on_request(&mut self, asker: Asker, request: Request) {
        match request {
            Request::Publish { topic, defer_ms, bodies } => {
                self.publish_request(asker, topic, defer_ms, bodies);
            }
            Request::CreateTopic { topic } => {
                if self.must_discover(&topic) {
                    return self.discover(&topic, asker);
                }
                let key = self.topic_or_create(&topic);
                let token = self.token(asker, key);
                self.on_effect(token.0);
            }
            Request::Ensure { topic, channel } => {
                let key = self.topic_or_create(&topic);
                // Answered when the channel's core knows the channel: a subscription is refused before.
                let token = self.asks.add(asker, Response::ChannelNotFound);
                match self.channel_or_create(key, &topic, &channel, Some(Token(token))) {
                    Some((channel, core)) => self.asks.prepare(token, Response::Ensured { channel, core }),
                    None => self.answer_ask(token),
                }
            }
            Request::CreateChannel { topic, channel } => {
                let Some(key) = self.queue.topic_by_name(&topic) else {
                    return self.answer(asker, Response::TopicNotFound);
                };
                let token = self.token(asker, key);
                if self.channel_or_create(key, &topic, &channel, Some(token)).is_none() {
                    self.on_effect(token.0);
                }
            }
            Request::DeleteTopic { topic } => self.admin_topic(asker, &topic, Admin::DeleteTopic),
            Request::EmptyTopic { topic } => self.admin_topic(asker, &topic, Admin::EmptyTopic),
            Request::PauseTopic { topic, paused: true } => self.admin_topic(asker, &topic, Admin::PauseTopic),
            Request::PauseTopic { topic, paused: false } => {
                self.admin_topic(asker, &topic, Admin::UnpauseTopic)
            }
            Request::DeleteChannel { topic, channel } => {
                self.admin_channel(asker, &topic, &channel, Admin::DeleteChannel);
            }
            Request::EmptyChannel { topic, channel } => {
                self.admin_channel(asker, &topic, &channel, Admin::EmptyChannel);
            }
            Request::PauseChannel { topic, channel, paused: true } => {
                self.admin_channel(asker, &topic, &channel, Admin::PauseChannel);
            }
            Request::PauseChannel { topic, channel, paused: false } => {
                self.admin_channel(asker, &topic, &channel, Admin::UnpauseChannel);
            }
            Request::LookupdChanged => {
                self.registrations.addresses_changed();
                self.answer(asker, Response::Done);
            }
            Request::Stats(filter) => {
                let stats = self.core_stats(&filter);
                self.answer(asker, Response::Stats(Box::new(stats)));
            }
        }
    }

    /// For an operator's request on `topic`: what was answered survives a crash.
    fn token(&mut self, asker: Asker, topic: TopicKey) -> Token {
        let number = if is_memory(topic) {
            self.asks.add(asker, Response::Done)
        } else {
            self.asks.add_durable(asker, Response::Done, shard_of(topic))
        };
        Token(number)
    }

    fn admin_topic(&mut self, asker: Asker, topic: &str, action: Admin) {
        let Some(key) = self.queue.topic_by_name(topic) else {
            return self.answer(asker, Response::TopicNotFound);
        };
        let token = Some(self.token(asker, key));
        self.queue.handle(self.now, Input::Admin { topic: key, action, token });
    }

    fn admin_channel(&mut self, asker: Asker, topic: &str, channel: &str, action: fn(Arc<str>) -> Admin) {
        let Some(key) = self.queue.topic_by_name(topic) else {
            return self.answer(asker, Response::TopicNotFound);
        };
        if self.queue.channel_by_name(key, channel).is_none() {
            return self.answer(asker, Response::ChannelNotFound);
        }
        let token = Some(self.token(asker, key));
        self.queue.handle(self.now, Input::Admin { topic: key, action: action(channel.into()), token });
    }

    /// Sends a request to the core that it concerns.
    pub(super) fn ask(&mut self, core: u16, asker: Asker, request: Request) {
        if core == self.id {
            self.on_request(asker, request);
        } else {
            let number = self.asks.add(asker, Response::Refused);
            self.mesh.send(usize::from(core), Mail::Ask { number, request: Box::new(request) });
        }
    }

    /// A request has taken effect on every core. It is answered at once, or when the log has it too.
    pub(super) fn on_effect(&mut self, number: u64) {
        match self.asks.take_durable(number) {
            Some(shard) => self.logs.notify(shard, number),
            None => self.answer_ask(number),
        }
    }

    /// Gives the answer that was prepared.
    pub(super) fn answer_ask(&mut self, number: u64) {
        if let Some((asker, response)) = self.asks.take(number) {
            self.answer(asker, response);
        }
    }

    /// Hands an answer to whoever asked.
    pub(super) fn answer(&mut self, asker: Asker, response: Response) {
        match asker {
            Asker::Task(pending) => {
                pending.complete(response);
                self.tasks_woken = true;
            }
            Asker::Core { core, number } => {
                self.mesh.send(usize::from(core), Mail::Answer { number, response: Box::new(response) });
            }
            Asker::Connection(slot) => self.answered.push_back((slot, response)),
        }
    }
}
