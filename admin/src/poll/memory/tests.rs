use proptest::prelude::*;

use super::*;
use crate::poll::figures;

const AT: &str = "l:4161";

fn moment(tick: u64) -> Moment {
    Moment { unix_ms: 1_800_000_000_000 + tick as i64 * 10_000, monotonic_ms: tick * 10_000 }
}

fn producer(host: &str, topics: &[(&str, bool)]) -> Producer {
    Producer {
        hostname: format!("hn-{host}"),
        broadcast_address: host.into(),
        tcp_port: 4150,
        http_port: 4151,
        version: "1.3.0".into(),
        topics: topics.iter().map(|(topic, _)| (*topic).to_owned()).collect(),
        tombstones: topics.iter().map(|(_, tombstoned)| *tombstoned).collect(),
        ..Producer::default()
    }
}

fn listed(memory: &mut Memory, tick: u64, producers: Vec<Producer>) {
    memory.lookupd_answered(AT, Ok(producers), Duration::from_millis(1), moment(tick));
    memory.see_listed(moment(tick));
}

fn with_nodes(hosts: &[&str]) -> Memory {
    let mut memory = Memory::default();
    memory.set_lookupds(&[AT.to_owned()]);
    listed(&mut memory, 1, hosts.iter().map(|host| producer(host, &[("t", false)])).collect());
    memory
}

fn stats(depth: u64) -> String {
    format!(
        r#"{{"version":"1.3.0","health":"OK","start_time":5,"topics":[{{"topic_name":"t","depth":1,"message_count":{depth},
            "channels":[{{"channel_name":"c","depth":{depth},"client_count":1}}]}}]}}"#
    )
}

fn answered(memory: &mut Memory, host: &str, tick: u64, json: &str) {
    let name: Name = format!("{host}:4151").into();
    let answer = figures::read(json.as_bytes(), &mut memory.names).map(|figures| (figures, None));
    memory.node_answered(&name, answer, Duration::from_millis(2), moment(tick));
}

fn failed(memory: &mut Memory, host: &str, tick: u64) {
    let name: Name = format!("{host}:4151").into();
    memory.node_answered(&name, Err("connect timed out".into()), Duration::ZERO, moment(tick));
}

fn depth(snapshot: &Snapshot) -> u64 {
    snapshot.topic("t").unwrap().channel("c").unwrap().figures.depth
}

#[test]
fn figures_are_summed_over_the_nodes() {
    let mut memory = with_nodes(&["a", "b"]);
    answered(&mut memory, "a", 1, &stats(10));
    answered(&mut memory, "b", 1, &stats(5));
    let snapshot = memory.snapshot(1, moment(1), 10_000);
    assert_eq!(depth(&snapshot), 15);
    let topic = snapshot.topic("t").unwrap();
    assert_eq!((topic.figures.depth, topic.depth()), (2, 17));
    assert_eq!(topic.channel("c").unwrap().nodes.len(), 2);
    assert_eq!((snapshot.totals.topics, snapshot.totals.channels, snapshot.totals.depth), (1, 1, 17));
    assert_eq!(snapshot.node("a:4151").unwrap().hostname, "hn-a");
    assert_eq!(snapshot.coverage(), (2, 2));
}

#[test]
fn a_node_that_fails_is_carried_for_two_ticks_and_then_left_out() {
    let mut memory = with_nodes(&["a", "b"]);
    answered(&mut memory, "a", 1, &stats(10));
    answered(&mut memory, "b", 1, &stats(5));
    memory.snapshot(1, moment(1), 10_000);
    for (tick, expected) in [(2, 15), (3, 15), (4, 10)] {
        answered(&mut memory, "a", tick, &stats(10));
        failed(&mut memory, "b", tick);
        let snapshot = memory.snapshot(tick, moment(tick), 10_000);
        assert_eq!(depth(&snapshot), expected, "tick {tick}");
        let node = snapshot.node("b:4151").unwrap();
        assert_eq!((node.counted, node.is_carried()), (tick < 4, tick < 4));
        assert_eq!(node.fault.as_ref().unwrap().since_ms, moment(2).unix_ms);
        assert_eq!(snapshot.coverage(), (1, 2));
        // What is at stake there is still known.
        assert_eq!(node.stake(), 6);
    }
    answered(&mut memory, "b", 5, &stats(7));
    let snapshot = memory.snapshot(5, moment(5), 10_000);
    assert_eq!(depth(&snapshot), 17);
    assert_eq!(snapshot.node("b:4151").unwrap().fault, None);
}

#[test]
fn a_node_that_nobody_lists_any_more_stays_for_an_hour() {
    let mut memory = with_nodes(&["a", "b"]);
    answered(&mut memory, "b", 1, &stats(5));
    listed(&mut memory, 2, vec![producer("a", &[])]);
    let snapshot = memory.snapshot(2, moment(2), 10_000);
    let node = snapshot.node("b:4151").unwrap();
    assert_eq!((node.vanished_since_ms, node.counted, node.stake()), (Some(moment(2).unix_ms), false, 6));
    assert!(snapshot.topic("t").is_none());
    assert_eq!(snapshot.coverage(), (1, 1));
    assert_eq!(memory.due(moment(2), false).len(), 1);
    listed(&mut memory, 2 + 359, vec![producer("a", &[])]);
    assert_eq!(memory.nodes.len(), 2);
    listed(&mut memory, 2 + 360, vec![producer("a", &[])]);
    assert_eq!(memory.nodes.len(), 1);
}

