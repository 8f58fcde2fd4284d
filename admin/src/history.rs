//! What was, in bounded memory: rates from counters, and two rings of samples for the cluster, each node, topic and
//! channel, and each of the latter on each node. Pure: time is an argument, samples are what the caller gives.
//!
//! A tick is `begin`, then for each node that counts `node` or `carry`, then `end`. Everything is read between ticks.

pub mod arena;
pub mod key;
pub mod rate;
pub mod ring;
mod victims;

use std::collections::{HashMap, HashSet};

use arena::{Arena, BlockId, LANES};
pub use key::{KINDS, Key, NameId, Names};
pub use rate::{Counters, Flow, Moment};
use ring::Fold;
pub use ring::{POINTS, Range, TICKS_PER_STEP};
use victims::Victims;

/// Things whose rates are kept. About 150 bytes each beside the rings; what comes later has neither rate nor history.
pub const KEYS_MAX: usize = 131_072;
/// Ticks for which the last rates of a node that is carried are still told.
pub const CARRY_TICKS: u64 = 2;
/// Ticks after which what is not seen is forgotten: the length of the long ring.
pub const FORGET_TICKS: u64 = POINTS as u64 * TICKS_PER_STEP;
/// Blocks of the series with the most metrics.
const BLOCKS_MAX: usize = 4;

/// A metric with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Messages waiting. For a topic, a node and the cluster: in the topics and in all channels.
    Depth,
    /// Published a second.
    In,
    /// Left a second: finished, emptied, dropped.
    Out,
    /// Requeued or timed out a second.
    Redo,
    /// Messages in flight; of the cluster alone.
    InFlight,
    /// Messages deferred; of the cluster alone.
    Deferred,
    /// Connected consumers; of the cluster alone.
    Consumers,
    /// Connected producers; of the cluster alone.
    Producers,
}

const ON_NODE: [Metric; 2] = [Metric::Depth, Metric::In];
const SUMS: [Metric; 4] = [Metric::Depth, Metric::In, Metric::Out, Metric::Redo];
const CLUSTER: [Metric; 8] = [
    Metric::Depth,
    Metric::In,
    Metric::Out,
    Metric::Redo,
    Metric::InFlight,
    Metric::Deferred,
    Metric::Consumers,
    Metric::Producers,
];

impl Metric {
    fn of(key: Key) -> &'static [Metric] {
        match key {
            Key::Cluster => &CLUSTER,
            Key::Node(_) | Key::Topic(_) | Key::Channel(..) => &SUMS,
            Key::NodeTopic(..) | Key::NodeChannel(..) => &ON_NODE,
        }
    }

    fn fold(self) -> Fold {
        if matches!(self, Metric::In | Metric::Out | Metric::Redo) { Fold::Mean } else { Fold::Max }
    }

    fn of_sum(self, sum: &Sum) -> f32 {
        let rate = |of: fn(&Flow) -> f32| sum.flow.as_ref().map_or(f32::NAN, of);
        match self {
            Metric::Depth => sum.depth as f32,
            Metric::In => rate(|flow| flow.incoming),
            Metric::Out => rate(|flow| flow.outgoing),
            Metric::Redo => rate(|flow| flow.redo),
            Metric::InFlight => sum.in_flight as f32,
            Metric::Deferred => sum.deferred as f32,
            Metric::Consumers => sum.consumers as f32,
            Metric::Producers => sum.producers as f32,
        }
    }
}

/// A channel as a node told of it.
#[derive(Clone, Debug)]
pub struct ChannelSample<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its numbers.
    pub counters: Counters,
    /// Its consumers.
    pub consumers: u64,
}

/// A topic as a node told of it.
#[derive(Clone, Debug)]
pub struct TopicSample<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its own numbers, without its channels.
    pub counters: Counters,
    /// Its channels.
    pub channels: Vec<ChannelSample<'a>>,
}

/// What a node answered.
#[derive(Clone, Debug)]
pub struct NodeSample<'a> {
    /// `host:port`.
    pub name: &'a str,
    /// When, and since when it runs.
    pub moment: Moment,
    /// Clients that publish.
    pub producers: u64,
    /// Its topics.
    pub topics: Vec<TopicSample<'a>>,
}

