//! The doors of the queue: everything that happens on one core comes in here and goes out here.

use crate::channel::Channel;
use crate::channel_side::ChannelSide;
use crate::config::Config;
use crate::ids::{ChannelId, ConsumerId, RawMessageId, Token, TopicKey, Waiter};
use crate::input::{Input, Now};
use crate::outbox::Outbox;
use crate::output::{Cause, Command, Output, PublishError};
use crate::peer::PeerMessage;
use crate::record::QueueRecord;
use crate::restored::RestoredChannel;
use crate::stats::{CacheStats, ChannelStats, TopicStats};
use crate::topic_side::TopicSide;
use std::sync::Arc;

mod check;

/// The queue's part on one core. Lives as long as the core's thread and never leaves it.
pub struct Shard {
    config: Config,
    topics: TopicSide,
    channels: ChannelSide,
    out: Outbox,
}

impl Shard {
    /// An empty shard. Deadlines are counted from `now` on.
    pub fn new(config: Config, now: Now) -> Shard {
        Shard {
            topics: TopicSide::new(&config),
            channels: ChannelSide::new(config.clone(), now.mono_ns),
            out: Outbox::new(config.core),
            config,
        }
    }

    /// Something happened. Deliveries follow at [`Shard::end_turn`].
    pub fn handle(&mut self, now: Now, input: Input) {
        let Shard { topics, channels, out, .. } = self;
        match input {
            Input::TopicOpen { topic, name, memory_only, gated, restored } => {
                topics.open(topic, name, memory_only, gated, restored, out);
            }
            Input::TopicRelease { topic } => topics.unhold(topic, out),
            Input::ChannelOpen { topic, name, core, restored, token } => {
                topics.open_channel(topic, name, core, restored, token, out);
            }
            Input::Appended { topic, batch } => topics.appended(topic, batch, out),
            Input::AppendFailed { topic, from_seq } => topics.append_failed(topic, from_seq, out),
            Input::Loaded { topic, core, seq, batches, lost } => {
                out.send(core, PeerMessage::Loaded { topic, seq, batches, lost });
            }
            Input::Admin { topic, action, token } => topics.admin(topic, action, token, out),
            Input::Subscribe { channel, consumer, message_timeout_ns, sample_rate, room_bytes } => {
                let result =
                    channels.subscribe(channel, consumer, message_timeout_ns, sample_rate, room_bytes);
                out.push(Output::Subscribed { consumer, result });
            }
            Input::Credit { consumer, credit } => channels.credit(consumer, credit),
            Input::Finish { consumer, id } => {
                let result = channels.finish(now, consumer, &id, out);
                out.failed(consumer, Command::Finish, &id, result);
            }
            Input::Requeue { consumer, id, delay_ns } => {
                let result = channels.requeue(now, consumer, &id, delay_ns, out);
                out.failed(consumer, Command::Requeue, &id, result);
            }
            Input::Touch { consumer, id } => {
                let result = channels.touch(now, consumer, &id);
                out.failed(consumer, Command::Touch, &id, result);
            }
            Input::Writable { consumer, room_bytes } => channels.writable(consumer, room_bytes),
            Input::Closing { consumer } => channels.closing(consumer),
            Input::Leave { consumer } => channels.leave(consumer, out),
            Input::Peer { from, message } => self.peer(now, from, message),
            Input::Stop => channels.stop(out),
        }
        self.settle_loopback(now);
    }

    /// Makes a channel, or finds the one of that name; says its id and its core, or `None` if there is no such topic.
    /// `core` is where a new channel shall live. As [`Input::ChannelOpen`].
    pub fn channel_open(
        &mut self,
        now: Now,
        topic: TopicKey,
        name: Arc<str>,
        core: u16,
        restored: Option<RestoredChannel>,
        token: Option<Token>,
    ) -> Option<(ChannelId, u16)> {
        let found = self.topics.open_channel(topic, name, core, restored, token, &mut self.out);
        self.settle_loopback(now);
        found
    }

