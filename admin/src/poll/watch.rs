//! Between a tick and what is made of it: rates and history, and the verdict of the rules.
//!
//! The poller hands each new [`Snapshot`] to [`Watch::tick`]; pages, API and metrics read. Pure but for its locks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use arc_swap::ArcSwap;

use super::facts;
use super::snapshot::{Name, Snapshot};
use crate::attention::facts::AdminFacts;
use crate::attention::{Judge, Policy, Verdict};
use crate::history::{ChannelSample, Counters, History, Moment, NodeSample, TopicSample};

/// How long a start of a node is remembered.
const STARTS_REMEMBERED_MS: u64 = 3_600_000;

/// History, rules, and their last verdict.
pub struct Watch {
    history: RwLock<History>,
    judge: Mutex<Memory>,
    verdict: ArcSwap<Verdict>,
    policy: Policy,
}

#[derive(Default)]
struct Memory {
    judge: Judge,
    /// By node: the start it runs since, and the starts seen, on the steady clock.
    starts: HashMap<Name, (i64, Vec<u64>)>,
}

impl Watch {
    /// A watch whose history takes at most `history_bytes_max`.
    pub fn new(history_bytes_max: usize, policy: Policy) -> Self {
        Watch {
            history: RwLock::new(History::new(history_bytes_max)),
            judge: Mutex::default(),
            verdict: ArcSwap::default(),
            policy,
        }
    }

    /// Looks at a new tick. Takes some milliseconds for a large cluster.
    pub fn tick(&self, snapshot: &Snapshot, admin: AdminFacts) {
        let mut history = self.history.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        record(&mut history, snapshot);
        drop(history);
        let mut memory = self.memory();
        memory.see_starts(snapshot);
        let history = self.history();
        let admin = AdminFacts { history_refused: history.refused_now(), ..admin };
        let starts = |node: &str| memory.starts.get(node).map_or(0, |(_, seen)| seen.len() as u32);
        let facts = facts::gather(snapshot, &history, &starts, admin);
        let verdict = memory.judge.tick(&facts, &self.policy, snapshot.monotonic_ms);
        drop(history);
        self.verdict.store(Arc::new(verdict));
    }

    /// What the rules said last.
    pub fn verdict(&self) -> Arc<Verdict> {
        self.verdict.load_full()
    }

