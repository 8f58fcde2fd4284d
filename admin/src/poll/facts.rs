//! From a tick and its history to what the rules look at.

use std::collections::HashSet;

use super::snapshot::{ChannelState, LookupdState, NodeState, Snapshot, TopicState};
use crate::attention::facts::{AdminFacts, ChannelFacts, Facts, LookupdFacts, NodeFacts, TopicFacts};
use crate::attention::trend::{SAMPLES, SAMPLES_MIN, Trend, mean_of};
use crate::history::{History, Metric, Range};

/// Steps of the long ring in 15 minutes at 10 s.
const DEAD_LETTER_STEPS: usize = 15;
/// Samples of a minute at 10 s.
const MINUTE_SAMPLES: u32 = 6;

/// The facts of a tick; `starts` tells how often a node was started in the last hour.
pub(super) fn gather<'a>(
    snapshot: &'a Snapshot,
    history: &History,
    starts: &dyn Fn(&str) -> u32,
    admin: AdminFacts,
) -> Facts<'a> {
    let interval_s = snapshot.interval_ms as f32 / 1_000.0;
    Facts {
        now_s: snapshot.at_ms / 1_000,
        interval_s,
        nodes: snapshot.nodes.iter().map(|one| node(snapshot, one, starts)).collect(),
        lookupds: snapshot.lookupds.iter().map(lookupd).collect(),
        topics: snapshot.topics.iter().map(|one| topic(snapshot, one, history, interval_s)).collect(),
        channels: snapshot
            .topics
            .iter()
            .flat_map(|topic| topic.channels.iter().map(move |one| (topic, one)))
            .map(|(topic, one)| channel(snapshot, topic, one, history))
            .collect(),
        admin,
    }
}

fn node<'a>(snapshot: &'a Snapshot, one: &'a NodeState, starts: &dyn Fn(&str) -> u32) -> NodeFacts<'a> {
    let now_s = snapshot.at_ms / 1_000;
    let answering: Vec<&LookupdState> = snapshot.lookupds.iter().filter(|one| one.fault.is_none()).collect();
    let listing = || one.lookupds.iter().filter_map(|&index| snapshot.lookupds.get(usize::from(index)));
    NodeFacts {
        name: &one.address,
        failures: one.fault.as_ref().map_or(0, |fault| fault.polls),
        error: one.fault.as_ref().map(|fault| fault.text.as_str()),
        ill: Some(one.health.as_str()).filter(|health| !health.is_empty() && *health != "OK"),
        held: one.stake(),
        listed: one.vanished_since_ms.is_none(),
        up_s: (one.start_time_s > 0)
            .then(|| u64::try_from(now_s.saturating_sub(one.start_time_s)).unwrap_or(0)),
        starts: starts(&one.address),
        out_of_date: one.out_of_date.then_some(one.version.as_str()),
        clock_skew_s: one.clock_skew_ms.map(|skew| skew as f64 / 1_000.0),
        listed_by: (!answering.is_empty())
            .then(|| (listing().filter(|lookupd| lookupd.fault.is_none()).count(), answering.len())),
        disputed_topic: disputed_topic(one, &answering),
        ..NodeFacts::default()
    }
}

/// A topic that one nsqlookupd lists for the node and another does not, tombstones aside.
fn disputed_topic<'a>(node: &NodeState, answering: &[&'a LookupdState]) -> Option<&'a str> {
    let lists: Vec<_> = answering
        .iter()
        .filter_map(|lookupd| lookupd.nodes.iter().find(|(name, _)| *name == node.address))
        .map(|(_, topics)| topics)
        .collect();
    let (first, others) = lists.split_first()?;
    if others.iter().all(|other| other == first) {
        return None;
    }
    let sets: Vec<HashSet<&str>> =
        lists.iter().map(|list| list.iter().map(|topic| &**topic).collect()).collect();
    lists.iter().flat_map(|list| list.iter()).map(|topic| &**topic).find(|topic| {
        !sets.iter().all(|set| set.contains(topic))
            && !node.tombstoned.iter().any(|hidden| **hidden == **topic)
    })
}

