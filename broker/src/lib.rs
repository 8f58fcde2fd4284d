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

pub mod client;
pub mod config;
pub mod core;
pub mod http;
pub mod limits;
pub mod lookup;
pub mod mesh;
pub mod start;
pub mod stats;
pub mod transport;
