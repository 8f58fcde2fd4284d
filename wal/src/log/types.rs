//! What goes in and out of a log.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use crate::TopicId;
use crate::error::{Errno, WalError};
use crate::limits::{
    FRAME_TARGET_BYTES, FRAME_TARGET_BYTES_MIN, ID_RESERVATION_COUNT, NODE_ID_MAX, SEGMENT_BYTES_MIN,
    SEGMENTS_PER_SHARE, SHARD_COUNT_MAX,
};

/// What a released message has survived. See the head of the crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Survives a power cut.
    #[default]
    Sync,
    /// Survives the process, and the kernel; after a power cut the last `sync_interval_ns` may be missing.
    Write,
    /// Survives a clean stop; the last `sync_interval_ns` or `sync_messages_max` may be missing.
    Async,
}

/// What to do about damage of acknowledged data at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recover {
    /// Refuse to start, and name it.
    #[default]
    Refuse,
    /// Copy it aside, skip it, list what is lost, and go on.
    Quarantine,
}

/// How a log works. Memory in the worst case: `gather_bytes_max` that waits for the disk, plus what consumers
/// hold of released frames.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Which shard, below the directory's count.
    pub shard: u16,
    /// Node id, 0 to 1023: the top of every message id.
    pub node_id: u16,
    /// What a release promises.
    pub durability: Durability,
    /// Longest time between syncs at `Write` and `Async`, nanoseconds.
    pub sync_interval_ns: u64,
    /// Most messages between syncs at `Write` and `Async`.
    pub sync_messages_max: u64,
    /// Size of the first segment; each next one is four times as large, so that an idle shard costs little.
    pub segment_bytes_first: u64,
    /// Size at which segments stop growing.
    pub segment_bytes_max: u64,
    /// Size of each of the files that keep consumers draining on a full disk; more, if the checkpoint needs it.
    pub reserve_bytes: u64,
    /// Most bytes that may wait for the disk before publishes are refused as [`crate::Refused::Busy`].
    pub gather_bytes_max: usize,
    /// What to do about damage at start.
    pub recover: Recover,
}

impl LogOptions {
    /// Defaults for a shard: `Sync`, 2 s, 2500 messages, segments of 4 to 64 MiB, a reserve of three files of 4 MiB.
    pub fn new(shard: u16, node_id: u16) -> LogOptions {
        LogOptions {
            shard,
            node_id,
            durability: Durability::Sync,
            sync_interval_ns: 2_000_000_000,
            sync_messages_max: 2500,
            segment_bytes_first: 4 * 1024 * 1024,
            segment_bytes_max: 64 * 1024 * 1024,
            reserve_bytes: 4 * 1024 * 1024,
            gather_bytes_max: 64 * 1024 * 1024,
            recover: Recover::Refuse,
        }
    }

    /// Makes the files small enough for a volume of which `share_bytes` are for this shard: a segment is at most
    /// 1/32 of it, from 1 MiB on, so that most of a small volume can hold messages.
    #[must_use]
    pub fn fit(self, share_bytes: u64) -> LogOptions {
        let most = (share_bytes / SEGMENTS_PER_SHARE).max(SEGMENT_BYTES_MIN);
        // The largest power of two that is not above it.
        let most = 1 << (u64::BITS - 1 - most.leading_zeros());
        let segment_bytes_max = self.segment_bytes_max.min(most);
        LogOptions {
            segment_bytes_max,
            segment_bytes_first: self.segment_bytes_first.min(segment_bytes_max),
            reserve_bytes: self.reserve_bytes.min((segment_bytes_max / 16).max(SEGMENT_BYTES_MIN)),
            ..self
        }
    }

    /// Size at which an open frame is closed: what is left at the end of a segment is a small part of it.
    pub(crate) fn frame_target_bytes(&self) -> usize {
        let part = usize::try_from(self.segment_bytes_max / 32).unwrap_or(usize::MAX);
        part.clamp(FRAME_TARGET_BYTES_MIN, FRAME_TARGET_BYTES)
    }

    pub(crate) fn check(&self) -> Result<(), WalError> {
        let segment_min = 16 * crate::limits::BLOCK_BYTES as u64;
        let field = if self.shard >= SHARD_COUNT_MAX {
            "shard"
        } else if self.node_id > NODE_ID_MAX {
            "node_id"
        } else if self.segment_bytes_first < segment_min || self.segment_bytes_first > self.segment_bytes_max
        {
            "segment_bytes_first"
        } else if self.segment_bytes_max >= 1 << 43 {
            // A block index is 32 bits.
            "segment_bytes_max"
        } else if self.reserve_bytes < segment_min {
            "reserve_bytes"
        } else {
            return Ok(());
        };
        Err(WalError::BadOption { field })
    }

    /// Top 16 bits of every message id.
    pub(crate) fn id_base(&self) -> u64 {
        (u64::from(self.node_id) << 54) | (u64::from(self.shard) << 48)
    }
}

