//! A topic on one node, and over all of them.

use serde::Serialize;

use super::channel::{ChannelStats, Delivery};
use super::latency::Latency;

/// A topic. Numbers of an aggregate are sums over its nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)] // The fields are nsqd's; those that are not obvious are described.
pub struct TopicStats {
    /// `host:http_port`, or `*` for all nodes.
    pub node: String,
    /// Host name of the node; empty for all nodes.
    pub hostname: String,
    pub topic_name: String,
    /// Messages that wait in the topic itself, not in its channels.
    pub depth: i64,
    pub memory_depth: i64,
    pub backend_depth: i64,
    /// Since the start of the node.
    pub message_count: i64,
    /// The topic on each node, by host name; `None` on such an element itself.
    pub nodes: Option<Vec<TopicStats>>,
    /// By name; on an aggregate with the sums over its nodes.
    pub channels: Option<Vec<ChannelStats>>,
    /// On an aggregate: paused on any node.
    pub paused: bool,
    pub e2e_processing_latency: Latency,
    /// Zero today for topics.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Bytes of all messages since the start of the node. NSQ's nsqadmin drops it, so it is no part of the JSON.
    #[serde(skip)]
    pub message_bytes: i64,
}

impl TopicStats {
    /// An aggregate of no node yet.
    pub fn aggregate(topic: &str) -> Self {
        Self {
            node: "*".to_owned(),
            topic_name: topic.to_owned(),
            nodes: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Adds a node's topic.
    pub fn add(&mut self, other: Self) {
        for (ours, theirs) in [
            (&mut self.depth, other.depth),
            (&mut self.memory_depth, other.memory_depth),
            (&mut self.backend_depth, other.backend_depth),
            (&mut self.message_count, other.message_count),
            (&mut self.message_bytes, other.message_bytes),
        ] {
            *ours = ours.saturating_add(theirs);
        }
        self.delivery.add(other.delivery);
        self.paused |= other.paused;
        self.e2e_processing_latency.add(&other.e2e_processing_latency);
        for theirs in other.channels.iter().flatten() {
            let ours = self.channels.get_or_insert_default();
            let index = ours.iter().position(|ours| ours.channel_name == theirs.channel_name);
            let index = index.unwrap_or_else(|| {
                ours.push(ChannelStats::aggregate(&self.topic_name, &theirs.channel_name));
                ours.len() - 1
            });
            ours[index].add(theirs.clone());
        }
        self.nodes.get_or_insert_default().push(other);
    }

    /// Brings the nodes into their order once all are added.
    pub fn sort(&mut self) {
        if let Some(nodes) = &mut self.nodes {
            nodes.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
        }
        self.channels.iter_mut().flatten().for_each(ChannelStats::sort);
    }
}
