//! One channel: a cursor with exceptions.
//!
//! ```text
//!   all finished      finished, in flight,        waits for its first          not in the
//!                     requeued or deferred        delivery, but for `taken`    channel yet
//! ────────────────┤├───────────────────────────┤├──────────────────────────┤├──────────────
//!             watermark                      cursor                       head
//! ```
//!
//! Each message in `[watermark, head)` is exactly one of: finished, in flight, requeued, deferred, or waiting for its first
//! delivery. `taken` are those at or above the cursor that the cursor must step over, because they are one of the others.

use crate::finished::Finished;
use crate::hash::IntMap;
use crate::ids::{ChannelKey, ConsumerId};
use crate::time::TimerKey;
use rangemap::RangeSet;
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) struct Channel {
    pub(crate) key: ChannelKey,
    pub(crate) name: Arc<str>,
    pub(crate) topic_name: Arc<str>,
    /// The place of its topic among the topics known to this core.
    pub(crate) local: u32,
    /// It is deleted when its last consumer leaves.
    pub(crate) ephemeral: bool,
    /// It drops what comes while it is full.
    pub(crate) bounded: bool,
    pub(crate) paused: bool,
    /// Its last consumer has left and its topic was told to delete it: nobody may come any more.
    pub(crate) deserted: bool,

    pub(crate) cursor: u64,
    pub(crate) head: u64,
    pub(crate) taken: RangeSet<u64>,
    pub(crate) taken_count: u64,
    /// Ready to be delivered again, or for the first time after a delay.
    pub(crate) requeued: VecDeque<Waiting>,
    /// Timers by sequence number.
    pub(crate) deferred: IntMap<u64, TimerKey>,
    /// Timers by message id.
    pub(crate) in_flight: IntMap<u64, TimerKey>,
    pub(crate) finished: Finished,

    /// In the order they came.
    pub(crate) consumers: Vec<ConsumerId>,
    /// Those with room for messages, next one first. Each at most once; some may have lost their room.
    pub(crate) ready: VecDeque<ConsumerId>,

    /// Where the cursor's message begins, if the cursor got there by stepping.
    pub(crate) place: Place,
    /// When the cursor gets to the first number, read on from the second.
    pub(crate) ahead: Option<(u64, u64)>,
    /// Behind the newest message that had arrived when this turn began; only for a bounded channel.
    pub(crate) overflow_from: Option<u64>,
    /// It is on the list of channels to be pumped.
    pub(crate) dirty: bool,
    /// It is on the list of channels whose finished messages are to be settled.
    pub(crate) unsettled: bool,

    pub(crate) message_count: u64,
    pub(crate) requeue_count: u64,
    pub(crate) timeout_count: u64,
}

/// A message that is ready, and not for its cursor to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    pub(crate) seq: u64,
    /// Deliveries so far.
    pub(crate) attempts: u16,
}

/// The message `seq` begins at `offset` of the batch that begins with `batch_first`.
///
/// This holds for every batch that begins there: how messages are cut into batches changes when they are read back, but
/// not how far two messages are apart.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) batch_first: u64,
    pub(crate) seq: u64,
    pub(crate) offset: usize,
}

impl Channel {
    /// Messages ready to be delivered.
    pub(crate) fn depth(&self) -> u64 {
        self.head - self.cursor - self.taken_count + self.requeued.len() as u64
    }

    /// The cursor shall step over `[from, to)`, which lies in `[cursor, head)` and is not taken yet.
    pub(crate) fn take(&mut self, from: u64, to: u64) {
        assert!(self.cursor <= from && from < to && to <= self.head);
        if from == self.cursor {
            self.cursor = to;
        } else {
            self.taken.insert(from..to);
            self.taken_count += to - from;
        }
        self.step_over_taken();
    }

    /// Moves the cursor to the next message that waits for its first delivery, or to the head.
    pub(crate) fn step_over_taken(&mut self) {
        if self.taken_count == 0 {
            return;
        }
        while let Some(range) = self.taken.first().filter(|range| range.start <= self.cursor).cloned() {
            self.cursor = range.end;
            self.taken_count -= range.end - range.start;
            self.taken.remove(range);
        }
    }

    /// Behind the last message the cursor can reach without stepping over one.
    pub(crate) fn run_end(&self) -> u64 {
        if self.taken_count == 0 {
            return self.head;
        }
        self.taken.first().map_or(self.head, |range| range.start)
    }

    /// What waits for its first delivery in `[from, to)`, as half-open ranges.
    pub(crate) fn untouched(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let (from, to) = (from.max(self.cursor), to.min(self.head));
        if from >= to {
            return Vec::new();
        }
        self.taken.gaps(&(from..to)).map(|range| (range.start, range.end)).collect()
    }

    /// What waits for its first delivery in `[from, to)` is finished without one.
    pub(crate) fn discard(&mut self, from: u64, to: u64) {
        for (from, to) in self.untouched(from, to) {
            self.finished.add_range(from, to);
            self.take(from, to);
        }
    }

    /// Drops the newest of what has arrived this turn, as long as the channel holds more than it may.
    pub(crate) fn drop_overflow(&mut self, count_max: u64) {
        let Some(arrived_from) = self.overflow_from.take() else { return };
        let mut excess = self.depth().saturating_sub(count_max);
        let mut arrived = self.untouched(arrived_from, self.head);
        while let Some((from, to)) = arrived.pop().filter(|_| excess > 0) {
            let from = from.max(to.saturating_sub(excess));
            excess -= to - from;
            self.discard(from, to);
        }
    }
}
