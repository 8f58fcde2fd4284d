//! What the lanes of a run and its controller tell each other: a phase one way, counters the other.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What a run is doing now. Phases only go forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Phase {
    Publish,
    /// No new commands; answers and deliveries still come in.
    Settle,
    Done,
}

/// What the lanes and the controller share. All of it is counters: nothing is guarded by them.
#[derive(Debug)]
pub(crate) struct Shared {
    phase: AtomicU8,
    /// Messages answered with OK.
    pub(crate) published: AtomicU64,
    /// Deliveries over all channels.
    pub(crate) received: AtomicU64,
    pub(crate) last_received_ns: AtomicU64,
    pub(crate) last_published_ns: AtomicU64,
    /// Lanes with nothing left to publish and no answer outstanding.
    pub(crate) quiet: AtomicUsize,
    pub(crate) failed: AtomicUsize,
    /// Latencies of messages sent in this span count, in ns of [`clock::now_ns`].
    record_from_ns: u64,
    record_to_ns: u64,
    /// Publishers stand still while this many messages wait for delivery.
    backlog_max: u64,
    channels: u64,
}

impl Shared {
    pub(crate) fn new(record_ns: (u64, u64), backlog_max: Option<u64>, channels: usize) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Publish as u8),
            published: AtomicU64::new(0),
            received: AtomicU64::new(0),
            last_received_ns: AtomicU64::new(0),
            last_published_ns: AtomicU64::new(0),
            quiet: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            record_from_ns: record_ns.0,
            record_to_ns: record_ns.1,
            backlog_max: backlog_max.unwrap_or(u64::MAX),
            channels: channels.max(1) as u64,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Publish,
            1 => Phase::Settle,
            _ => Phase::Done,
        }
    }

    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }

    /// Publishers may send: not too many messages wait for delivery.
    pub(crate) fn gate_is_open(&self) -> bool {
        let waiting =
            self.published.load(Relaxed).saturating_sub(self.received.load(Relaxed) / self.channels);
        waiting < self.backlog_max
    }

    /// Latencies of messages sent at this moment count.
    #[inline]
    pub(crate) fn records(&self, sent_at_ns: u64) -> bool {
        (self.record_from_ns..self.record_to_ns).contains(&sent_at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_counts_messages_not_deliveries() {
        let shared = Shared::new((0, 0), Some(10), 8);
        shared.published.store(10, Relaxed);
        assert!(!shared.gate_is_open());
        shared.received.store(8, Relaxed);
        assert!(shared.gate_is_open());
    }

    #[test]
    fn phases_never_go_back() {
        let shared = Shared::new((0, 0), None, 0);
        shared.advance(Phase::Done);
        shared.advance(Phase::Settle);
        assert_eq!(shared.phase(), Phase::Done);
    }
}
