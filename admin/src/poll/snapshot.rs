//! What one tick of the poll saw: plain, complete, and never changed afterwards.
//!
//! Whoever holds a [`Snapshot`] has one consistent view. Counters are those of the daemons, since their start;
//! rates are made of two snapshots, by `history`. All lists are sorted by name, so they can be searched.

use std::sync::Arc;

/// A name that many snapshots share: topics, channels and addresses are held once, not once per tick.
pub type Name = Arc<str>;

/// One tick. At start there is an empty one, of tick 0.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts up by one. 0 is the time before the first poll, in which nothing is known.
    pub tick: u64,
    /// When the poll began, Unix milliseconds.
    pub at_ms: i64,
    /// The same moment in milliseconds of a clock that is never set, for differences.
    pub monotonic_ms: u64,
    /// From the first question to the last answer, milliseconds.
    pub took_ms: u64,
    /// The configured `--poll-interval`, milliseconds; 0 if there is no poll.
    pub interval_ms: u64,
    /// The nsqds, by [`NodeState::address`]. Those that went from every nsqlookupd's list stay for an hour.
    pub nodes: Vec<NodeState>,
    /// The nsqlookupds in their configured order; empty in direct mode.
    pub lookupds: Vec<LookupdState>,
    /// The topics that some node has or some nsqlookupd knows, by name.
    pub topics: Vec<TopicState>,
    /// Sums over everything.
    pub totals: Totals,
    /// What did not fit the bounds of the snapshot and was left out: (what, how many). Empty in ordinary life.
    pub left_out: Vec<(&'static str, u64)>,
}

/// Why somebody did not answer, or not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One line for a reader; it may quote the peer, so it is to be escaped.
    pub text: String,
    /// Unix milliseconds of the first failure in a row.
    pub since_ms: i64,
    /// Failed polls in a row, at least 1.
    pub polls: u32,
}

/// An nsqd at one tick.
#[derive(Clone, Debug, Default)]
pub struct NodeState {
    /// `broadcast_address:http_port`, as in NSQ's API and addresses.
    pub address: Name,
    /// From the nsqlookupds, or from `/info` in direct mode.
    pub hostname: String,
    #[allow(missing_docs)]
    pub broadcast_address: String,
    #[allow(missing_docs)]
    pub tcp_port: i64,
    #[allow(missing_docs)]
    pub http_port: i64,
    #[allow(missing_docs)]
    pub version: String,
    /// Older than the newest node.
    pub out_of_date: bool,
    #[allow(missing_docs)]
    pub topology_zone: String,
    #[allow(missing_docs)]
    pub topology_region: String,
    /// `nsq-uring` for ours, empty for NSQ's.
    pub server: String,
    /// The nsqlookupds that list it, as indices into [`Snapshot::lookupds`].
    pub lookupds: Vec<u16>,
    /// Topics that some nsqlookupd hides on it for now.
    pub tombstoned: Vec<Name>,
    /// Unix milliseconds since when no nsqlookupd that answers lists it any more; `None` while some does.
    pub vanished_since_ms: Option<i64>,
    /// Set while it does not answer `/stats`.
    pub fault: Option<Fault>,
    /// Unix milliseconds of the answer that its figures are from; `None` if it never answered. Older than
    /// [`Snapshot::at_ms`] minus a tick: the figures are carried over from an earlier tick.
    pub answered_at_ms: Option<i64>,
    /// [`Snapshot::monotonic_ms`] at that answer.
    pub answered_monotonic_ms: u64,
    /// How long that answer took, milliseconds.
    pub answer_ms: u64,
    /// Whether its figures are part of [`Snapshot::topics`] and the totals: it answered now, or was carried over.
    /// A failing node is carried for 2 ticks.
    pub counted: bool,
    /// nsqd's `health`: `OK`, or what is wrong. Empty if it never answered.
    pub health: String,
    /// Unix seconds of its start; 0 if it never answered.
    pub start_time_s: i64,
    /// Its clock minus ours, milliseconds, by the `Date` of its answer (so within a second).
    pub clock_skew_ms: Option<i64>,
    /// Publishing connections. `None` where nsqd does not tell.
    pub producers: Option<u64>,
    /// Its sums; of the last good answer, also while it is not [`NodeState::counted`].
    pub totals: Totals,
}

/// An nsqlookupd at one tick.
#[derive(Clone, Debug, Default)]
pub struct LookupdState {
    /// As configured, `host:http_port`.
    pub address: String,
    /// From `/info`; empty while unknown.
    pub version: String,
    /// Set while it does not answer `/nodes`.
    pub fault: Option<Fault>,
    /// Unix milliseconds of its last answer.
    pub answered_at_ms: Option<i64>,
    /// How long that took, milliseconds.
    pub answer_ms: u64,
    /// The topics it lists (`/topics`), by name.
    pub topics: Vec<Name>,
    /// For each node that it lists, its topics without the tombstoned ones, by the address of the node.
    pub nodes: Vec<(Name, Vec<Name>)>,
}

/// A topic at one tick, over all nodes that are counted.
#[derive(Clone, Debug, Default)]
pub struct TopicState {
    #[allow(missing_docs)]
    pub name: Name,
    /// Sums; paused if it is anywhere.
    pub figures: TopicFigures,
    /// By the index into [`Snapshot::nodes`]. Empty: only nsqlookupds know it.
    pub nodes: Vec<(u32, TopicFigures)>,
    /// By name.
    pub channels: Vec<ChannelState>,
}

/// A channel at one tick, over all nodes that are counted.
#[derive(Clone, Debug, Default)]
pub struct ChannelState {
    #[allow(missing_docs)]
    pub name: Name,
    /// Sums; paused if it is anywhere.
    pub figures: ChannelFigures,
    /// By the index into [`Snapshot::nodes`].
    pub nodes: Vec<(u32, ChannelFigures)>,
}

