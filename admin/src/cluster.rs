//! What a cluster looks like, put together from what its daemons say: answers in, view out.
//!
//! Pure: no socket, no clock, no runtime. The types whose names end in `Stats`, [`Node`] and [`Latency`] are
//! the objects of NSQ's HTTP API, field by field in NSQ's order; the aggregation of several nodes is here too.
//! The figures that the background poll keeps are smaller, and live in [`crate::poll::snapshot`].

pub mod channel;
pub mod client;
pub mod latency;
pub mod node;
pub mod partial;
pub mod producers;
pub mod rows;
pub mod topic;
pub mod version;

pub use channel::ChannelStats;
pub use client::ClientStats;
pub use latency::Latency;
pub use node::{Node, NodeTopic};
pub use partial::{Partial, UpstreamFailure};
pub use producers::Producer;
pub use topic::TopicStats;
pub use version::Version;
