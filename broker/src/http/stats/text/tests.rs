use std::sync::Arc;

use nsq_queue::{ChannelId, ChannelKey, ChannelStats, ConsumerId, ConsumerStats, TopicKey, TopicStats};

use super::*;
use crate::mesh::request::StatsFilter;
use crate::stats::snapshot::{ConnectionStats, CoreStats};

const HEAD: Head = Head { version_line: "nsqd v1.3.0 (built w/x)", started_at: 0, now_ns: 62_345_678_901 };

fn view<'a>(cores: &'a [CoreStats], filter: &'a StatsFilter) -> StatsView<'a> {
    let mut view = StatsView::new(cores, filter, &[]);
    view.health = "OK".to_owned();
    view
}

/// The text behind the head, which depends on the zone.
fn body(view: &StatsView<'_>) -> String {
    let text = render(view, &HEAD);
    text.split_once("\n\n").unwrap().1.to_owned()
}

fn core() -> CoreStats {
    let topic = |name: &str, paused| TopicStats {
        topic: TopicKey(1),
        name: Arc::from(name),
        paused,
        depth: 0,
        backend_depth: 0,
        message_count: 3,
        message_bytes: 3,
        channels: Vec::new(),
    };
    let consumer = ConsumerStats {
        consumer: ConsumerId(1),
        credit: 5,
        in_flight_count: 1,
        message_count: 3,
        finish_count: 2,
        requeue_count: 0,
    };
    let channel = |name: &str, paused, consumers: Vec<ConsumerStats>| ChannelStats {
        channel: ChannelKey { topic: TopicKey(1), channel: ChannelId(1) },
        topic_name: Arc::from("t"),
        name: Arc::from(name),
        paused,
        depth: 123_456,
        backend_depth: 0,
        in_flight_count: 1,
        deferred_count: 0,
        message_count: 3,
        requeue_count: 0,
        timeout_count: 0,
        consumer_count: consumers.len(),
        consumers,
    };
    let connection = |consumer, host: &str, publish_counts| ConnectionStats {
        consumer,
        hostname: host.to_owned(),
        user_agent: "agent/2".to_owned(),
        remote_address: Arc::from("127.0.0.1:40000"),
        state: 3,
        connected_at: 1,
        publish_counts,
        ..ConnectionStats::default()
    };
    CoreStats {
        topics: vec![topic("u", false), topic("t", true)],
        channels: vec![channel("b", true, vec![]), channel("a", false, vec![consumer])],
        connections: vec![
            connection(1, "ch", vec![]),
            connection(2, "a-rather-long-host-name", vec![("t".to_owned(), 3)]),
        ],
        ..CoreStats::default()
    }
}

#[test]
fn a_broker_without_anything_says_none() {
    let filter = StatsFilter::default();
    let mut view = view(&[], &filter);
    view.topics = Some(Vec::new());
    assert_eq!(body(&view), "Health: OK\n\nTopics: None\n\nProducers: None\n");
}

#[test]
fn lines_and_columns_are_nsqs() {
    let cores = [core()];
    let filter = StatsFilter { include_clients: true, ..StatsFilter::default() };
    let expected = concat!(
        "Health: OK\n",
        "\n",
        "Topics:\n",
        "*P [t              ] depth: 0     be-depth: 0     msgs: 3        e2e%: \n",
        "      [a                        ] depth: 123456 be-depth: 0     inflt: 1    def: 0    re-q: 0     ",
        "timeout: 0     msgs: 3        e2e%: \n",
        "        [V2 ch:40000 agent/2     ] state: 3 inflt: 1    rdy: 5    fin: 2        re-q: 0        ",
        "msgs: 3        connected: 1m1s\n",
        "   *P [b                        ] depth: 123456 be-depth: 0     inflt: 1    def: 0    re-q: 0     ",
        "timeout: 0     msgs: 3        e2e%: \n",
        "\n",
        "   [u              ] depth: 0     be-depth: 0     msgs: 3        e2e%: \n",
        "\n",
        "Producers:\n",
        "   [V2 a-rather-long-host-name:40000 agent/2] msgs: 3        topics: t=3 connected: 1m1s\n",
    );
    assert_eq!(body(&view(&cores, &filter)), expected);
}

#[test]
fn a_producer_without_publishes_to_the_filters_topic_shows_its_deliveries() {
    let cores = [core()];
    let filter = StatsFilter { topic: Some("u".to_owned()), include_clients: true, ..StatsFilter::default() };
    let text = body(&view(&cores, &filter));
    let line = text.lines().last().unwrap();
    assert!(line.starts_with("   [V2 a-rather-long-host-name:40000 agent/2] state: 3 inflt: 0 "), "{line}");
}

#[test]
fn the_head_tells_version_start_and_uptime() {
    let filter = StatsFilter::default();
    let text = render(&view(&[], &filter), &HEAD);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "nsqd v1.3.0 (built w/x)");
    assert!(lines[1].starts_with("start_time 19"), "{}", lines[1]);
    assert_eq!(lines[2], "uptime 1m2.345678901s");
}

#[test]
fn the_memory_block_is_padded() {
    let mut text = String::new();
    memory_block(&mut text, &Memory::default()).unwrap();
    assert!(text.starts_with("\nMemory:\n   heap_objects             \t0\n"), "{text}");
    assert_eq!(text.lines().count(), 11);
}

#[test]
fn a_start_time_is_local_with_whole_seconds() {
    assert_eq!(in_zone(1_735_787_045, &TimeZone::UTC), "2025-01-02T03:04:05Z");
    let zone = TimeZone::fixed(jiff::tz::Offset::from_seconds(-(3 * 60 + 30) * 60).unwrap());
    assert_eq!(in_zone(1_735_787_045, &zone), "2025-01-01T23:34:05-03:30");
}

#[test]
fn a_client_cannot_write_to_the_operators_terminal() {
    let said = Printable("host\n[V2 forged]\u{1b}[2J\u{7f}\u{9b}\u{e9}").to_string();
    assert_eq!(said, "host\\n[V2 forged]\\u{1b}[2J\\u{7f}\\u{9b}\u{e9}");
    let mut core = core();
    let connections = &mut core.connections;
    connections.iter_mut().for_each(|connection| connection.user_agent = "a\r\nb\u{1b}".to_owned());
    let text = body(&view(&[core], &StatsFilter { include_clients: true, ..StatsFilter::default() }));
    assert!(text.contains("a\\r\\nb\\u{1b}"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'));
}