/// Values of a key at one tick.
#[derive(Clone, Copy, Default)]
struct Sum {
    depth: u64,
    in_flight: u64,
    deferred: u64,
    consumers: u64,
    producers: u64,
    flow: Option<Flow>,
    /// Some part could not tell a flow, so that the whole cannot.
    broken: bool,
}

impl Sum {
    fn add_flow(&mut self, flow: Option<Flow>) {
        match flow {
            Some(flow) => self.flow = Some(self.flow.unwrap_or(Flow::ZERO).plus(flow)),
            None => self.broken = true,
        }
    }

    /// Adds the gauges of a topic or channel.
    fn add_gauges(&mut self, counters: Counters, consumers: u64) {
        self.depth = self.depth.saturating_add(counters.depth);
        self.in_flight = self.in_flight.saturating_add(counters.in_flight);
        self.deferred = self.deferred.saturating_add(counters.deferred);
        self.consumers = self.consumers.saturating_add(consumers);
    }

    /// A topic's flow for its sums: what comes in. What leaves a topic itself goes to its channels and has not left.
    fn add_topic(&mut self, item: &Item) {
        self.add_gauges(item.counters, 0);
        self.add_flow(item.flow.map(|flow| Flow { outgoing: 0.0, redo: 0.0, timed_out: 0.0, ..flow }));
    }

    /// A channel's flow for the sums of its topic: what leaves and what comes back.
    fn add_channel_of_topic(&mut self, item: &Item) {
        self.add_gauges(item.counters, item.consumers);
        self.add_flow(item.flow.map(|flow| Flow { incoming: 0.0, ..flow }));
    }

    fn add_channel(&mut self, item: &Item) {
        self.add_gauges(item.counters, item.consumers);
        self.add_flow(item.flow);
    }
}

/// What is known of a key.
struct Item {
    counters: Counters,
    consumers: u64,
    flow: Option<Flow>,
    blocks: [Option<BlockId>; BLOCKS_MAX],
    /// Tick of its last values.
    seen: u64,
    /// In which of the last 32 ticks messages timed out; bit 0 is this tick.
    timed_out_ticks: u32,
}

struct Node {
    moment: Moment,
    /// Tick of its last sample.
    seen: u64,
    /// Tick in which it counted last, with a sample or carried.
    counted: u64,
    producers: u64,
    keys: Vec<Key>,
}

/// All series.
pub struct History {
    names: Names,
    arena: Arena,
    items: HashMap<Key, Item>,
    nodes: HashMap<NameId, Node>,
    tick: u64,
    slot: Option<u64>,
    series: [usize; KINDS],
    refused_total: u64,
    refused_now: u64,
}

impl History {
    /// An empty history whose rings take at most `bytes_max`; 0 keeps rates alone.
    pub fn new(bytes_max: usize) -> Self {
        History {
            names: Names::default(),
            arena: Arena::new(bytes_max),
            items: HashMap::new(),
            nodes: HashMap::new(),
            tick: 0,
            slot: None,
            series: [0; KINDS],
            refused_total: 0,
            refused_now: 0,
        }
    }

    /// A tick begins. `slot` is the wall clock divided by the interval: where it has gone on by more than one, ticks were
    /// missed and leave gaps; where it is the same, a poll out of turn replaces what the last one wrote; where it was set
    /// back, this tick is simply the next.
    pub fn begin(&mut self, slot: u64) {
        let steps = match self.slot {
            Some(before) if before == slot => 0,
            Some(before) => slot.saturating_sub(before).clamp(1, FORGET_TICKS + 1),
            None => 1,
        };
        self.slot = Some(slot);
        for _ in 0..steps {
            self.tick += 1;
            for (&key, item) in &mut self.items {
                item.timed_out_ticks <<= 1;
                for (index, _) in Metric::of(key).iter().enumerate() {
                    if let Some(block) = item.blocks[index / LANES] {
                        ring::open(self.arena.lane_mut(block, index % LANES), self.tick);
                    }
                }
            }
        }
        self.refused_now = 0;
    }

