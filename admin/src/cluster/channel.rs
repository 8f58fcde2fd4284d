//! A channel on one node, and over all of them.

use std::sync::Arc;

use serde::Serialize;

use super::client::ClientStats;
use super::latency::Latency;

/// A channel. Numbers of an aggregate are sums over its nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)] // The fields are nsqd's; those that are not obvious are described.
pub struct ChannelStats {
    /// `host:http_port`, or `*` for all nodes.
    pub node: String,
    /// Host name of the node; empty for all nodes.
    pub hostname: String,
    pub topic_name: String,
    pub channel_name: String,
    /// Messages that wait, in memory and on disk.
    pub depth: i64,
    pub memory_depth: i64,
    pub backend_depth: i64,
    pub in_flight_count: i64,
    pub deferred_count: i64,
    /// Since the start of the node, like all counters.
    pub requeue_count: i64,
    pub timeout_count: i64,
    pub message_count: i64,
    pub client_count: i64,
    /// The channel on each node, by host name; `None` on such an element itself.
    pub nodes: Option<Vec<ChannelStats>>,
    /// Consumers, if they were asked for; on an aggregate those of all nodes.
    pub clients: Option<Vec<Arc<ClientStats>>>,
    /// On an aggregate: paused on any node.
    pub paused: bool,
    pub e2e_processing_latency: Latency,
    /// Zone, region and the rest of the world, from newer nsqds only.
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// Where the consumers are that messages were delivered to, seen from the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Delivery {
    #[serde(rename = "delivery_msg_count", skip_serializing_if = "is_zero")]
    pub all: i64,
    #[serde(rename = "zone_local_msg_count", skip_serializing_if = "is_zero")]
    pub zone_local: i64,
    #[serde(rename = "region_local_msg_count", skip_serializing_if = "is_zero")]
    pub region_local: i64,
    #[serde(rename = "global_msg_count", skip_serializing_if = "is_zero")]
    pub global: i64,
}

// serde wants a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Delivery {
    /// Adds another node's counts.
    pub fn add(&mut self, other: Self) {
        for (ours, theirs) in [
            (&mut self.all, other.all),
            (&mut self.zone_local, other.zone_local),
            (&mut self.region_local, other.region_local),
            (&mut self.global, other.global),
        ] {
            *ours = ours.saturating_add(theirs);
        }
    }
}

impl ChannelStats {
    /// An aggregate of no node yet.
    pub fn aggregate(topic: &str, channel: &str) -> Self {
        Self {
            node: "*".to_owned(),
            topic_name: topic.to_owned(),
            channel_name: channel.to_owned(),
            nodes: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Adds a node's channel.
    pub fn add(&mut self, other: Self) {
        for (ours, theirs) in [
            (&mut self.depth, other.depth),
            (&mut self.memory_depth, other.memory_depth),
            (&mut self.backend_depth, other.backend_depth),
            (&mut self.in_flight_count, other.in_flight_count),
            (&mut self.deferred_count, other.deferred_count),
            (&mut self.requeue_count, other.requeue_count),
            (&mut self.timeout_count, other.timeout_count),
            (&mut self.message_count, other.message_count),
            (&mut self.client_count, other.client_count),
        ] {
            *ours = ours.saturating_add(theirs);
        }
        self.delivery.add(other.delivery);
        self.paused |= other.paused;
        self.e2e_processing_latency.add(&other.e2e_processing_latency);
        if let Some(clients) = &other.clients {
            self.clients.get_or_insert_default().extend(clients.iter().cloned());
        }
        self.nodes.get_or_insert_default().push(other);
    }

    /// Brings nodes and consumers into their order once all nodes are added.
    pub fn sort(&mut self) {
        if let Some(nodes) = &mut self.nodes {
            nodes.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
        }
        if let Some(clients) = &mut self.clients {
            clients.sort_by(|a, b| a.hostname.cmp(&b.hostname));
        }
    }
}
