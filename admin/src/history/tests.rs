use proptest::prelude::*;

use super::*;

/// A cluster of one topic `t` with one channel `c` on each node: messages, and depth of the channel.
struct Feed {
    history: History,
    slot: u64,
}

impl Feed {
    fn new() -> Self {
        Feed { history: History::new(1 << 20), slot: 100 }
    }

    fn tick(&mut self, nodes: &[(&str, i64, u64, u64)]) {
        self.tick_and_carry(nodes, None);
    }

    fn tick_and_carry(&mut self, nodes: &[(&str, i64, u64, u64)], carried: Option<&str>) {
        self.slot += 1;
        self.history.begin(self.slot);
        if let Some(name) = carried {
            self.history.carry(name);
        }
        for &(name, start_time, messages, depth) in nodes {
            let counters = Counters { messages, depth, ..Counters::default() };
            let channels = vec![ChannelSample { name: "c", counters, consumers: 1 }];
            let own = Counters { messages, ..Counters::default() };
            let topics = vec![TopicSample { name: "t", counters: own, channels }];
            let moment = Moment { at_ms: self.slot * 10_000, start_time };
            self.history.node(&NodeSample { name, moment, producers: 1, topics });
        }
        self.history.end();
    }

    fn rate(&self) -> Option<(f32, f32)> {
        let key = self.history.channel_key("t", "c").expect("a channel");
        self.history.flow(key).map(|flow| (flow.incoming, flow.outgoing))
    }

    fn depths(&self, count: usize) -> Vec<f32> {
        let key = self.history.channel_key("t", "c").expect("a channel");
        self.history.values(key, Metric::Depth, Range::Short, count)
    }
}

#[test]
fn rates_and_depths_are_summed_over_nodes() {
    let mut feed = Feed::new();
    feed.tick(&[("a:1", 1, 0, 5), ("b:1", 1, 100, 7)]);
    assert_eq!(feed.rate(), None, "one sample has no rate");
    feed.tick(&[("a:1", 1, 100, 15), ("b:1", 1, 300, 7)]);
    assert_eq!(feed.rate(), Some((30.0, 29.0)));
    assert_eq!(feed.depths(2), [12.0, 22.0]);
    let topic = feed.history.topic_key("t").expect("a topic");
    let flow = feed.history.flow(topic).expect("a rate");
    assert_eq!((flow.incoming, flow.outgoing), (30.0, 29.0), "published once, however many channels");
    assert_eq!(feed.history.values(Key::Cluster, Metric::Consumers, Range::Short, 1), [2.0]);
    assert_eq!(feed.history.values(Key::Cluster, Metric::In, Range::Short, 1), [30.0]);
}

#[test]
fn a_restart_leaves_a_gap_and_not_a_spike() {
    let mut feed = Feed::new();
    feed.tick(&[("a:1", 1, 1_000, 0)]);
    feed.tick(&[("a:1", 1, 1_100, 0)]);
    feed.tick(&[("a:1", 2, 50, 0)]);
    assert_eq!(feed.rate(), None);
    feed.tick(&[("a:1", 2, 150, 0)]);
    assert_eq!(feed.rate(), Some((10.0, 10.0)));
    let key = feed.history.topic_key("t").expect("a topic");
    let rates = feed.history.values(key, Metric::In, Range::Short, 3);
    assert!(rates[0] == 10.0 && rates[1].is_nan() && rates[2] == 10.0, "{rates:?}");
}

#[test]
fn time_outs_are_remembered_for_thirty_ticks() {
    let mut feed = Feed::new();
    let mut tick = |timed_out: u64| {
        feed.slot += 1;
        feed.history.begin(feed.slot);
        let counters = Counters { timed_out, ..Counters::default() };
        let channels = vec![ChannelSample { name: "c", counters, consumers: 1 }];
        let topics = vec![TopicSample { name: "t", counters: Counters::default(), channels }];
        let moment = Moment { at_ms: feed.slot * 10_000, start_time: 1 };
        feed.history.node(&NodeSample { name: "a:1", moment, producers: 1, topics });
        feed.history.end();
        let key = feed.history.channel_key("t", "c").expect("a channel");
        feed.history.timed_out_ticks(key)
    };
    assert_eq!(tick(0), 0);
    assert_eq!(tick(1), 1);
    assert_eq!(tick(1), 2);
    assert_eq!(tick(3), 5);
    for _ in 0..32 {
        tick(3);
    }
    assert_eq!(tick(3), 0);
}

