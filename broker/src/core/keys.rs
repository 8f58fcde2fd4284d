//! Topic keys: the shard, and the id in the log of the shard.

use nsq_queue::TopicKey;
use nsq_wal::TopicId;

/// Topic ids with this bit belong to memory-only topics, which no log knows.
pub(super) const MEMORY_TOPIC: u32 = 1 << 31;

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