    /// A node answered.
    pub fn node(&mut self, sample: &NodeSample<'_>) {
        let id = self.names.intern(sample.name);
        if !self.admit(Key::Node(id)) {
            return;
        }
        let before = self.nodes.get(&id).map(|node| (node.moment, node.seen));
        let mut keys = Vec::with_capacity(sample.topics.iter().map(|topic| 1 + topic.channels.len()).sum());
        for topic in &sample.topics {
            let topic_id = self.names.intern(topic.name);
            if !self.sample(Key::NodeTopic(id, topic_id), topic.counters, 0, sample.moment, before, &mut keys)
            {
                continue;
            }
            for channel in &topic.channels {
                let key = Key::NodeChannel(id, topic_id, self.names.intern(channel.name));
                self.sample(key, channel.counters, channel.consumers, sample.moment, before, &mut keys);
            }
        }
        let node = Node {
            moment: sample.moment,
            seen: self.tick,
            counted: self.tick,
            producers: sample.producers,
            keys,
        };
        self.nodes.insert(id, node);
    }

    /// A node was not asked or did not answer, and counts with its last values. One that is neither given nor carried
    /// no longer counts: the lines of what it was part of break once, and go on without it.
    pub fn carry(&mut self, node: &str) {
        let tick = self.tick;
        if let Some(node) = self.names.find(node).and_then(|id| self.nodes.get_mut(&id)) {
            node.counted = tick;
        }
    }

    /// When a node was sampled last, on the caller's steady clock.
    pub fn sampled_at_ms(&self, node: &str) -> Option<u64> {
        Some(self.nodes.get(&self.names.find(node)?)?.moment.at_ms)
    }

    fn sample(
        &mut self,
        key: Key,
        counters: Counters,
        consumers: u64,
        moment: Moment,
        before: Option<(Moment, u64)>,
        keys: &mut Vec<Key>,
    ) -> bool {
        if !self.admit(key) {
            return false;
        }
        let tick = self.tick;
        let Some(item) = self.items.get_mut(&key) else { return false };
        item.flow = before.and_then(|(then, seen)| {
            // What the last sample of this node did not have began at nothing.
            let old = if item.seen == seen { item.counters } else { Counters::default() };
            rate::flow((then, old), (moment, counters))
        });
        (item.counters, item.consumers, item.seen) = (counters, consumers, tick);
        keys.push(key);
        true
    }

    /// Makes a place for a key; false if there are too many.
    fn admit(&mut self, key: Key) -> bool {
        if self.items.contains_key(&key) {
            return true;
        }
        if self.items.len() >= KEYS_MAX {
            self.refuse();
            // Names that nobody holds would stay for ever.
            self.names.hold(key);
            self.names.release(key);
            return false;
        }
        self.names.hold(key);
        let item = Item {
            counters: Counters::default(),
            consumers: 0,
            flow: None,
            blocks: [None; BLOCKS_MAX],
            seen: 0,
            timed_out_ticks: 0,
        };
        self.items.insert(key, item);
        true
    }

    fn refuse(&mut self) {
        self.refused_now += 1;
        self.refused_total += 1;
    }

    /// The tick ends: sums are made and everything is written.
    pub fn end(&mut self) {
        let (mut sums, gaps) = self.sum();
        let mut keys: Vec<Key> = sums.keys().copied().collect();
        keys.sort_unstable();
        let mut victims = Victims::default();
        for key in keys {
            let Some(mut sum) = sums.remove(&key) else { continue };
            if sum.broken {
                sum.flow = None;
            }
            if !self.admit(key) {
                continue;
            }
            self.provide(key, &mut victims);
            let (tick, gap) = (self.tick, gaps.contains(&key));
            let Some(item) = self.items.get_mut(&key) else { continue };
            item.seen = tick;
            item.flow = sum.flow;
            if sum.flow.is_some_and(|flow| flow.timed_out > 0.0) {
                item.timed_out_ticks |= 1;
            }
            for (index, metric) in Metric::of(key).iter().enumerate() {
                let value = metric.of_sum(&sum);
                if let (Some(block), false) = (item.blocks[index / LANES], gap || value.is_nan()) {
                    ring::write(self.arena.lane_mut(block, index % LANES), tick, value, metric.fold());
                }
            }
        }
        self.forget();
    }

