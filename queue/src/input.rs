//! What can happen to a shard.

use crate::batch::Batch;
use crate::ids::{ChannelKey, ConsumerId, RawMessageId, Token, TopicKey};
use crate::peer::PeerMessage;
use crate::restored::{RestoredChannel, RestoredTopic};
use std::sync::Arc;

/// The time, as the broker sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// A clock that never goes back, in nanoseconds; all deadlines are counted on it.
    pub mono_ns: u64,
    /// Nanoseconds since the epoch; only what outlives the process is written in it.
    pub wall_ns: i64,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// Topic's core: a topic exists from now on. Ignored if the key or the name is taken.
    TopicOpen {
        /// Its key.
        topic: TopicKey,
        /// Its name, valid and with its `#ephemeral` suffix if it has one.
        name: Arc<str>,
        /// It lives in memory only: nothing of it goes to the log, and it is deleted with its last channel.
        memory_only: bool,
        /// Nothing is forwarded to channels before [`Input::TopicRelease`].
        gated: bool,
        /// What the log knew of it.
        restored: Option<RestoredTopic>,
    },
    /// Topic's core: the channels that must exist before the first message is forwarded exist now.
    TopicRelease {
        /// The topic that was opened `gated`.
        topic: TopicKey,
    },
    /// Topic's core: a channel exists from now on; `token` is confirmed when its core knows it.
    /// See also [`crate::Shard::channel_open`], which does the same and names the channel.
    ChannelOpen {
        /// The topic.
        topic: TopicKey,
        /// The channel's name.
        name: Arc<str>,
        /// The core the channel lives on.
        core: u16,
        /// What the log knew of it.
        restored: Option<RestoredChannel>,
        /// Confirmed by [`crate::Output::AdminDone`].
        token: Option<Token>,
    },
    /// Topic's core: the log has released this batch; the sequence is without gaps.
    Appended {
        /// The topic.
        topic: TopicKey,
        /// The messages.
        batch: Batch,
    },
    /// Topic's core: the log has refused the publish that began at `from_seq`, and holds nothing from there on.
    AppendFailed {
        /// The topic.
        topic: TopicKey,
        /// What [`crate::Shard::publish`] returned for the first refused publish.
        from_seq: u64,
    },
    /// Topic's core: the answer to [`crate::Output::Fetch`].
    Loaded {
        /// The topic.
        topic: TopicKey,
        /// The core that asked.
        core: u16,
        /// What was asked for. If neither `batches` nor `lost` covers it, the read has failed for now, and is repeated
        /// after [`crate::config::FETCH_RETRY_NS`].
        seq: u64,
        /// What was read, in rising order, without overlaps.
        batches: Vec<Batch>,
        /// Sequence numbers that will never be read again, as half-open ranges.
        lost: Vec<(u64, u64)>,
    },
    /// Topic's core: an administrative request.
    Admin {
        /// The topic.
        topic: TopicKey,
        /// What to do.
        action: Admin,
        /// Confirmed by [`crate::Output::AdminDone`] when every core has done it.
        token: Option<Token>,
    },
    /// Channel's core: a consumer comes. Answered by [`crate::Output::Subscribed`].
    Subscribe {
        /// The channel.
        channel: ChannelKey,
        /// The consumer, never used before.
        consumer: ConsumerId,
        /// How long it may take over a message.
        message_timeout_ns: u64,
        /// 0 for every message; otherwise about `sample_rate + 1` in a hundred.
        sample_rate: u8,
        /// As in [`Input::Writable`].
        room_bytes: u64,
    },
    /// Channel's core: RDY.
    Credit {
        /// The consumer.
        consumer: ConsumerId,
        /// Most messages it wants in flight.
        credit: u32,
    },
    /// Channel's core: FIN.
    Finish {
        /// The consumer.
        consumer: ConsumerId,
        /// The message.
        id: RawMessageId,
    },
    /// Channel's core: REQ, with a delay that was clamped already.
    Requeue {
        /// The consumer.
        consumer: ConsumerId,
        /// The message.
        id: RawMessageId,
        /// 0: at once.
        delay_ns: u64,
    },
    /// Channel's core: TOUCH.
    Touch {
        /// The consumer.
        consumer: ConsumerId,
        /// The message.
        id: RawMessageId,
    },
    /// Channel's core: how many bytes the consumer's connection takes at present. What is dealt from now on is subtracted;
    /// the message that uses the rest up is still dealt.
    Writable {
        /// The consumer.
        consumer: ConsumerId,
        /// Bytes in all, whatever was said before; 0 stops its deliveries.
        room_bytes: u64,
    },
    /// Channel's core: CLS. The consumer gets nothing new, and may finish what it has.
    Closing {
        /// The consumer.
        consumer: ConsumerId,
    },
    /// Channel's core: the connection is gone. What it has in flight stays so until its deadline.
    Leave {
        /// The consumer.
        consumer: ConsumerId,
    },
    /// Any core: a message from another core, in the order it was sent.
    Peer {
        /// The core that sent it.
        from: u16,
        /// The message.
        message: PeerMessage,
    },
    /// Any core: the broker stops cleanly. Attempts of what is in flight or requeued go to the log, so that the next life
    /// counts on; afterwards only the log's completions may follow.
    Stop,
}

/// What an operator can ask of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admin {
    /// Forward nothing to channels.
    PauseTopic,
    /// Forward again.
    UnpauseTopic,
    /// Drop what was not forwarded yet.
    EmptyTopic,
    /// Delete it with all its channels.
    DeleteTopic,
    /// Deliver nothing from this channel.
    PauseChannel(Arc<str>),
    /// Deliver again.
    UnpauseChannel(Arc<str>),
    /// Drop everything in this channel.
    EmptyChannel(Arc<str>),
    /// Delete this channel and disconnect its consumers.
    DeleteChannel(Arc<str>),
}
