//! What a shard wants done.

use crate::ids::{ChannelId, ChannelKey, ConsumerId, RawMessageId, Token, TopicKey};
use crate::peer::PeerMessage;
use crate::record::QueueRecord;
use bytes::Bytes;
use std::sync::Arc;

/// Something to be done by the broker, in this order.
#[derive(Debug)]
pub enum Output {
    /// Send `count` messages as they are: their first delivery.
    Deliver {
        /// To whom.
        consumer: ConsumerId,
        /// Whole frames.
        payload: Bytes,
        /// How many.
        count: u32,
    },
    /// Send one message with its attempts replaced (at [`crate::batch::ATTEMPTS_OFFSET`]).
    Redeliver {
        /// To whom.
        consumer: ConsumerId,
        /// The whole frame, as on first delivery.
        message: Bytes,
        /// What its attempts must say.
        attempts: u16,
    },
    /// A FIN, REQ or TOUCH did not work. Not fatal for the connection.
    Failed {
        /// Whose.
        consumer: ConsumerId,
        /// Which of them.
        command: Command,
        /// The id as it came.
        id: RawMessageId,
        /// Why.
        cause: Cause,
    },
    /// The answer to a subscription.
    Subscribed {
        /// Who asked.
        consumer: ConsumerId,
        /// Whether it may stay.
        result: Result<(), SubscribeError>,
    },
    /// Close this consumer's connection without a word: its channel is gone. The shard has forgotten it.
    Close {
        /// Whose connection.
        consumer: ConsumerId,
    },
    /// Answer `count` publishes of one connection, numbered from `first_reply`.
    Reply {
        /// The core that holds the connection.
        origin: u16,
        /// The connection.
        connection: u64,
        /// The first publish to answer.
        first_reply: u64,
        /// How many, at least one.
        count: u64,
        /// What to say.
        result: Result<(), PublishError>,
    },
    /// Put this fact into the topic's log.
    Record {
        /// The topic.
        topic: TopicKey,
        /// The fact.
        record: QueueRecord,
    },
    /// Read a run of this topic that begins at or before `seq` and covers it; answer with [`crate::Input::Loaded`].
    Fetch {
        /// The topic.
        topic: TopicKey,
        /// The message that is wanted first.
        seq: u64,
        /// The core that asked, to be named in the answer.
        core: u16,
    },
    /// Hand this to another core, after everything handed to it before.
    Peer {
        /// The core.
        core: u16,
        /// What to hand over.
        message: PeerMessage,
    },
    /// An administrative request has taken effect on every core.
    AdminDone {
        /// The request.
        token: Token,
    },
    /// A topic or a channel exists: tell nsqlookupd.
    Registered {
        /// The topic.
        topic: TopicKey,
        /// Its name.
        topic_name: Arc<str>,
        /// The channel, or `None` for the topic itself.
        channel: Option<(ChannelId, Arc<str>)>,
    },
    /// A topic or a channel exists no longer: tell nsqlookupd.
    Unregistered {
        /// The topic.
        topic: TopicKey,
        /// Its name.
        topic_name: Arc<str>,
        /// The channel, or `None` for the topic itself.
        channel: Option<(ChannelId, Arc<str>)>,
    },
    /// A message was finished this long after its publish. Only with [`crate::Config::latency`].
    Latency {
        /// Its channel.
        channel: ChannelKey,
        /// Nanoseconds by the wall clock, at least 0.
        latency_ns: u64,
    },
}

/// The commands that name a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Command {
    /// FIN
    Finish,
    /// REQ
    Requeue,
    /// TOUCH
    Touch,
}

/// Why such a command did not work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// No message of this id is in flight in the channel.
    NotInFlight,
    /// It is, but with somebody else.
    NotOwner,
}

/// Why a subscription did not work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The channel has as many consumers as it may have.
    TooManyConsumers,
    /// The channel is not, or no longer, here: it may be about to be deleted. Worth one retry.
    NoSuchChannel,
}

/// Why a publish did not work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is being deleted, or there is none.
    Exiting,
    /// The log has refused it.
    Refused,
}

// Outputs and peer messages go through queues by the million; one large variant would cost them all.
const _: () = assert!(size_of::<Output>() <= 96);
