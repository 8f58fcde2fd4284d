//! What the poll knows of each daemon between two ticks, and the snapshot that it makes of it. Pure: what was answered
//! and what time it is are arguments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::figures::{Figures, Names};
use super::snapshot::{
    ChannelFigures, ChannelState, Fault, LookupdState, Name, NodeState, Snapshot, TopicFigures, TopicState,
    Totals,
};
use crate::cluster::{Producer, Version};
use crate::limits::{CARRIED_TICKS_MAX, FIGURES_MAX, NODES_MAX, REST_FACTOR, VANISHED_MS_MAX};
use crate::upstream::nsqd::Info;

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub unix_ms: i64,
    pub monotonic_ms: u64,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub names: Names,
    pub nodes: BTreeMap<Name, Node>,
    pub lookupds: Vec<Lookupd>,
    /// Nodes beyond the bound, at the last look.
    nodes_left_out: u64,
}

/// One nsqd.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Where it is asked.
    pub ask_at: String,
    /// What is fixed, and what its last answer said.
    state: NodeState,
    figures: Figures,
    /// On the monotonic clock; not asked before.
    rests_until_ms: u64,
    /// Whether `server` is known.
    pub is_introduced: bool,
}

/// One nsqlookupd.
#[derive(Debug, Default)]
pub(super) struct Lookupd {
    pub state: LookupdState,
    /// What it listed last.
    producers: Vec<Producer>,
}

impl Memory {
    /// Takes the list of nsqlookupds; what is known of those that stay is kept.
    pub(super) fn set_lookupds(&mut self, addresses: &[String]) {
        let mut old = std::mem::take(&mut self.lookupds);
        for address in addresses {
            let known = old.iter().position(|lookupd| lookupd.state.address == *address);
            let new = || Lookupd {
                state: LookupdState { address: address.clone(), ..LookupdState::default() },
                producers: Vec::new(),
            };
            self.lookupds.push(known.map_or_else(new, |index| old.swap_remove(index)));
        }
    }

    /// An nsqlookupd's `/nodes`.
    pub(super) fn lookupd_answered(
        &mut self,
        address: &str,
        answer: Result<Vec<Producer>, String>,
        took: Duration,
        now: Moment,
    ) {
        let Some(lookupd) = self.lookupds.iter_mut().find(|lookupd| lookupd.state.address == address) else {
            return;
        };
        let state = &mut lookupd.state;
        match answer {
            Ok(producers) => {
                let node = |producer: &Producer| {
                    let tombstoned = |index: usize| producer.tombstones.get(index).copied().unwrap_or(false);
                    let topics = producer.topics.iter().enumerate().filter(|(index, _)| !tombstoned(*index));
                    let mut topics: Vec<Name> = topics.map(|(_, topic)| self.names.get(topic)).collect();
                    topics.sort_unstable();
                    (self.names.get(&producer.http_address()), topics)
                };
                state.nodes = producers.iter().take(NODES_MAX).map(node).collect();
                state.nodes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                state.fault = None;
                state.answered_at_ms = Some(now.unix_ms);
                state.answer_ms = millis(took);
                lookupd.producers = producers;
            }
            Err(text) => state.fault = Some(again(state.fault.take(), text, now)),
        }
    }

    /// An nsqlookupd's `/topics`, and its version. A failure shows at `/nodes`.
    pub(super) fn lookupd_has_topics(&mut self, address: &str, topics: &[String], version: Option<String>) {
        let names = &mut self.names;
        if let Some(lookupd) = self.lookupds.iter_mut().find(|lookupd| lookupd.state.address == address) {
            let mut topics: Vec<Name> =
                topics.iter().take(FIGURES_MAX).map(|topic| names.get(topic)).collect();
            topics.sort_unstable();
            topics.dedup();
            lookupd.state.topics = topics;
            if let Some(version) = version {
                lookupd.state.version = version;
            }
        }
    }

    /// Takes over who is listed now: new nodes are added, those that nobody lists any more are marked. While no
    /// nsqlookupd has answered yet, nothing is concluded.
    pub(super) fn see_listed(&mut self, now: Moment) {
        if self.lookupds.iter().all(|lookupd| lookupd.state.answered_at_ms.is_none()) {
            return;
        }
        for node in self.nodes.values_mut() {
            node.state.lookupds.clear();
            node.state.tombstoned.clear();
        }
        self.nodes_left_out = 0;
        let lookupds = std::mem::take(&mut self.lookupds);
        for (index, lookupd) in lookupds.iter().enumerate() {
            for producer in &lookupd.producers {
                self.see_producer(producer, u16::try_from(index).unwrap_or(u16::MAX));
            }
        }
        self.lookupds = lookupds;
        self.nodes.retain(|_, node| {
            let state = &mut node.state;
            if !state.lookupds.is_empty() {
                state.vanished_since_ms = None;
                return true;
            }
            let since = *state.vanished_since_ms.get_or_insert(now.unix_ms);
            now.unix_ms.saturating_sub(since) < VANISHED_MS_MAX
        });
        self.mark_out_of_date();
    }

