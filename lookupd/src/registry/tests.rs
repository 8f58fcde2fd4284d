//! The registry against a naive model of it, and the promises one by one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const S: i64 = 1_000_000_000;
const LIFETIMES: Lifetimes = Lifetimes { inactive_ns: 300 * S, tombstone_ns: 45 * S };

fn announcement(peer: usize) -> Announcement {
    Announcement {
        broadcast_address: format!("h{peer}"),
        hostname: "n".into(),
        tcp_port: 4150,
        http_port: 4151,
        version: "1.3.0".into(),
        ..Announcement::default()
    }
}

/// A listing, in pieces as small as can be, which must come to the same as a single one.
fn list(registry: &Registry, listing: Listing, now_ns: i64) -> String {
    let whole = |size: usize| {
        let (mut text, mut cursor) = (String::new(), Cursor::new(listing.clone()));
        while !cursor.is_at_end() {
            let mut piece = String::new();
            registry.push_piece(&mut piece, &mut cursor, now_ns, size);
            text.push_str(&piece);
        }
        text
    };
    assert_eq!(whole(0), whole(usize::MAX));
    whole(0)
}

/// What would be saved, in pieces as small as can be.
fn memory(registry: &Registry, now_ns: i64) -> Memory {
    let (mut text, mut save) = (String::new(), Save::default());
    while !save.is_at_end() {
        let mut piece = String::new();
        registry.push_memory(&mut piece, &mut save, now_ns, 0);
        text.push_str(&piece);
    }
    serde_json::from_str(&text).unwrap()
}

fn json(registry: &Registry, listing: Listing, now_ns: i64) -> Value {
    serde_json::from_str(&list(registry, listing, now_ns)).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// The hosts in a list of producers, sorted.
fn hosts(list: &Value) -> Vec<String> {
    let mut hosts: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|producer| producer["broadcast_address"].as_str().unwrap().to_owned())
        .collect();
    hosts.sort();
    hosts
}

/// Channels and producers' hosts of a known topic.
fn lookup(registry: &Registry, topic: &str, now_ns: i64) -> Option<(Vec<String>, Vec<String>)> {
    if !registry.knows_topic(topic) {
        return None;
    }
    let value = json(registry, Listing::Lookup(topic.into()), now_ns);
    Some((texts(&value["channels"]), hosts(&value["producers"])))
}

fn producers(registry: &Registry, topic: &str, now_ns: i64) -> Vec<String> {
    lookup(registry, topic, now_ns).map(|(_, producers)| producers).unwrap_or_default()
}

/// A node's address with its topics and tombstones.
type Node = (String, Vec<(String, bool)>);

fn nodes(registry: &Registry, now_ns: i64) -> Vec<Node> {
    let value = json(registry, Listing::Nodes, now_ns);
    let node = |node: &Value| {
        let topics = texts(&node["topics"]);
        let flags = node["tombstones"].as_array().unwrap();
        assert_eq!(topics.len(), flags.len());
        let mut topics: Vec<_> = topics.into_iter().zip(flags.iter().map(|f| f.as_bool().unwrap())).collect();
        topics.sort();
        (node["remote_address"].as_str().unwrap().to_owned(), topics)
    };
    let mut nodes: Vec<_> = value["producers"].as_array().unwrap().iter().map(node).collect();
    nodes.sort();
    nodes
}

