//! The broker's brain: topics, channels, credit, what is in flight, deferred and finished, as a state machine.
//!
//! # Contract
//!
//! Nothing here does IO, reads a clock, spawns anything, or waits. One [`Shard`] lives on each core. It holds the *topic
//! side* of the topics at home there and the *channel side* of the channels at home there; a channel may live on another
//! core than its topic. The two sides know each other only by [`PeerMessage`]s, also on one core.
//!
//! | door | meaning | may be called |
//! |---|---|---|
//! | [`Shard::handle`] | something happened | any time |
//! | [`Shard::handle_timeout`] | time has passed | early, late or twice, without harm |
//! | [`Shard::end_turn`] | all that happened is told: deliver now | once per turn of the core's loop |
//! | [`Shard::poll_output`] | what is to be done | until it is empty |
//! | [`Shard::poll_timeout`] | the next moment that matters | any time; changes nothing |
//!
//! `publish`, `finish`, `requeue`, `touch` and `credit` are methods of their own for the hot path, and are the same as
//! their inputs. Delivery happens in `end_turn`, so that a turn's worth of commands makes few large slices and not many
//! small ones.
//!
//! # A publish
//!
//! [`Shard::publish`] only gives out sequence numbers and remembers who waits. The broker appends to its log; when the
//! log has released the messages, [`Input::Appended`] makes them visible and yields [`Output::Reply`]. No other way leads
//! to a successful reply, so answering too early cannot be written by accident.
//!
//! # A channel is a cursor with exceptions
//!
//! The log holds the messages; a channel holds the next sequence number to deliver for the first time, and what differs
//! from "everything below is finished, everything above waits": in flight, requeued, deferred, finished out of order.
//! Its memory does not grow with its backlog. Messages in memory are a cache, and what is not there is fetched.

#![forbid(unsafe_code)]

/// Whether this fault is planted: only ever in the simulation.
macro_rules! planted {
    ($fault:ident) => {{
        #[cfg(feature = "planted")]
        let planted = nsq_planted::is_on(nsq_planted::Fault::$fault);
        #[cfg(not(feature = "planted"))]
        let planted = false;
        planted
    }};
}

pub mod batch;
mod channel;
mod channel_side;
pub mod config;
mod consumer;
mod finished;
mod hash;
mod ids;
mod input;
mod outbox;
mod output;
mod peer;
mod pump;
mod random;
mod record;
mod resident;
mod restored;
mod shard;
mod slab;
mod stats;
mod time;
mod timer;
mod topic;
mod topic_side;
mod waiters;

pub use batch::Batch;
pub use config::Config;
pub use ids::{
    ChannelId, ChannelKey, ConsumerId, RawMessageId, Token, TopicKey, Waiter, format_message_id,
    parse_message_id,
};
pub use input::{Admin, Input, Now};
pub use output::{Cause, Command, Output, PublishError, SubscribeError};
pub use peer::{ChannelOpening, PeerMessage};
pub use record::QueueRecord;
pub use restored::{RestoredChannel, RestoredMessage, RestoredTopic};
pub use shard::Shard;
pub use stats::{CacheStats, ChannelStats, ConsumerStats, TopicStats};