    /// The values of this tick, and the keys whose line breaks because a node has just ceased to count.
    fn sum(&self) -> (HashMap<Key, Sum>, HashSet<Key>) {
        let mut sums: HashMap<Key, Sum> = HashMap::with_capacity(self.items.len());
        let mut gaps = HashSet::new();
        for (&id, node) in &self.nodes {
            let missing = self.tick - node.counted;
            if missing > 0 {
                if missing == 1 {
                    gaps.insert(Key::Cluster);
                    gaps.extend(node.keys.iter().filter_map(|&key| match key {
                        Key::NodeTopic(_, topic) => Some(Key::Topic(topic)),
                        Key::NodeChannel(_, topic, channel) => Some(Key::Channel(topic, channel)),
                        _ => None,
                    }));
                }
                continue;
            }
            let mut whole = Sum { producers: node.producers, ..Sum::default() };
            for &key in &node.keys {
                let Some(item) = self.items.get(&key) else { continue };
                match key {
                    Key::NodeTopic(_, topic) => {
                        sums.entry(Key::Topic(topic)).or_default().add_topic(item);
                        whole.add_topic(item);
                    }
                    Key::NodeChannel(_, topic, channel) => {
                        sums.entry(Key::Channel(topic, channel)).or_default().add_channel(item);
                        sums.entry(Key::Topic(topic)).or_default().add_channel_of_topic(item);
                        whole.add_channel_of_topic(item);
                    }
                    _ => continue,
                }
                // What was not sampled now has no value of its own: a carried node shows a gap.
                if node.seen == self.tick {
                    let mut own = Sum::default();
                    own.add_channel(item);
                    sums.insert(key, own);
                }
            }
            if whole.flow.is_none() && !whole.broken {
                whole.flow = Some(Flow::ZERO);
            }
            let cluster = sums.entry(Key::Cluster).or_default();
            cluster.depth = cluster.depth.saturating_add(whole.depth);
            cluster.in_flight = cluster.in_flight.saturating_add(whole.in_flight);
            cluster.deferred = cluster.deferred.saturating_add(whole.deferred);
            cluster.consumers = cluster.consumers.saturating_add(whole.consumers);
            cluster.producers = cluster.producers.saturating_add(whole.producers);
            cluster.add_flow(if whole.broken { None } else { whole.flow });
            if node.seen == self.tick {
                sums.insert(Key::Node(id), whole);
            }
        }
        (sums, gaps)
    }

    /// Gives a key its blocks, if memory allows or a lesser one gives way.
    fn provide(&mut self, key: Key, victims: &mut Victims) {
        if self.items.get(&key).is_none_or(|item| item.blocks[0].is_some()) {
            return;
        }
        let wanted = Metric::of(key).len().div_ceil(LANES);
        let mut blocks = [None; BLOCKS_MAX];
        for index in 0..wanted {
            let block = self.arena.take().or_else(|| {
                let victim = victims.next(key, || self.candidates())?;
                self.drop_blocks(victim);
                self.arena.take()
            });
            blocks[index] = block;
            if block.is_none() {
                blocks.iter().flatten().for_each(|&block| self.arena.give_back(block));
                self.refuse();
                return;
            }
        }
        if let Some(item) = self.items.get_mut(&key) {
            item.blocks = blocks;
            self.series[key.kind()] += 1;
        }
    }