fn lookupd(one: &LookupdState) -> LookupdFacts<'_> {
    LookupdFacts {
        name: &one.address,
        failures: one.fault.as_ref().map_or(0, |fault| fault.polls),
        error: one.fault.as_ref().map(|fault| fault.text.as_str()),
    }
}

fn topic<'a>(
    snapshot: &'a Snapshot,
    one: &'a TopicState,
    history: &History,
    interval_s: f32,
) -> TopicFacts<'a> {
    let gained = || {
        let key = history.topic_key(&one.name)?;
        let steps = history.values(key, Metric::In, Range::Long, DEAD_LETTER_STEPS);
        let sum: f32 = steps.iter().filter(|rate| !rate.is_nan()).sum();
        Some(sum * interval_s * Range::Long.ticks() as f32)
    };
    TopicFacts {
        name: &one.name,
        depth: one.figures.depth,
        falling: one.figures.depth > 0 && falling(snapshot, one, history),
        paused: one.figures.paused,
        channels: one.channels.len(),
        gained: one.name.ends_with(".dlq").then(gained).flatten(),
    }
}

/// Whether less waits in the topic itself than a minute ago.
fn falling(snapshot: &Snapshot, topic: &TopicState, history: &History) -> bool {
    let (mut before, mut now) = (0.0, 0.0);
    for (index, figures) in &topic.nodes {
        let Some(node) = snapshot.nodes.get(*index as usize) else { continue };
        let Some(key) = history.node_topic_key(&node.address, &topic.name) else { continue };
        let depths = history.values(key, Metric::Depth, Range::Short, MINUTE_SAMPLES as usize + 1);
        if let Some(first) = depths.iter().find(|depth| !depth.is_nan()) {
            before += first;
            now += figures.depth as f32;
        }
    }
    now < before
}

fn channel<'a>(
    snapshot: &'a Snapshot,
    topic: &'a TopicState,
    one: &'a ChannelState,
    history: &History,
) -> ChannelFacts<'a> {
    let key = history.channel_key(&topic.name, &one.name);
    let flow = key.and_then(|key| history.flow(key));
    let last = |metric| key.map(|key| history.values(key, metric, Range::Short, SAMPLES)).unwrap_or_default();
    let mean = |values: &[f32]| {
        mean_of(values).filter(|_| values.iter().filter(|v| !v.is_nan()).count() >= SAMPLES_MIN)
    };
    let means = flow.and_then(|_| Some((mean(&last(Metric::Out))?, mean(&last(Metric::Redo))?)));
    let ticks = key.map_or(0, |key| history.timed_out_ticks(key));
    let minute = (1_u32 << MINUTE_SAMPLES) - 1;
    let figures = &one.figures;
    ChannelFacts {
        topic: &topic.name,
        channel: &one.name,
        depth: figures.depth,
        in_flight: figures.in_flight,
        deferred: figures.deferred,
        consumers: (!figures.clients_unknown).then_some(figures.client_count),
        paused: figures.paused,
        incoming: flow.map(|flow| flow.incoming),
        outgoing: flow.map(|flow| flow.outgoing),
        redo: flow.map(|flow| flow.redo),
        means,
        timing_out: (0..5).all(|n| ticks >> (n * MINUTE_SAMPLES) & minute != 0),
        trend: Trend::of(&last(Metric::Depth)),
        oldest_s: figures.oldest_ms.map(|ms| ms as f64 / 1_000.0),
        nodes: one
            .nodes
            .iter()
            .filter_map(|(index, figures)| {
                let node = snapshot.nodes.get(*index as usize)?;
                let consumers = (!figures.clients_unknown).then_some(figures.client_count);
                Some((&*node.address, figures.depth, consumers))
            })
            .collect(),
        clients: None,
    }
}
