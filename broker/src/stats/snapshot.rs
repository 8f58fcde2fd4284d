//! What a core tells of itself and its connections.

use std::collections::HashMap;
use std::sync::Arc;

use nsq_queue::{ChannelKey, ChannelStats, TopicStats};

use crate::stats::latency::Summary;

/// One core's part of `/stats`.
#[derive(Debug, Default)]
pub struct CoreStats {
    /// Topics whose home is this core.
    pub topics: Vec<TopicStats>,
    /// Channels whose home is this core.
    pub channels: Vec<ChannelStats>,
    /// Connections on this core.
    pub connections: Vec<ConnectionStats>,
    /// Latencies of those channels that have any.
    pub latencies: HashMap<ChannelKey, Summary>,
}

/// One connection's counters and settings, as a snapshot.
#[derive(Clone, Debug, Default)]
pub struct ConnectionStats {
    /// Key that ties a consumer's counters in the queue to its connection, unique on its core.
    pub consumer: u64,
    /// From IDENTIFY; the peer's address before it.
    pub client_id: String,
    /// From IDENTIFY; the peer's address before it.
    pub hostname: String,
    /// From IDENTIFY.
    pub user_agent: String,
    /// `ip:port`, or `@` for an unnamed unix peer.
    pub remote_address: Arc<str>,
    /// 0 before a subscription, 3 subscribed, 4 closing.
    pub state: u8,
    /// Percentage of messages wanted, 0 for all.
    pub sample_rate: i32,
    /// Unix seconds.
    pub connected_at: i64,
    /// From IDENTIFY.
    pub topology_zone: String,
    /// From IDENTIFY.
    pub topology_region: String,
    /// Successful publishes per topic, in order of first use.
    pub publish_counts: Vec<(String, u64)>,
}
