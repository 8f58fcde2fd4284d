//! Topics and channels as the log knew them, at start.

use crate::ids::ChannelId;

/// A topic as the log knew it.
#[derive(Clone, Debug, Default)]
pub struct RestoredTopic {
    /// It was paused.
    pub paused: bool,
    /// What channels had not been given when it was paused or lost its last channel starts here. Of no meaning for a
    /// topic that forwards: that has forwarded everything.
    pub floor: u64,
    /// The next sequence number to give.
    pub next_seq: u64,
    /// The next id to give to a channel: those below were used, by channels that may be gone.
    pub next_channel: u32,
    /// Messages at or above the floor whose delay had not begun, with the delay in milliseconds, in rising order.
    pub deferred: Vec<(u64, u32)>,
}

/// A channel as the log knew it.
#[derive(Clone, Debug)]
pub struct RestoredChannel {
    /// Its id in the log.
    pub channel: ChannelId,
    /// It was paused.
    pub paused: bool,
    /// Everything below is finished.
    pub watermark: u64,
    /// What is finished above the watermark, as half-open ranges.
    pub finished: Vec<(u64, u64)>,
    /// What had been delivered before or was waiting for its time.
    pub requeued: Vec<RestoredMessage>,
}

/// A message that is not simply waiting for its first delivery.
#[derive(Clone, Copy, Debug)]
pub struct RestoredMessage {
    /// Its sequence number.
    pub seq: u64,
    /// Deliveries so far; 0 for a deferred publish that was not due yet.
    pub attempts: u16,
    /// When it is due, in nanoseconds since the epoch; 0 or past: now.
    pub due_at_ns: i64,
}
