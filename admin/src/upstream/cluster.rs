//! The whole cluster, asked live: what NSQ's reading API shows.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::client::{Asker, Client};
use super::fault::Fault;
use super::gather::gather;
use super::lookupd::Lookupd;
use super::nsqd::{Identity, Info, Nsqd, ProducerStats, Question, Stats};
use crate::cluster::partial::UpstreamFailure;
use crate::cluster::producers::union;
use crate::cluster::{ChannelStats, Node, NodeTopic, Partial, Producer, TopicStats, node};

const NSQD: &str = "nsqd";
const LOOKUPD: &str = "nsqlookupd";

/// Everybody there is to ask, as the options say at this moment. Not to be kept: they can change.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(super) client: Client,
    /// nsqlookupds, `host:http_port`.
    pub lookupds: Vec<String>,
    /// nsqds of direct mode.
    pub nsqds: Vec<String>,
    /// Whether the nsqds are asked, and not the nsqlookupds.
    pub is_direct: bool,
}

/// `/api/topics/:topic/:channel`: the channel, and every topic's channel that is none.
pub type ChannelView = Option<ChannelStats>;

/// `/api/nodes/:node`.
#[derive(Debug, Default)]
pub struct NodeView {
    /// With their channels and consumers.
    pub topics: Vec<TopicStats>,
    /// Of the topics.
    pub total_messages: i64,
    /// Of the channels.
    pub total_clients: i64,
    /// Publishing connections.
    pub producers: Vec<ProducerStats>,
}

/// One entry of `/api/counter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct CounterEntry {
    pub node: String,
    pub topic_name: String,
    pub channel_name: String,
    pub message_count: i64,
}

type Phase<T> = Result<Partial<T>, UpstreamFailure>;

// All of these fail where a phase failed with every upstream.
#[allow(clippy::missing_errors_doc)]
impl Cluster {
    /// Everybody that these lists name.
    pub fn new(client: Client, lookupds: Vec<String>, nsqds: Vec<String>, is_direct: bool) -> Self {
        Self { client, lookupds, nsqds, is_direct }
    }

    /// The nsqlookupd at this address.
    pub fn lookupd(&self, address: &str) -> Lookupd {
        Lookupd::new(self.client.clone(), Asker::Visitor, address.to_owned())
    }

    /// The nsqd at this address.
    pub fn nsqd(&self, address: &str) -> Nsqd {
        Nsqd::new(self.client.clone(), Asker::Visitor, address.to_owned())
    }

    /// Names of all topics, sorted.
    pub async fn topics(&self) -> Phase<Vec<String>> {
        let fold = |all: &mut Vec<String>, mut topics: Vec<String>| all.append(&mut topics);
        let mut topics = if self.is_direct {
            let names = |stats: Stats| stats.topic_names().map(str::to_owned).collect();
            let answers = self.stats_of_configured(Question { clients: true, ..Question::default() }).await;
            let answers = answers.into_iter().map(|(_, answer)| answer.map(names));
            Partial::of_phase(NSQD, answers, fold)?
        } else {
            let answers =
                self.each_lookupd(|lookupd| async move { lookupd.topics().await.map_err(text) }).await;
            Partial::of_phase(LOOKUPD, answers, fold)?
        };
        topics.value.sort_unstable();
        topics.value.dedup();
        Ok(topics)
    }

    /// The topics without living producers, with their channels. Whoever could not be asked for a topic makes the
    /// answer partial, and that topic is left out: it may be in use.
    pub async fn inactive_topics(&self) -> Phase<BTreeMap<String, Vec<String>>> {
        let topics = self.topics().await?;
        let mut inactive = Partial { value: BTreeMap::new(), warnings: topics.warnings };
        if self.is_direct {
            return Ok(inactive);
        }
        for topic in topics.value {
            match self.has_no_producer(&topic).await {
                Ok(false) => {}
                Ok(true) => match self.channels(&topic).await {
                    Ok(channels) => {
                        let channels = channels.take(&mut inactive.warnings);
                        inactive.value.insert(topic, channels);
                    }
                    Err(failure) => inactive.warnings.push(failure.text),
                },
                Err(text) => inactive.warnings.push(text),
            }
        }
        inactive.warnings.dedup();
        Ok(inactive)
    }

