//! How many clients there may be at once, whatever core they are on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The count of the process.
#[derive(Debug)]
pub struct Permits {
    taken: AtomicUsize,
    max: usize,
}

/// One client's. It moves with the connection, and is given back when that is dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
}

impl Permits {
    /// At most `max` at once.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), max })
    }

    /// A permit, if there is one left.
    pub fn take(self: &Arc<Self>) -> Option<Permit> {
        // Relaxed: the count guards nothing but itself.
        let more = |taken: usize| (taken < self.max).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Permit { permits: self.clone() })
    }

    /// How many are out.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Permits;

    #[test]
    fn as_many_clients_as_there_are_permits_whatever_core_they_are_on() {
        let permits = Permits::new(64);
        let all: Vec<_> = std::thread::scope(|scope| {
            let take = || (0..50).filter_map(|_| permits.take()).collect::<Vec<_>>();
            let cores: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            cores.into_iter().flat_map(|core| core.join().expect("no core panics")).collect()
        });
        assert_eq!((all.len(), permits.taken()), (64, 64));
        drop(all);
        assert_eq!(permits.taken(), 0);
        assert!(permits.take().is_some());
    }
}