fn debug_keys(registry: &Registry) -> Vec<String> {
    let value = json(registry, Listing::Debug, 0);
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

// -- the model ------------------------------------------------------------------------------------

const TOPICS: [&str; 3] = ["t", "u", "e#ephemeral"];
const CHANNELS: [&str; 3] = ["c", "d", "x#ephemeral"];
const PEERS: usize = 4;

#[derive(Clone, Debug)]
enum Event {
    Connect(usize),
    Ping(usize),
    Register(usize, usize, Option<usize>),
    Unregister(usize, usize, Option<usize>),
    Disconnect(usize),
    Create(usize, Option<usize>),
    Delete(usize, Option<usize>),
    Tombstone(usize, usize),
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let (peer, topic) = (0..PEERS, 0..TOPICS.len());
    let channel = prop::option::weighted(0.7, 0..CHANNELS.len());
    prop_oneof![
        2 => peer.clone().prop_map(Event::Connect),
        1 => peer.clone().prop_map(Event::Ping),
        6 => (peer.clone(), topic.clone(), channel.clone()).prop_map(|(p, t, c)| Event::Register(p, t, c)),
        2 => (peer.clone(), topic.clone(), channel.clone()).prop_map(|(p, t, c)| Event::Unregister(p, t, c)),
        1 => peer.clone().prop_map(Event::Disconnect),
        1 => (topic.clone(), channel.clone()).prop_map(|(t, c)| Event::Create(t, c)),
        1 => (topic.clone(), channel).prop_map(|(t, c)| Event::Delete(t, c)),
        1 => (topic, peer).prop_map(|(t, p)| Event::Tombstone(t, p)),
        1 => prop_oneof![Just(1), Just(44), Just(46), Just(200), Just(301)].prop_map(Event::Wait),
    ]
}

/// Maps of names, as the specification words it.
#[derive(Default)]
struct Model {
    now_ns: i64,
    /// Last seen.
    peers: BTreeMap<usize, i64>,
    topics: BTreeSet<&'static str>,
    channels: BTreeSet<(&'static str, &'static str)>,
    /// With the time of the tombstone.
    in_topics: BTreeMap<(&'static str, usize), Option<i64>>,
    in_channels: BTreeSet<(&'static str, &'static str, usize)>,
}

impl Model {
    fn leave(&mut self, peer: usize, topic: &'static str) {
        self.in_topics.remove(&(topic, peer));
        let left: Vec<_> = self.in_channels.iter().filter(|r| r.0 == topic && r.2 == peer).copied().collect();
        for registration in left {
            self.in_channels.remove(&registration);
            self.drop_ephemeral_channel(topic, registration.1);
        }
        if topic.ends_with("#ephemeral") && !self.in_topics.keys().any(|r| r.0 == topic) {
            self.delete_topic(topic);
        }
    }

    fn drop_ephemeral_channel(&mut self, topic: &'static str, channel: &'static str) {
        let is_empty = !self.in_channels.iter().any(|r| r.0 == topic && r.1 == channel);
        if is_empty && channel.ends_with("#ephemeral") {
            self.channels.remove(&(topic, channel));
        }
    }

    fn delete_topic(&mut self, topic: &'static str) {
        self.topics.remove(topic);
        self.channels.retain(|known| known.0 != topic);
        self.in_topics.retain(|registration, _| registration.0 != topic);
        self.in_channels.retain(|registration| registration.0 != topic);
    }

    fn is_tombstoned(&self, since_ns: Option<i64>) -> bool {
        since_ns.is_some_and(|since| self.now_ns - since < LIFETIMES.tombstone_ns)
    }

    fn is_active(&self, peer: usize) -> bool {
        self.now_ns - self.peers[&peer] <= LIFETIMES.inactive_ns
    }

    fn lookup(&self, topic: &str) -> Option<(Vec<String>, Vec<String>)> {
        self.topics.get(topic)?;
        let channels = self.channels.iter().filter(|c| c.0 == topic).map(|c| c.1.to_owned()).collect();
        let visible = |(registration, since): (&(&str, usize), &Option<i64>)| {
            let (of, peer) = *registration;
            (of == topic && self.is_active(peer) && !self.is_tombstoned(*since)).then(|| format!("h{peer}"))
        };
        Some((channels, self.in_topics.iter().filter_map(visible).collect()))
    }

    fn nodes(&self) -> Vec<Node> {
        let node = |peer: usize| {
            let mine = self.in_topics.iter().filter(|(registration, _)| registration.1 == peer);
            let topics = mine.map(|(r, since)| (r.0.to_owned(), self.is_tombstoned(*since))).collect();
            (format!("peer{peer}"), topics)
        };
        self.peers.keys().filter(|&&peer| self.is_active(peer)).map(|&peer| node(peer)).collect()
    }

    fn debug_keys(&self) -> Vec<String> {
        let mut keys: BTreeSet<String> = self.in_topics.keys().map(|r| format!("topic:{}:", r.0)).collect();
        keys.extend(self.in_channels.iter().map(|r| format!("channel:{}:{}", r.0, r.1)));
        keys.extend((!self.peers.is_empty()).then(|| "client::".to_owned()));
        keys.into_iter().collect()
    }
}

struct Pair {
    registry: Registry,
    model: Model,
    ids: BTreeMap<usize, RegistrantId>,
}

impl Pair {
    fn new() -> Self {
        Self { registry: Registry::new(LIFETIMES), model: Model::default(), ids: BTreeMap::new() }
    }

    fn apply(&mut self, event: &Event) {
        let now_ns = self.model.now_ns;
        match *event {
            Event::Connect(peer) => self.connect(peer),
            Event::Ping(peer) => {
                let Some(id) = self.ids.get(&peer) else { return };
                let silence = self.registry.ping(*id, now_ns);
                assert_eq!(silence, now_ns - self.model.peers[&peer]);
                self.model.peers.insert(peer, now_ns);
            }
            Event::Register(peer, topic, channel) => {
                self.register(peer, TOPICS[topic], channel.map(|c| CHANNELS[c]));
            }
            Event::Unregister(peer, topic, channel) => {
                self.unregister(peer, TOPICS[topic], channel.map(|c| CHANNELS[c]));
            }
            Event::Disconnect(peer) => self.disconnect(peer),
            Event::Create(topic, channel) => self.create(TOPICS[topic], channel.map(|c| CHANNELS[c])),
            Event::Delete(topic, channel) => self.delete(TOPICS[topic], channel.map(|c| CHANNELS[c])),
            Event::Tombstone(topic, peer) => {
                let marked = self.registry.set_tombstones(TOPICS[topic], &format!("h{peer}:4151"), now_ns);
                let entry = self.model.in_topics.get_mut(&(TOPICS[topic], peer));
                assert_eq!(marked, usize::from(entry.is_some()));
                if let Some(since) = entry {
                    *since = Some(now_ns);
                }
            }
            Event::Wait(seconds) => self.model.now_ns += seconds * S,
        }
    }

    fn connect(&mut self, peer: usize) {
        if self.ids.contains_key(&peer) {
            return;
        }
        let now_ns = self.model.now_ns;
        let id = self.registry.identify(announcement(peer), &format!("peer{peer}"), now_ns);
        self.ids.insert(peer, id);
        self.model.peers.insert(peer, now_ns);
    }

    fn register(&mut self, peer: usize, topic: &'static str, channel: Option<&'static str>) {
        let Some(id) = self.ids.get(&peer) else { return };
        let added = self.registry.register(*id, topic, channel).unwrap();
        self.model.topics.insert(topic);
        let mut want = Registered::default();
        if let Some(channel) = channel {
            self.model.channels.insert((topic, channel));
            want.channel = self.model.in_channels.insert((topic, channel, peer));
        }
        want.topic = !self.model.in_topics.contains_key(&(topic, peer));
        self.model.in_topics.entry((topic, peer)).or_insert(None);
        assert_eq!(added, want);
    }

    fn unregister(&mut self, peer: usize, topic: &'static str, channel: Option<&'static str>) {
        let Some(id) = self.ids.get(&peer) else { return };
        match channel {
            Some(channel) => {
                let removed = self.registry.unregister_channel(*id, topic, channel);
                assert_eq!(removed, self.model.in_channels.remove(&(topic, channel, peer)));
                self.model.drop_ephemeral_channel(topic, channel);
            }
            None => {
                let mut ended = BTreeSet::new();
                self.registry.unregister_topic(*id, topic, |r| {
                    ended.insert(r.to_string());
                });
                let channels = self.model.in_channels.iter().filter(|r| r.0 == topic && r.2 == peer);
                let mut want: BTreeSet<_> =
                    channels.map(|r| Registration::channel(r.0, r.1).to_string()).collect();
                let was_in = self.model.in_topics.contains_key(&(topic, peer));
                want.extend(was_in.then(|| Registration::topic(topic).to_string()));
                assert_eq!(ended, want);
                self.model.leave(peer, topic);
            }
        }
    }

    fn disconnect(&mut self, peer: usize) {
        let Some(id) = self.ids.remove(&peer) else { return };
        self.registry.disconnect(id, |_| ());
        let topics: Vec<_> = self.model.in_topics.keys().filter(|r| r.1 == peer).map(|r| r.0).collect();
        topics.into_iter().for_each(|topic| self.model.leave(peer, topic));
        self.model.peers.remove(&peer);
    }

    fn create(&mut self, topic: &'static str, channel: Option<&'static str>) {
        match channel {
            Some(channel) => {
                self.registry.create_channel(topic, channel).unwrap();
                self.model.channels.insert((topic, channel));
                self.model.topics.insert(topic);
            }
            None => assert_eq!(self.registry.create_topic(topic), Ok(self.model.topics.insert(topic))),
        }
    }

    fn delete(&mut self, topic: &'static str, channel: Option<&'static str>) {
        match channel {
            Some(channel) => {
                let removed = self.registry.delete_channel(topic, channel);
                assert_eq!(removed, self.model.channels.remove(&(topic, channel)));
                self.model.in_channels.retain(|r| (r.0, r.1) != (topic, channel));
            }
            None => {
                self.registry.delete_topic(topic, |_| ());
                self.model.delete_topic(topic);
            }
        }
    }

    fn compare(&self) {
        self.registry.check();
        let now_ns = self.model.now_ns;
        for topic in TOPICS {
            assert_eq!(lookup(&self.registry, topic, now_ns), self.model.lookup(topic), "{topic}");
            let channels = texts(&json(&self.registry, Listing::Channels((*topic).into()), 0)["channels"]);
            assert_eq!(channels, self.model.lookup(topic).unwrap_or_default().0);
        }
        let mut topics = texts(&json(&self.registry, Listing::Topics, 0)["topics"]);
        topics.sort();
        assert_eq!(topics, self.model.topics.iter().copied().collect::<Vec<_>>());
        assert_eq!(nodes(&self.registry, now_ns), self.model.nodes());
        assert_eq!(debug_keys(&self.registry), self.model.debug_keys());
        let counts = self.registry.counts(now_ns);
        assert_eq!(counts.registrants, self.model.peers.len());
        assert_eq!(counts.active, self.model.nodes().len());
        assert_eq!(counts.topic_registrations, self.model.in_topics.len());
        assert_eq!(counts.channel_registrations, self.model.in_channels.len());
    }

    /// What is remembered looks the same to those who ask.
    fn compare_memory(&self) {
        let now_ns = self.model.now_ns;
        let later_ns = now_ns + 1_000_000 * S;
        let memory = memory(&self.registry, now_ns);
        let restored = Registry::from_memory(LIFETIMES, memory, later_ns).unwrap();
        restored.check();
        for topic in TOPICS {
            assert_eq!(lookup(&restored, topic, later_ns), self.model.lookup(topic));
        }
        assert_eq!(nodes(&restored, later_ns), self.model.nodes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_history_leaves_what_the_model_says(events in prop::collection::vec(event(), 1..60)) {
        let mut pair = Pair::new();
        for event in &events {
            pair.apply(event);
            pair.compare();
        }
        pair.compare_memory();
    }
}

// -- promises one by one --------------------------------------------------------------------------

fn one_producer() -> (Registry, RegistrantId) {
    let mut registry = Registry::new(LIFETIMES);
    let id = registry.identify(announcement(1), "10.0.0.1:5", 0);
    registry.register(id, "t", Some("c")).unwrap();
    (registry, id)
}

#[test]
fn a_producer_is_shown_with_all_it_announced() {
    let mut registry = Registry::new(LIFETIMES);
    let mut announced = announcement(1);
    announced.hostname = "q\"<&>\u{2028}".into();
    announced.topology_zone = "z".into();
    let id = registry.identify(announced, "10.0.0.1:5", 7);
    registry.register(id, "t", Some("c")).unwrap();
    let mut text = String::new();
    text.push_str(&list(&registry, Listing::Lookup("t".into()), 7));
    let producer = concat!(
        r#"{"remote_address":"10.0.0.1:5","hostname":"q\"\u003c\u0026\u003e\u2028","broadcast_address":"h1","#,
        r#""tcp_port":4150,"http_port":4151,"version":"1.3.0","topology_zone":"z","topology_region":"""#,
    );
    assert_eq!(text, format!("{{\"channels\":[\"c\"],\"producers\":[{producer}}}]}}"));
    text.clear();
    text.push_str(&list(&registry, Listing::Nodes, 7));
    assert_eq!(text, format!("{{\"producers\":[{producer},\"tombstones\":[false],\"topics\":[\"t\"]}}]}}"));
}

#[test]
fn debug_shows_times_and_flags_unexpired() {
    let (mut registry, _) = one_producer();
    registry.set_tombstones("t", "h1:4151", 3);
    let value = json(&registry, Listing::Debug, 0);
    let topic = &value["topic:t:"][0];
    assert_eq!((topic["tombstoned"].as_bool(), topic["tombstoned_at"].as_i64()), (Some(true), Some(3)));
    let channel = &value["channel:t:c"][0];
    assert_eq!(channel["tombstoned_at"].as_i64(), Some(-6_795_364_578_871_345_152));
    assert_eq!((channel["id"].as_str(), channel["last_update"].as_i64()), (Some("10.0.0.1:5"), Some(0)));
}

#[test]
fn inactivity_begins_after_the_timeout_and_ends_with_a_ping() {
    let (mut registry, id) = one_producer();
    assert_eq!(producers(&registry, "t", 300 * S), ["h1"]);
    assert_eq!(producers(&registry, "t", 300 * S + 1), [""; 0]);
    assert_eq!(registry.ping(id, 400 * S), 400 * S);
    assert_eq!(producers(&registry, "t", 700 * S), ["h1"]);
}

#[test]
fn a_tombstone_ends_with_its_lifetime() {
    let (mut registry, _) = one_producer();
    assert_eq!(registry.set_tombstones("t", "[h1]:4151", 10 * S), 1);
    assert_eq!(producers(&registry, "t", 55 * S - 1), [""; 0]);
    assert_eq!(producers(&registry, "t", 55 * S), ["h1"]);
}

#[test]
fn an_asterisk_is_a_name_like_any_other() {
    let (mut registry, _) = one_producer();
    registry.delete_topic("*", |_| ());
    assert!(!registry.delete_channel("t", "*"));
    assert_eq!(registry.set_tombstones("*", "h1:4151", 0), 0);
    assert_eq!(lookup(&registry, "*", 0), None);
    assert_eq!(producers(&registry, "t", 0), ["h1"]);
}

#[test]
fn a_topic_takes_so_many_channels_and_says_so() {
    let mut registry = Registry::new(LIFETIMES);
    for i in 0..CHANNELS_PER_TOPIC_MAX {
        // In rising order, which spares the test the shifting.
        registry.create_channel("t", &format!("c{i:06}")).unwrap();
    }
    assert_eq!(registry.create_channel("t", "d"), Err(Full::ChannelsOfTopic));
    assert_eq!(registry.create_channel("t", "c000000"), Ok(()));
    assert_eq!(registry.create_channel("u", "d"), Ok(()));
    let id = registry.identify(announcement(1), "p", 0);
    assert_eq!(registry.register(id, "t", Some("d")), Err(Full::ChannelsOfTopic));
    assert!(producers(&registry, "t", 0).is_empty(), "a refused command changes nothing");
    registry.check();
}

#[test]
fn one_address_cannot_use_up_the_names_of_all() {
    let mut registry = Registry::new(LIFETIMES);
    let greedy =
        [5, 6, 7, 8, 9].map(|port| registry.identify(announcement(1), &format!("10.0.0.1:{port}"), 0));
    for i in 0..NAMES_PER_ADDRESS_MAX {
        registry.register(greedy[i % 5], &format!("t{i}"), None).unwrap();
    }
    assert_eq!(registry.register(greedy[0], "new", None), Err(Full::NamesOfAddress));
    assert_eq!(registry.register(greedy[1], "t0", Some("new")), Err(Full::NamesOfAddress));
    assert!(registry.register(greedy[1], "t0", None).is_ok(), "what is there already costs nothing");

    let modest = registry.identify(announcement(2), "10.0.0.2:5", 0);
    assert!(registry.register(modest, "mine", Some("c")).is_ok());
    assert!(registry.create_topic("the operator's").is_ok());
    assert!(registry.register(greedy[0], "mine", Some("c")).is_ok(), "somebody else has made it");

    registry.disconnect(greedy[0], |_| ());
    assert_eq!(registry.register(greedy[1], "new", None), Err(Full::NamesOfAddress), "names stay");
    registry.delete_topic("t0", |_| ());
    assert!(registry.register(greedy[1], "new", None).is_ok(), "until they are deleted");
    registry.check();
}

#[test]
fn a_bystander_changes_nothing_by_unregistering() {
    let (mut registry, _) = one_producer();
    registry.create_channel("t", "of nobody").unwrap();
    let bystander = registry.identify(announcement(2), "10.0.0.2:5", 0);
    let revision = registry.revision();
    registry.unregister_topic(bystander, "t", |ended| panic!("{ended}"));
    assert!(!registry.unregister_channel(bystander, "t", "c"));
    assert_eq!(registry.revision(), revision, "so nothing is saved either");
    assert_eq!(producers(&registry, "t", 0), ["h1"]);
}

#[test]
fn what_is_there_all_the_time_is_listed_once_though_others_come_and_go() {
    let mut registry = Registry::new(LIFETIMES);
    let ids: Vec<_> = (0..20)
        .map(|peer| {
            let id = registry.identify(announcement(peer), &format!("10.0.0.{peer}:5"), 0);
            registry.register(id, "t", Some(&format!("c{peer:02}"))).unwrap();
            id
        })
        .collect();
    let (mut text, mut cursor) = (String::new(), Cursor::new(Listing::Lookup("t".into())));
    let mut step = 0;
    while !cursor.is_at_end() {
        let mut piece = String::new();
        registry.push_piece(&mut piece, &mut cursor, 0, 0);
        text.push_str(&piece);
        // Every third peer and its channel go, from behind and from the front; new ones come.
        let victim = [step, 19 - step.min(19)][step % 2];
        if victim % 3 == 0 && victim < 20 {
            registry.disconnect(ids[victim], |_| ());
            registry.delete_channel("t", &format!("c{victim:02}"));
            let new = registry.identify(announcement(100 + step), &format!("10.0.1.{step}:5"), 0);
            registry.register(new, "t", None).unwrap();
        }
        step += 1;
    }
    let value: Value = serde_json::from_str(&text).unwrap();
    let (channels, hosts) = (texts(&value["channels"]), hosts(&value["producers"]));
    for stays in (0..20).filter(|peer| peer % 3 != 0) {
        assert_eq!(channels.iter().filter(|name| **name == format!("c{stays:02}")).count(), 1);
        assert_eq!(hosts.iter().filter(|host| **host == format!("h{stays}")).count(), 1);
    }
}

#[test]
fn a_topic_that_goes_ends_its_listing() {
    let (mut registry, _) = one_producer();
    for size in [0, 20] {
        let (mut text, mut cursor) = (String::new(), Cursor::new(Listing::Lookup("t".into())));
        registry.push_piece(&mut text, &mut cursor, 0, size);
        registry.delete_topic("t", |_| ());
        registry.push_piece(&mut text, &mut cursor, 0, usize::MAX);
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
}

// -- remembered -----------------------------------------------------------------------------------

/// `one_producer` after a restart at time 0.
fn remembered() -> Registry {
    let (mut registry, id) = one_producer();
    registry.register(id, "u", None).unwrap();
    Registry::from_memory(LIFETIMES, memory(&registry, 0), 0).unwrap()
}

#[test]
fn the_time_that_we_were_down_does_not_count() {
    let (registry, _) = one_producer();
    let day = 86_400 * S;
    let registry = Registry::from_memory(LIFETIMES, memory(&registry, 100 * S), day).unwrap();
    assert_eq!(producers(&registry, "t", day + 200 * S), ["h1"]);
    assert_eq!(producers(&registry, "t", day + 200 * S + 1), [""; 0]);
}

#[test]
fn who_stays_away_is_forgotten_and_the_names_stay() {
    let mut registry = remembered();
    assert_eq!(registry.forget_absent(300 * S), 0);
    assert_eq!(registry.forget_absent(301 * S), 1);
    registry.check();
    assert_eq!(lookup(&registry, "t", 301 * S), Some((vec!["c".into()], vec![])));
    assert_eq!(registry.counts(301 * S).remembered, 0);
}

#[test]
fn who_comes_back_is_never_missing_and_never_double_where_it_registered() {
    let mut registry = remembered();
    let id = registry.identify(announcement(1), "10.0.0.1:6", S);
    registry.check();
    assert_eq!(producers(&registry, "t", S), ["h1"]);
    assert_eq!(nodes(&registry, S).len(), 1, "one node, the connected one");
    registry.register(id, "t", Some("c")).unwrap();
    registry.check();
    assert_eq!(producers(&registry, "t", S), ["h1"]);
    assert_eq!(producers(&registry, "u", S), ["h1"]);
    registry.ping(id, 2 * S);
    registry.check();
    assert_eq!(producers(&registry, "t", S), ["h1"]);
    assert_eq!(producers(&registry, "u", S), [""; 0], "it did not announce u again");
}

#[test]
fn who_comes_back_and_leaves_is_gone() {
    let mut registry = remembered();
    let id = registry.identify(announcement(1), "10.0.0.1:6", S);
    registry.disconnect(id, |_| ());
    registry.check();
    assert_eq!(nodes(&registry, S), []);
    assert_eq!(producers(&registry, "t", S), [""; 0]);
}

#[test]
fn another_nsqd_replaces_nobody() {
    let mut registry = remembered();
    let id = registry.identify(announcement(2), "10.0.0.2:6", S);
    registry.register(id, "t", None).unwrap();
    registry.ping(id, S);
    assert_eq!(producers(&registry, "t", S), ["h1", "h2"]);
}

#[test]
fn two_connections_of_one_nsqd_are_remembered_as_one() {
    let (mut registry, _) = one_producer();
    let second = registry.identify(announcement(1), "10.0.0.1:6", 0);
    registry.register(second, "t", None).unwrap();
    let mut registry = Registry::from_memory(LIFETIMES, memory(&registry, 0), 0).unwrap();
    assert_eq!(producers(&registry, "t", 0), ["h1", "h1"]);
    let id = registry.identify(announcement(1), "10.0.0.1:7", 0);
    registry.check();
    registry.register(id, "t", None).unwrap();
    assert_eq!(producers(&registry, "t", 0), ["h1"]);
}

#[test]
fn a_forgotten_twin_does_not_hurt_who_got_its_id() {
    let mut registry = remembered();
    let id = registry.identify(announcement(1), "10.0.0.1:6", 300 * S);
    assert_eq!(registry.forget_absent(301 * S), 1);
    let other = registry.identify(announcement(2), "10.0.0.2:6", 301 * S);
    registry.register(other, "t", Some("c")).unwrap();
    registry.register(id, "t", Some("c")).unwrap();
    registry.ping(id, 301 * S);
    registry.check();
    assert_eq!(producers(&registry, "t", 301 * S), ["h1", "h2"]);
}

#[test]
fn a_registry_that_changes_while_it_is_saved_is_still_one() {
    let mut registry = Registry::new(LIFETIMES);
    let ids: Vec<_> = (0..6)
        .map(|peer| {
            let id = registry.identify(announcement(peer), &format!("10.0.0.{peer}:5"), 0);
            registry.register(id, &format!("t{peer}"), Some("c")).unwrap();
            id
        })
        .collect();
    let (mut text, mut save, mut step) = (String::new(), Save::default(), 0);
    while !save.is_at_end() {
        let mut piece = String::new();
        registry.push_memory(&mut piece, &mut save, 0, 0);
        text.push_str(&piece);
        // When the registrants are through: one leaves, and another takes its id and registers elsewhere.
        step += 1;
        if step == 8 {
            registry.disconnect(ids[3], |_| ());
            let other = registry.identify(announcement(7), "10.0.0.7:5", 0);
            assert_eq!(other, ids[3]);
            registry.register(other, "t4", Some("d")).unwrap();
        }
    }
    let restored = Registry::from_memory(LIFETIMES, serde_json::from_str(&text).unwrap(), 0).unwrap();
    restored.check();
    assert_eq!(producers(&restored, "t4", 0), ["h4"], "nobody inherits what the next one with its id did");
    assert_eq!(producers(&restored, "t5", 0), ["h5"]);
}
