//! Commands that wait.

use crate::client::replies::PublishVerb;

/// A command that continues when the answer it waits for is there.
#[derive(Debug)]
pub enum Suspended {
    /// SUB, waiting for topic and channel.
    Subscribe {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
        /// True once the channel has vanished under the command, which is tried twice.
        again: bool,
    },
    /// A publish, waiting for its new topic's channels to be known.
    Publish {
        /// Topic name.
        topic: String,
        /// Which command.
        verb: PublishVerb,
        /// Delay in milliseconds.
        defer_ms: u32,
        /// Messages, each with its size as u32 before it.
        messages: Vec<u8>,
        /// Number of messages.
        count: u32,
    },
    /// The topic line of an MPUB: the topic is created before the body is looked at.
    MpubTopic {
        /// Topic name.
        topic: String,
    },
}

impl Suspended {
    /// Bytes kept of the command.
    pub fn bytes(&self) -> usize {
        match self {
            Suspended::Subscribe { topic, channel, .. } => topic.len() + channel.len(),
            Suspended::Publish { topic, messages, .. } => topic.len() + messages.len(),
            Suspended::MpubTopic { topic } => topic.len(),
        }
    }
}
