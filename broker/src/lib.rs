//! nsqd: executors, sockets, rings between cores, HTTP. Puts protocol, queue and log together.
//!
//! | room | what |
//! |---|---|
//! | `start` | from flags to running cores, and back to an exit code |
//! | `core` | what a core is and does |
//! | `http` | faces operators |
//! | `lookup` | faces nsqlookupd |
//! | `mesh` | what cores say to each other, and what all of them see |
//! | `client` | one connection: bytes in, bytes out |
//! | `stats` | figures |
//! | `transport` | sockets and files on the core's own ring; unsafe code is here, and at one listener in `http` |
//! | `config` | every flag, its default, its check |
//! | `limits` | every bound, with its reason |
//!
//! A PUB enters by `transport`, is read in `client`, carried out in `core`, crosses `mesh` if its topic lives elsewhere,
//! and leaves the way it came.

#![deny(unsafe_code)]
#![cfg_attr(
    not(feature = "sim"),
    allow(
        unreachable_pub,
        dead_code,
        unused_imports,
        reason = "the world is built from the same parts, and asks more of them"
    )
)]

/// Marks an arm that the simulation has to reach.
macro_rules! reach {
    ($mark:literal) => {
        #[cfg(feature = "sim")]
        nsq_planted::reach($mark);
    };
}

/// Whether this fault is planted: only ever in the simulation.
macro_rules! planted {
    ($fault:ident) => {{
        #[cfg(feature = "sim")]
        let planted = nsq_planted::is_on(nsq_planted::Fault::$fault);
        #[cfg(not(feature = "sim"))]
        let planted = false;
        planted
    }};
}

#[cfg(all(feature = "sim", not(debug_assertions)))]
compile_error!("the simulation's parts do not belong into a release build: name the packages, `-p nsqd`");

// The log does not know the protocol, and lays messages out as consumers get them.
const _: () = assert!(nsq_wal::limits::MESSAGE_HEADER_BYTES == nsq_protocol::message::MESSAGE_OVERHEAD);

// Private, but for the simulated world, which is built from the same parts.
#[cfg(not(feature = "sim"))]
mod client;
#[cfg(not(feature = "sim"))]
mod config;
#[cfg(not(feature = "sim"))]
mod core;
#[cfg(not(feature = "sim"))]
mod http;
#[cfg(not(feature = "sim"))]
mod limits;
#[cfg(not(feature = "sim"))]
mod lookup;
#[cfg(not(feature = "sim"))]
mod mesh;
#[cfg(not(feature = "sim"))]
mod start;
#[cfg(not(feature = "sim"))]
mod stats;
#[cfg(not(feature = "sim"))]
mod transport;

#[cfg(feature = "sim")]
pub mod client;
#[cfg(feature = "sim")]
pub mod config;
#[cfg(feature = "sim")]
pub mod core;
#[cfg(feature = "sim")]
pub mod http;
#[cfg(feature = "sim")]
pub mod limits;
#[cfg(feature = "sim")]
pub mod lookup;
#[cfg(feature = "sim")]
pub mod mesh;
#[cfg(feature = "sim")]
pub mod start;
#[cfg(feature = "sim")]
pub mod stats;
#[cfg(feature = "sim")]
pub mod transport;

pub use start::main;