#[test]
fn a_failing_nsqlookupd_makes_no_node_vanish() {
    let mut memory = with_nodes(&["a"]);
    for tick in 2..5 {
        memory.lookupd_answered(AT, Err("connection refused".into()), Duration::ZERO, moment(tick));
        memory.see_listed(moment(tick));
    }
    let snapshot = memory.snapshot(5, moment(5), 10_000);
    assert_eq!(snapshot.node("a:4151").unwrap().vanished_since_ms, None);
    let fault = snapshot.lookupds[0].fault.as_ref().unwrap();
    assert_eq!((fault.polls, fault.since_ms), (3, moment(2).unix_ms));
}

#[test]
fn tombstones_are_kept_apart_from_topics() {
    let mut memory = with_nodes(&[]);
    listed(&mut memory, 2, vec![producer("a", &[("x", true), ("y", false)])]);
    let snapshot = memory.snapshot(2, moment(2), 10_000);
    assert_eq!(snapshot.node("a:4151").unwrap().tombstoned, ["x".into()]);
    assert_eq!(snapshot.lookupds[0].nodes, [("a:4151".into(), vec!["y".into()])]);
}

#[test]
fn topics_that_only_an_nsqlookupd_knows_are_there_without_nodes() {
    let mut memory = with_nodes(&["a"]);
    memory.lookupd_has_topics(AT, &["z".to_owned(), "t".to_owned()], Some("1.3.0".into()));
    answered(&mut memory, "a", 1, &stats(1));
    let snapshot = memory.snapshot(1, moment(1), 10_000);
    assert!(snapshot.topic("z").unwrap().nodes.is_empty());
    assert_eq!(snapshot.topic("t").unwrap().nodes.len(), 1);
    assert_eq!(snapshot.lookupds[0].version, "1.3.0");
}

#[test]
fn a_slow_node_is_left_in_peace() {
    let mut memory = with_nodes(&["a"]);
    let name: Name = "a:4151".into();
    let answer = figures::read(stats(1).as_bytes(), &mut memory.names).map(|figures| (figures, None));
    memory.node_answered(&name, answer, Duration::from_secs(3), moment(1));
    assert!(memory.due(moment(3), false).is_empty());
    assert_eq!(memory.due(moment(3), true).len(), 1, "somebody wants to see what was just done");
    let snapshot = memory.snapshot(3, moment(3), 10_000);
    assert!(snapshot.node("a:4151").unwrap().counted);
    assert_eq!(memory.due(moment(4), false).len(), 1);
}

#[test]
fn in_direct_mode_a_node_has_the_name_that_it_gives_itself() {
    let mut memory = Memory::default();
    let configured = ["127.0.0.1:4151".to_owned(), "127.0.0.1:5151".to_owned()];
    memory.set_nsqds(&configured);
    for (address, broadcast) in [("127.0.0.1:4151", "one"), ("127.0.0.1:5151", "one")] {
        let info = Info { broadcast_address: broadcast.into(), http_port: 4151, ..Info::default() };
        memory.node_introduced(&address.into(), info, true);
    }
    memory.set_nsqds(&configured);
    // Two names for one nsqd: the second keeps that of the option.
    let names: Vec<&str> = memory.nodes.keys().map(|name| &**name).collect();
    assert_eq!(names, ["127.0.0.1:5151", "one:4151"]);
    assert_eq!(memory.due(moment(1), false).len(), 2);
    memory.set_nsqds(&configured[..1]);
    assert_eq!(memory.nodes.len(), 1);
}

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    let mut memory = Memory::default();
    memory.set_lookupds(&[AT.to_owned()]);
    let hosts = (0..NODES_MAX + 3).map(|index| producer(&format!("h{index:05}"), &[])).collect();
    listed(&mut memory, 1, hosts);
    let snapshot = memory.snapshot(1, moment(1), 10_000);
    assert_eq!(snapshot.nodes.len(), NODES_MAX);
    assert_eq!(snapshot.left_out, [("nodes", 3)]);

    let channels: Vec<String> =
        (0..150_000).map(|index| format!(r#"{{"channel_name":"c{index:06}"}}"#)).collect();
    let large = format!(r#"{{"topics":[{{"topic_name":"t","channels":[{}]}}]}}"#, channels.join(","));
    let mut memory = with_nodes(&["a", "b", "c", "d"]);
    for host in ["a", "b", "c", "d"] {
        answered(&mut memory, host, 1, &large);
    }
    let snapshot = memory.snapshot(1, moment(1), 10_000);
    assert_eq!(snapshot.left_out, [("topics and channels", 150_001)]);
    assert!(!snapshot.node("d:4151").unwrap().counted);
}

proptest! {
    #[test]
    fn sums_do_not_depend_on_the_order_of_answers(depths in prop::collection::vec(0..1_000_u64, 1..8), seed: u64) {
        let hosts: Vec<String> = (0..depths.len()).map(|index| format!("h{index}")).collect();
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let mut order: Vec<usize> = (0..depths.len()).collect();
        order.sort_by_key(|index| (*index as u64 + 1).wrapping_mul(seed | 1));
        let run = |order: &[usize]| {
            let mut memory = with_nodes(&names);
            for &index in order {
                answered(&mut memory, &hosts[index], 1, &stats(depths[index]));
            }
            let snapshot = memory.snapshot(1, moment(1), 10_000);
            (snapshot.totals, depth(&snapshot), snapshot.topics[0].nodes.clone())
        };
        let straight: Vec<usize> = (0..depths.len()).collect();
        prop_assert_eq!(run(&order), run(&straight));
        prop_assert_eq!(run(&straight).1, depths.iter().sum::<u64>());
    }
}
