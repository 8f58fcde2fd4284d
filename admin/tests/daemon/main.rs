//! The daemon over stand-ins for nsqd and nsqlookupd: what it refuses, what it tells whom in which order, and what it
//! makes of upstreams that misbehave or are many.

#![allow(clippy::unwrap_used)] // A helper of a test fails as the test does.

mod actions;
mod guard;
mod pages;
mod scale;
mod support;
mod upstreams;