    /// Whether every nsqlookupd says that nobody has the topic. One that does not know it says so too.
    async fn has_no_producer(&self, topic: &str) -> Result<bool, String> {
        let topic = topic.to_owned();
        let answers = self
            .each_lookupd(|lookupd| {
                let topic = topic.clone();
                async move {
                    match lookupd.producers(&topic).await {
                        Ok(producers) => Ok(producers.is_empty()),
                        Err(Fault::Status { code: 404, .. }) => Ok(true),
                        Err(fault) => Err(fault.to_string()),
                    }
                }
            })
            .await;
        answers.into_iter().try_fold(true, |none, answer| answer.map(|empty| none && empty))
    }

    /// The channels that the nsqlookupds know of a topic, sorted.
    async fn channels(&self, topic: &str) -> Phase<Vec<String>> {
        let topic = topic.to_owned();
        let answers = self
            .each_lookupd(|lookupd| {
                let topic = topic.clone();
                async move { lookupd.channels(&topic).await.map_err(text) }
            })
            .await;
        let mut channels =
            Partial::of_phase(LOOKUPD, answers, |all: &mut Vec<String>, mut some| all.append(&mut some))?;
        channels.value.sort_unstable();
        channels.value.dedup();
        Ok(channels)
    }

    async fn lookup(&self, topic: &str) -> Phase<Vec<Producer>> {
        let topic = topic.to_owned();
        let answers = self
            .each_lookupd(|lookupd| {
                let topic = topic.clone();
                async move { lookupd.producers(&topic).await.map_err(text) }
            })
            .await;
        let lists = Partial::of_phase(LOOKUPD, answers, |all: &mut Vec<_>, some| all.push(some))?;
        Ok(Partial { value: union(lists.value), warnings: lists.warnings })
    }

    /// The nsqds that have a topic.
    pub async fn producers_of(&self, topic: &str) -> Phase<Vec<Producer>> {
        if !self.is_direct {
            return self.lookup(topic).await;
        }
        let question = Question { topic: Some(topic.to_owned()), ..Question::default() };
        let client = self.client.clone();
        let answers = gather(self.nsqds.clone(), move |address| {
            let (nsqd, question) = (Nsqd::new(client.clone(), Asker::Visitor, address), question.clone());
            async move {
                let stats = nsqd.stats(&question).await.map_err(text)?;
                if !stats.topic_names().any(|name| Some(name) == question.topic.as_deref()) {
                    return Ok(None);
                }
                nsqd.info().await.map(Some).map_err(text)
            }
        })
        .await;
        Partial::of_phase(NSQD, answers, |all: &mut Vec<Producer>, info: Option<Info>| {
            all.extend(info.map(Producer::from));
        })
    }

    /// A topic over all nodes.
    pub async fn topic(&self, topic: &str) -> Phase<TopicStats> {
        let mut warnings = Vec::new();
        let producers = self.producers_of(topic).await?.take(&mut warnings);
        let question = Question { topic: Some(topic.to_owned()), ..Question::default() };
        let topics = self.stats_of(&producers, question).await?.take(&mut warnings);
        let mut all = TopicStats::aggregate(topic);
        topics.into_iter().filter(|found| found.topic_name == topic).for_each(|found| all.add(found));
        all.sort();
        topic.clone_into(&mut all.e2e_processing_latency.topic);
        Ok(Partial { value: all, warnings })
    }

    /// A channel over all nodes, with its consumers; `None` if no node has it.
    pub async fn channel(&self, topic: &str, channel: &str) -> Phase<ChannelView> {
        let mut warnings = Vec::new();
        let producers = self.producers_of(topic).await?.take(&mut warnings);
        let question =
            Question { topic: Some(topic.to_owned()), channel: Some(channel.to_owned()), clients: true };
        let topics = self.stats_of(&producers, question).await?.take(&mut warnings);
        let mut all = None;
        let channels = topics
            .into_iter()
            .filter(|found| found.topic_name == topic)
            .flat_map(|found| found.channels.unwrap_or_default())
            .filter(|found| found.channel_name == channel);
        for found in channels {
            all.get_or_insert_with(|| ChannelStats::aggregate(topic, channel)).add(found);
        }
        if let Some(all) = &mut all {
            all.sort();
            topic.clone_into(&mut all.e2e_processing_latency.topic);
            channel.clone_into(&mut all.e2e_processing_latency.channel);
        }
        Ok(Partial { value: all, warnings })
    }

