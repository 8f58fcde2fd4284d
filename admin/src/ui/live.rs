//! What only the page of one topic or channel needs, asked when it is looked at: consumers, producers, percentiles.

use std::time::Duration;

use crate::app::App;
use crate::cluster::{ChannelStats, TopicStats};
use crate::poll::Snapshot;
use crate::poll::clock::now_ms;
use crate::upstream::gather;
use crate::upstream::nsqd::{Identity, ProducerStats, Question};

/// How long a page waits for a node. One that is slower shows as missing, and the page does not wait for it.
const NODE_MS_MAX: u64 = 1_500;

/// The answers of the nodes that answered, and those that did not with their reasons.
#[derive(Debug, Default)]
pub struct Live {
    /// Topics with what was asked for.
    pub topics: Vec<TopicStats>,
    /// Connections that publish.
    pub producers: Vec<ProducerStats>,
    /// Nodes that did not answer, and why.
    pub silent: Vec<(String, String)>,
}

/// Asks the nodes that have a topic, by the last tick, those left out that did not answer it.
pub async fn ask(app: &App, snapshot: &Snapshot, topic: &str, channel: Option<&str>) -> Live {
    let nodes: Vec<Identity> = snapshot
        .topic(topic)
        .into_iter()
        .flat_map(|topic| &topic.nodes)
        .filter_map(|(index, _)| snapshot.nodes.get(*index as usize))
        .filter(|node| node.fault.is_none())
        .map(|node| Identity { address: node.address.to_string(), hostname: node.hostname.clone() })
        .collect();
    // Each may hold an answer of megabytes.
    let _permit = app.live_requests.acquire().await;
    let cluster = app.cluster();
    let question = Question {
        topic: Some(topic.to_owned()),
        channel: channel.map(str::to_owned),
        // Without consumers nsqd does not tell its producers either.
        clients: true,
    };
    let answers = gather(nodes, move |node| {
        let (nsqd, question) = (cluster.nsqd(&node.address), question.clone());
        async move {
            let limit = Duration::from_millis(NODE_MS_MAX);
            let answer = tokio::time::timeout(limit, nsqd.stats(&question)).await;
            let answer = answer.map_or_else(
                |_| Err("no answer in time".to_owned()),
                |answer| answer.map_err(|fault| fault.to_string()),
            );
            (node, answer)
        }
    })
    .await;
    let mut live = Live::default();
    for (node, answer) in answers {
        match answer {
            Ok(mut stats) => {
                live.producers.extend(stats.take_producers(&node));
                live.topics.extend(stats.into_topics(&node, now_ms() / 1_000));
            }
            Err(error) => live.silent.push((node.address, error)),
        }
    }
    live
}

impl Live {
    /// The topic over the nodes that answered.
    pub fn topic(self, name: &str) -> (TopicStats, Vec<ProducerStats>) {
        let mut all = TopicStats::aggregate(name);
        self.topics.into_iter().filter(|found| found.topic_name == name).for_each(|found| all.add(found));
        all.sort();
        let mut producers = self.producers;
        producers.retain(|producer| producer.pub_counts.iter().any(|of| of.topic == name && of.count > 0));
        (all, producers)
    }

    /// The channel over the nodes that answered.
    pub fn channel(self, topic: &str, name: &str) -> Result<ChannelStats, String> {
        let mut all = ChannelStats::aggregate(topic, name);
        self.topics
            .into_iter()
            .filter(|found| found.topic_name == topic)
            .flat_map(|found| found.channels.unwrap_or_default())
            .filter(|found| found.channel_name == name)
            .for_each(|found| all.add(found));
        if all.nodes.as_ref().is_none_or(Vec::is_empty)
            && let Some((node, error)) = self.silent.first()
        {
            return Err(format!("{node}: {error}"));
        }
        all.sort();
        Ok(all)
    }
}
