//! One subscription: credit, what it holds, its counters.

use crate::ids::ConsumerId;
use crate::stats::ConsumerStats;

pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    /// The place of its channel.
    pub(crate) channel: u32,
    pub(crate) credit: u32,
    pub(crate) in_flight: u64,
    pub(crate) message_timeout_ns: u64,
    pub(crate) sample_rate: u8,
    /// Bytes that its connection takes at present. The message that uses them up is dealt, so that a large one is not
    /// held up for ever.
    pub(crate) room_bytes: u64,
    /// CLS was said: nothing new, whatever its credit.
    pub(crate) closing: bool,
    /// It stands in its channel's queue of ready consumers. It may have stopped being ready since.
    pub(crate) queued: bool,
    pub(crate) message_count: u64,
    pub(crate) finish_count: u64,
    pub(crate) requeue_count: u64,
}

impl Consumer {
    pub(crate) fn new(
        id: ConsumerId,
        channel: u32,
        message_timeout_ns: u64,
        sample_rate: u8,
        room_bytes: u64,
    ) -> Consumer {
        Consumer {
            id,
            channel,
            credit: 0,
            in_flight: 0,
            message_timeout_ns,
            sample_rate,
            room_bytes,
            closing: false,
            queued: false,
            message_count: 0,
            finish_count: 0,
            requeue_count: 0,
        }
    }

    /// How many more messages it takes now.
    pub(crate) fn room(&self) -> u64 {
        if self.room_bytes > 0 && !self.closing {
            u64::from(self.credit).saturating_sub(self.in_flight)
        } else {
            0
        }
    }

    pub(crate) fn stats(&self) -> ConsumerStats {
        ConsumerStats {
            consumer: self.id,
            credit: self.credit,
            in_flight_count: self.in_flight,
            message_count: self.message_count,
            finish_count: self.finish_count,
            requeue_count: self.requeue_count,
        }
    }
}