    fn see_producer(&mut self, producer: &Producer, lookupd: u16) {
        let address = self.names.get(&producer.http_address());
        if !self.nodes.contains_key(&address) && self.nodes.len() >= NODES_MAX {
            self.nodes_left_out += 1;
            return;
        }
        let node = self.nodes.entry(Arc::clone(&address)).or_default();
        node.ask_at = address.to_string();
        let state = &mut node.state;
        if state.lookupds.is_empty() {
            state.address = address;
            producer.hostname.clone_into(&mut state.hostname);
            producer.broadcast_address.clone_into(&mut state.broadcast_address);
            state.tcp_port = producer.tcp_port;
            state.http_port = producer.http_port;
            producer.version.clone_into(&mut state.version);
            producer.topology_zone.clone_into(&mut state.topology_zone);
            producer.topology_region.clone_into(&mut state.topology_region);
        }
        if state.lookupds.last() != Some(&lookupd) {
            state.lookupds.push(lookupd);
        }
        for (topic, tombstoned) in producer.topics.iter().zip(&producer.tombstones) {
            if *tombstoned {
                let topic = self.names.get(topic);
                if !state.tombstoned.contains(&topic) {
                    state.tombstoned.push(topic);
                }
            }
        }
    }

    fn mark_out_of_date(&mut self) {
        let listed = |node: &&mut Node| node.state.vanished_since_ms.is_none();
        let newest =
            self.nodes.values_mut().filter(listed).map(|node| Version::parse(&node.state.version)).max();
        for node in self.nodes.values_mut() {
            node.state.out_of_date =
                newest.as_ref().is_some_and(|newest| Version::parse(&node.state.version) < *newest);
        }
    }

    /// Direct mode: the nsqds are those of the options, under the names that they give themselves once they have
    /// answered.
    pub(super) fn set_nsqds(&mut self, addresses: &[String]) {
        self.lookupds.clear();
        self.nodes.retain(|_, node| addresses.contains(&node.ask_at));
        for address in addresses {
            if !self.nodes.values().any(|node| node.ask_at == *address) {
                let name = self.names.get(address);
                let state = NodeState { address: Arc::clone(&name), ..NodeState::default() };
                self.nodes.insert(name, Node { ask_at: address.clone(), state, ..Node::default() });
            }
        }
    }