/// A topic's own figures, without those of its channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TopicFigures {
    /// Messages that no channel has taken yet, in memory and on disk.
    pub depth: u64,
    pub backend_depth: u64,
    /// Counter.
    pub message_count: u64,
    /// Counter.
    pub message_bytes: u64,
    pub paused: bool,
}

/// A channel's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ChannelFigures {
    /// Messages that wait, in memory and on disk.
    pub depth: u64,
    pub backend_depth: u64,
    pub in_flight: u64,
    pub deferred: u64,
    /// Counter: messages that came into the channel.
    pub message_count: u64,
    /// Counter.
    pub requeue_count: u64,
    /// Counter.
    pub timeout_count: u64,
    /// Consumers.
    pub client_count: u64,
    /// An nsqd before 1.1 does not tell its consumers: `client_count` is too low then.
    pub clients_unknown: bool,
    pub paused: bool,
    /// Milliseconds since the oldest waiting message was published, from our nsqd only.
    pub oldest_ms: Option<u64>,
}

/// Sums over topics and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Totals {
    pub topics: u64,
    pub channels: u64,
    /// Of topics and channels.
    pub depth: u64,
    pub in_flight: u64,
    pub deferred: u64,
    pub client_count: u64,
    /// Of topics: what was published.
    pub message_count: u64,
    /// Of topics.
    pub message_bytes: u64,
    /// Of channels: what came into them, each copy counted.
    pub channel_message_count: u64,
    pub requeue_count: u64,
    pub timeout_count: u64,
}

impl Snapshot {
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&TopicState> {
        let index = self.topics.binary_search_by(|topic| (*topic.name).cmp(name)).ok()?;
        self.topics.get(index)
    }

    /// The node of this address.
    pub fn node(&self, address: &str) -> Option<&NodeState> {
        self.nodes.get(self.node_index(address)?)
    }

    /// Where the node stands in [`Snapshot::nodes`].
    pub fn node_index(&self, address: &str) -> Option<usize> {
        self.nodes.binary_search_by(|node| (*node.address).cmp(address)).ok()
    }

    /// How many nodes answered in this tick, and how many there are: less means figures below the truth.
    /// Those that no nsqlookupd lists any more do not count.
    pub fn coverage(&self) -> (usize, usize) {
        let here = self.nodes.iter().filter(|node| node.vanished_since_ms.is_none());
        let (answering, all) =
            here.fold((0, 0), |(yes, all), node| (yes + usize::from(node.fault.is_none()), all + 1));
        (answering, all)
    }
}

impl TopicState {
    /// The channel of this name.
    pub fn channel(&self, name: &str) -> Option<&ChannelState> {
        let index = self.channels.binary_search_by(|channel| (*channel.name).cmp(name)).ok()?;
        self.channels.get(index)
    }

    /// Messages that wait in the topic and in all its channels.
    pub fn depth(&self) -> u64 {
        self.channels.iter().fold(self.figures.depth, |sum, c| sum.saturating_add(c.figures.depth))
    }
}

impl NodeState {
    /// Whether its figures are those of an earlier tick.
    pub fn is_carried(&self) -> bool {
        self.counted && self.fault.is_some()
    }

    /// What would be lost with it, by its last answer: depth, in flight and deferred.
    pub fn stake(&self) -> u64 {
        self.totals.depth.saturating_add(self.totals.in_flight).saturating_add(self.totals.deferred)
    }
}

impl TopicFigures {
    /// Adds another node's.
    pub fn add(&mut self, other: &Self) {
        self.depth = self.depth.saturating_add(other.depth);
        self.backend_depth = self.backend_depth.saturating_add(other.backend_depth);
        self.message_count = self.message_count.saturating_add(other.message_count);
        self.message_bytes = self.message_bytes.saturating_add(other.message_bytes);
        self.paused |= other.paused;
    }
}

impl ChannelFigures {
    /// Adds another node's.
    pub fn add(&mut self, other: &Self) {
        self.depth = self.depth.saturating_add(other.depth);
        self.backend_depth = self.backend_depth.saturating_add(other.backend_depth);
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.deferred = self.deferred.saturating_add(other.deferred);
        self.message_count = self.message_count.saturating_add(other.message_count);
        self.requeue_count = self.requeue_count.saturating_add(other.requeue_count);
        self.timeout_count = self.timeout_count.saturating_add(other.timeout_count);
        self.client_count = self.client_count.saturating_add(other.client_count);
        self.clients_unknown |= other.clients_unknown;
        self.paused |= other.paused;
        self.oldest_ms = self.oldest_ms.max(other.oldest_ms);
    }
}

impl Totals {
    /// Adds a topic's own figures.
    pub fn add_topic(&mut self, topic: &TopicFigures) {
        self.topics += 1;
        self.depth = self.depth.saturating_add(topic.depth);
        self.message_count = self.message_count.saturating_add(topic.message_count);
        self.message_bytes = self.message_bytes.saturating_add(topic.message_bytes);
    }

    /// Adds a channel's figures.
    pub fn add_channel(&mut self, channel: &ChannelFigures) {
        self.channels += 1;
        self.depth = self.depth.saturating_add(channel.depth);
        self.in_flight = self.in_flight.saturating_add(channel.in_flight);
        self.deferred = self.deferred.saturating_add(channel.deferred);
        self.client_count = self.client_count.saturating_add(channel.client_count);
        self.channel_message_count = self.channel_message_count.saturating_add(channel.message_count);
        self.requeue_count = self.requeue_count.saturating_add(channel.requeue_count);
        self.timeout_count = self.timeout_count.saturating_add(channel.timeout_count);
    }
}
