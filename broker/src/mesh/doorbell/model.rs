//! The flag under loom: every interleaving of a sleeper and its writers. A lost wake-up is a sleeper that waits while
//! nobody runs, which loom reports as a deadlock.

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
}
#[path = "sleeping.rs"]
#[allow(unreachable_pub, clippy::duplicate_mod, reason = "the same text over other atomics")]
mod sleeping;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use sleeping::Sleeping;

/// A sleeper with one counter per writer as its queues.
struct Core {
    sleeping: Sleeping,
    written: [AtomicUsize; 2],
    bell: Notify,
}

const CLOSED: usize = 100;

/// Interruptions of a thread that each schedule may have. Two show every lost wake-up that we know how to build
/// in (dropping either fence, not ringing) and keep the search short.
const PREEMPTIONS_MAX: usize = 2;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(run);
}

impl Core {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sleeping: Sleeping::new(),
            written: [AtomicUsize::new(0), AtomicUsize::new(0)],
            bell: Notify::new(),
        })
    }

    fn write(&self, writer: usize, amount: usize) {
        self.written[writer].fetch_add(amount, Ordering::Release);
        if self.sleeping.claim() {
            self.bell.notify();
        }
    }

    fn seen(&self) -> usize {
        self.written.iter().map(|queue| queue.load(Ordering::Acquire)).sum()
    }

    /// Sleeps whenever there is nothing new, until everything has come.
    fn read_until(&self, all: usize) {
        let mut seen = 0;
        while seen < all {
            self.sleeping.announce();
            if self.seen() == seen {
                self.bell.wait();
            }
            self.sleeping.awake();
            seen = self.seen();
        }
        assert_eq!(seen, all);
    }
}

#[test]
fn a_sleeper_hears_of_every_item_of_one_writer() {
    model(|| {
        let core = Core::new();
        let writer = {
            let core = core.clone();
            thread::spawn(move || {
                core.write(0, 1);
                core.write(0, 1);
            })
        };
        core.read_until(2);
        writer.join().unwrap();
    });
}

#[test]
fn a_sleeper_hears_of_every_item_of_two_writers() {
    model(|| {
        let core = Core::new();
        let writers = [0, 1].map(|writer| {
            let core = core.clone();
            thread::spawn(move || core.write(writer, 1))
        });
        core.read_until(2);
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

#[test]
fn a_sleeper_hears_that_its_writer_is_gone() {
    model(|| {
        let core = Core::new();
        let writer = {
            let core = core.clone();
            thread::spawn(move || {
                core.write(0, 1);
                core.write(0, CLOSED);
            })
        };
        core.read_until(1 + CLOSED);
        writer.join().unwrap();
    });
}

#[test]
fn a_writer_may_ring_a_core_that_is_gone() {
    model(|| {
        let core = Core::new();
        let sleeper = {
            let core = core.clone();
            thread::spawn(move || {
                core.sleeping.announce();
                drop(core);
            })
        };
        core.write(0, 1);
        sleeper.join().unwrap();
    });
}

#[test]
fn of_two_writers_at_most_one_rings() {
    model(|| {
        let core = Core::new();
        core.sleeping.announce();
        let other = {
            let core = core.clone();
            thread::spawn(move || core.sleeping.claim())
        };
        let ours = core.sleeping.claim();
        let theirs = other.join().unwrap();
        assert!(ours != theirs, "exactly one rings: {ours} {theirs}");
    });
}
