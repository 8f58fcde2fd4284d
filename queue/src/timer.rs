//! What waits for a moment.

use crate::ids::ConsumerId;

/// What waits for a moment.
pub(crate) enum Timer {
    InFlight(InFlight),
    Deferred { channel: u32, seq: u64, attempts: u16 },
    FetchAgain { local: u32, seq: u64 },
}

/// A message that a consumer has and has not answered for.
pub(crate) struct InFlight {
    pub(crate) channel: u32,
    pub(crate) consumer: ConsumerId,
    pub(crate) id: u64,
    pub(crate) seq: u64,
    pub(crate) attempts: u16,
    pub(crate) delivered_at_ns: u64,
    pub(crate) published_at_ns: i64,
}
