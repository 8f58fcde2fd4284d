//! What a shard can tell about itself. Each core tells its part, and the broker puts the parts together.

use crate::ids::{ChannelId, ChannelKey, ConsumerId, TopicKey};
use std::sync::Arc;

/// The topic's side of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicStats {
    /// Its key.
    pub topic: TopicKey,
    /// Its name.
    pub name: Arc<str>,
    /// It is paused.
    pub paused: bool,
    /// Messages that no channel has been given.
    pub depth: u64,
    /// Those of them beyond `mem_queue_size`; 0 if it lives in memory only.
    pub backend_depth: u64,
    /// Successful publishes since start, in messages.
    pub message_count: u64,
    /// Their bodies, in bytes.
    pub message_bytes: u64,
    /// Its channels and where they live, by name.
    pub channels: Vec<(ChannelId, Arc<str>, u16)>,
}

/// The channel's side of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelStats {
    /// Its key.
    pub channel: ChannelKey,
    /// The topic's name.
    pub topic_name: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// It is paused.
    pub paused: bool,
    /// Messages ready to be delivered.
    pub depth: u64,
    /// Those of them beyond `mem_queue_size`; 0 for an ephemeral channel or topic.
    pub backend_depth: u64,
    /// Messages with consumers.
    pub in_flight_count: u64,
    /// Messages waiting for their time.
    pub deferred_count: u64,
    /// Messages that came from the topic since start.
    pub message_count: u64,
    /// Successful REQs since start.
    pub requeue_count: u64,
    /// Deadlines that passed since start.
    pub timeout_count: u64,
    /// How many consumers it has.
    pub consumer_count: usize,
    /// The consumers, if asked for, in the order they came.
    pub consumers: Vec<ConsumerStats>,
}

/// A consumer's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumerStats {
    /// Who.
    pub consumer: ConsumerId,
    /// Its RDY; 0 after CLS.
    pub credit: u32,
    /// Messages it holds.
    pub in_flight_count: u64,
    /// Messages sent to it.
    pub message_count: u64,
    /// FINs that worked.
    pub finish_count: u64,
    /// REQs that worked.
    pub requeue_count: u64,
}

/// The memory of a core's cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheStats {
    /// Batches of durable topics, in bytes of their cost.
    pub resident_bytes: u64,
    /// Batches of memory-only topics, in bytes of their cost: outside of the budget.
    pub memory_only_bytes: u64,
    /// Batches in memory.
    pub batch_count: usize,
}
