//! The topics at home on this core: publishes, what channels get, and what an operator asks for.

use crate::batch::Batch;
use crate::config::Config;
use crate::hash::IntMap;
use crate::ids::{ChannelId, ChannelKey, Token, TopicKey, Waiter};
use crate::input::Admin;
use crate::outbox::Outbox;
use crate::output::{Output, PublishError};
use crate::peer::{ChannelOpening, PeerMessage};
use crate::record::QueueRecord;
use crate::restored::{RestoredChannel, RestoredTopic};
use crate::topic::{Topic, TopicChannel};
use hashbrown::HashMap;
use std::sync::Arc;

pub(crate) struct TopicSide {
    mem_queue_size: u64,
    pub(crate) topics: IntMap<TopicKey, Topic>,
    pub(crate) names: HashMap<Arc<str>, TopicKey>,
    /// Requests that wait until other cores have done their part.
    operations: IntMap<u64, Operation>,
    next_operation: u64,
}

struct Operation {
    token: Token,
    /// Cores that have not answered yet, at least one.
    cores_left: usize,
}

impl TopicSide {
    pub(crate) fn new(config: &Config) -> TopicSide {
        TopicSide {
            mem_queue_size: config.mem_queue_size,
            topics: IntMap::default(),
            names: HashMap::new(),
            operations: IntMap::default(),
            next_operation: 0,
        }
    }

    pub(crate) fn open(
        &mut self,
        key: TopicKey,
        name: Arc<str>,
        memory_only: bool,
        gated: bool,
        restored: Option<RestoredTopic>,
        out: &mut Outbox,
    ) {
        if self.topics.contains_key(&key) || self.names.contains_key(&name) {
            return;
        }
        let mut topic = Topic::new(key, name.clone(), memory_only, gated);
        match restored {
            Some(restored) => topic.restore(restored),
            None => topic.record(QueueRecord::TopicCreated { name: name.clone() }, out),
        }
        self.topics.insert(key, topic);
        self.names.insert(name.clone(), key);
        out.push(Output::Registered { topic: key, topic_name: name, channel: None });
    }

    pub(crate) fn unhold(&mut self, key: TopicKey, out: &mut Outbox) {
        if let Some(topic) = self.topics.get_mut(&key) {
            topic.gated = false;
            topic.release(out);
        }
    }

    pub(crate) fn open_channel(
        &mut self,
        key: TopicKey,
        name: Arc<str>,
        core: u16,
        restored: Option<RestoredChannel>,
        token: Option<Token>,
        out: &mut Outbox,
    ) -> Option<(ChannelId, u16)> {
        let Some(topic) = self.topics.get_mut(&key) else {
            done(token, out);
            return None;
        };
        let known = topic.find(&name).map(|channel| (channel.id, channel.core));
        let (id, core) = known.unwrap_or_else(|| make_channel(topic, name, core, restored, out));
        self.barrier(token, &[core], out);
        Some((id, core))
    }

    /// Gives out sequence numbers for `count` messages and remembers who waits for them.
    pub(crate) fn publish(&mut self, key: TopicKey, count: u32, waiter: Waiter) -> Result<u64, PublishError> {
        let topic = self.topics.get_mut(&key).ok_or(PublishError::Exiting)?;
        let first_seq = topic.next_seq;
        topic.next_seq += u64::from(count);
        topic.waiters.push(first_seq, count, waiter);
        Ok(first_seq)
    }

    pub(crate) fn appended(&mut self, key: TopicKey, batch: Batch, out: &mut Outbox) {
        if let Some(topic) = self.topics.get_mut(&key) {
            topic.appended(batch, self.mem_queue_size, out);
        }
    }

    pub(crate) fn append_failed(&mut self, key: TopicKey, from_seq: u64, out: &mut Outbox) {
        let Some(topic) = self.topics.get_mut(&key) else { return };
        // What was released cannot fail any more.
        let from_seq = from_seq.max(topic.committed_seq);
        topic.fail_waiters(from_seq, PublishError::Refused, out);
        topic.next_seq = topic.next_seq.min(from_seq);
    }

    pub(crate) fn fetch(&self, key: TopicKey, seq: u64, core: u16, out: &mut Outbox) {
        if self.topics.contains_key(&key) {
            out.push(Output::Fetch { topic: key, seq, core });
        }
    }

    /// A channel's fact for the log; if the channel is gone, so is the need to know.
    pub(crate) fn record(&self, key: TopicKey, record: QueueRecord, out: &mut Outbox) {
        let Some(topic) = self.topics.get(&key) else { return };
        let channel = match record {
            QueueRecord::Finish { channel, .. }
            | QueueRecord::Requeue { channel, .. }
            | QueueRecord::ChannelPaused { channel, .. }
            | QueueRecord::ChannelEmptied { channel, .. } => channel,
            _ => return,
        };
        if topic.place_of(channel).is_some() {
            topic.record(record, out);
        }
    }

