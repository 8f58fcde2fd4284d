//! The one clock of a world. It moves when the world lets time pass, and a little whenever it is read.

use std::cell::{Cell, RefCell};

use nsq_queue::Now;

use crate::choice::Draws;

/// What the wall clock shows at the beginning: some day in 2026.
const WALL_NS: i64 = 1_780_000_000_000_000_000;

/// Monotonic time, and a wall clock that can be put forward and back.
#[derive(Debug)]
pub struct Clock {
    mono_ns: Cell<u64>,
    wall_shift_ns: Cell<i64>,
    shifted_ns: Cell<u64>,
    jitter: RefCell<Draws>,
}

/// Most that the clock moves when it is read.
const JITTER_NS: u64 = 50_000;

impl Clock {
    /// A clock that shows one second since the machine's start.
    pub fn new(jitter: Draws) -> Clock {
        Clock {
            mono_ns: Cell::new(1_000_000_000),
            wall_shift_ns: Cell::new(0),
            shifted_ns: Cell::new(0),
            jitter: RefCell::new(jitter),
        }
    }

    /// Draws how far it moves from now on.
    pub fn set_jitter(&self, jitter: Draws) {
        *self.jitter.borrow_mut() = jitter;
    }

    /// Reads it, as the broker does: it has moved meanwhile.
    pub fn read(&self) -> Now {
        let moved = self.jitter.borrow_mut().below(JITTER_NS);
        self.mono_ns.set(self.mono_ns.get() + moved);
        self.look()
    }

    /// What it shows, without moving it.
    pub fn look(&self) -> Now {
        let mono_ns = self.mono_ns.get();
        Now { mono_ns, wall_ns: WALL_NS + self.wall_shift_ns.get() + mono_ns as i64 }
    }

    /// Monotonic nanoseconds.
    pub fn ns(&self) -> u64 {
        self.mono_ns.get()
    }

    /// Time passes.
    pub fn pass(&self, ns: u64) {
        self.mono_ns.set(self.mono_ns.get() + ns);
    }

    /// Somebody sets the wall clock.
    pub fn shift_wall(&self, ns: i64) {
        self.wall_shift_ns.set(self.wall_shift_ns.get() + ns);
        self.shifted_ns.set(self.shifted_ns.get() + ns.unsigned_abs());
    }

    /// By how much the wall clock was set forward and back in all: what waits by it may wait longer by that.
    pub fn shifted_ns(&self) -> u64 {
        self.shifted_ns.get()
    }
}
