//! The daemon as a process, over real sockets. A file for each promise.

// A test says by panicking what it missed.
#![allow(clippy::unwrap_used)]

mod bad_peers_harm_nobody;
mod remembers_over_a_restart;
mod serves_peers_and_consumers;
mod support;
