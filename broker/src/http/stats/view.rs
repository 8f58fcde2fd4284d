//! The statistics in the shape of NSQ's JSON, key by key and in its order.
//!
//! Each core tells of the topics, channels and connections that live on it. Here they are joined: channels with
//! their topics by name, consumers' counters with their connections, which are on the same core as the channel.

use std::collections::HashMap;

use nsq_queue::{ChannelStats, ConsumerStats, TopicStats};
use serde::Serialize;

use crate::mesh::request::StatsFilter;
use crate::stats::latency::{Summary, empty_summary};
use crate::stats::snapshot::{ConnectionStats, CoreStats};

/// All of `/stats`.
#[derive(Serialize, Default)]
pub(super) struct StatsView<'a> {
    pub(super) version: &'static str,
    pub(super) health: String,
    pub(super) start_time: i64,
    /// None for a filter by a topic that does not exist, which differs from an empty list.
    pub(super) topics: Option<Vec<TopicView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<Memory>,
    /// None where there are none.
    pub(super) producers: Option<Vec<ClientView<'a>>>,
}

/// A topic with its channels.
#[derive(Serialize)]
pub(super) struct TopicView<'a> {
    pub(super) topic_name: &'a str,
    pub(super) channels: Vec<ChannelView<'a>>,
    pub(super) depth: u64,
    pub(super) backend_depth: u64,
    pub(super) message_count: u64,
    pub(super) message_bytes: u64,
    pub(super) paused: bool,
    pub(super) e2e_processing_latency: Latency,
}

/// A channel with its clients.
#[derive(Serialize)]
pub(super) struct ChannelView<'a> {
    pub(super) channel_name: &'a str,
    pub(super) depth: u64,
    pub(super) backend_depth: u64,
    pub(super) in_flight_count: u64,
    pub(super) deferred_count: u64,
    pub(super) message_count: u64,
    pub(super) requeue_count: u64,
    pub(super) timeout_count: u64,
    pub(super) client_count: usize,
    /// None where clients were not asked for.
    pub(super) clients: Option<Vec<ClientView<'a>>>,
    pub(super) paused: bool,
    pub(super) e2e_processing_latency: Latency,
    /// What the latency was made of, for the topic's.
    #[serde(skip)]
    latencies: Option<&'a Summary>,
}

/// A consumer or a producer.
#[derive(Serialize)]
pub(super) struct ClientView<'a> {
    pub(super) client_id: &'a str,
    pub(super) hostname: &'a str,
    pub(super) version: &'static str,
    pub(super) remote_address: &'a str,
    pub(super) state: u8,
    pub(super) ready_count: u32,
    pub(super) in_flight_count: u64,
    pub(super) message_count: u64,
    pub(super) finish_count: u64,
    pub(super) requeue_count: u64,
    pub(super) connect_ts: i64,
    pub(super) sample_rate: i32,
    pub(super) deflate: bool,
    pub(super) snappy: bool,
    pub(super) user_agent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) topology_zone: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) topology_region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pub_counts: Option<[PublishCount<'a>; 1]>,
    pub(super) tls: bool,
    pub(super) tls_cipher_suite: &'static str,
    pub(super) tls_version: &'static str,
    pub(super) tls_negotiated_protocol: &'static str,
    pub(super) tls_negotiated_protocol_is_mutual: bool,
}

/// Publishes of a client to one topic. NSQ shows one topic only: the filter's, or any.
#[derive(Serialize)]
pub(super) struct PublishCount<'a> {
    pub(super) topic: &'a str,
    pub(super) count: u64,
}

/// End-to-end latency. None where it is not measured, and for a topic without channels.
#[derive(Serialize, Default)]
pub(super) struct Latency {
    count: u64,
    pub(super) percentiles: Option<Vec<Percentile>>,
}

/// One quantile of the latency.
#[derive(Serialize)]
pub(super) struct Percentile {
    quantile: f64,
    /// Nanoseconds; 0 without any sample.
    pub(super) value: f64,
}