#[test]
fn a_channel_that_was_deleted_and_came_again_leaves_a_gap() {
    let mut feed = Feed::new();
    feed.tick(&[("a:1", 1, 1_000, 0)]);
    feed.tick(&[("a:1", 1, 3, 0)]);
    assert_eq!(feed.rate(), None);
}

#[test]
fn a_silent_node_is_carried_and_when_it_no_longer_counts_the_line_breaks_once() {
    let mut feed = Feed::new();
    feed.tick(&[("a:1", 1, 0, 5), ("b:1", 1, 0, 7)]);
    for messages in 1..=5 {
        feed.tick_and_carry(&[("a:1", 1, messages, 5)], (messages <= 2).then_some("b:1"));
    }
    let depths = feed.depths(6);
    assert_eq!(depths[..3], [12.0; 3]);
    assert!(depths[3].is_nan());
    assert_eq!(depths[4..], [5.0; 2]);
    feed.tick(&[("a:1", 1, 6, 5), ("b:1", 1, 600, 7)]);
    assert_eq!(feed.rate(), Some((10.1, 10.1)), "the rate of b is over the time it was silent");
    let gone = feed.history.node_channel_key("b:1", "t", "c").expect("a series of its own");
    let own = feed.history.values(gone, Metric::Depth, Range::Short, 7);
    assert!(
        own[0] == 7.0 && own[1..6].iter().all(|v| v.is_nan()) && own[6] == 7.0,
        "no figure is made up: {own:?}"
    );
}

#[test]
fn missed_ticks_are_gaps_and_a_clock_set_back_is_not() {
    let mut feed = Feed::new();
    feed.tick(&[("a:1", 1, 0, 1)]);
    feed.slot += 3;
    feed.tick(&[("a:1", 1, 0, 2)]);
    let depths = feed.depths(5);
    assert!(depths[0] == 1.0 && depths[1..4].iter().all(|v| v.is_nan()) && depths[4] == 2.0, "{depths:?}");
    feed.history.begin(7);
    feed.history.end();
    assert_eq!(feed.history.tick(), 6);
    feed.history.begin(u64::MAX);
    feed.history.end();
    assert_eq!(feed.history.channel_key("t", "c"), None, "after a leap of more than an hour nothing is left");
}

#[test]
fn a_poll_out_of_turn_takes_no_place_of_its_own() {
    let mut feed = Feed::new();
    feed.tick(&[("a:1", 1, 0, 1)]);
    feed.tick(&[("a:1", 1, 0, 2)]);
    feed.slot -= 1;
    feed.tick(&[("a:1", 1, 0, 3)]);
    assert_eq!(feed.history.tick(), 2);
    assert_eq!(feed.depths(2), [1.0, 3.0]);
}

#[test]
fn a_new_channel_of_a_known_node_is_counted_from_nothing() {
    let mut feed = Feed::new();
    feed.slot += 1;
    feed.history.begin(feed.slot);
    let moment = Moment { at_ms: feed.slot * 10_000, start_time: 1 };
    feed.history.node(&NodeSample { name: "a:1", moment, producers: 0, topics: Vec::new() });
    feed.history.end();
    feed.tick(&[("a:1", 1, 50, 0)]);
    assert_eq!(feed.rate(), Some((5.0, 5.0)));
}

#[test]
fn what_is_not_seen_for_an_hour_is_forgotten() {
    let mut feed = Feed::new();
    feed.tick(&[("a:1", 1, 0, 1)]);
    assert_eq!(feed.history.series().iter().sum::<usize>(), 6);
    for _ in 0..=FORGET_TICKS + CARRY_TICKS {
        feed.tick(&[]);
    }
    assert_eq!(feed.history.series(), [0; KINDS]);
    assert_eq!(feed.history.names.bytes(), 0);
    assert!(feed.history.items.is_empty() && feed.history.nodes.is_empty());
}

