//! What one peer has still to be told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::lookup::limits::{BATCH_COUNT_MAX, CHANGES_COUNT_MAX};
use crate::mesh::message::Change;

/// A bounded queue from the task that spreads changes to the task of one peer.
#[derive(Debug, Default)]
pub(super) struct Changes {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Rc<Change>>,
    overflowed: bool,
    waker: Option<Waker>,
}

/// What a peer's task finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Batch {
    /// These, oldest first; at most [`BATCH_COUNT_MAX`].
    Changes(Vec<Rc<Change>>),
    /// Changes were lost, because there were too many. Only the table knows what is true.
    Overflowed,
}

impl Changes {
    /// Adds a change; never waits.
    pub(super) fn push(&self, change: Rc<Change>) {
        let mut state = self.state.borrow_mut();
        // Until the overflow is noticed, nothing needs to be kept: the table that is read then has it all.
        if !state.overflowed {
            state.waiting.push_back(change);
        }
        if state.waiting.len() > CHANGES_COUNT_MAX {
            state.waiting.clear();
            state.overflowed = true;
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Waits until there is something to take. Losing the future loses nothing.
    pub(super) async fn ready(&self) {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if state.overflowed || !state.waiting.is_empty() {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The next changes; empty if there are none.
    pub(super) fn take(&self) -> Batch {
        let mut state = self.state.borrow_mut();
        if std::mem::take(&mut state.overflowed) {
            return Batch::Overflowed;
        }
        let count = state.waiting.len().min(BATCH_COUNT_MAX);
        Batch::Changes(state.waiting.drain(..count).collect())
    }

    /// Forgets everything: the peer is away, and will be told the table when it is back.
    pub(super) fn clear(&self) {
        let mut state = self.state.borrow_mut();
        state.waiting.clear();
        state.overflowed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(topic: &str) -> Rc<Change> {
        Rc::new(Change::added(topic, None))
    }

    #[test]
    fn changes_come_in_their_order_and_in_batches() {
        let changes = Changes::default();
        for index in 0..BATCH_COUNT_MAX + 1 {
            changes.push(change(&index.to_string()));
        }
        let Batch::Changes(first) = changes.take() else { panic!("no overflow") };
        assert_eq!(first.len(), BATCH_COUNT_MAX);
        assert_eq!(first[0], change("0"));
        assert_eq!(changes.take(), Batch::Changes(vec![change(&BATCH_COUNT_MAX.to_string())]));
        assert_eq!(changes.take(), Batch::Changes(Vec::new()));
    }

    #[test]
    fn one_too_many_is_noticed_once_and_what_comes_later_is_kept() {
        let changes = Changes::default();
        for _ in 0..=CHANGES_COUNT_MAX {
            changes.push(change("lost"));
        }
        changes.push(change("lost as well"));
        assert_eq!(changes.take(), Batch::Overflowed);
        changes.push(change("kept"));
        assert_eq!(changes.take(), Batch::Changes(vec![change("kept")]));
    }

    #[test]
    fn clearing_forgets_the_overflow_too() {
        let changes = Changes::default();
        for _ in 0..=CHANGES_COUNT_MAX {
            changes.push(change("t"));
        }
        changes.clear();
        assert_eq!(changes.take(), Batch::Changes(Vec::new()));
    }
}