    /// A node's `/info`. In direct mode it gives the node its name.
    pub(super) fn node_introduced(&mut self, name: &Name, info: Info, is_direct: bool) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.is_introduced = true;
        info.server.clone_into(&mut node.state.server);
        if !is_direct {
            return;
        }
        let address = self.names.get(&info.address());
        let state = &mut node.state;
        state.hostname = info.hostname;
        state.broadcast_address = info.broadcast_address;
        state.tcp_port = info.tcp_port;
        state.http_port = info.http_port;
        state.version = info.version;
        state.topology_zone = info.topology_zone;
        state.topology_region = info.topology_region;
        state.address = Arc::clone(&address);
        // Two of the options may be the same nsqd; the first keeps the name.
        if address != *name
            && !self.nodes.contains_key(&address)
            && let Some(node) = self.nodes.remove(name)
        {
            self.nodes.insert(address, node);
        } else if address != *name
            && let Some(node) = self.nodes.get_mut(name)
        {
            node.state.address = Arc::clone(name);
        }
    }

    /// The nodes to ask now: name and address. `all` are asked where somebody wants to see what was just done, whether
    /// they rest or not.
    pub(super) fn due(&self, now: Moment, all: bool) -> Vec<(Name, String)> {
        let rests = |node: &Node| !all && node.rests_until_ms > now.monotonic_ms;
        let due = |node: &Node| node.state.vanished_since_ms.is_none() && !rests(node);
        self.nodes
            .iter()
            .filter(|(_, node)| due(node))
            .map(|(name, node)| (Arc::clone(name), node.ask_at.clone()))
            .collect()
    }

    /// A node's `/stats`.
    pub(super) fn node_answered(
        &mut self,
        name: &Name,
        answer: Result<(Figures, Option<i64>), String>,
        took: Duration,
        now: Moment,
    ) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        match answer {
            Ok((figures, skew_ms)) => {
                let restarted =
                    node.state.start_time_s != 0 && node.state.start_time_s != figures.start_time_s;
                node.is_introduced &= !restarted;
                let state = &mut node.state;
                state.fault = None;
                state.answered_at_ms = Some(now.unix_ms);
                state.answered_monotonic_ms = now.monotonic_ms;
                state.answer_ms = millis(took);
                figures.health.clone_into(&mut state.health);
                state.start_time_s = figures.start_time_s;
                state.clock_skew_ms = skew_ms;
                state.producers = figures.producers;
                state.totals = figures.totals;
                if !figures.version.is_empty() {
                    figures.version.clone_into(&mut state.version);
                }
                node.figures = figures;
                // A node that is slow to answer is left in peace for longer.
                node.rests_until_ms =
                    now.monotonic_ms.saturating_add(millis(took).saturating_mul(REST_FACTOR));
            }
            Err(text) => node.state.fault = Some(again(node.state.fault.take(), text, now)),
        }
    }

    /// The snapshot of what is known.
    pub(super) fn snapshot(&mut self, tick: u64, now: Moment, interval_ms: u64) -> Snapshot {
        let mut snapshot = Snapshot {
            tick,
            at_ms: now.unix_ms,
            monotonic_ms: now.monotonic_ms,
            interval_ms,
            lookupds: self.lookupds.iter().map(|lookupd| lookupd.state.clone()).collect(),
            ..Snapshot::default()
        };
        let mut topics: BTreeMap<Name, TopicOf> = BTreeMap::new();
        for lookupd in &self.lookupds {
            for topic in &lookupd.state.topics {
                topics.entry(Arc::clone(topic)).or_default();
            }
        }
        let mut rows = 0;
        let mut rows_left_out = 0;
        for (index, node) in self.nodes.values_mut().enumerate() {
            let is_current = node.state.fault.as_ref().is_none_or(|fault| fault.polls <= CARRIED_TICKS_MAX);
            let is_here = node.state.vanished_since_ms.is_none() && node.state.answered_at_ms.is_some();
            let fits = rows + node.figures.rows <= FIGURES_MAX;
            node.state.counted = is_here && is_current && fits;
            if node.state.counted {
                rows += node.figures.rows;
                fold(&mut topics, u32::try_from(index).unwrap_or(u32::MAX), &node.figures);
            } else if is_here && is_current {
                rows_left_out += node.figures.rows as u64;
            } else if !is_here || !is_current {
                // Nobody needs them any more; the sums stay.
                node.figures = Figures::default();
            }
            snapshot.nodes.push(node.state.clone());
        }
        snapshot.topics = topics.into_iter().map(|(name, topic)| topic.into_state(name)).collect();
        snapshot.totals = totals(&snapshot.topics);
        snapshot.left_out = [("nodes", self.nodes_left_out), ("topics and channels", rows_left_out)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        self.names.forget();
        snapshot
    }
}

/// A topic in the making.
#[derive(Default)]
struct TopicOf {
    figures: TopicFigures,
    nodes: Vec<(u32, TopicFigures)>,
    channels: BTreeMap<Name, (ChannelFigures, Vec<(u32, ChannelFigures)>)>,
}

fn fold(topics: &mut BTreeMap<Name, TopicOf>, node: u32, figures: &Figures) {
    for (name, of_topic, channels) in &figures.topics {
        let topic = topics.entry(Arc::clone(name)).or_default();
        topic.figures.add(of_topic);
        topic.nodes.push((node, *of_topic));
        for (name, of_channel) in channels {
            let (sum, nodes) = topic.channels.entry(Arc::clone(name)).or_default();
            sum.add(of_channel);
            nodes.push((node, *of_channel));
        }
    }
}

impl TopicOf {
    fn into_state(self, name: Name) -> TopicState {
        let channel = |(name, (figures, nodes)): (Name, (ChannelFigures, Vec<_>))| {
            let mut nodes: Vec<(u32, ChannelFigures)> = nodes;
            nodes.shrink_to_fit();
            ChannelState { name, figures, nodes }
        };
        TopicState {
            name,
            figures: self.figures,
            nodes: self.nodes,
            channels: self.channels.into_iter().map(channel).collect(),
        }
    }
}

fn totals(topics: &[TopicState]) -> Totals {
    let mut totals = Totals::default();
    for topic in topics {
        totals.add_topic(&topic.figures);
        topic.channels.iter().for_each(|channel| totals.add_channel(&channel.figures));
    }
    totals
}

fn again(before: Option<Fault>, text: String, now: Moment) -> Fault {
    let (since_ms, polls) = before.map_or((now.unix_ms, 0), |before| (before.since_ms, before.polls));
    Fault { text, since_ms, polls: polls.saturating_add(1) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