    /// Every key with a series, and whether it was there for the whole long ring and nothing happened.
    fn candidates(&self) -> Vec<(Key, bool)> {
        let blocks = |item: &Item| item.blocks.into_iter().flatten();
        self.items
            .iter()
            .filter(|(_, item)| item.blocks[0].is_some())
            .map(|(&key, item)| {
                let zero = |lane: &[f32]| ring::read(lane, self.tick, Range::Long, POINTS).all(|v| v == 0.0);
                let idle = blocks(item).all(|b| (0..LANES).all(|lane| zero(self.arena.lane(b, lane))));
                (key, idle)
            })
            .collect()
    }

    fn drop_blocks(&mut self, key: Key) {
        let Some(item) = self.items.get_mut(&key) else { return };
        if item.blocks[0].is_some() {
            self.series[key.kind()] -= 1;
        }
        for block in std::mem::take(&mut item.blocks).into_iter().flatten() {
            self.arena.give_back(block);
        }
    }

    fn forget(&mut self) {
        let tick = self.tick;
        let gone: Vec<Key> = self
            .items
            .iter()
            .filter(|(_, item)| tick - item.seen >= FORGET_TICKS)
            .map(|(&key, _)| key)
            .collect();
        for key in gone {
            self.drop_blocks(key);
            self.items.remove(&key);
            if let Key::Node(id) = key {
                self.nodes.remove(&id);
            }
            self.names.release(key);
        }
    }

    /// The number of the tick; 0 before the first.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The key of a node.
    pub fn node_key(&self, node: &str) -> Option<Key> {
        Some(Key::Node(self.names.find(node)?))
    }

    /// The key of a topic.
    pub fn topic_key(&self, topic: &str) -> Option<Key> {
        Some(Key::Topic(self.names.find(topic)?))
    }

    /// The key of a channel.
    pub fn channel_key(&self, topic: &str, channel: &str) -> Option<Key> {
        Some(Key::Channel(self.names.find(topic)?, self.names.find(channel)?))
    }

    /// The key of a topic on a node.
    pub fn node_topic_key(&self, node: &str, topic: &str) -> Option<Key> {
        Some(Key::NodeTopic(self.names.find(node)?, self.names.find(topic)?))
    }

    /// The key of a channel on a node.
    pub fn node_channel_key(&self, node: &str, topic: &str, channel: &str) -> Option<Key> {
        Some(Key::NodeChannel(self.names.find(node)?, self.names.find(topic)?, self.names.find(channel)?))
    }

    /// The rates of the last tick; none if the key has none, or had no values for longer than is carried.
    pub fn flow(&self, key: Key) -> Option<Flow> {
        self.items.get(&key).filter(|item| self.tick - item.seen <= CARRY_TICKS).and_then(|item| item.flow)
    }

    /// In which of the last 32 ticks messages timed out; bit 0 is the last tick.
    pub fn timed_out_ticks(&self, key: Key) -> u32 {
        self.items.get(&key).map_or(0, |item| item.timed_out_ticks)
    }

    /// Whether the key has rings. What is refused for lack of memory has rates alone.
    pub fn has_series(&self, key: Key) -> bool {
        self.items.get(&key).is_some_and(|item| item.blocks[0].is_some())
    }

    /// The last `count` values (at most [`POINTS`]), the oldest first, NaN for gaps; empty if there are none.
    pub fn values(&self, key: Key, metric: Metric, range: Range, count: usize) -> Vec<f32> {
        let lane = Metric::of(key).iter().position(|&m| m == metric).and_then(|index| {
            let block = self.items.get(&key)?.blocks[index / LANES]?;
            Some(self.arena.lane(block, index % LANES))
        });
        lane.map_or_else(Vec::new, |lane| ring::read(lane, self.tick, range, count).collect())
    }

    /// Series by kind, in the order of [`Key::KIND_NAMES`].
    pub fn series(&self) -> [usize; KINDS] {
        self.series
    }

    /// Bytes of the rings, about.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.names.bytes() + self.items.len() * (size_of::<Key>() + size_of::<Item>())
    }

    /// Series refused for lack of memory in the last tick.
    pub fn refused_now(&self) -> u64 {
        self.refused_now
    }

    /// Refusals, ever.
    pub fn refused_total(&self) -> u64 {
        self.refused_total
    }
}

#[cfg(test)]
mod tests;
