//! The broker's side of nsqlookupd: what exists here is registered there, and new topics learn their channels.
//!
//! Everything runs as tasks of core 0. The other cores send their changes by mail; none of them ever waits for
//! nsqlookupd, except a command that creates a topic.

pub mod registrations;

pub use registrations::{Change, Registrations};
