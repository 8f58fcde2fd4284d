//! `nsqlookupd`: the directory in which every nsqd announces its topics and channels, and in which consumers find
//! them.
//!
//! ```text
//!   nsqd ──TCP, protocol V1──► tcp ── session ──┐
//!                                               ├──► registry (pure) ◄── state file
//!   consumers, nsqadmin ──HTTP──► http ─────────┘
//! ```
//!
//! Everything that decides is pure and has no IO in it: `registry` (who announces what), `session` (bytes to
//! commands), `identify`, `http::query` and `http::route`. The rest moves bytes, on one thread.
//!
//! Promises:
//!
//! - A peer can make the daemon hold no more than an unfinished command and the answers to one read, whatever it
//!   sends or does not read; see [`limits`].
//! - Nothing is kept over a restart, unless `--state-file` asks for it.
//! - SIGINT and SIGTERM end the process at once with exit code 0, whatever the peers do.

#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
pub mod daemon;
pub mod http;
pub mod identify;
pub mod limits;
pub mod metrics;
pub mod registry;
pub mod rooms;
pub mod session;
pub mod shared;
pub mod state;
pub mod tcp;

pub use config::{Config, PROGRAM};
pub use daemon::run;
