//! Something that happens once, and that many may wait for.

use glommio::sync::Semaphore;

/// Closed at first; opened once, for good. Stays on its executor.
#[derive(Debug)]
pub(super) struct Latch(Semaphore);

impl Latch {
    /// It has not happened.
    pub(super) fn new() -> Self {
        // Nobody ever signals a unit, so a waiter is released by the semaphore's end only.
        Self(Semaphore::new(0))
    }

    /// It has happened: everybody goes on, now and later.
    pub(super) fn open(&self) {
        self.0.close();
    }

    /// Waits until it has happened.
    pub(super) async fn opened(&self) {
        let closed = self.0.acquire(1).await;
        debug_assert!(closed.is_err(), "invariant: there are no units");
    }
}
