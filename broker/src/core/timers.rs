//! Heartbeats and deadlines of connections.
//!
//! Each connection has one entry, at the earliest moment that matters to it. Commands only note when they came; an
//! entry that has become too early is set anew when it fires. So the order costs nothing per command, and a sorted
//! set serves as well as a wheel: it changes once per heartbeat.

use std::collections::BTreeSet;

use crate::transport::Slot;

/// When to look at which connection; monotonic ns.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: BTreeSet<(u64, u64)>,
}

impl Timers {
    /// The earliest entry.
    pub(super) fn next(&self) -> Option<u64> {
        self.entries.first().map(|(at, _)| *at)
    }

    pub(super) fn set(&mut self, slot: Slot, at: u64) {
        self.entries.insert((at, slot.to_u64()));
    }

    /// Removes an entry.
    pub(super) fn cancel(&mut self, slot: Slot, at: u64) {
        self.entries.remove(&(at, slot.to_u64()));
    }

    pub(super) fn pop_due(&mut self, now: u64) -> Option<Slot> {
        let (at, slot) = *self.entries.first()?;
        if at > now {
            return None;
        }
        self.entries.pop_first();
        Some(Slot::from_u64(slot))
    }
}