    pub(crate) fn admin(&mut self, key: TopicKey, action: Admin, token: Option<Token>, out: &mut Outbox) {
        let Some(topic) = self.topics.get_mut(&key) else { return done(token, out) };
        let cores = match action {
            Admin::PauseTopic | Admin::UnpauseTopic => {
                let paused = action == Admin::PauseTopic;
                if topic.paused != paused {
                    topic.paused = paused;
                    topic.record(QueueRecord::TopicPaused { paused, floor: topic.released_seq }, out);
                    topic.release(out);
                }
                topic.cores.clone()
            }
            Admin::EmptyTopic => {
                if let Some((from, to)) = topic.empty(out) {
                    topic.record(QueueRecord::TopicEmptied { from, to }, out);
                }
                topic.cores.clone()
            }
            Admin::DeleteTopic => {
                let cores = topic.cores.clone();
                self.delete_topic(key, out);
                cores
            }
            Admin::PauseChannel(name) => {
                to_channel(topic, &name, out, |key| PeerMessage::ChannelPause { key, paused: true })
            }
            Admin::UnpauseChannel(name) => {
                to_channel(topic, &name, out, |key| PeerMessage::ChannelPause { key, paused: false })
            }
            Admin::EmptyChannel(name) => to_channel(topic, &name, out, PeerMessage::ChannelEmpty),
            Admin::DeleteChannel(name) => {
                let found = topic.find(&name).map(|channel| (channel.id, channel.core));
                let found = found.map(|(id, core)| {
                    self.delete_channel(ChannelKey { topic: key, channel: id }, out);
                    core
                });
                found.into_iter().collect()
            }
        };
        self.barrier(token, &cores, out);
    }

    /// Deletes a channel, and its topic with it if that lives in memory only and this was its last one.
    pub(crate) fn delete_channel(&mut self, key: ChannelKey, out: &mut Outbox) {
        let Some(topic) = self.topics.get_mut(&key.topic) else { return };
        let Some(channel) = topic.remove_channel(key.channel) else { return };
        topic.record(QueueRecord::ChannelDeleted { channel: key.channel, floor: topic.released_seq }, out);
        let (topic_name, name) = (topic.name.clone(), Some((channel.id, channel.name)));
        out.push(Output::Unregistered { topic: key.topic, topic_name, channel: name });
        out.send(channel.core, PeerMessage::ChannelClose(key));
        if topic.memory_only && topic.channels.is_empty() {
            self.delete_topic(key.topic, out);
        }
    }

    fn delete_topic(&mut self, key: TopicKey, out: &mut Outbox) {
        let Some(mut topic) = self.topics.remove(&key) else { return };
        self.names.remove(&topic.name);
        topic.fail_waiters(topic.committed_seq, PublishError::Exiting, out);
        for channel in std::mem::take(&mut topic.channels) {
            out.send(channel.core, PeerMessage::ChannelClose(ChannelKey { topic: key, channel: channel.id }));
            let name = Some((channel.id, channel.name));
            out.push(Output::Unregistered { topic: key, topic_name: topic.name.clone(), channel: name });
        }
        topic.record(QueueRecord::TopicDeleted, out);
        out.push(Output::Unregistered { topic: key, topic_name: topic.name, channel: None });
    }

    /// Confirms `token` when these cores have done all that was sent to them before.
    fn barrier(&mut self, token: Option<Token>, cores: &[u16], out: &mut Outbox) {
        let Some(token) = token.filter(|_| !cores.is_empty()) else { return done(token, out) };
        let operation = self.next_operation;
        self.next_operation += 1;
        self.operations.insert(operation, Operation { token, cores_left: cores.len() });
        for &core in cores {
            out.send(core, PeerMessage::Barrier { operation });
        }
    }

    pub(crate) fn done(&mut self, operation: u64, out: &mut Outbox) {
        let Some(waiting) = self.operations.get_mut(&operation) else { return };
        waiting.cores_left -= 1;
        if waiting.cores_left == 0 {
            done(Some(waiting.token), out);
            self.operations.remove(&operation);
        }
    }

    pub(crate) fn check(&self) {
        assert_eq!(self.topics.len(), self.names.len());
        for (name, key) in &self.names {
            assert_eq!(self.topics[key].name, *name);
        }
        self.topics.values().for_each(Topic::check);
        assert!(self.operations.values().all(|operation| operation.cores_left > 0));
    }
}

fn make_channel(
    topic: &mut Topic,
    name: Arc<str>,
    core: u16,
    restored: Option<RestoredChannel>,
    out: &mut Outbox,
) -> (ChannelId, u16) {
    let id = restored.as_ref().map_or(ChannelId(topic.next_channel), |restored| restored.channel);
    topic.next_channel = topic.next_channel.max(id.0 + 1);
    topic.add_channel(TopicChannel { id, name: name.clone(), core });
    match &restored {
        Some(restored) => {
            if topic.forwards() {
                // A topic that forwards had forwarded everything before it stopped, delays included: those are among
                // what was restored of its channels.
                topic.released_seq = topic.committed_seq;
                topic.deferred.clear();
            }
            topic.released_seq = topic.released_seq.max(restored.watermark.min(topic.committed_seq));
        }
        None => {
            let from = topic.released_seq;
            topic.record(QueueRecord::ChannelCreated { channel: id, name: name.clone(), from }, out);
        }
    }
    let opening = ChannelOpening {
        topic: topic.key,
        topic_name: topic.name.clone(),
        topic_core: out.core(),
        memory_only: topic.memory_only,
        channel: id,
        name: name.clone(),
        head: topic.released_seq,
        restored,
    };
    out.send(core, PeerMessage::ChannelOpen(Box::new(opening)));
    out.push(Output::Registered {
        topic: topic.key,
        topic_name: topic.name.clone(),
        channel: Some((id, name)),
    });
    topic.release(out);
    (id, core)
}

/// Sends a message to the core of the named channel, if there is one; returns that core.
fn to_channel(
    topic: &Topic,
    name: &str,
    out: &mut Outbox,
    message: impl FnOnce(ChannelKey) -> PeerMessage,
) -> Vec<u16> {
    let Some(channel) = topic.find(name) else { return Vec::new() };
    out.send(channel.core, message(ChannelKey { topic: topic.key, channel: channel.id }));
    vec![channel.core]
}

fn done(token: Option<Token>, out: &mut Outbox) {
    if let Some(token) = token {
        out.push(Output::AdminDone { token });
    }
}
