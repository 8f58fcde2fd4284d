//! The flag. Compiled a second time by `model`, over atomics that try every interleaving.
//!
//! ```text
//!   sleeper                          writer
//!   1  flag := true                  a  put into the queue
//!   2  ── full fence ──              b  ── full fence ──
//!   3  look into all queues          c  flag set? take it down and ring
//!   4  sleep until rung
//! ```
//!
//! Both fences are full: either the writer sees the flag at `c`, and rings, or the sleeper sees the item at `3`, and
//! does not sleep. Without them both could look before either has written.

use super::atomic::{AtomicBool, Ordering, fence};

/// One core's flag. On cache lines of its own, two of them because processors fetch in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub struct Sleeping {
    flag: AtomicBool,
}

impl Sleeping {
    /// Awake.
    pub fn new() -> Self {
        Self { flag: AtomicBool::new(false) }
    }

    /// By the sleeper: from now on it wants to be rung. It must look into its queues once more *after* this and before
    /// it sleeps. What it wrote before the announcement is visible to whoever then rings it.
    pub fn announce(&self) {
        // A swap and not a store: it takes its place behind every swap of a writer, so a writer that still takes down
        // the flag of the last sleep cannot be mistaken for one that came after this. The model needs it.
        self.flag.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// By the sleeper: it is awake and will look into its queues. A bell may still ring for the sleep that is over.
    pub fn awake(&self) {
        self.flag.store(false, Ordering::Relaxed);
    }

    /// By a writer, after it has put something into a queue: true if it must ring. Of several writers one is told.
    pub fn claim(&self) -> bool {
        fence(Ordering::SeqCst);
        self.flag.load(Ordering::Relaxed) && self.flag.swap(false, Ordering::Relaxed)
    }
}

impl Default for Sleeping {
    fn default() -> Self {
        Self::new()
    }
}
