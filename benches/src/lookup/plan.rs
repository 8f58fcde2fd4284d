//! Which nsqd has which topic, and what everything is called. Pure arithmetic: the same settings give the same fleet.
//!
//! The topics fall into as many groups as an nsqd has topics, and an nsqd has one topic of each group. The nsqds stand
//! in rows as long as a group: each row covers every topic of a group once, shifted further from group to group by its
//! own number. So topics have almost equally many producers, and two nsqds share a topic here and there instead of
//! being copies of each other.

use super::Settings;

/// What every nsqd says about itself.
pub(crate) const VERSION: &str = "1.3.0";
pub(crate) const TCP_PORT: u16 = 4150;
pub(crate) const HTTP_PORT: u16 = 4151;

const ADDRESS_PREFIX: &str = "nsqd-";
const ADDRESS_SUFFIX: &str = ".example.net";

/// The plan of a fleet. Topics are numbered through; a slot is the place of a topic among those of its nsqd.
#[derive(Debug)]
pub(crate) struct Plan {
    peers: usize,
    slots: usize,
    channels: usize,
    /// Topics in a group.
    group: usize,
    prefix: String,
}

impl Plan {
    /// `prefix` starts the name of every topic.
    pub(crate) fn new(settings: &Settings, prefix: &str) -> Self {
        Self {
            peers: settings.peers,
            slots: settings.topics,
            channels: settings.channels,
            group: settings.peers.div_ceil(settings.producers.max(1)).max(1),
            prefix: prefix.into(),
        }
    }

    pub(crate) fn peers(&self) -> usize {
        self.peers
    }

    /// Topics of each nsqd.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Channels of each topic.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Different topics in the whole fleet.
    pub(crate) fn topic_count(&self) -> usize {
        self.slots * self.group
    }

    /// Producers of a topic, on average.
    pub(crate) fn producers_mean(&self) -> f64 {
        self.peers as f64 / self.group as f64
    }

    /// The topic in `slot` of `peer`.
    pub(crate) fn topic_of(&self, peer: usize, slot: usize) -> usize {
        let (row, column) = (peer / self.group, peer % self.group);
        slot * self.group + (column + row * slot) % self.group
    }

    /// The slot of `topic`, if `peer` has it.
    pub(crate) fn slot_of(&self, peer: usize, topic: usize) -> Option<usize> {
        let slot = topic / self.group;
        (peer < self.peers && slot < self.slots && self.topic_of(peer, slot) == topic).then_some(slot)
    }

    /// All that have `topic`, in order.
    pub(crate) fn peers_of(&self, topic: usize) -> impl Iterator<Item = usize> {
        let (slot, place) = (topic / self.group, topic % self.group);
        let rows = self.peers.div_ceil(self.group);
        (0..rows)
            .map(move |row| {
                let column = (place + self.group - row * slot % self.group) % self.group;
                row * self.group + column
            })
            .filter(|&peer| peer < self.peers)
    }

    pub(crate) fn topic_name(&self, topic: usize) -> String {
        format!("{}_{topic:05}", self.prefix)
    }

    pub(crate) fn channel_name(channel: usize) -> String {
        format!("channel_{channel:02}")
    }

    pub(crate) fn hostname(peer: usize) -> String {
        format!("{ADDRESS_PREFIX}{peer:05}")
    }

    pub(crate) fn broadcast_address(peer: usize) -> String {
        format!("{ADDRESS_PREFIX}{peer:05}{ADDRESS_SUFFIX}")
    }

    /// The nsqd that could have announced `address`.
    pub(crate) fn peer_at(&self, address: &str) -> Option<usize> {
        let digits = address.strip_prefix(ADDRESS_PREFIX)?.strip_suffix(ADDRESS_SUFFIX)?;
        let peer: usize = digits.parse().ok()?;
        let exact = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
        (exact && peer < self.peers).then_some(peer)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    pub(crate) fn plan(peers: usize, topics: usize, producers: usize) -> Plan {
        let settings = Settings {
            peers,
            topics,
            channels: 2,
            producers,
            ping_interval: Duration::from_secs(1),
            churn: 0,
            rate: 1,
            connections: 1,
            warmup: Duration::ZERO,
            measured: Duration::ZERO,
        };
        Plan::new(&settings, "t")
    }

    #[test]
    fn both_directions_of_the_plan_agree() {
        for (peers, topics, producers) in [(2000, 50, 40), (97, 7, 10), (5, 3, 9), (1, 1, 1), (7, 20, 1)] {
            let plan = plan(peers, topics, producers);
            let forward: BTreeSet<(usize, usize)> =
                (0..peers).flat_map(|peer| (0..topics).map(move |slot| (peer, slot))).collect();
            let backward: BTreeSet<(usize, usize)> = (0..plan.topic_count())
                .flat_map(|topic| plan.peers_of(topic).map(move |peer| (peer, topic)))
                .map(|(peer, topic)| (peer, plan.slot_of(peer, topic).unwrap()))
                .collect();
            assert_eq!(forward, backward, "{peers} {topics} {producers}");
        }
    }

    #[test]
    fn topics_have_almost_equally_many_producers() {
        let even = plan(2000, 50, 40);
        assert_eq!(even.topic_count(), 2500);
        assert!((0..2500).all(|topic| even.peers_of(topic).count() == 40));
        let uneven = plan(97, 7, 10);
        assert!((0..uneven.topic_count()).all(|topic| (9..=10).contains(&uneven.peers_of(topic).count())));
    }

    #[test]
    fn no_two_nsqds_have_the_same_topics() {
        let plan = plan(2000, 50, 40);
        let sets: BTreeSet<Vec<usize>> =
            (0..2000).map(|peer| (0..50).map(|slot| plan.topic_of(peer, slot)).collect()).collect();
        assert_eq!(sets.len(), 2000);
    }

    #[test]
    fn an_address_leads_back_to_its_nsqd_and_no_other_does() {
        let plan = plan(200_000, 1, 1);
        for peer in [0, 42, 199_999] {
            assert_eq!(plan.peer_at(&Plan::broadcast_address(peer)), Some(peer));
        }
        for address in
            ["nsqd-200000.example.net", "nsqd-1.example.net", "nsqd-00001", "", "nsqd-+0001.example.net"]
        {
            assert_eq!(plan.peer_at(address), None, "{address}");
        }
    }
}
