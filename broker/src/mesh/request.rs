//! What is wanted of a core, by an HTTP handler, by a connection, or for nsqlookupd, and its answer.

use bytes::Bytes;
use nsq_queue::ChannelKey;

use crate::stats::snapshot::CoreStats;

/// Something to be done by the core that owns a topic. Names were validated before.
#[derive(Debug)]
pub enum Request {
    /// Publish `bodies` to `topic`, creating it if it is missing; answered after the commit.
    Publish {
        /// Topic name.
        topic: String,
        /// Delay in milliseconds, 0 for none. Only with a single body.
        defer_ms: u32,
        /// Message bodies, none of them empty. An empty list only creates the topic.
        bodies: Vec<Bytes>,
    },
    /// Create `topic` if it is missing.
    CreateTopic {
        /// Topic name.
        topic: String,
    },
    /// Delete `topic`, its channels and their messages.
    DeleteTopic {
        /// Topic name.
        topic: String,
    },
    /// Drop what `topic` holds for future channels.
    EmptyTopic {
        /// Topic name.
        topic: String,
    },
    /// Pause or unpause `topic`.
    PauseTopic {
        /// Topic name.
        topic: String,
        /// True to pause.
        paused: bool,
    },
    /// Create `channel` of an existing `topic`.
    CreateChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// Delete `channel`, disconnecting its consumers.
    DeleteChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// Drop all messages of `channel`.
    EmptyChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// Pause or unpause `channel`.
    PauseChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
        /// True to pause.
        paused: bool,
    },
    /// Create what is missing of topic and channel, for a subscription.
    Ensure {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// The addresses of nsqlookupd were changed. Only to core 0.
    LookupdChanged,
    /// What the core knows of its topics, channels and connections.
    Stats(StatsFilter),
}

/// Which part of the statistics is wanted.
#[derive(Clone, Debug, Default)]
pub struct StatsFilter {
    /// Only this topic.
    pub topic: Option<String>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Whether clients and producers are wanted.
    pub include_clients: bool,
}

/// The answer to a [`Request`].
#[derive(Debug)]
pub enum Response {
    /// Done.
    Done,
    /// The topic does not exist.
    TopicNotFound,
    /// The channel does not exist.
    ChannelNotFound,
    /// The publish was not taken: topic going away, log full or failed.
    Refused,
    /// The channel of an `Ensure` exists, on this core.
    Ensured {
        /// The channel.
        channel: ChannelKey,
        /// Its home core.
        core: u16,
    },
    /// Statistics of one core.
    Stats(Box<CoreStats>),
}
