//! Facts for the log.

use std::sync::Arc;

use crate::ids::ChannelId;

/// A fact for the log, by sequence number within the topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueRecord {
    /// The topic exists.
    TopicCreated {
        /// Its name.
        name: Arc<str>,
    },
    /// The topic exists no longer.
    TopicDeleted,
    /// The topic was paused or unpaused.
    TopicPaused {
        /// Which of the two.
        paused: bool,
        /// What channels have not been given starts here.
        floor: u64,
    },
    /// These messages are to reach no channel.
    TopicEmptied {
        /// The first one.
        from: u64,
        /// Behind the last one.
        to: u64,
    },
    /// The channel exists. Ephemeral channels are recorded too, because the log must keep their messages while they
    /// live; recovery drops channels by their name.
    ChannelCreated {
        /// Its id.
        channel: ChannelId,
        /// Its name.
        name: Arc<str>,
        /// Its first message.
        from: u64,
    },
    /// The channel exists no longer.
    ChannelDeleted {
        /// Its id.
        channel: ChannelId,
        /// If it was the last one: what the next channel will get starts here.
        floor: u64,
    },
    /// The channel was paused or unpaused.
    ChannelPaused {
        /// Its id.
        channel: ChannelId,
        /// Which of the two.
        paused: bool,
    },
    /// Everything in the channel below `up_to` is finished.
    ChannelEmptied {
        /// Its id.
        channel: ChannelId,
        /// Behind the last message dropped.
        up_to: u64,
    },
    /// Messages are finished.
    Finish {
        /// The channel.
        channel: ChannelId,
        /// Half-open, rising, not touching each other.
        ranges: Vec<(u64, u64)>,
    },
    /// A message was given back.
    Requeue {
        /// The channel.
        channel: ChannelId,
        /// The message.
        seq: u64,
        /// Deliveries so far.
        attempts: u16,
        /// When it is due, in nanoseconds since the epoch; 0: at once.
        due_at_ns: i64,
    },
}
