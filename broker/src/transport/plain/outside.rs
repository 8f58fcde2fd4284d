//! What other threads and wakers leave for the loop.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use super::super::Slot;

/// The loop's letter box. Wakers must be `Send`, so this is locked although hardly anybody else ever comes.
#[derive(Debug, Default)]
pub(super) struct Outside {
    inner: Mutex<Inner>,
    /// Another core has rung.
    rung: AtomicBool,
    accept_rests: AtomicU64,
    turned_away: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    /// Connections whose readiness has changed.
    ready: Vec<Slot>,
    /// New connections; bounded by the process's limit of descriptors.
    accepted: VecDeque<(u8, OwnedFd)>,
    parked: Option<Waker>,
}

impl Outside {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock, and every state of the two lists is a good one.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.ready.is_empty() && inner.accepted.is_empty() && !self.rung.load(Ordering::Relaxed)
    }

    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
    }

    pub(super) fn take_ring(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::Acquire)
    }

    pub(super) fn take_ready(&self, into: &mut VecDeque<Slot>) {
        into.extend(self.lock().ready.drain(..));
    }

    pub(super) fn take_accepted(&self) -> Option<(u8, OwnedFd)> {
        self.lock().accepted.pop_front()
    }

    pub(super) fn add_accepted(&self, listener: u8, socket: OwnedFd) {
        self.lock().accepted.push_back((listener, socket));
    }

    pub(super) fn count_accept_rest(&self) {
        self.accept_rests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    pub(super) fn accept_rests(&self) -> u64 {
        self.accept_rests.load(Ordering::Relaxed)
    }

    /// Keeps the waker of the parked loop; false if there is something for it already.
    pub(super) fn park(&self, waker: &Waker) -> bool {
        let mut inner = self.lock();
        if !inner.ready.is_empty() || !inner.accepted.is_empty() {
            return false;
        }
        inner.parked = Some(waker.clone());
        true
    }
}

/// Marks one connection as ready and wakes the loop.
pub(super) struct ReadyWaker {
    pub(super) slot: Slot,
    pub(super) outside: Arc<Outside>,
}

impl Wake for ReadyWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let parked = {
            let mut inner = self.outside.lock();
            inner.ready.push(self.slot);
            inner.parked.take()
        };
        if let Some(waker) = parked {
            waker.wake();
        }
    }
}
