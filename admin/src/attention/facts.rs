//! What the rules look at: one tick of the cluster, as far as it is known. What is unknown is `None`, and rules then abstain.

use super::trend::Trend;

/// One tick.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// Unix seconds.
    pub now_s: i64,
    /// Seconds between ticks.
    pub interval_s: f32,
    /// All nsqds that are or were known within the hour.
    pub nodes: Vec<NodeFacts<'a>>,
    /// All configured nsqlookupds.
    pub lookupds: Vec<LookupdFacts<'a>>,
    /// All topics.
    pub topics: Vec<TopicFacts<'a>>,
    /// All channels.
    pub channels: Vec<ChannelFacts<'a>>,
    /// nsqadmin itself.
    pub admin: AdminFacts,
}

/// An nsqd.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts<'a> {
    /// `host:port`.
    pub name: &'a str,
    /// Polls in a row that failed.
    pub failures: u32,
    /// Why the last one failed.
    pub error: Option<&'a str>,
    /// Its own words about its health, unless it is well.
    pub ill: Option<&'a str>,
    /// Messages it held when last seen, waiting, in flight or deferred.
    pub held: u64,
    /// Whether an nsqlookupd lists it, or it is configured.
    pub listed: bool,
    /// Seconds since it was started.
    pub up_s: Option<u64>,
    /// Starts seen in the last hour.
    pub starts: u32,
    /// Why it refuses to take messages.
    pub refusing: Option<&'a str>,
    /// p99 of a commit, milliseconds.
    pub commit_p99_ms: Option<f64>,
    /// Free share of its disk.
    pub disk_free: Option<f64>,
    /// Days until its certificate ends.
    pub certificate_days: Option<f64>,
    /// Its version, if a newer one runs beside it.
    pub out_of_date: Option<&'a str>,
    /// Seconds that its clock is off ours.
    pub clock_skew_s: Option<f64>,
    /// How many of the nsqlookupds that answered list it, and how many answered.
    pub listed_by: Option<(usize, usize)>,
    /// A topic that not all of them list for it.
    pub disputed_topic: Option<&'a str>,
}

/// An nsqlookupd.
#[derive(Clone, Debug, Default)]
pub struct LookupdFacts<'a> {
    /// Its address.
    pub name: &'a str,
    /// Polls in a row that failed.
    pub failures: u32,
    /// Why.
    pub error: Option<&'a str>,
}

/// A topic over all nodes.
#[derive(Clone, Debug, Default)]
pub struct TopicFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Messages in the topic itself.
    pub depth: u64,
    /// Whether it was less than five minutes ago.
    pub falling: bool,
    /// Paused on some node.
    pub paused: bool,
    /// Channels.
    pub channels: usize,
    /// Messages published in the last 15 minutes, where that is known.
    pub gained: Option<f32>,
}

/// A channel over all nodes.
#[derive(Clone, Debug, Default)]
pub struct ChannelFacts<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its name.
    pub channel: &'a str,
    /// Messages waiting.
    pub depth: u64,
    /// Messages in flight.
    pub in_flight: u64,
    /// Messages deferred.
    pub deferred: u64,
    /// Consumers; unknown with an nsqd that does not count them.
    pub consumers: Option<u64>,
    /// Paused on some node.
    pub paused: bool,
    /// Published a second.
    pub incoming: Option<f32>,
    /// Left a second.
    pub outgoing: Option<f32>,
    /// Came back a second.
    pub redo: Option<f32>,
    /// Mean a second over five minutes: left, came back.
    pub means: Option<(f32, f32)>,
    /// Whether messages timed out in each of the last five minutes.
    pub timing_out: bool,
    /// Where its depth is going.
    pub trend: Option<Trend>,
    /// Seconds since the oldest message was published.
    pub oldest_s: Option<f64>,
    /// By node: name, depth, consumers.
    pub nodes: Vec<(&'a str, u64, Option<u64>)>,
    /// What its consumers say, where they were asked.
    pub clients: Option<ClientFacts>,
}

impl ChannelFacts<'_> {
    /// Whether it goes with its last consumer.
    pub fn ephemeral(&self) -> bool {
        self.channel.ends_with("#ephemeral")
    }
}

/// A live look at the consumers of a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientFacts {
    /// Sum of RDY.
    pub ready: u64,
    /// Those who let most messages time out.
    pub unanswered: Vec<(String, u64)>,
}

/// nsqadmin itself.
#[derive(Clone, Debug, Default)]
pub struct AdminFacts {
    /// Seconds that the last poll took.
    pub poll_s: f32,
    /// Series refused for lack of memory.
    pub history_refused: u64,
    /// Notifications that failed since the last tick.
    pub hook_failures: u64,
}
