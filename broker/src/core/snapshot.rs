//! What this core tells of itself.

use std::collections::{HashMap, HashSet};

use nsq_queue::{ChannelKey, ChannelStats};

use crate::core::engine::Engine;
use crate::mesh::request::StatsFilter;
use crate::stats::latency::Summary;
use crate::stats::snapshot::CoreStats;

impl Engine {
    pub(super) fn core_stats(&mut self, filter: &StatsFilter) -> CoreStats {
        let (topic, channel) = (filter.topic.as_deref(), filter.channel.as_deref());
        let topics = self.queue.topic_stats(topic);
        let channels = self.queue.channel_stats(topic, channel, filter.include_clients);
        let connections = if filter.include_clients {
            self.connections.iter().map(|(slot, connection)| connection.stats(slot)).collect()
        } else {
            Vec::new()
        };
        let latencies = self.latencies_of(&channels, topic.is_none() && channel.is_none());
        CoreStats { topics, channels, connections, latencies }
    }

    fn latencies_of(&mut self, channels: &[ChannelStats], all: bool) -> HashMap<ChannelKey, Summary> {
        let now = self.now.mono_ns;
        let Some(latencies) = &mut self.latencies else { return HashMap::new() };
        if all {
            let keys: HashSet<ChannelKey> = channels.iter().map(|channel| channel.channel).collect();
            latencies.keep(|channel| keys.contains(&channel));
        }
        let keys = channels.iter().map(|channel| channel.channel);
        keys.filter_map(|key| Some((key, latencies.summary(key, now)?))).collect()
    }
}
