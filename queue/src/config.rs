//! What a shard is told once, and the limits it keeps.

/// Frozen at start. Worst-case memory of one core: `cache_bytes_max`, plus what [`crate::Shard::end_turn`] may find
/// above it at the end of a turn, plus some 100 bytes per message in flight, requeued or deferred, plus
/// `mem_queue_size` messages for each memory-only topic and each of its channels.
#[derive(Clone, Debug)]
pub struct Config {
    /// The core this shard runs on.
    pub core: u16,
    /// How many messages a memory-only topic, a channel of one, or an ephemeral channel keeps before it drops new ones;
    /// what `backend_depth` is counted from.
    pub mem_queue_size: u64,
    /// Budget for batches kept in memory on this core, in bytes of `Batch::cost_bytes`.
    pub cache_bytes_max: u64,
    /// How long TOUCH can keep a message in flight, counted from its delivery.
    pub message_timeout_max_ns: u64,
    /// Consumers of one channel; 0 means no limit.
    pub channel_consumers_max: usize,
    /// Whether each finish reports how long ago its message was published.
    pub latency: bool,
    /// Seed for the draws of sampling.
    pub seed: u64,
}

/// Outstanding reads of one topic by one core. Two channels may read at different places, each with one read ahead.
pub const FETCHES_MAX: usize = 4;

/// How long to wait before asking again, when the log could not read what was asked for.
pub const FETCH_RETRY_NS: u64 = 1_000_000_000;

/// A batch that is still wanted after this is copied out of the log's memory: there, the smallest slice keeps a whole
/// block alive, and the cache would count a few hundred bytes where a megabyte is held. What is finished sooner, nearly
/// everything, is never copied.
pub const STAY_NS: u64 = 100_000_000;

/// A message that was published with a longer delay is not kept in memory, only its place in the order of time.
pub const RESIDENT_DEFER_MS_MAX: u32 = 60_000;

/// A batch of this many bytes is left where it is: a block of the log's memory is no more than twice as large.
pub const COPY_BYTES_MAX: usize = 512 * 1024;

/// Bytes that are copied out in one turn, and a batch.
pub const COPY_BYTES_PER_TURN_MAX: usize = 1024 * 1024;

/// Finished ranges gathered by one channel before they are handed to the log, end of turn or not.
pub const FINISHED_RANGES_MAX: usize = 1024;
