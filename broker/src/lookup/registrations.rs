//! What nsqlookupd is to know: topics and channels of all cores, and the changes it has not been told.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::mesh::message::{Change, LookupNotice};

/// What the tasks of core 0 are given to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Tell every nsqlookupd.
    Tell(Change),
    /// Ask every nsqlookupd for the channels of a new topic.
    Discover(String),
    /// Connect to those that are configured now, and to no other.
    AddressesChanged,
    /// End every conversation. Nothing comes after it.
    Stop,
}

/// The table of everything registered, and the work that waits. Lives on core 0.
#[derive(Debug, Default)]
pub struct Registrations {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    table: BTreeMap<String, BTreeSet<String>>,
    /// Bounded by one turn of the core: the task that takes it waits for nothing else, and leaves what a slow peer
    /// has still to hear in that peer's own, bounded queue.
    work: VecDeque<Work>,
    addresses_changed: bool,
    stopped: bool,
    waker: Option<Waker>,
}

impl Registrations {
    /// Takes in what a core has to say.
    pub fn notice(&self, notice: LookupNotice) {
        match notice {
            LookupNotice::Changed(change) => self.push(change),
            LookupNotice::Discover(topic) => self.discover(topic),
            LookupNotice::AddressesChanged => self.addresses_changed(),
        }
    }

    /// Enters a change and wakes the task that tells it.
    pub fn push(&self, change: Change) {
        let mut state = self.state.borrow_mut();
        state.apply(&change);
        state.add(Work::Tell(change));
    }

    /// PendingRequests for the channels of a new topic.
    pub fn discover(&self, topic: String) {
        self.state.borrow_mut().add(Work::Discover(topic));
    }

    /// The addresses in the process are new ones.
    pub fn addresses_changed(&self) {
        let mut state = self.state.borrow_mut();
        state.addresses_changed = true;
        state.wake();
    }

    /// Ends the conversations, without another word to anybody. What is pushed from now on is not told.
    pub fn stop(&self) {
        let mut state = self.state.borrow_mut();
        state.stopped = true;
        state.work.clear();
        state.wake();
    }

    /// Every topic with its channels, as it is to be registered with a peer that knows nothing.
    pub fn table(&self) -> Vec<(String, Vec<String>)> {
        let state = self.state.borrow();
        state
            .table
            .iter()
            .map(|(topic, channels)| (topic.clone(), channels.iter().cloned().collect()))
            .collect()
    }

    /// The next piece of work, if there is one. Otherwise the task is woken when there is.
    pub fn poll_work(&self, context: &mut Context<'_>) -> Poll<Work> {
        let mut state = self.state.borrow_mut();
        if state.stopped {
            return Poll::Ready(Work::Stop);
        }
        if std::mem::take(&mut state.addresses_changed) {
            return Poll::Ready(Work::AddressesChanged);
        }
        match state.work.pop_front() {
            Some(work) => Poll::Ready(work),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for work.
    pub async fn work(self: &Rc<Self>) -> Work {
        std::future::poll_fn(|context| self.poll_work(context)).await
    }
}

impl State {
    fn apply(&mut self, change: &Change) {
        match (&change.channel, change.added) {
            (None, true) => {
                self.table.entry(change.topic.clone()).or_default();
            }
            (None, false) => {
                self.table.remove(&change.topic);
            }
            (Some(channel), true) => {
                self.table.entry(change.topic.clone()).or_default().insert(channel.clone());
            }
            (Some(channel), false) => {
                if let Some(channels) = self.table.get_mut(&change.topic) {
                    channels.remove(channel);
                }
            }
        }
    }

    fn add(&mut self, work: Work) {
        if !self.stopped {
            self.work.push_back(work);
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_what_exists_now() {
        let registrations = Registrations::default();
        registrations.push(Change::added("t", None));
        registrations.push(Change::added("t", Some("c")));
        registrations.push(Change::added("t", Some("d")));
        registrations.push(Change::added("u", None));
        registrations.push(Change::removed("t", Some("c")));
        registrations.push(Change::removed("u", None));
        assert_eq!(registrations.table(), [("t".to_owned(), vec!["d".to_owned()])]);
    }

    #[test]
    fn work_comes_in_the_order_it_was_given() {
        let registrations = Registrations::default();
        registrations.push(Change::added("t", None));
        registrations.discover("t".to_owned());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(registrations.poll_work(&mut context), Poll::Ready(Work::Tell(Change::added("t", None))));
        assert_eq!(registrations.poll_work(&mut context), Poll::Ready(Work::Discover("t".to_owned())));
        assert!(registrations.poll_work(&mut context).is_pending());
    }

    #[test]
    fn new_addresses_come_before_what_is_to_be_told_and_once() {
        let registrations = Registrations::default();
        registrations.push(Change::added("t", None));
        registrations.addresses_changed();
        registrations.addresses_changed();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(registrations.poll_work(&mut context), Poll::Ready(Work::AddressesChanged));
        assert_eq!(registrations.poll_work(&mut context), Poll::Ready(Work::Tell(Change::added("t", None))));
        assert!(registrations.poll_work(&mut context).is_pending());
    }

    #[test]
    fn nothing_is_told_after_the_stop() {
        let registrations = Registrations::default();
        registrations.push(Change::added("t", None));
        registrations.stop();
        registrations.push(Change::removed("t", None));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert_eq!(registrations.poll_work(&mut context), Poll::Ready(Work::Stop));
        }
        assert!(registrations.table().is_empty());
    }
}
