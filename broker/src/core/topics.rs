//! Topics and channels of this core: keys, creation, discovery, and what is asked of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nsq_protocol::names;
use nsq_queue::{Admin, ChannelKey, ChannelStats, Input, QueueRecord, Token, TopicKey};
use nsq_wal::TopicId;

use crate::core::asks::Asker;
use crate::core::engine::Engine;
use crate::mesh::message::Mail;
use crate::mesh::request::{CoreStats, Request, Response, StatsFilter};
use crate::stats::latency::Summary;

/// Topic ids with this bit belong to memory-only topics, which no log knows.
const MEMORY_TOPIC: u32 = 1 << 31;

/// A topic's key holds its shard and its id there.
pub(super) fn topic_key(shard: u16, topic: TopicId) -> TopicKey {
    TopicKey(u64::from(shard) << 32 | u64::from(topic.0))
}

/// The shard of a topic.
pub(super) fn shard_of(topic: TopicKey) -> u16 {
    (topic.0 >> 32) as u16
}

/// The topic's id in its shard's log.
pub(super) fn topic_id(topic: TopicKey) -> TopicId {
    TopicId(topic.0 as u32)
}

/// Whether the topic lives in memory only.
pub(super) fn is_memory(topic: TopicKey) -> bool {
    topic.0 as u32 & MEMORY_TOPIC != 0
}

impl Engine {
    /// The topic, made if it is missing.
    pub(super) fn topic_or_create(&mut self, name: &str) -> TopicKey {
        if let Some(topic) = self.queue.topic_by_name(name) {
            return topic;
        }
        let held = self.must_discover(name);
        let topic = self.open_topic(name, held);
        if held {
            self.discover_channels(name);
        }
        topic
    }

    /// Makes a topic that is known to be missing and needs no discovery.
    pub(super) fn create_topic(&mut self, name: &str) -> TopicKey {
        self.open_topic(name, false)
    }

    /// Whether nsqlookupd has to be asked for the channels of `name` before its first message is forwarded.
    pub(super) fn must_discover(&self, name: &str) -> bool {
        self.shared.has_lookupd() && self.queue.topic_by_name(name).is_none()
    }

    fn open_topic(&mut self, name: &str, held: bool) -> TopicKey {
        let shard = self.placement.shard_of(name);
        let memory_only = names::is_ephemeral(name);
        let topic = if memory_only {
            self.memory_topic += 1;
            topic_key(shard, TopicId(MEMORY_TOPIC | self.memory_topic))
        } else {
            let id = self.logs.next_topic(shard);
            // Told to the log here and not when the queue's outputs are read: the first publish of this turn goes to
            // the log before that, and a log that does not know the topic keeps nothing of it.
            self.logs.record(shard, id, QueueRecord::TopicCreated { name: name.into() });
            topic_key(shard, id)
        };
        let name: Arc<str> = name.into();
        self.queue.handle(self.now, Input::TopicOpen { topic, name, memory_only, held, restored: None });
        topic
    }

    /// Makes the topic, held, and asks nsqlookupd for its channels; `asker` hears when they exist.
    pub(super) fn discover(&mut self, name: &str, asker: Asker) {
        if let Some(waiting) = self.discovering.get_mut(name) {
            waiting.push(asker);
            return;
        }
        self.open_topic(name, true);
        self.discovering.insert(name.to_owned(), vec![asker]);
        self.discover_channels(name);
    }

    fn discover_channels(&mut self, name: &str) {
        self.discovering.entry(name.to_owned()).or_default();
        if self.id == 0 {
            self.tasks_woken = true;
            self.registrations.discover(name.to_owned());
        } else {
            self.mesh.send(0, Mail::Discover { topic: name.to_owned() });
        }
    }

    /// nsqlookupd has answered, or could not: the topic may forward.
    pub(super) fn on_discovered(&mut self, name: &str, channels: &[String]) {
        if let Some(topic) = self.queue.topic_by_name(name) {
            for channel in channels {
                self.channel_or_create(topic, name, channel, None);
            }
            self.queue.handle(self.now, Input::TopicRelease { topic });
        }
        for asker in self.discovering.remove(name).unwrap_or_default() {
            self.answer(asker, Response::Done);
        }
    }

    /// The channel's key and core; none if the topic is being deleted.
    fn channel_or_create(
        &mut self,
        topic: TopicKey,
        name: &str,
        channel: &str,
        token: Option<Token>,
    ) -> Option<(ChannelKey, u16)> {
        let core = self.placement.core_of_channel(name, channel);
        let (channel, core) = self.queue.channel_open(self.now, topic, channel.into(), core, None, token)?;
        Some((ChannelKey { topic, channel }, core))
    }

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

    fn core_stats(&mut self, filter: &StatsFilter) -> CoreStats {
        let (topic, channel) = (filter.topic.as_deref(), filter.channel.as_deref());
        let topics = self.queue.topic_stats(topic);
        let channels = self.queue.channel_stats(topic, channel, filter.include_clients);
        let connections = if filter.include_clients {
            self.connections.iter().map(|(slot, connection)| connection.stats(slot)).collect()
        } else {
            Vec::new()
        };
        let latencies = self.latencies_of(&channels, topic.is_none() && channel.is_none());
        CoreStats { topics, channels, connections, latencies }
    }

    fn latencies_of(&mut self, channels: &[ChannelStats], all: bool) -> HashMap<ChannelKey, Summary> {
        let now = self.now.mono_ns;
        let Some(latencies) = &mut self.latencies else { return HashMap::new() };
        if all {
            let keys: HashSet<ChannelKey> = channels.iter().map(|channel| channel.channel).collect();
            latencies.keep(|channel| keys.contains(&channel));
        }
        let keys = channels.iter().map(|channel| channel.channel);
        keys.filter_map(|key| Some((key, latencies.summary(key, now)?))).collect()
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
