//! Each rule: what fires it, what is just below, what flaps, and what its cause hides.

use std::collections::HashSet;

use super::facts::{AdminFacts, ChannelFacts, ClientFacts, LookupdFacts, NodeFacts, TopicFacts};
use super::trend::Trend;
use super::*;

const INTERVAL_MS: u64 = 10_000;

fn facts() -> Facts<'static> {
    Facts { now_s: 1_800_000_000, interval_s: 10.0, ..Facts::default() }
}

fn node(name: &'static str) -> NodeFacts<'static> {
    NodeFacts { name, listed: true, up_s: Some(100_000), ..NodeFacts::default() }
}

fn channel() -> ChannelFacts<'static> {
    ChannelFacts {
        topic: "orders",
        channel: "billing",
        consumers: Some(3),
        incoming: Some(10.0),
        outgoing: Some(10.0),
        redo: Some(0.0),
        means: Some((10.0, 0.0)),
        trend: Some(flat(0.0)),
        ..ChannelFacts::default()
    }
}

fn topic() -> TopicFacts<'static> {
    TopicFacts { name: "orders", channels: 1, ..TopicFacts::default() }
}

fn flat(depth: f32) -> Trend {
    Trend { now: depth, before: depth, steady: false, falling: false }
}

fn rising(before: f32, now: f32) -> Trend {
    Trend { now, before, steady: true, falling: false }
}

