//! Talking to nsqd and nsqlookupd.
//!
//! [`Client`] sends one request; `nsqd` and `lookupd` read its answers; [`Cluster`] asks everybody and puts the answers
//! together. Each call is bounded in time by the two time-outs of the options, and in bytes.

pub mod client;
mod cluster;
pub mod fault;
mod gather;
pub mod lookupd;
pub mod nsqd;
mod tls;
mod tls_retry;

pub use client::{Client, Kind};
pub use cluster::{ChannelView, Cluster, CounterEntry, NodeView};
pub use fault::Fault;
pub use gather::gather;
pub use tls::{TlsError, TlsFiles};