    /// The producers that published to a topic, over all nodes that have it.
    pub async fn publishers(&self, topic: &str) -> Phase<Vec<ProducerStats>> {
        let mut warnings = Vec::new();
        let nodes = self.producers_of(topic).await?.take(&mut warnings);
        let question = Question { topic: Some(topic.to_owned()), ..Question::default() };
        let answers = self.ask_each(&nodes, question).await;
        let mut publishers =
            Partial::of_phase(NSQD, answers, |all: &mut Vec<_>, (node, stats): (Identity, Stats)| {
                all.extend(stats.into_producers(&node));
            })?;
        publishers
            .value
            .retain(|producer| producer.pub_counts.iter().any(|of| of.topic == topic && of.count > 0));
        warnings.append(&mut publishers.warnings);
        Ok(Partial { value: publishers.value, warnings })
    }

    /// All nodes.
    pub async fn nodes(&self) -> Phase<Vec<Node>> {
        if !self.is_direct {
            let answers = self
                .each_lookupd(|lookupd| async move {
                    let nodes = lookupd.nodes().await.map_err(text)?;
                    Ok((lookupd.address, nodes))
                })
                .await;
            let lists = Partial::of_phase(LOOKUPD, answers, |all: &mut Vec<_>, some| all.push(some))?;
            return Ok(Partial { value: node::merge(lists.value), warnings: lists.warnings });
        }
        let client = self.client.clone();
        let answers = gather(self.nsqds.clone(), move |address| {
            let nsqd = Nsqd::new(client.clone(), Asker::Visitor, address);
            async move {
                let info = nsqd.info().await.map_err(text)?;
                let stats = nsqd.stats(&Question::default()).await.map_err(text)?;
                let mut topics: Vec<NodeTopic> = stats
                    .topic_names()
                    .map(|name| NodeTopic { topic: name.to_owned(), tombstoned: false })
                    .collect();
                topics.sort_unstable();
                Ok(Node { topics: Some(topics).filter(|topics| !topics.is_empty()), ..Node::from(info) })
            }
        })
        .await;
        Partial::of_phase(NSQD, answers, |all: &mut Vec<Node>, node| all.push(node))
    }

    /// One node with its topics, channels and consumers; `None` if there is no such node.
    pub async fn node(&self, address: &str) -> Phase<Option<NodeView>> {
        let mut warnings = Vec::new();
        let nodes = self.nodes().await?.take(&mut warnings);
        let Some(node) = nodes.into_iter().find(|node| node.address() == address) else {
            return Ok(Partial { value: None, warnings });
        };
        let identity = Identity { address: node.address(), hostname: node.hostname };
        let question = Question { clients: true, ..Question::default() };
        let answer = self.nsqd(&identity.address).stats(&question).await.map_err(text);
        let stats: Partial<Option<Stats>> =
            Partial::of_phase(NSQD, [answer], |view, stats| *view = Some(stats))?;
        let mut stats = stats.value.unwrap_or_default();
        let mut view = NodeView {
            producers: Stats { topics: Vec::new(), producers: std::mem::take(&mut stats.producers) }
                .into_producers(&identity),
            topics: stats.into_topics(&identity, now_s()),
            ..NodeView::default()
        };
        for topic in &view.topics {
            view.total_messages = view.total_messages.saturating_add(topic.message_count);
            for channel in topic.channels.iter().flatten() {
                let clients = channel.clients.as_ref().map_or(0, Vec::len) as i64;
                view.total_clients = view.total_clients.saturating_add(clients);
            }
        }
        Ok(Partial { value: Some(view), warnings })
    }

