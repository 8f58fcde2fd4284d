//! What an nsqd answers.

use std::sync::Arc;

use serde::Deserialize;

use super::client::{Answer, Asker, Client, Kind};
use super::fault::Fault;
use crate::cluster::channel::Delivery;
use crate::cluster::latency::LatencyAnswer;
use crate::cluster::producers::{host_port, null_is_default};
use crate::cluster::rows::{rows, some_rows};
use crate::cluster::{ChannelStats, ClientStats, TopicStats};
use crate::url::{argument, with_arguments};

/// `/info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The fields are nsqd's.
pub struct Info {
    #[serde(deserialize_with = "null_is_default")]
    pub version: String,
    #[serde(deserialize_with = "null_is_default")]
    pub broadcast_address: String,
    #[serde(deserialize_with = "null_is_default")]
    pub hostname: String,
    #[serde(deserialize_with = "null_is_default")]
    pub http_port: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub tcp_port: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub topology_zone: String,
    #[serde(deserialize_with = "null_is_default")]
    pub topology_region: String,
    /// `nsq-uring` for ours.
    #[serde(deserialize_with = "null_is_default")]
    pub server: String,
}

impl Info {
    /// Its name in nsqadmin.
    pub fn address(&self) -> String {
        host_port(&self.broadcast_address, self.http_port)
    }
}

/// `/stats`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Stats {
    #[serde(deserialize_with = "rows")]
    pub(super) topics: Vec<TopicAnswer>,
    #[serde(deserialize_with = "rows")]
    pub(super) producers: Vec<ProducerStats>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TopicAnswer {
    #[serde(deserialize_with = "null_is_default")]
    topic_name: String,
    #[serde(deserialize_with = "rows")]
    channels: Vec<ChannelAnswer>,
    #[serde(deserialize_with = "null_is_default")]
    depth: i64,
    #[serde(deserialize_with = "null_is_default")]
    backend_depth: i64,
    #[serde(deserialize_with = "null_is_default")]
    message_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    message_bytes: i64,
    #[serde(deserialize_with = "null_is_default")]
    paused: bool,
    #[serde(deserialize_with = "null_is_default")]
    e2e_processing_latency: LatencyAnswer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ChannelAnswer {
    #[serde(deserialize_with = "null_is_default")]
    channel_name: String,
    #[serde(deserialize_with = "null_is_default")]
    depth: i64,
    #[serde(deserialize_with = "null_is_default")]
    backend_depth: i64,
    #[serde(deserialize_with = "null_is_default")]
    in_flight_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    deferred_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    requeue_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    timeout_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    message_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    zone_local_msg_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    region_local_msg_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    global_msg_count: i64,
    /// Missing before nsqd 1.1, which told the consumers themselves.
    client_count: Option<i64>,
    #[serde(deserialize_with = "some_rows")]
    clients: Option<Vec<ClientStats>>,
    #[serde(deserialize_with = "null_is_default")]
    paused: bool,
    #[serde(deserialize_with = "null_is_default")]
    e2e_processing_latency: LatencyAnswer,
}

/// A publishing connection, which NSQ's nsqadmin does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The fields are nsqd's.
pub struct ProducerStats {
    /// The nsqd that serves it. Set here, not by nsqd.
    #[serde(skip)]
    pub node: String,
    #[serde(deserialize_with = "null_is_default")]
    pub client_id: String,
    #[serde(deserialize_with = "null_is_default")]
    pub hostname: String,
    #[serde(deserialize_with = "null_is_default")]
    pub version: String,
    #[serde(deserialize_with = "null_is_default")]
    pub remote_address: String,
    #[serde(deserialize_with = "null_is_default")]
    pub user_agent: String,
    /// Unix seconds.
    #[serde(deserialize_with = "null_is_default")]
    pub connect_ts: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub tls: bool,
    #[serde(deserialize_with = "null_is_default")]
    pub deflate: bool,
    #[serde(deserialize_with = "null_is_default")]
    pub snappy: bool,
    /// What it published, by topic.
    #[serde(deserialize_with = "rows")]
    pub pub_counts: Vec<PubCount>,
}

/// How much a producer published to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct PubCount {
    pub topic: String,
    pub count: i64,
}

/// What is asked of `/stats`.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// One topic only.
    pub topic: Option<String>,
    /// One channel of it only.
    pub channel: Option<String>,
    /// With every consumer, which may be many.
    pub clients: bool,
}

impl Question {
    fn path_and_query(&self) -> String {
        let mut query = "/stats?format=json".to_owned();
        if let Some(topic) = &self.topic {
            query.push_str(&format!("&topic={}", argument(topic)));
        }
        if let Some(channel) = &self.channel {
            query.push_str(&format!("&channel={}", argument(channel)));
        }
        if !self.clients {
            query.push_str("&include_clients=false");
        }
        query
    }
}

