//! What the two sides of the queue say to each other: a topic's core and the cores of its channels.
//!
//! Order matters between one pair of cores in one direction, and only there. A channel's core may be the topic's own;
//! then the shard hands the message to itself.

use crate::batch::Batch;
use crate::ids::{ChannelId, ChannelKey, TopicKey};
use crate::record::QueueRecord;
use crate::restored::RestoredChannel;
use std::sync::Arc;

/// A message between cores. Opaque to the broker, which only carries it.
#[derive(Debug)]
#[non_exhaustive]
pub enum PeerMessage {
    /// To the channel: it exists.
    ChannelOpen(Box<ChannelOpening>),
    /// To the channel: it exists no longer.
    ChannelClose(ChannelKey),
    /// To the channels: new messages, right behind the last ones.
    Batch {
        /// The topic.
        topic: TopicKey,
        /// The messages.
        batch: Batch,
    },
    /// To the channels: messages up to here are theirs, and to be read from the log.
    Visible {
        /// The topic.
        topic: TopicKey,
        /// Behind the last one.
        upto: u64,
        /// Those among them that must wait, and how many milliseconds from now.
        deferred: Arc<[(u64, u32)]>,
    },
    /// To the channels: messages up to here will never come.
    Skip {
        /// The topic.
        topic: TopicKey,
        /// Behind the last one.
        upto: u64,
    },
    /// To the channels: what was fetched.
    Loaded {
        /// The topic.
        topic: TopicKey,
        /// What was asked for.
        seq: u64,
        /// What was read.
        batches: Vec<Batch>,
        /// What never can be.
        lost: Vec<(u64, u64)>,
    },
    /// To the channel: deliver nothing, or deliver again.
    ChannelPause {
        /// The channel.
        key: ChannelKey,
        /// Which of the two.
        paused: bool,
    },
    /// To the channel: drop everything.
    ChannelEmpty(ChannelKey),
    /// To the channels' core: answer when everything before this is done.
    Barrier {
        /// The operation that waits.
        operation: u64,
    },
    /// To the topic: read this.
    Fetch {
        /// The topic.
        topic: TopicKey,
        /// The first message wanted.
        seq: u64,
    },
    /// To the topic: a fact for its log.
    Record {
        /// The topic.
        topic: TopicKey,
        /// The fact.
        record: QueueRecord,
    },
    /// To the topic: the last consumer of an ephemeral channel has left.
    Deserted(ChannelKey),
    /// To the topic's core: everything before the barrier is done.
    Done {
        /// The operation that waits.
        operation: u64,
    },
}

/// All that a channel's core must know to begin.
#[derive(Debug)]
pub struct ChannelOpening {
    pub(crate) topic: TopicKey,
    pub(crate) topic_name: Arc<str>,
    pub(crate) topic_core: u16,
    pub(crate) memory_only: bool,
    pub(crate) channel: ChannelId,
    pub(crate) name: Arc<str>,
    /// Behind the last message that was forwarded so far: where a new channel begins.
    pub(crate) head: u64,
    pub(crate) restored: Option<RestoredChannel>,
}
