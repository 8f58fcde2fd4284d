//! What `/stats` shows of a connection.

use std::sync::Arc;

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