/// Who an nsqd is, in views.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `broadcast_address:http_port`.
    pub address: String,
    /// Its host name.
    pub hostname: String,
}

impl Stats {
    /// The topics as views have them.
    pub fn into_topics(self, node: &Identity, now_s: i64) -> Vec<TopicStats> {
        self.topics.into_iter().map(|topic| topic.into_stats(node, now_s)).collect()
    }

    /// Names of the topics.
    pub fn topic_names(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|topic| topic.topic_name.as_str())
    }

    /// The producers as views have them, taken out.
    pub fn take_producers(&mut self, node: &Identity) -> Vec<ProducerStats> {
        let rest = Stats { topics: Vec::new(), producers: std::mem::take(&mut self.producers) };
        rest.into_producers(node)
    }

    /// The producers as views have them.
    pub fn into_producers(self, node: &Identity) -> Vec<ProducerStats> {
        let mut producers = self.producers;
        producers.iter_mut().for_each(|producer| node.address.clone_into(&mut producer.node));
        producers
    }
}

impl TopicAnswer {
    fn into_stats(self, node: &Identity, now_s: i64) -> TopicStats {
        let channel = |channel: ChannelAnswer| channel.into_stats(node, &self.topic_name, now_s);
        let channels = self.channels.into_iter().map(channel).collect();
        TopicStats {
            node: node.address.clone(),
            hostname: node.hostname.clone(),
            depth: self.depth,
            memory_depth: self.depth.saturating_sub(self.backend_depth),
            backend_depth: self.backend_depth,
            message_count: self.message_count,
            message_bytes: self.message_bytes,
            nodes: None,
            channels: Some(channels),
            paused: self.paused,
            e2e_processing_latency: self.e2e_processing_latency.into(),
            delivery: Delivery::default(),
            topic_name: self.topic_name,
        }
    }
}

impl ChannelAnswer {
    fn into_stats(self, node: &Identity, topic: &str, now_s: i64) -> ChannelStats {
        let mut clients = self.clients;
        for client in clients.iter_mut().flatten() {
            client.seen_on(&node.address, now_s);
        }
        let listed = clients.as_ref().map_or(0, Vec::len) as i64;
        ChannelStats {
            node: node.address.clone(),
            hostname: node.hostname.clone(),
            topic_name: topic.to_owned(),
            channel_name: self.channel_name,
            depth: self.depth,
            memory_depth: self.depth.saturating_sub(self.backend_depth),
            backend_depth: self.backend_depth,
            in_flight_count: self.in_flight_count,
            deferred_count: self.deferred_count,
            requeue_count: self.requeue_count,
            timeout_count: self.timeout_count,
            message_count: self.message_count,
            client_count: self.client_count.unwrap_or(listed),
            nodes: None,
            clients: clients.map(|clients| clients.into_iter().map(Arc::new).collect()),
            paused: self.paused,
            e2e_processing_latency: self.e2e_processing_latency.into(),
            delivery: Delivery {
                all: self
                    .zone_local_msg_count
                    .saturating_add(self.region_local_msg_count)
                    .saturating_add(self.global_msg_count),
                zone_local: self.zone_local_msg_count,
                region_local: self.region_local_msg_count,
                global: self.global_msg_count,
            },
        }
    }
}

/// One nsqd.
#[derive(Clone, Debug)]
pub struct Nsqd {
    client: Client,
    asker: Asker,
    /// `host:http_port`, where it is asked.
    pub address: String,
}

// All of these fail with what the upstream or the way to it has wrong.
#[allow(clippy::missing_errors_doc)]
impl Nsqd {
    /// The one at this address.
    pub fn new(client: Client, asker: Asker, address: String) -> Self {
        Self { client, asker, address }
    }

    /// Who it is.
    pub async fn info(&self) -> Result<Info, Fault> {
        let url = format!("http://{}/info", self.address);
        self.client.get_json(Kind::Nsqd, self.asker, &url).await
    }

    /// Its figures.
    pub async fn stats(&self, question: &Question) -> Result<Stats, Fault> {
        let url = format!("http://{}{}", self.address, question.path_and_query());
        self.client.get_json(Kind::Nsqd, self.asker, &url).await
    }

    /// An answer as it came.
    pub async fn raw(&self, path_and_query: &str) -> Result<Answer, Fault> {
        let url = format!("http://{}{path_and_query}", self.address);
        self.client.get(Kind::Nsqd, self.asker, &url).await
    }

    /// Does something: `topic/pause`, say, with the arguments.
    pub async fn post(&self, path: &str, arguments: &[(&str, &str)]) -> Result<(), Fault> {
        let url = with_arguments(&format!("http://{}/{path}", self.address), arguments);
        self.client.post(Kind::Nsqd, &url).await
    }
}
