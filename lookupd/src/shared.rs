//! What all connections share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::registry::Registry;

/// The one directory of the process, and what is needed to answer with it. The daemon has one thread for its
/// connections, so the lock is there for the compiler and for saving; it is never held across an `await`.
#[derive(Debug)]
pub struct Shared {
    registry: Mutex<Registry>,
    /// The time.
    pub clock: Clock,
    /// Counters for `/metrics`.
    pub metrics: Metrics,
    /// The answer to every IDENTIFY.
    pub identify_reply: Vec<u8>,
}

impl Shared {
    /// Around a directory that may know something already.
    pub fn new(registry: Registry, clock: Clock, identify_reply: Vec<u8>) -> Self {
        Self { registry: Mutex::new(registry), clock, metrics: Metrics::default(), identify_reply }
    }

    /// The directory. No method of it leaves it half changed, so a panic under the lock is no reason to give up.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