fn of_node(node: NodeFacts<'static>) -> Facts<'static> {
    Facts { nodes: vec![node], ..facts() }
}

fn of_channel(channel: ChannelFacts<'static>) -> Facts<'static> {
    Facts { channels: vec![channel], ..facts() }
}

fn of_topic(topic: TopicFacts<'static>) -> Facts<'static> {
    Facts { topics: vec![topic], ..facts() }
}

fn lookupds(failures: [u32; 2]) -> Facts<'static> {
    let one = |name, failures| LookupdFacts { name, failures, error: Some("refused") };
    Facts { lookupds: vec![one("l1:4161", failures[0]), one("l2:4161", failures[1])], ..facts() }
}

/// Facts in which the rule holds at this level, and facts in which it just does not.
struct Case {
    rule: &'static str,
    level: Level,
    fires: Facts<'static>,
    below: Facts<'static>,
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    use Level::{Critical, Notice, Warning};
    let case = |rule, level, fires, below| Case { rule, level, fires, below };
    let nodes = |depths: [u64; 3], consumers: [u64; 3]| {
        let of = |n: usize, name| (name, depths[n], Some(consumers[n]));
        vec![of(0, "a:4151"), of(1, "b:4151"), of(2, "c:4151")]
    };
    vec![
        case("node-unreachable", Critical, of_node(NodeFacts { failures: 2, held: 7, ..node("a:4151") }),
            of_node(NodeFacts { failures: 1, held: 7, ..node("a:4151") })),
        case("node-unhealthy", Critical, of_node(NodeFacts { ill: Some("NOK - disk"), ..node("a:4151") }), of_node(node("a:4151"))),
        case("node-vanished", Critical, of_node(NodeFacts { listed: false, held: 1, ..node("a:4151") }),
            of_node(NodeFacts { listed: true, held: 1, ..node("a:4151") })),
        case("node-vanished", Notice, of_node(NodeFacts { listed: false, held: 0, ..node("a:4151") }), of_node(node("a:4151"))),
        case("refusing", Critical, of_node(NodeFacts { refusing: Some("disk full"), ..node("a:4151") }), of_node(node("a:4151"))),
        case("lookupd-down", Warning, lookupds([2, 0]), lookupds([1, 0])),
        case("lookupd-down", Critical, lookupds([2, 2]), lookupds([1, 1])),
        case("no-consumers", Warning, of_channel(ChannelFacts { consumers: Some(0), depth: 1, ..channel() }),
            of_channel(ChannelFacts { consumers: Some(0), depth: 0, ..channel() })),
        case("no-consumers", Critical, of_channel(ChannelFacts { consumers: Some(0), depth: 10_000, ..channel() }),
            of_channel(ChannelFacts { consumers: Some(1), depth: 10_000, ..channel() })),
        case("no-consumers", Critical, of_channel(ChannelFacts { consumers: Some(0), deferred: 5, trend: Some(rising(1.0, 5.0)), ..channel() }),
            of_channel(ChannelFacts { consumers: Some(0), deferred: 5, paused: true, ..channel() })),
        case("node-without-consumers", Critical, of_channel(ChannelFacts { depth: 5, nodes: nodes([0, 5, 0], [3, 0, 0]), ..channel() }),
            of_channel(ChannelFacts { depth: 5, nodes: nodes([5, 0, 0], [3, 0, 0]), ..channel() })),
        case("stalled", Critical, of_channel(ChannelFacts { depth: 1, outgoing: Some(0.0), ..channel() }),
            of_channel(ChannelFacts { depth: 1, outgoing: Some(0.1), ..channel() })),
        case("distributing-stuck", Critical, of_topic(TopicFacts { depth: 1, ..topic() }),
            of_topic(TopicFacts { depth: 1, falling: true, ..topic() })),
        case("growing", Warning, of_channel(ChannelFacts { depth: 1_000, trend: Some(rising(500.0, 1_000.0)), ..channel() }),
            of_channel(ChannelFacts { depth: 1_000, trend: Some(rising(501.0, 1_000.0)), ..channel() })),
        case("growing", Critical, of_channel(ChannelFacts { depth: 100_000, trend: Some(rising(90_000.0, 100_000.0)), ..channel() }),
            of_channel(ChannelFacts { depth: 100_000, trend: Some(rising(91_000.0, 100_000.0)), ..channel() })),
        case("old-messages", Warning, of_channel(ChannelFacts { oldest_s: Some(300.0), ..channel() }),
            of_channel(ChannelFacts { oldest_s: Some(299.0), ..channel() })),
        case("old-messages", Critical, of_channel(ChannelFacts { oldest_s: Some(900.0), ..channel() }),
            of_channel(ChannelFacts { oldest_s: Some(299.9), ..channel() })),
        case("redelivered", Warning, of_channel(ChannelFacts { means: Some((1.0, 0.1)), ..channel() }),
            of_channel(ChannelFacts { means: Some((3.0, 0.1)), ..channel() })),
        case("redelivered", Critical, of_channel(ChannelFacts { means: Some((0.3, 0.4)), ..channel() }),
            of_channel(ChannelFacts { means: Some((0.0, 0.06)), ..channel() })),
        case("timing-out", Warning, of_channel(ChannelFacts { timing_out: true, ..channel() }), of_channel(channel())),
        case("topic-without-channel", Warning, of_topic(TopicFacts { channels: 0, depth: 1, falling: true, ..topic() }),
            of_topic(TopicFacts { channels: 0, depth: 0, ..topic() })),
        case("paused", Notice, of_channel(ChannelFacts { paused: true, depth: 1, ..channel() }),
            of_channel(ChannelFacts { paused: true, depth: 0, ..channel() })),
        case("paused", Warning, of_channel(ChannelFacts { paused: true, depth: 9, trend: Some(rising(1.0, 9.0)), ..channel() }),
            of_channel(channel())),
        case("dead-letters", Warning, of_topic(TopicFacts { name: "orders.dlq", gained: Some(1.0), ..topic() }),
            of_topic(TopicFacts { name: "orders.dlq", gained: Some(0.0), ..topic() })),
        case("deferred-pile", Warning, of_channel(ChannelFacts { deferred: 100_000, ..channel() }),
            of_channel(ChannelFacts { deferred: 99_999, ..channel() })),
        case("uneven", Notice, of_channel(ChannelFacts { depth: 10_000, nodes: nodes([8_000, 1_000, 1_000], [1, 1, 1]), ..channel() }),
            of_channel(ChannelFacts { depth: 10_000, nodes: nodes([7_900, 1_100, 1_000], [1, 1, 1]), ..channel() })),
        case("lookupds-disagree", Warning, of_node(NodeFacts { listed_by: Some((1, 2)), ..node("a:4151") }),
            of_node(NodeFacts { listed_by: Some((2, 2)), ..node("a:4151") })),
        case("restarted", Notice, of_node(NodeFacts { up_s: Some(899), starts: 1, ..node("a:4151") }),
            of_node(NodeFacts { up_s: Some(900), starts: 1, ..node("a:4151") })),
        case("restarted", Critical, of_node(NodeFacts { up_s: Some(1_000), starts: 3, ..node("a:4151") }),
            of_node(NodeFacts { up_s: Some(10), starts: 0, ..node("a:4151") })),
        case("commit-slow", Warning, of_node(NodeFacts { commit_p99_ms: Some(100.0), ..node("a:4151") }),
            of_node(NodeFacts { commit_p99_ms: Some(99.0), ..node("a:4151") })),
        case("disk", Warning, of_node(NodeFacts { disk_free: Some(0.19), ..node("a:4151") }),
            of_node(NodeFacts { disk_free: Some(0.20), ..node("a:4151") })),
        case("disk", Critical, of_node(NodeFacts { disk_free: Some(0.09), ..node("a:4151") }), of_node(node("a:4151"))),
        case("certificate-version-clock", Warning, of_node(NodeFacts { certificate_days: Some(13.0), ..node("a:4151") }),
            of_node(NodeFacts { certificate_days: Some(14.0), ..node("a:4151") })),
        case("certificate-version-clock", Notice, of_node(NodeFacts { clock_skew_s: Some(-6.0), ..node("a:4151") }),
            of_node(NodeFacts { clock_skew_s: Some(5.0), ..node("a:4151") })),
        case("certificate-version-clock", Notice, of_node(NodeFacts { out_of_date: Some("1.2.0"), ..node("a:4151") }), of_node(node("a:4151"))),
        case("nsqadmin", Notice, Facts { admin: AdminFacts { poll_s: 10.1, ..AdminFacts::default() }, ..facts() },
            Facts { admin: AdminFacts { poll_s: 10.0, ..AdminFacts::default() }, ..facts() }),
    ]
}

/// Runs ticks and gives, for each, whether the rule has a finding, with its level.
fn run(rule: &str, trace: impl IntoIterator<Item = Facts<'static>>) -> Vec<Option<Level>> {
    let (mut judge, policy) = (Judge::default(), Policy::default());
    let mut now_ms = 1_000_000;
    trace
        .into_iter()
        .map(|facts| {
            now_ms += INTERVAL_MS;
            let verdict = judge.tick(&facts, &policy, now_ms);
            verdict.findings.iter().find(|finding| finding.rule == rule).map(|finding| finding.level)
        })
        .collect()
}

fn hold_ticks(rule: &str) -> usize {
    let rule = rule::find(rule).expect("a rule of that name");
    ((rule.hold_s)(&Thresholds::default()) * 1_000.0 / INTERVAL_MS as f64).ceil() as usize
}

#[test]
fn each_rule_fires_after_its_hold_and_goes_after_three_ticks() {
    for case in cases() {
        let hold = hold_ticks(case.rule);
        let trace = std::iter::repeat_n(case.fires.clone(), hold + 3)
            .chain(std::iter::repeat_n(case.below.clone(), 4));
        let seen = run(case.rule, trace);
        let mut wanted = vec![None; hold];
        wanted.extend([Some(case.level); 3]);
        wanted.extend([Some(case.level), Some(case.level), None, None]);
        assert_eq!(seen, wanted, "{}", case.rule);
    }
}

#[test]
fn each_rule_is_silent_just_below() {
    for case in cases() {
        let seen = run(case.rule, std::iter::repeat_n(case.below.clone(), hold_ticks(case.rule) + 5));
        assert!(seen.iter().all(Option::is_none), "{}: {seen:?}", case.rule);
    }
}

#[test]
fn what_flaps_does_not_flicker() {
    for case in cases() {
        let hold = hold_ticks(case.rule);
        let flaps = (0..12).map(|n| if n % 2 == 0 { case.below.clone() } else { case.fires.clone() });
        let seen = run(case.rule, std::iter::repeat_n(case.fires.clone(), hold + 1).chain(flaps));
        assert!(seen[hold..].iter().all(Option::is_some), "{}: {seen:?}", case.rule);
    }
}

#[test]
fn what_flaps_from_the_start_never_appears_if_it_must_hold() {
    let cases = cases();
    for case in cases.iter().filter(|case| hold_ticks(case.rule) > 3) {
        let trace = (0..60).map(|n| if n % 2 == 0 { case.fires.clone() } else { case.below.clone() });
        assert!(run(case.rule, trace).iter().all(Option::is_none), "{}", case.rule);
    }
}

#[test]
fn there_is_a_case_for_each_rule_and_a_knob_for_each_number() {
    let tested: HashSet<&str> = cases().iter().map(|case| case.rule).collect();
    for (index, rule) in RULES.iter().enumerate() {
        assert_eq!(usize::from(rule.number), index + 1);
        assert!(tested.contains(rule.name), "{} has no case", rule.name);
        for key in rule.knobs {
            assert!(Thresholds::default().get(key).is_some(), "{} names {key}", rule.name);
        }
        for cause in rule.hidden_by {
            assert!(rule::find(cause).is_some(), "{} is hidden by {cause}", rule.name);
        }
    }
    let used: HashSet<&str> = RULES.iter().flat_map(|rule| rule.knobs.iter().copied()).collect();
    for knob in KNOBS {
        assert!(used.contains(knob.key), "no rule names {}", knob.key);
    }
}

/// The rules that show for facts that stay.
fn standing(facts: Facts<'static>) -> Vec<&'static str> {
    let (mut judge, policy) = (Judge::default(), Policy::default());
    let mut verdict = Verdict::default();
    for tick in 1..=20 {
        verdict = judge.tick(&facts, &policy, tick * INTERVAL_MS);
    }
    verdict.findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_cause_hides_its_effects() {
    let dead = NodeFacts {
        failures: 9,
        ill: Some("NOK"),
        refusing: Some("disk"),
        starts: 5,
        out_of_date: Some("1"),
        ..node("a:4151")
    };
    assert_eq!(standing(of_node(dead)), ["node-unreachable"]);
    let full = NodeFacts { refusing: Some("disk"), disk_free: Some(0.0), ..node("a:4151") };
    assert_eq!(standing(of_node(full)), ["refusing"]);
    let gone = NodeFacts { listed: false, failures: 9, listed_by: Some((0, 2)), held: 3, ..node("a:4151") };
    assert_eq!(standing(of_node(gone)), ["node-vanished"]);
    let lonely = ChannelFacts {
        consumers: Some(0),
        depth: 5_000,
        trend: Some(rising(10.0, 5_000.0)),
        oldest_s: Some(1e4),
        ..channel()
    };
    assert_eq!(standing(of_channel(lonely.clone())), ["no-consumers"]);
    let paused = ChannelFacts { paused: true, outgoing: Some(0.0), ..lonely };
    assert_eq!(standing(of_channel(paused)), ["paused"]);
    let stuck = ChannelFacts {
        depth: 5_000,
        outgoing: Some(0.0),
        redo: Some(9.0),
        means: Some((0.0, 9.0)),
        timing_out: true,
        trend: Some(rising(10.0, 5_000.0)),
        ..channel()
    };
    assert_eq!(standing(of_channel(stuck)), ["stalled"]);
}

#[test]
fn ephemeral_channels_are_left_alone() {
    let left = ChannelFacts {
        channel: "tail#ephemeral",
        consumers: Some(0),
        depth: 50_000,
        trend: Some(rising(1.0, 50_000.0)),
        ..channel()
    };
    assert!(standing(of_channel(left)).is_empty());
}

#[test]
fn what_is_unknown_is_neither_told_nor_taken_back() {
    let fires = of_channel(ChannelFacts { depth: 5, outgoing: Some(0.0), ..channel() });
    let unknown = of_channel(ChannelFacts { depth: 5, outgoing: None, ..channel() });
    let hold = hold_ticks("stalled");
    let seen =
        run("stalled", std::iter::repeat_n(fires, hold + 1).chain(std::iter::repeat_n(unknown.clone(), 9)));
    assert!(seen[hold..].iter().all(Option::is_some));
    assert!(run("stalled", std::iter::repeat_n(unknown.clone(), 40)).iter().all(Option::is_none));
    let verdict = Judge::default().tick(&unknown, &Policy::default(), 1);
    let index = RULES.iter().position(|rule| rule.name == "stalled").expect("a rule");
    assert_eq!((verdict.fared[index].looked_at, verdict.fared[index].abstained), (1, 1));
}

#[test]
fn no_node_vanishes_while_no_nsqlookupd_answers() {
    let facts =
        Facts { nodes: vec![NodeFacts { listed: false, held: 5, ..node("a:4151") }], ..lookupds([3, 3]) };
    assert!(!standing(facts).contains(&"node-vanished"));
}

#[test]
fn the_reason_of_a_stall_is_told() {
    let stalled = |redo: f32, in_flight: u64, clients: Option<ClientFacts>| {
        let facts = of_channel(ChannelFacts {
            depth: 5,
            outgoing: Some(0.0),
            redo: Some(redo),
            in_flight,
            clients,
            ..channel()
        });
        let mut judge = Judge::default();
        let policy = Policy::default();
        judge.tick(&facts, &policy, 0);
        judge.tick(&facts, &policy, 200_000).findings.remove(0).sentence
    };
    let ready = |ready| Some(ClientFacts { ready, unanswered: Vec::new() });
    assert!(stalled(1.0, 0, ready(0)).ends_with("everything comes back"));
    assert!(stalled(0.0, 0, ready(0)).ends_with("backing off (RDY 0)"));
    assert!(stalled(0.0, 9, ready(9)).ends_with("all slots are full"));
    assert!(stalled(0.0, 0, None).ends_with("nothing is in flight"));
}

#[test]
fn the_worst_come_first_and_what_went_is_remembered_for_a_while() {
    let of =
        |channel: &'static str, depth| ChannelFacts { channel, consumers: Some(0), depth, ..self::channel() };
    let both = Facts { channels: vec![of("small", 9), of("large", 900), of("huge", 20_000)], ..facts() };
    let (mut judge, policy) = (Judge::default(), Policy::default());
    judge.tick(&both, &policy, 0);
    let verdict = judge.tick(&both, &policy, 60_000);
    let order: Vec<String> = verdict.findings.iter().map(|finding| finding.subject.text()).collect();
    assert_eq!(order, ["orders/huge", "orders/large", "orders/small"]);
    assert_eq!(verdict.findings[0].since, both.now_s - 60);
    for tick in 0..3 {
        judge.tick(&facts(), &policy, 70_000 + tick * INTERVAL_MS);
    }
    let cleared = judge.tick(&facts(), &policy, 110_000).cleared;
    assert_eq!(cleared.len(), 3);
    let later = Facts { now_s: facts().now_s + 901, ..facts() };
    assert!(judge.tick(&later, &policy, 2_000_000).cleared.is_empty());
}

#[test]
fn a_long_pause_becomes_a_warning() {
    let paused = of_channel(ChannelFacts { paused: true, depth: 1, ..channel() });
    let (mut judge, policy) = (Judge::default(), Policy::default());
    let mut level =
        |now_ms| judge.tick(&paused, &policy, now_ms).findings.first().map(|finding| finding.level);
    assert_eq!(level(0), Some(Level::Notice));
    assert_eq!(level(899_000), Some(Level::Notice));
    assert_eq!(level(900_000), Some(Level::Warning));
}

#[test]
fn an_operator_mutes_and_moves_thresholds_by_pattern() {
    let policy = Policy {
        overrides: vec![
            thresholds::Override {
                pattern: "orders/*".into(),
                numbers: vec![("deferred_pile".into(), 10.0)],
                mute: vec![],
            },
            thresholds::Override {
                pattern: "*/billing".into(),
                numbers: vec![],
                mute: vec!["no-consumers".into()],
            },
        ],
        ..Policy::default()
    };
    let facts = of_channel(ChannelFacts { consumers: Some(0), depth: 5, deferred: 11, ..channel() });
    let mut judge = Judge::default();
    judge.tick(&facts, &policy, 0);
    let rules: Vec<_> =
        judge.tick(&facts, &policy, 60_000).findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["deferred-pile"]);
}

#[test]
fn numbers_at_their_ends_do_not_overflow() {
    let worst = ChannelFacts {
        depth: u64::MAX,
        deferred: u64::MAX,
        in_flight: u64::MAX,
        consumers: Some(u64::MAX),
        outgoing: Some(0.0),
        redo: Some(f32::MAX),
        means: Some((f32::MAX, f32::MAX)),
        trend: Some(Trend { now: f32::MAX, before: 0.0, steady: true, falling: false }),
        nodes: vec![("a", u64::MAX, Some(0)), ("b", u64::MAX, Some(0)), ("c", 0, Some(9))],
        ..channel()
    };
    let rules = standing(of_channel(worst));
    assert!(rules.contains(&"stalled") && rules.contains(&"node-without-consumers"), "{rules:?}");
}