    /// Topic's core: gives out sequence numbers for `count ≥ 1` messages that the broker is about to append to its log;
    /// returns the first one. The waiter is answered after [`Input::Appended`] or [`Input::AppendFailed`]. Replies of
    /// the two kinds may overtake each other; their numbers tell them apart.
    ///
    /// # Errors
    ///
    /// [`PublishError::Exiting`] if there is no such topic (any more); nobody is remembered then.
    pub fn publish(&mut self, topic: TopicKey, count: u32, waiter: Waiter) -> Result<u64, PublishError> {
        assert!(count > 0, "a publish has at least one message");
        self.topics.publish(topic, count, waiter)
    }

    /// FIN, as [`Input::Finish`], but what is wrong with it is returned: its error keeps its place among the answers
    /// of the connection.
    pub fn finish(&mut self, now: Now, consumer: ConsumerId, id: &RawMessageId) -> Result<(), Cause> {
        self.channels.finish(now, consumer, id, &mut self.out)
    }

    /// REQ, as [`Input::Requeue`]; see [`Shard::finish`].
    pub fn requeue(
        &mut self,
        now: Now,
        consumer: ConsumerId,
        id: &RawMessageId,
        delay_ns: u64,
    ) -> Result<(), Cause> {
        self.channels.requeue(now, consumer, id, delay_ns, &mut self.out)
    }

    /// TOUCH, as [`Input::Touch`]; see [`Shard::finish`].
    pub fn touch(&mut self, now: Now, consumer: ConsumerId, id: &RawMessageId) -> Result<(), Cause> {
        self.channels.touch(now, consumer, id)
    }

    /// RDY, as [`Input::Credit`].
    pub fn credit(&mut self, consumer: ConsumerId, credit: u32) {
        self.channels.credit(consumer, credit);
    }

    /// Time has passed. Deliveries follow at [`Shard::end_turn`].
    pub fn handle_timeout(&mut self, now: Now) {
        self.channels.expire(now);
        self.settle_loopback(now);
    }

    /// Everything that happened in this turn is told: delivers what is ready to who is ready, drops what overflows,
    /// writes down what was finished, and brings the cache back under its budget.
    ///
    /// Deals at most `bytes_max`, and the rest of the message that reaches it; returns how many bytes were dealt. What
    /// is left then is for the next call, where the channels that had nothing come first; see
    /// [`Shard::has_more_to_deal`].
    pub fn end_turn(&mut self, now: Now, bytes_max: u64) -> u64 {
        self.settle_loopback(now);
        let dealt = self.channels.end_turn(now, bytes_max, &mut self.out);
        self.settle_loopback(now);
        assert!(self.out.is_settled());
        dealt
    }

    /// Whether channels wait for the next [`Shard::end_turn`], because the last one had dealt enough.
    pub fn has_more_to_deal(&self) -> bool {
        self.channels.has_more_to_deal()
    }

    /// The next thing to be done, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// Takes the facts for the log out of the outputs, in order. They may go to the log before everything else that
    /// waits: nothing does harm by being known there early.
    pub fn take_records(&mut self) -> Vec<(TopicKey, QueueRecord)> {
        self.out.take_records()
    }

