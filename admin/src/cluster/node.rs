//! An nsqd, as the nsqlookupds or itself describe it.

use hashbrown::HashMap;
use serde::Serialize;

use super::producers::{Producer, host_port};
use super::version::Version;

/// One nsqd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // The fields are NSQ's; those that are not obvious are described.
pub struct Node {
    /// One `lookupd/remote address` for each nsqlookupd that lists it; `None` without nsqlookupd.
    pub remote_addresses: Option<Vec<String>>,
    pub remote_address: String,
    pub hostname: String,
    pub broadcast_address: String,
    pub tcp_port: i64,
    pub http_port: i64,
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_zone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_region: String,
    /// By name; `None` where it has none.
    pub topics: Option<Vec<NodeTopic>>,
    /// Older than the newest node.
    pub out_of_date: bool,
}

/// A topic of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub struct NodeTopic {
    pub topic: String,
    /// Some nsqlookupd hides it there for a while, so that consumers do not go to a node that loses the topic.
    pub tombstoned: bool,
}

impl Node {
    /// Where its HTTP API is, and its name in nsqadmin: `host:http_port`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        host_port(&self.broadcast_address, self.http_port)
    }

    fn from_producer(producer: Producer) -> Self {
        let mut node = Self {
            remote_addresses: Some(Vec::new()),
            remote_address: producer.remote_address.clone(),
            hostname: producer.hostname.clone(),
            broadcast_address: producer.broadcast_address.clone(),
            tcp_port: producer.tcp_port,
            http_port: producer.http_port,
            version: producer.version.clone(),
            topology_zone: producer.topology_zone.clone(),
            topology_region: producer.topology_region.clone(),
            topics: None,
            out_of_date: false,
        };
        node.see_topics(&producer);
        node
    }

    /// Adds topics that it does not have yet, from one nsqlookupd's list.
    fn see_topics(&mut self, producer: &Producer) {
        for (index, topic) in producer.topics.iter().enumerate() {
            let topics = self.topics.get_or_insert_default();
            let tombstoned = producer.tombstones.get(index).copied().unwrap_or(false);
            match topics.binary_search_by(|known| known.topic.as_str().cmp(topic)) {
                Ok(at) => topics[at].tombstoned |= tombstoned,
                Err(at) => topics.insert(at, NodeTopic { topic: topic.clone(), tombstoned }),
            }
        }
    }
}

/// The nodes of several nsqlookupds, `(its address, what it lists)`: each once, told apart by broadcast address
/// and TCP port, in the order of their host names.
pub fn merge(lists: impl IntoIterator<Item = (String, Vec<Producer>)>) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut by_key = HashMap::new();
    for (lookupd, producers) in lists {
        for producer in producers {
            let key = (producer.broadcast_address.clone(), producer.tcp_port);
            let remote = if producer.remote_address.is_empty() { "N/A" } else { &producer.remote_address };
            let sighting = format!("{lookupd}/{remote}");
            let index = *by_key.entry(key).or_insert_with(|| {
                nodes.push(Node::from_producer(producer.clone()));
                nodes.len() - 1
            });
            nodes[index].see_topics(&producer);
            nodes[index].remote_addresses.get_or_insert_default().push(sighting);
        }
    }
    mark_out_of_date(&mut nodes);
    nodes.sort_by(|a, b| a.hostname.cmp(&b.hostname));
    nodes
}

fn mark_out_of_date(nodes: &mut [Node]) {
    let newest = nodes.iter().map(|node| Version::parse(&node.version)).max();
    for node in nodes {
        node.out_of_date = newest.as_ref().is_some_and(|newest| Version::parse(&node.version) < *newest);
    }
}
