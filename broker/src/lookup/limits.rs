//! Every bound of the conversation with nsqlookupd. The times are NSQ's.

use std::time::Duration;

/// From one PING to the next. A peer that is away is tried again at the same beat.
pub(super) const PING_INTERVAL_NS: u64 = 15 * NS_PER_S;

/// Looking up a peer's name and connecting to it.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Handing one batch of commands to the kernel.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// One whole reply, from the end of the one before.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Commands that are sent before their replies are read. A replay of a large table takes a round trip per batch
/// instead of one per name.
pub(super) const BATCH_COUNT_MAX: usize = 64;

/// Changes that wait for one peer. One more, and the peer is connected anew and told the whole table instead.
pub(super) const CHANGES_COUNT_MAX: usize = 4096;

/// Addresses in force at once; what is listed behind them is ignored, with an error in the log.
pub(super) const PEERS_COUNT_MAX: usize = 64;

/// Topics whose channels are asked for at once. Each takes a socket per peer.
pub(super) const DISCOVERIES_COUNT_MAX: u64 = 128;

/// Channels that one new topic gets. A peer that names more is wrong or worse, and each costs a record in the log.
pub(super) const CHANNELS_FOUND_MAX: usize = 10_000;

/// The head of an HTTP answer, and what is read ahead of its body.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Lines in the head of an HTTP answer.
pub(super) const HEADERS_COUNT_MAX: usize = 64;

/// The body of an HTTP answer: [`CHANNELS_FOUND_MAX`] channels with the longest names, and half as many again.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A body up to this size, some 250 channels, is read without asking for room.
pub(super) const BODY_BYTES_SMALL: usize = 16 * 1024;

/// Bodies beyond [`BODY_BYTES_SMALL`] that are read at once, in sum. The small ones are [`PEERS_COUNT_MAX`] ×
/// [`DISCOVERIES_COUNT_MAX`] at most.
pub(super) const BODIES_BYTES_MAX: u64 = 16 * BODY_BYTES_MAX as u64;

/// What a timeout of 0, which is none in NSQ, means here: a topic that waits for ever would help nobody.
pub(super) const QUERY_TIMEOUT_NS_MAX: u64 = 60 * NS_PER_S;

/// Bytes of a peer's reply that a log line shows.
pub(super) const LOGGED_BYTES_MAX: usize = 128;

/// Nanoseconds of a second.
pub(super) const NS_PER_S: u64 = 1_000_000_000;