    /// When [`Shard::handle_timeout`] has to be called next, on the monotonic clock; nothing happens by itself before.
    /// Exact for the next 64 ms; a moment farther away may be announced early.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.channels.wheel.next_due()
    }

    /// The topic of that name, if it is at home here.
    pub fn topic_by_name(&self, name: &str) -> Option<TopicKey> {
        self.topics.names.get(name).copied()
    }

    /// A topic's channel of that name, and its core; on the topic's core.
    pub fn channel_by_name(&self, topic: TopicKey, name: &str) -> Option<(ChannelId, u16)> {
        self.topics.topics.get(&topic)?.find(name).map(|channel| (channel.id, channel.core))
    }

    /// The topics at home here, or the one of that name, in no order.
    pub fn topic_stats(&self, name: Option<&str>) -> Vec<TopicStats> {
        let wanted = self.topics.topics.values().filter(|topic| name.is_none_or(|name| *topic.name == *name));
        let beyond = |depth: u64| depth.saturating_sub(self.config.mem_queue_size);
        wanted
            .map(|topic| TopicStats {
                topic: topic.key,
                name: topic.name.clone(),
                paused: topic.paused,
                depth: topic.depth(),
                backend_depth: if topic.memory_only { 0 } else { beyond(topic.depth()) },
                message_count: topic.message_count,
                message_bytes: topic.message_bytes,
                channels: topic.channels.iter().map(|c| (c.id, c.name.clone(), c.core)).collect(),
            })
            .collect()
    }

    /// The channels at home here, of one topic or all, of one name or all, in no order; with their consumers or without.
    pub fn channel_stats(
        &self,
        topic: Option<&str>,
        channel: Option<&str>,
        consumers: bool,
    ) -> Vec<ChannelStats> {
        let all = self.channels.channels.iter().map(|(_, channel)| channel);
        all.filter(|c| topic.is_none_or(|name| *c.topic_name == *name))
            .filter(|c| channel.is_none_or(|name| *c.name == *name))
            .map(|channel| self.stats_of(channel, consumers))
            .collect()
    }

    fn stats_of(&self, channel: &Channel, consumers: bool) -> ChannelStats {
        let depth = channel.depth();
        let listed = if consumers { channel.consumers.as_slice() } else { &[] };
        let consumers = listed.iter().filter_map(|id| self.channels.consumers.get(id)).map(|c| c.stats());
        ChannelStats {
            channel: channel.key,
            topic_name: channel.topic_name.clone(),
            name: channel.name.clone(),
            paused: channel.paused,
            depth,
            backend_depth: if channel.bounded { 0 } else { depth.saturating_sub(self.config.mem_queue_size) },
            in_flight_count: channel.in_flight.len() as u64,
            deferred_count: channel.deferred.len() as u64,
            message_count: channel.message_count,
            requeue_count: channel.requeue_count,
            timeout_count: channel.timeout_count,
            consumer_count: channel.consumers.len(),
            consumers: consumers.collect(),
        }
    }

    /// What this core keeps in memory.
    pub fn cache_stats(&self) -> CacheStats {
        let cache = &self.channels.cache;
        CacheStats {
            resident_bytes: cache.bytes(),
            memory_only_bytes: cache.memory_only_bytes(),
            batch_count: cache.count(),
        }
    }

    fn settle_loopback(&mut self, now: Now) {
        while let Some(message) = self.out.pop_loopback() {
            self.peer(now, self.config.core, message);
        }
    }

    fn peer(&mut self, now: Now, from: u16, message: PeerMessage) {
        let Shard { topics, channels, out, .. } = self;
        match message {
            PeerMessage::ChannelOpen(opening) => channels.open(now, *opening),
            PeerMessage::ChannelClose(key) => channels.close(key, out),
            PeerMessage::Batch { topic, batch } => channels.batch(now, topic, batch),
            PeerMessage::Visible { topic, upto, deferred } => channels.visible(now, topic, upto, &deferred),
            PeerMessage::Skip { topic, upto } => channels.skip(topic, upto),
            PeerMessage::Loaded { topic, seq, batches, lost } => {
                channels.loaded(now, topic, seq, batches, lost)
            }
            PeerMessage::ChannelPause { key, paused } => channels.pause(key, paused, out),
            PeerMessage::ChannelEmpty(key) => channels.empty(key, out),
            PeerMessage::Barrier { operation } => out.send(from, PeerMessage::Done { operation }),
            PeerMessage::Fetch { topic, seq } => topics.fetch(topic, seq, from, out),
            PeerMessage::Record { topic, record } => topics.record(topic, record, out),
            PeerMessage::Deserted(key) => topics.delete_channel(key, out),
            PeerMessage::Done { operation } => topics.done(operation, out),
        }
    }
}
