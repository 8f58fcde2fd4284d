//! Deadlines of closing connections.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lifecycle::Phase;
use super::slot::Slot;

/// Which connections must have left a phase by when. At most two entries per connection: entries of connections
/// that left in time stay until their hour.
#[derive(Debug, Default)]
pub(super) struct Closing {
    deadlines: BinaryHeap<Reverse<(u64, Slot, bool)>>,
}

impl Closing {
    /// `slot` is in `phase`, one of the two that are bounded, until `at` at the latest.
    pub(super) fn add(&mut self, at: u64, slot: Slot, phase: Phase) {
        debug_assert!(matches!(phase, Phase::Flushing | Phase::Draining));
        self.deadlines.push(Reverse((at, slot, phase == Phase::Draining)));
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((at, ..))| *at)
    }

    /// Whether `slot` has to leave `phase` some day.
    pub(super) fn has(&self, slot: Slot, phase: Phase) -> bool {
        self.deadlines
            .iter()
            .any(|Reverse((_, of, draining))| *of == slot && *draining == (phase == Phase::Draining))
    }

    /// The next connection that should have left its phase by `now`.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<(Slot, Phase)> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, slot, draining)) = self.deadlines.pop()?;
        Some((slot, if draining { Phase::Draining } else { Phase::Flushing }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_come_due_in_order_and_not_before() {
        let slot = |index| Slot { index, generation: 0 };
        let mut closing = Closing::default();
        closing.add(20, slot(1), Phase::Draining);
        closing.add(10, slot(2), Phase::Flushing);
        assert_eq!(closing.next(), Some(10));
        assert_eq!(closing.pop_due(9), None);
        assert_eq!(closing.pop_due(30), Some((slot(2), Phase::Flushing)));
        assert_eq!(closing.pop_due(30), Some((slot(1), Phase::Draining)));
        assert_eq!(closing.pop_due(30), None);
        assert_eq!(closing.next(), None);
    }
}