impl Latency {
    fn of(summary: &Summary, quantiles: &[f64]) -> Self {
        let percentile = |quantile: &f64| {
            let value = if summary.is_empty() { 0 } else { summary.value_at_quantile(*quantile) };
            Percentile { quantile: *quantile, value: value as f64 }
        };
        Self { count: summary.len(), percentiles: Some(quantiles.iter().map(percentile).collect()) }
    }
}

/// NSQ's nine figures of its heap. Of those only the memory in use has a meaning without a garbage collector.
#[derive(Serialize, Default)]
pub(super) struct Memory {
    heap_objects: u64,
    heap_idle_bytes: u64,
    heap_in_use_bytes: u64,
    heap_released_bytes: u64,
    gc_pause_usec_100: u64,
    gc_pause_usec_99: u64,
    gc_pause_usec_95: u64,
    next_gc_bytes: u64,
    gc_total_runs: u64,
}

impl Memory {
    /// The resident memory of the process as memory in use; 0 where `/proc` is not there.
    pub(super) fn of_this_process() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { heap_in_use_bytes: resident_bytes(&status).unwrap_or(0), ..Self::default() }
    }

    /// Keys and values in NSQ's order.
    pub(super) fn figures(&self) -> [(&'static str, u64); 9] {
        [
            ("heap_objects", self.heap_objects),
            ("heap_idle_bytes", self.heap_idle_bytes),
            ("heap_in_use_bytes", self.heap_in_use_bytes),
            ("heap_released_bytes", self.heap_released_bytes),
            ("gc_pause_usec_100", self.gc_pause_usec_100),
            ("gc_pause_usec_99", self.gc_pause_usec_99),
            ("gc_pause_usec_95", self.gc_pause_usec_95),
            ("next_gc_bytes", self.next_gc_bytes),
            ("gc_total_runs", self.gc_total_runs),
        ]
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

impl<'a> StatsView<'a> {
    /// Joins what the cores told, each entry of `cores` being one core's. The rest of the fields is the caller's.
    /// `quantiles` are those of the latency to be shown; without any it is off.
    pub(super) fn new(cores: &'a [CoreStats], filter: &'a StatsFilter, quantiles: &[f64]) -> Self {
        let named = |topic: &&TopicStats| filter.topic.as_deref().is_none_or(|name| name == &*topic.name);
        let mut topics: Vec<&TopicStats> = cores.iter().flat_map(|core| &core.topics).filter(named).collect();
        if filter.topic.is_some() && topics.is_empty() {
            return Self::default();
        }
        topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut channels = channels_by_topic(cores, filter, quantiles);
        let topics = topics.into_iter().filter_map(|topic| {
            let channels = channels.remove(&*topic.name).unwrap_or_default();
            let is_shown = filter.channel.is_none() || !channels.is_empty();
            is_shown.then(|| TopicView::new(topic, channels, quantiles))
        });
        Self { topics: Some(topics.collect()), producers: producers(cores, filter), ..Self::default() }
    }
}

/// The channels of each topic, by name.
fn channels_by_topic<'a>(
    cores: &'a [CoreStats],
    filter: &'a StatsFilter,
    quantiles: &[f64],
) -> HashMap<&'a str, Vec<ChannelView<'a>>> {
    let mut by_topic: HashMap<&str, Vec<ChannelView<'_>>> = HashMap::new();
    for core in cores {
        let connections: HashMap<u64, &ConnectionStats> =
            core.connections.iter().map(|connection| (connection.consumer, connection)).collect();
        for channel in &core.channels {
            if filter.channel.as_deref().is_none_or(|name| name == &*channel.name) {
                let mut view = ChannelView::new(channel, &connections, filter);
                view.set_latency(core.latencies.get(&channel.channel), quantiles);
                by_topic.entry(&channel.topic_name).or_default().push(view);
            }
        }
    }
    by_topic.values_mut().for_each(|channels| channels.sort_unstable_by_key(|channel| channel.channel_name));
    by_topic
}

/// All connections that have published, whatever the filter; with their consumer's counters, if they are one.
fn producers<'a>(cores: &'a [CoreStats], filter: &'a StatsFilter) -> Option<Vec<ClientView<'a>>> {
    if !filter.include_clients {
        return None;
    }
    let mut producers = Vec::new();
    for core in cores {
        let consumers: HashMap<u64, &ConsumerStats> = (core.channels.iter())
            .flat_map(|channel| &channel.consumers)
            .map(|consumer| (consumer.consumer.0, consumer))
            .collect();
        for connection in core.connections.iter().filter(|connection| !connection.publish_counts.is_empty()) {
            let consumer = consumers.get(&connection.consumer).copied();
            producers.push(ClientView::new(connection, consumer, filter));
        }
    }
    (!producers.is_empty()).then_some(producers)
}

impl<'a> TopicView<'a> {
    fn new(topic: &'a TopicStats, channels: Vec<ChannelView<'a>>, quantiles: &[f64]) -> Self {
        let e2e_processing_latency = if quantiles.is_empty() || channels.is_empty() {
            Latency::default()
        } else {
            let mut all = empty_summary();
            for channel in channels.iter().filter_map(|channel| channel.latencies) {
                // Cannot fail: the sum grows.
                let _ = all.add(channel);
            }
            Latency::of(&all, quantiles)
        };
        Self {
            topic_name: &topic.name,
            channels,
            depth: topic.depth,
            backend_depth: topic.backend_depth,
            message_count: topic.message_count,
            message_bytes: topic.message_bytes,
            paused: topic.paused,
            e2e_processing_latency,
        }
    }
}

impl<'a> ChannelView<'a> {
    fn new(
        channel: &'a ChannelStats,
        connections: &HashMap<u64, &'a ConnectionStats>,
        filter: &'a StatsFilter,
    ) -> Self {
        // A consumer whose connection is not there has just gone.
        let client = |consumer: &ConsumerStats| {
            let connection = connections.get(&consumer.consumer.0)?;
            Some(ClientView::new(connection, Some(consumer), filter))
        };
        Self {
            channel_name: &channel.name,
            depth: channel.depth,
            backend_depth: channel.backend_depth,
            in_flight_count: channel.in_flight_count,
            deferred_count: channel.deferred_count,
            message_count: channel.message_count,
            requeue_count: channel.requeue_count,
            timeout_count: channel.timeout_count,
            client_count: channel.consumer_count,
            clients: filter.include_clients.then(|| channel.consumers.iter().filter_map(client).collect()),
            paused: channel.paused,
            e2e_processing_latency: Latency::default(),
            latencies: None,
        }
    }

    fn set_latency(&mut self, summary: Option<&'a Summary>, quantiles: &[f64]) {
        if !quantiles.is_empty() {
            self.latencies = summary;
            self.e2e_processing_latency = match summary {
                Some(summary) => Latency::of(summary, quantiles),
                None => Latency::of(&empty_summary(), quantiles),
            };
        }
    }
}

impl<'a> ClientView<'a> {
    fn new(connection: &'a ConnectionStats, consumer: Option<&ConsumerStats>, filter: &StatsFilter) -> Self {
        let shown = match filter.topic.as_deref() {
            Some(topic) => connection.publish_counts.iter().find(|(name, _)| name == topic),
            None => connection.publish_counts.first(),
        };
        Self {
            client_id: &connection.client_id,
            hostname: &connection.hostname,
            version: "V2",
            remote_address: &connection.remote_address,
            state: connection.state,
            ready_count: consumer.map_or(0, |consumer| consumer.credit),
            in_flight_count: consumer.map_or(0, |consumer| consumer.in_flight_count),
            message_count: consumer.map_or(0, |consumer| consumer.message_count),
            finish_count: consumer.map_or(0, |consumer| consumer.finish_count),
            requeue_count: consumer.map_or(0, |consumer| consumer.requeue_count),
            connect_ts: connection.connected_at,
            sample_rate: connection.sample_rate,
            deflate: false,
            snappy: false,
            user_agent: &connection.user_agent,
            topology_zone: &connection.topology_zone,
            topology_region: &connection.topology_region,
            pub_counts: shown.map(|(topic, count)| [PublishCount { topic, count: *count }]),
            tls: false,
            tls_cipher_suite: "",
            tls_version: "",
            tls_negotiated_protocol: "",
            tls_negotiated_protocol_is_mutual: false,
        }
    }
}

#[cfg(test)]
mod tests;
