//! Topics and channels of this core: creation and discovery.

use std::sync::Arc;

use nsq_protocol::names;
use nsq_queue::{ChannelKey, Input, QueueRecord, Token, TopicKey};
use nsq_wal::TopicId;

use crate::core::engine::Engine;
use crate::core::keys::{MEMORY_TOPIC, topic_key};
use crate::core::pending::Requester;
use crate::mesh::message::{CoreMessage, LookupNotice};
use crate::mesh::request::Response;

impl Engine {
    /// The topic, made if it is missing.
    pub(super) fn topic_or_create(&mut self, name: &str) -> TopicKey {
        if let Some(topic) = self.queue.topic_by_name(name) {
            return topic;
        }
        let gated = self.must_discover(name);
        let topic = self.open_topic(name, gated);
        if gated {
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
        self.process.has_lookupd() && self.queue.topic_by_name(name).is_none()
    }

    fn open_topic(&mut self, name: &str, gated: bool) -> TopicKey {
        let shard = self.placement.shard_of(name);
        let memory_only = names::is_ephemeral(name);
        let topic = if memory_only {
            self.memory_topic += 1;
            topic_key(shard, TopicId(MEMORY_TOPIC | self.memory_topic))
        } else {
            // A topic of this name may have been deleted in this very turn: the log must hear of that first, or a
            // crash between the two leaves it with both.
            self.record_outputs();
            let id = self.logs.next_topic(shard);
            // Told to the log here and not when the queue's outputs are read: the first publish of this turn goes to
            // the log before that, and a log that does not know the topic keeps nothing of it.
            self.logs.record(shard, id, QueueRecord::TopicCreated { name: name.into() });
            topic_key(shard, id)
        };
        let name: Arc<str> = name.into();
        self.queue.handle(self.now, Input::TopicOpen { topic, name, memory_only, gated, restored: None });
        topic
    }

    /// Makes the topic, gated, and asks nsqlookupd for its channels; `requester` hears when they exist.
    pub(super) fn discover(&mut self, name: &str, requester: Requester) {
        if let Some(waiting) = self.discovering.get_mut(name) {
            waiting.push(requester);
            return;
        }
        self.open_topic(name, true);
        self.discovering.insert(name.to_owned(), vec![requester]);
        self.discover_channels(name);
    }

    fn discover_channels(&mut self, name: &str) {
        self.discovering.entry(name.to_owned()).or_default();
        if self.id == 0 {
            self.tell_lookup(LookupNotice::Discover(name.to_owned()));
        } else {
            self.mesh.send(0, CoreMessage::Discover { topic: name.to_owned() });
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
        for requester in self.discovering.remove(name).unwrap_or_default() {
            self.answer(requester, Response::Done);
        }
    }

    /// The channel's key and core; none if the topic is being deleted.
    pub(super) fn channel_or_create(
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
}