    /// How many messages each channel has had on each node.
    pub async fn counter(&self) -> Phase<BTreeMap<String, CounterEntry>> {
        let mut warnings = Vec::new();
        let nodes = self.nodes().await?.take(&mut warnings);
        let producers: Vec<Producer> = nodes.into_iter().map(Producer::from).collect();
        let topics = self.stats_of(&producers, Question::default()).await?.take(&mut warnings);
        let mut stats = BTreeMap::new();
        for channel in topics.into_iter().flat_map(|topic| topic.channels.unwrap_or_default()) {
            let key = format!("{}:{}:{}", channel.topic_name, channel.channel_name, channel.node);
            let entry = stats.entry(key).or_insert_with(|| CounterEntry {
                node: channel.node,
                topic_name: channel.topic_name,
                channel_name: channel.channel_name,
                message_count: 0,
            });
            entry.message_count = entry.message_count.saturating_add(channel.message_count);
        }
        Ok(Partial { value: stats, warnings })
    }

    /// The figures of several nodes, in the order of the nodes' addresses.
    async fn stats_of(&self, nodes: &[Producer], question: Question) -> Phase<Vec<TopicStats>> {
        let mut answers = self.ask_each(nodes, question).await;
        answers.sort_by(|a, b| match (a, b) {
            (Ok(a), Ok(b)) => a.0.address.cmp(&b.0.address),
            _ => std::cmp::Ordering::Equal,
        });
        let now_s = now_s();
        Partial::of_phase(NSQD, answers, |all: &mut Vec<_>, (node, stats): (Identity, Stats)| {
            all.extend(stats.into_topics(&node, now_s));
        })
    }

    async fn ask_each(
        &self,
        nodes: &[Producer],
        question: Question,
    ) -> Vec<Result<(Identity, Stats), String>> {
        let client = self.client.clone();
        let identities: Vec<Identity> = nodes
            .iter()
            .map(|node| Identity { address: node.http_address(), hostname: node.hostname.clone() })
            .collect();
        gather(identities, move |identity| {
            let nsqd = Nsqd::new(client.clone(), Asker::Visitor, identity.address.clone());
            let question = question.clone();
            async move { nsqd.stats(&question).await.map(|stats| (identity, stats)).map_err(text) }
        })
        .await
    }

    async fn stats_of_configured(&self, question: Question) -> Vec<(String, Result<Stats, String>)> {
        let client = self.client.clone();
        gather(self.nsqds.clone(), move |address| {
            let nsqd = Nsqd::new(client.clone(), Asker::Visitor, address.clone());
            let question = question.clone();
            async move { (address, nsqd.stats(&question).await.map_err(text)) }
        })
        .await
    }

    async fn each_lookupd<A, F>(&self, ask: impl Fn(Lookupd) -> F) -> Vec<A>
    where
        A: Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        let client = self.client.clone();
        gather(self.lookupds.clone(), move |address| {
            ask(Lookupd::new(client.clone(), Asker::Visitor, address))
        })
        .await
    }
}

fn text(fault: Fault) -> String {
    fault.to_string()
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

impl From<Info> for Producer {
    fn from(info: Info) -> Self {
        Self {
            hostname: info.hostname,
            broadcast_address: info.broadcast_address,
            tcp_port: info.tcp_port,
            http_port: info.http_port,
            version: info.version,
            topology_zone: info.topology_zone,
            topology_region: info.topology_region,
            ..Self::default()
        }
    }
}

impl From<Info> for Node {
    fn from(info: Info) -> Self {
        Self {
            hostname: info.hostname,
            broadcast_address: info.broadcast_address,
            tcp_port: info.tcp_port,
            http_port: info.http_port,
            version: info.version,
            topology_zone: info.topology_zone,
            topology_region: info.topology_region,
            ..Self::default()
        }
    }
}

impl From<Node> for Producer {
    fn from(node: Node) -> Self {
        Self {
            hostname: node.hostname,
            broadcast_address: node.broadcast_address,
            tcp_port: node.tcp_port,
            http_port: node.http_port,
            version: node.version,
            ..Self::default()
        }
    }
}