/// What is published by one call: `count` messages of one topic, all or nothing after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The topic; its `TopicCreated` record comes first.
    pub topic: TopicId,
    /// Sequence of the first message: one more than the last of the topic.
    pub first_seq: u64,
    /// How many bodies follow; at least 1.
    pub count: u32,
    /// Delay before first delivery, in milliseconds.
    pub defer_ms: u32,
    /// Wall clock, nanoseconds since 1970.
    pub timestamp_ns: i64,
}

/// Where a publish went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Id of the first message; the others follow one by one.
    pub first_id: u64,
}

/// Consecutive messages of a topic.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Their topic.
    pub topic: TopicId,
    /// Sequence of the first.
    pub first_seq: u64,
    /// Id of the first; the others follow one by one.
    pub first_id: u64,
    /// How many.
    pub count: u32,
    /// Delay before first delivery, in milliseconds.
    pub defer_ms: u32,
    /// Wall clock of the first, nanoseconds since 1970.
    pub timestamp_ns: i64,
    /// The messages in delivery form, one after the other.
    pub payload: Bytes,
    /// Share of the memory that `payload` keeps alive, for cache budgets, in bytes.
    pub cost_bytes: u32,
}

impl Batch {
    /// End of its sequences.
    pub fn end_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count)
    }
}

/// What the log has to tell.
#[derive(Debug)]
pub enum Event {
    /// These messages have the promised durability. In the order of the publish calls; what one call published
    /// is released before anything later.
    Released(Batch),
    /// Everything appended before [`crate::Log::notify`] is safe.
    Recorded {
        /// The token of the call.
        token: u64,
    },
    /// Answer to [`crate::Log::fetch`].
    Loaded {
        /// The token of the call.
        token: u64,
        /// The topic of the call.
        topic: TopicId,
        /// Messages in order, the first at or behind the sequence that was asked for.
        batches: Vec<Batch>,
        /// Half-open ranges of sequences that are gone: proven damaged, or never wanted again. Not to be delivered.
        lost: Vec<(u64, u64)>,
    },
    /// A read failed. The messages are not lost; they are read again when somebody asks again. Told once per
    /// segment in [`crate::limits::READ_REPORT_NS`].
    ReadFailed(ReadFailure),
    /// Messages were read completely, twice, and fail their check words: they are gone. Told once per range.
    Lost(LostMessages),
    /// The log has failed. Told once; nothing is released any more.
    Poisoned(WalError),
    /// The disk became full (true) or has room again (false).
    Full(bool),
}

/// A read that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFailure {
    /// Of which file.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// Why.
    pub why: Unread,
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The file could not be opened.
    Open(Errno),
    /// The read failed.
    Read(Errno),
    /// Only so many bytes came.
    Short(usize),
    /// Complete, twice, and not the frames that were written. No reader decides about them: a check of the data
    /// at the next start does.
    Damaged,
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, offset) = (self.path.display(), self.offset);
        match self.why {
            Unread::Open(errno) => write!(f, "open of {path} failed: errno {errno}"),
            Unread::Read(errno) => write!(f, "read of {path} at {offset} failed: errno {errno}"),
            Unread::Short(len) => write!(f, "read of {path} at {offset} ended after {len} bytes"),
            Unread::Damaged => write!(f, "frames of {path} from {offset} on are damaged"),
        }
    }
}

/// Consecutive messages that cannot be delivered any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostMessages {
    /// Their topic.
    pub topic: TopicId,
    /// Sequence of the first.
    pub first_seq: u64,
    /// Id of the first.
    pub first_id: u64,
    /// How many.
    pub count: u64,
    /// File of the first.
    pub path: PathBuf,
    /// Where the first lies in it.
    pub offset: u64,
}

impl fmt::Display for LostMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages from id {:016x} on are damaged at {} offset {} and lost",
            self.count,
            self.first_id,
            self.path.display(),
            self.offset
        )
    }
}

/// Figures of a log since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Frames written.
    pub frame_count: u64,
    /// Bytes of frames, padding included.
    pub frame_bytes: u64,
    /// Bytes of padding.
    pub padding_bytes: u64,
    /// Messages appended.
    pub message_count: u64,
    /// Syncs done, not counting data-synchronous writes.
    pub sync_count: u64,
    /// Segments that hold something.
    pub segment_count: u64,
    /// Bytes of these segments.
    pub segment_bytes: u64,
    /// Spares ready.
    pub spare_count: u64,
    /// Messages proven damaged when they were read.
    pub lost_message_count: u64,
    /// Reads that failed, and whose messages were therefore withheld.
    pub read_error_count: u64,
    /// Reads that were repeated: after an error that passes, or to be sure that bytes are damaged.
    pub read_retry_count: u64,
    /// Bytes that wait for the disk.
    pub gathered_bytes: u64,
    /// Bytes of the memory that frames are carved from.
    pub arena_bytes: u64,
    /// Frames whose write has completed.
    pub commit_count: u64,
    /// Sum of the times from handing out a write to its completion, nanoseconds.
    pub commit_ns_sum: u64,
    /// Longest of these times, nanoseconds.
    pub commit_ns_max: u64,
    /// True while the disk is full.
    pub is_full: bool,
}

// Half of a reservation must outlast everything that can be gathered before the next one is durable.
const _: () = assert!(ID_RESERVATION_COUNT >= 1 << 16);
