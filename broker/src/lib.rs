//! nsqd: executors, sockets, rings between cores, HTTP. Puts protocol, queue and log together.
//!
//! | module | what |
//! |---|---|
//! | `boot`, `core_thread` | from flags to running cores, and back to an exit code |
//! | `config` | every flag, its default, its check |
//! | `core` | one core: its loop and the engine behind it |
//! | `transport` | sockets and files on the core's own ring; the only unsafe code |
//! | `mesh`, `doorbell`, `mail` | rings between cores, and what goes over them |
//! | `placement` | who lives where |
//! | `control` | requests of HTTP handlers to the cores |
//! | `http`, `stats` | the HTTP API |
//! | `latency` | end-to-end latencies |
//! | `lookup_peer` | the conversation with nsqlookupd |
//! | `listeners`, `data_path`, `clock`, `shared`, `replies` | what their names say |

#![deny(unsafe_code)]

pub mod boot;
pub mod clock;
pub mod config;
pub mod control;
pub mod core;
pub mod core_thread;
pub mod data_path;
pub mod doorbell;
pub mod http;
pub mod latency;
pub mod listeners;
pub mod lookup_peer;
pub mod mail;
pub mod mesh;
pub mod placement;
pub mod replies;
pub mod shared;
pub mod stats;
pub mod transport;