/// A history with room for `blocks` blocks, fed with `topics` topics of one channel on one node.
fn fed(history: &mut History, slot: u64, topics: &[String], busy: bool) {
    history.begin(slot);
    let counters = Counters { messages: if busy { slot * 10 } else { 0 }, ..Counters::default() };
    let topics = topics
        .iter()
        .map(|name| TopicSample {
            name,
            counters,
            channels: vec![ChannelSample { name: "c", counters, consumers: 0 }],
        })
        .collect();
    let moment = Moment { at_ms: slot * 10_000, start_time: 1 };
    history.node(&NodeSample { name: "a:1", moment, producers: 0, topics });
    history.end();
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("topic-{n}")).collect()
}

#[test]
fn when_memory_is_short_the_sums_stay_and_the_parts_give_way() {
    // Cluster 4 and node 2, then per topic: topic 2, channel 2, node×topic 1, node×channel 1.
    let mut history = History::new((6 + 10 * 6) * arena::BLOCK_BYTES);
    fed(&mut history, 1, &names(0..10), true);
    assert_eq!(history.series(), [1, 1, 10, 10, 10, 10]);
    fed(&mut history, 2, &names(0..15), true);
    assert_eq!(history.series(), [1, 1, 15, 15, 0, 0]);
    assert!(history.refused_now() > 0);
    fed(&mut history, 3, &names(0..40), true);
    assert_eq!(history.series(), [1, 1, 30, 0, 0, 0]);
    let refused = history.topic_key("topic-9").expect("known");
    assert!(history.flow(refused).is_some(), "a rate there is, history or not");
}

#[test]
fn a_newcomer_replaces_an_idle_series_of_its_kind_after_an_hour_only() {
    let room = 10;
    let mut history = History::new((6 + room * 2) * arena::BLOCK_BYTES);
    let old = names(0..room);
    fed(&mut history, 1, &old, false);
    let all = names(0..room + 1);
    fed(&mut history, 2, &all, false);
    let newcomer = history.topic_key("topic-10").expect("known");
    assert!(!history.has_series(newcomer), "an hour has not passed");
    for slot in 3..FORGET_TICKS + 10 {
        fed(&mut history, slot, &old, false);
    }
    fed(&mut history, FORGET_TICKS + 10, &all, false);
    let newcomer = history.topic_key("topic-10").expect("known");
    assert!(history.has_series(newcomer));
    assert_eq!(history.series()[2], room);
}

#[test]
fn fifteen_thousand_series_fit_in_the_default() {
    let mut history = History::new(32 << 20);
    let topics = names(0..1_000);
    let channels = ["a", "b", "c", "d", "e"];
    for slot in 1..3 {
        history.begin(slot);
        for node in ["n1:4151", "n2:4151", "n3:4151"] {
            let counters = Counters::default();
            let channels: Vec<_> =
                channels.iter().map(|&name| ChannelSample { name, counters, consumers: 0 }).collect();
            let topics = topics
                .iter()
                .map(|name| TopicSample { name, counters, channels: channels.clone() })
                .collect();
            let moment = Moment { at_ms: slot * 10_000, start_time: 1 };
            history.node(&NodeSample { name: node, moment, producers: 0, topics });
        }
        history.end();
    }
    assert_eq!(history.series(), [1, 3, 1_000, 5_000, 3_000, 15_000]);
    assert_eq!(history.refused_total(), 0);
    assert!(history.bytes() < 40 << 20, "{}", history.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn the_bound_holds_whatever_appears_and_vanishes(steps in prop::collection::vec((0usize..60, 0usize..60, any::<bool>()), 250)) {
        let bytes_max = 100 * arena::BLOCK_BYTES;
        let mut history = History::new(bytes_max);
        for (slot, (from, count, busy)) in steps.into_iter().enumerate() {
            fed(&mut history, slot as u64, &names(from..from + count), busy);
            prop_assert!(history.arena.bytes() <= bytes_max);
            let blocks: usize = history.items.values().map(|item| item.blocks.iter().flatten().count()).sum();
            prop_assert_eq!(blocks, history.arena.used());
            let with_series = history.items.values().filter(|item| item.blocks[0].is_some()).count();
            prop_assert_eq!(with_series, history.series().iter().sum::<usize>());
        }
    }
}
