//! The agreement between a core that wants to sleep and a core that has something for it.
//!
//! A bell costs a system call, so a busy core must not be rung. Each core has a flag that says "I am about to sleep";
//! who has put something into one of its rings rings only if it takes that flag down.

mod atomic {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
}
#[cfg(test)]
mod model;
mod sleeping;

pub use sleeping::Sleeping;
