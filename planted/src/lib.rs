//! Faults that the simulation switches on to prove that it sees them, and marks of the arms that it has reached.
//!
//! Code under test asks [`is_on`] at the place where a fault is planted, and says [`reach`] where an arm matters. Both
//! are compiled under the features of the simulation only and cost a thread-local read there.
//!
//! To plant a fault: a variant of [`Fault`] with its name, `nsq_planted::is_on(Fault::…)` at the place, behind the
//! crate's feature, and a line in `sim/src/planted.rs` with the check that sees it and the number of seeds within
//! which it does.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

macro_rules! faults {
    ($($variant:ident = $name:literal: $what:literal,)*) => {
        /// A fault that can be switched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $what] $variant,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$variant,)*];

            /// What it is called on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)* }
            }

            /// What is wrong while it is on.
            pub fn what(self) -> &'static str {
                match self { $(Fault::$variant => $what,)* }
            }
        }
    };
}

faults! {
    OkAtPublish = "ok-at-publish": "OK is answered at the publish instead of at its release.",
    WriteNotSynchronous = "write-not-synchronous": "The writes of durability `sync` are not data-synchronous.",
    ReleaseOutOfOrder = "release-out-of-order": "A frame is released while an earlier one is under way.",
    ShortWriteComplete = "short-write-complete": "A short write passes for complete.",
    RollNotSynced = "roll-not-synced": "The directory is not synced after a segment was renamed.",
    RecycledTooEarly = "recycled-too-early": "A segment is recycled before its `Retire` is durable.",
    ReservationIgnored = "reservation-ignored": "The reservation of message ids is ignored at a start.",
    FinishTooLong = "finish-too-long": "A range of finished messages is recorded one too long.",
    FinishElsewhere = "finish-elsewhere": "Finished messages are recorded for another channel.",
    AttemptsForgotten = "attempts-forgotten": "A message that is requeued begins to count its attempts anew.",
    StopForgetsAttempts = "stop-forgets-attempts": "A clean stop does not record the attempts of what is in flight.",
    TimerEarly = "timer-early": "A deadline of the queue fires a tick early.",
    FullRingDrops = "full-ring-drops": "A message for another core is dropped when the ring is full.",
    SleeperNotRung = "sleeper-not-rung": "What is put into a ring does not wake its sleeping reader.",
    PendingForgotten = "pending-forgotten": "Bytes that came in while a connection moved are forgotten.",
    SlotReused = "slot-reused": "A slot is free before its `Closed` was taken.",
    ReadErrorLoses = "read-error-loses": "An IO error at a read counts as a loss of the messages.",
    HealthOfAnother = "health-of-another": "One shard that has room again clears the health of the others.",
    GoneStayCounted = "gone-stay-counted": "What was counted for a connection stays counted when it is gone.",
    DeadlineByWallClock = "deadline-by-wall-clock": "A deadline is kept by the wall clock.",
}

thread_local! {
    static ON: Cell<Option<Fault>> = const { Cell::new(None) };
    static REACHED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Switches one fault on for this thread, or all off.
pub fn plant(fault: Option<Fault>) {
    ON.set(fault);
}

/// Whether the fault is on.
pub fn is_on(fault: Fault) -> bool {
    ON.get() == Some(fault)
}

/// Counts that an arm was reached on this thread.
pub fn reach(mark: &'static str) {
    REACHED.with_borrow_mut(|reached| *reached.entry(mark).or_default() += 1);
}

/// Takes the counts of this thread.
pub fn take_reached() -> BTreeMap<&'static str, u64> {
    REACHED.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_is_on_at_a_time_and_only_on_this_thread() {
        plant(Some(Fault::OkAtPublish));
        assert!(is_on(Fault::OkAtPublish) && !is_on(Fault::SlotReused));
        std::thread::spawn(|| assert!(!is_on(Fault::OkAtPublish))).join().expect("the other thread");
        plant(None);
        assert!(!is_on(Fault::OkAtPublish));
    }

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
