//! The figures of one node, out of its `/stats`: no more than a snapshot needs.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashSet;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::snapshot::{ChannelFigures, Name, TopicFigures, Totals};
use crate::cluster::producers::null_is_default;
use crate::cluster::rows::{rows, some_rows};

/// A topic, its figures, and its channels by name.
pub(super) type TopicRow = (Name, TopicFigures, Vec<(Name, ChannelFigures)>);

/// What a node said last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// By name, each once.
    pub topics: Vec<TopicRow>,
    /// Topics and channels.
    pub rows: usize,
    pub totals: Totals,
    pub version: String,
    pub health: String,
    pub start_time_s: i64,
    pub producers: Option<u64>,
}

/// Every name once, however many nodes and ticks have it.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Name>);

impl Names {
    pub(super) fn get(&mut self, name: &str) -> Name {
        match self.0.get(name) {
            Some(known) => Arc::clone(known),
            None => {
                let new: Name = name.into();
                self.0.insert(Arc::clone(&new));
                new
            }
        }
    }

    /// Drops the names that nobody has any more.
    pub(super) fn forget(&mut self) {
        self.0.retain(|name| Arc::strong_count(name) > 1);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stats<'a> {
    #[serde(borrow, deserialize_with = "null_is_default")]
    version: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "null_is_default")]
    health: Cow<'a, str>,
    #[serde(deserialize_with = "null_is_default")]
    start_time: i64,
    #[serde(borrow, deserialize_with = "rows")]
    topics: Vec<Topic<'a>>,
    #[serde(deserialize_with = "some_rows")]
    producers: Option<Vec<IgnoredAny>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Topic<'a> {
    #[serde(borrow)]
    topic_name: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "rows")]
    channels: Vec<Channel<'a>>,
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
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Channel<'a> {
    #[serde(borrow)]
    channel_name: Cow<'a, str>,
    #[serde(deserialize_with = "null_is_default")]
    depth: i64,
    #[serde(deserialize_with = "null_is_default")]
    backend_depth: i64,
    #[serde(deserialize_with = "null_is_default")]
    in_flight_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    deferred_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    message_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    requeue_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    timeout_count: i64,
    client_count: Option<i64>,
    #[serde(deserialize_with = "some_rows")]
    clients: Option<Vec<IgnoredAny>>,
    #[serde(deserialize_with = "null_is_default")]
    paused: bool,
    /// Milliseconds, from our nsqd only.
    oldest_message_age_ms: Option<i64>,
}

/// Reads `/stats`.
pub(super) fn read(json: &[u8], names: &mut Names) -> Result<Figures, String> {
    let stats: Stats<'_> = crate::cluster::rows::parse(json).map_err(|error| error.to_string())?;
    let mut figures = Figures {
        version: stats.version.into_owned(),
        health: stats.health.into_owned(),
        start_time_s: stats.start_time,
        producers: stats.producers.map(|list| list.len() as u64),
        ..Figures::default()
    };
    for topic in stats.topics {
        let of_topic = TopicFigures {
            depth: count(topic.depth),
            backend_depth: count(topic.backend_depth),
            message_count: count(topic.message_count),
            message_bytes: count(topic.message_bytes),
            paused: topic.paused,
        };
        let mut channels: Vec<(Name, ChannelFigures)> = topic
            .channels
            .iter()
            .map(|channel| (names.get(&channel.channel_name), channel.figures()))
            .collect();
        channels.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        channels.dedup_by(|a, b| a.0 == b.0);
        figures.topics.push((names.get(&topic.topic_name), of_topic, channels));
    }
    figures.topics.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    figures.topics.dedup_by(|a, b| a.0 == b.0);
    for (_, of_topic, channels) in &figures.topics {
        figures.rows += 1 + channels.len();
        figures.totals.add_topic(of_topic);
        channels.iter().for_each(|(_, of_channel)| figures.totals.add_channel(of_channel));
    }
    Ok(figures)
}

impl Channel<'_> {
    fn figures(&self) -> ChannelFigures {
        let listed = self.clients.as_ref().map(|list| list.len() as i64);
        let clients = self.client_count.or(listed);
        ChannelFigures {
            depth: count(self.depth),
            backend_depth: count(self.backend_depth),
            in_flight: count(self.in_flight_count),
            deferred: count(self.deferred_count),
            message_count: count(self.message_count),
            requeue_count: count(self.requeue_count),
            timeout_count: count(self.timeout_count),
            client_count: count(clients.unwrap_or_default()),
            clients_unknown: clients.is_none(),
            paused: self.paused,
            oldest_ms: self.oldest_message_age_ms.map(count),
        }
    }
}

/// nsqd reads its counters without one lock for all, so a difference of two of them can be below zero for a moment.
fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_whatever_the_version_of_the_node() {
        let json = br#"{"version":"1.3.0","health":"OK","start_time":7,"topics":[
            {"topic_name":"t","depth":3,"backend_depth":1,"message_count":9,"message_bytes":90,"paused":true,"channels":[
                {"channel_name":"d","depth":-1,"client_count":2},
                {"channel_name":"c","depth":5,"in_flight_count":1,"deferred_count":2,"message_count":9,"clients":[{},{}]}]},
            {"topic_name":"s","channels":null}],"producers":[{},{},{}]}"#;
        let figures = read(json, &mut Names::default()).unwrap();
        assert_eq!(
            (figures.version.as_str(), figures.health.as_str(), figures.start_time_s),
            ("1.3.0", "OK", 7)
        );
        assert_eq!((figures.producers, figures.rows), (Some(3), 4));
        let names: Vec<&str> = figures.topics.iter().map(|(name, ..)| &**name).collect();
        assert_eq!(names, ["s", "t"]);
        let (_, topic, channels) = &figures.topics[1];
        assert!(topic.paused);
        assert_eq!(channels[0].1.client_count, 2);
        assert!(!channels[0].1.clients_unknown);
        assert_eq!((channels[1].1.depth, channels[1].1.client_count), (0, 2));
        assert_eq!(figures.totals.depth, 8);
        assert_eq!((figures.totals.topics, figures.totals.channels), (2, 2));
    }

    #[test]
    fn an_old_node_does_not_tell_its_consumers() {
        let json = br#"{"topics":[{"topic_name":"t","channels":[{"channel_name":"c","clients":null}]}]}"#;
        let figures = read(json, &mut Names::default()).unwrap();
        assert!(figures.topics[0].2[0].1.clients_unknown);
        assert_eq!(figures.producers, None);
    }

    #[test]
    fn names_are_shared_and_forgotten() {
        let mut names = Names::default();
        let json = br#"{"topics":[{"topic_name":"t","channels":[{"channel_name":"t"}]}]}"#;
        let figures = read(json, &mut names).unwrap();
        assert!(Arc::ptr_eq(&figures.topics[0].0, &figures.topics[0].2[0].0));
        names.forget();
        assert_eq!(names.0.len(), 1);
        drop(figures);
        names.forget();
        assert!(names.0.is_empty());
    }
}