    /// What the operator set for the rules.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Rates and series. Held shortly: a tick waits for it.
    pub fn history(&self) -> RwLockReadGuard<'_, History> {
        self.history.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.judge.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Memory {
    fn see_starts(&mut self, snapshot: &Snapshot) {
        let now = snapshot.monotonic_ms;
        self.starts.retain(|name, _| snapshot.node_index(name).is_some());
        for node in snapshot.nodes.iter().filter(|node| node.start_time_s != 0) {
            let (start, seen) = self
                .starts
                .entry(Arc::clone(&node.address))
                .or_insert_with(|| (node.start_time_s, Vec::new()));
            if *start != node.start_time_s {
                *start = node.start_time_s;
                seen.push(now);
            }
            seen.retain(|at| now.saturating_sub(*at) < STARTS_REMEMBERED_MS);
        }
    }
}

fn record(history: &mut History, snapshot: &Snapshot) {
    let interval_ms = i64::try_from(snapshot.interval_ms).unwrap_or(i64::MAX).max(1);
    history.begin(u64::try_from(snapshot.at_ms / interval_ms).unwrap_or(0));
    let mut samples: Vec<Vec<TopicSample<'_>>> = snapshot.nodes.iter().map(|_| Vec::new()).collect();
    for topic in &snapshot.topics {
        for &(node, figures) in &topic.nodes {
            let Some(topics) = samples.get_mut(node as usize) else { continue };
            let counters =
                Counters { messages: figures.message_count, depth: figures.depth, ..Counters::default() };
            topics.push(TopicSample { name: &topic.name, counters, channels: Vec::new() });
        }
        for channel in &topic.channels {
            for (node, figures) in &channel.nodes {
                let last = samples.get_mut(*node as usize).and_then(|topics| topics.last_mut());
                let Some(last) = last.filter(|last| *last.name == *topic.name) else { continue };
                let counters = Counters {
                    messages: figures.message_count,
                    depth: figures.depth,
                    in_flight: figures.in_flight,
                    deferred: figures.deferred,
                    requeued: figures.requeue_count,
                    timed_out: figures.timeout_count,
                };
                last.channels.push(ChannelSample {
                    name: &channel.name,
                    counters,
                    consumers: figures.client_count,
                });
            }
        }
    }
    for (node, topics) in snapshot.nodes.iter().zip(samples).filter(|(node, _)| node.counted) {
        let moment = Moment { at_ms: node.answered_monotonic_ms, start_time: node.start_time_s };
        // The same answer once more is no sample.
        if history.sampled_at_ms(&node.address).is_some_and(|last| last >= moment.at_ms) {
            history.carry(&node.address);
            continue;
        }
        let producers = node.producers.unwrap_or(0);
        history.node(&NodeSample { name: &node.address, moment, producers, topics });
    }
    history.end();
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::{ChannelFigures, ChannelState, Fault, NodeState, TopicFigures, TopicState};
    use super::*;
    use crate::history::{Key, Metric, Range};

    fn snapshot(tick: u64, published: u64, depth: u64) -> Snapshot {
        let figures = TopicFigures { message_count: published, ..TopicFigures::default() };
        let of_channel = ChannelFigures { message_count: published, depth, ..ChannelFigures::default() };
        let nodes = vec![(0, of_channel)];
        let channel = ChannelState { name: "billing".into(), figures: of_channel, nodes };
        Snapshot {
            tick,
            at_ms: 1_800_000_000_000 + tick as i64 * 10_000,
            monotonic_ms: tick * 10_000,
            interval_ms: 10_000,
            nodes: vec![NodeState {
                address: "a:4151".into(),
                counted: true,
                answered_monotonic_ms: tick * 10_000,
                start_time_s: 1,
                health: "OK".into(),
                ..NodeState::default()
            }],
            topics: vec![TopicState {
                name: "orders".into(),
                figures,
                nodes: vec![(0, figures)],
                channels: vec![channel],
            }],
            ..Snapshot::default()
        }
    }

    fn rules(watch: &Watch) -> Vec<&'static str> {
        watch.verdict().findings.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_channel_that_nobody_consumes_is_found_from_snapshots_alone() {
        let watch = Watch::new(1 << 20, Policy::default());
        for tick in 1..=7 {
            watch.tick(&snapshot(tick, tick * 100, tick * 100), AdminFacts::default());
        }
        assert_eq!(rules(&watch), ["no-consumers"]);
        let history = watch.history();
        let key = history.channel_key("orders", "billing").expect("a channel");
        assert_eq!(history.flow(key).map(|flow| (flow.incoming, flow.outgoing)), Some((10.0, 0.0)));
        assert_eq!(history.values(key, Metric::Depth, Range::Short, 2), [600.0, 700.0]);
    }

    #[test]
    fn a_node_that_fails_is_found_and_its_figures_are_no_sample() {
        let watch = Watch::new(1 << 20, Policy::default());
        watch.tick(&snapshot(1, 0, 5), AdminFacts::default());
        for tick in 2..=4 {
            let mut failing = snapshot(tick, 0, 5);
            let node = &mut failing.nodes[0];
            node.answered_monotonic_ms = 10_000;
            let polls = tick as u32 - 1;
            node.fault = Some(Fault { text: "connect timed out".into(), since_ms: 0, polls });
            node.counted = polls <= 2;
            watch.tick(&failing, AdminFacts::default());
        }
        assert_eq!(rules(&watch), ["node-unreachable"]);
        let history = watch.history();
        let own = history.node_key("a:4151").expect("a node");
        assert!(history.values(own, Metric::Depth, Range::Short, 3).iter().all(|v| v.is_nan()));
        let all = history.values(Key::Cluster, Metric::Depth, Range::Short, 4);
        assert!(all[..3] == [5.0; 3] && all[3].is_nan(), "{all:?}");
    }

    #[test]
    fn a_restart_is_told_and_a_first_sight_is_not() {
        let watch = Watch::new(1 << 20, Policy::default());
        let started = |tick: u64, start_time_s: i64| {
            let mut snapshot = snapshot(tick, 0, 0);
            snapshot.nodes[0].start_time_s = start_time_s;
            snapshot
        };
        watch.tick(&started(1, 1_800_000_000), AdminFacts::default());
        assert!(rules(&watch).is_empty());
        watch.tick(&started(2, 1_800_000_015), AdminFacts::default());
        assert_eq!(rules(&watch), ["restarted"]);
    }
}
