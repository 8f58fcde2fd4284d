//! The logs of the shards that a core serves, and their traffic with queue and transport.

use std::sync::Arc;

use nsq_queue::{Batch, ChannelId, Input, QueueRecord};
use nsq_wal::{Event, Io, IoTag, Log, Record, TopicId};

use crate::core::engine::Engine;
use crate::core::topics::topic_key;

/// Bytes appended and not released, per core, before publishers wait. A full commit is 256 KiB, so that is deep
/// enough to keep the disk busy and small beside the cache.
const UNRELEASED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One shard's log.
struct Shard {
    shard: u16,
    log: Log,
    /// Publishes are refused: the disk is full, or the log has failed.
    full: bool,
    failed: bool,
    unreleased_bytes: u64,
    next_topic: u32,
}

/// The logs of one core. Never crosses a thread.
pub struct Logs {
    /// In rising order of shards.
    shards: Vec<Shard>,
    cores: u16,
}

/// What goes to the transport or to a blocking thread, with the shard that wants it.
pub struct LogIo {
    /// The shard.
    pub shard: u16,
    /// What to do.
    pub io: Io,
}
