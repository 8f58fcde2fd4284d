use std::sync::Arc;

use nsq_queue::{ChannelId, ChannelKey, ConsumerId, TopicKey};

use super::*;
use nsq_http::json::to_json;

fn topic(name: &str) -> TopicStats {
    TopicStats {
        topic: TopicKey(1),
        name: Arc::from(name),
        paused: false,
        depth: 1,
        backend_depth: 0,
        message_count: 3,
        message_bytes: 9,
        channels: Vec::new(),
    }
}

fn channel(topic: &str, name: &str, consumers: &[u64]) -> ChannelStats {
    let consumer = |id: &u64| ConsumerStats {
        consumer: ConsumerId(*id),
        credit: 5,
        in_flight_count: 1,
        message_count: 4,
        finish_count: 2,
        requeue_count: 1,
    };
    ChannelStats {
        channel: ChannelKey { topic: TopicKey(1), channel: ChannelId(1) },
        topic_name: Arc::from(topic),
        name: Arc::from(name),
        paused: false,
        depth: 2,
        backend_depth: 0,
        in_flight_count: 1,
        deferred_count: 0,
        message_count: 3,
        requeue_count: 0,
        timeout_count: 0,
        consumer_count: consumers.len(),
        consumers: consumers.iter().map(consumer).collect(),
    }
}

fn connection(consumer: u64, id: &str, publishes: &[(&str, u64)]) -> ConnectionStats {
    ConnectionStats {
        consumer,
        client_id: id.to_owned(),
        hostname: "h".to_owned(),
        remote_address: Arc::from("127.0.0.1:9"),
        state: 3,
        publish_counts: publishes.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect(),
        ..ConnectionStats::default()
    }
}

/// Two cores: topic `t` on the first with its channel `b`, its channel `a` on the second, as topic `s`. Equal
/// consumer ids on both, since those are unique on a core only.
fn cores() -> Vec<CoreStats> {
    vec![
        CoreStats {
            topics: vec![topic("t")],
            channels: vec![channel("t", "b", &[1])],
            connections: vec![connection(1, "first", &[]), connection(2, "producer", &[("t", 5), ("s", 2)])],
            ..CoreStats::default()
        },
        CoreStats {
            topics: vec![topic("s")],
            channels: vec![channel("t", "a", &[1])],
            connections: vec![connection(1, "second", &[("s", 1)])],
            ..CoreStats::default()
        },
    ]
}

fn filter(topic: &str, channel: &str) -> StatsFilter {
    let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    StatsFilter { topic: name(topic), channel: name(channel), include_clients: true }
}

/// Topics with their channels and those with their clients, in a line.
fn outline(view: &StatsView<'_>) -> String {
    let clients = |channel: &ChannelView<'_>| {
        let clients = channel.clients.as_deref().unwrap_or_default();
        clients.iter().map(|client| client.client_id).collect::<Vec<_>>().join(",")
    };
    let channels = |topic: &TopicView<'_>| {
        let named =
            topic.channels.iter().map(|channel| format!("{}:{}", channel.channel_name, clients(channel)));
        named.collect::<Vec<_>>().join(" ")
    };
    let topics = view.topics.as_deref().map(|topics| {
        topics
            .iter()
            .map(|topic| format!("{}[{}]", topic.topic_name, channels(topic)))
            .collect::<Vec<_>>()
            .join(" ")
    });
    topics.unwrap_or_else(|| "null".to_owned())
}

#[test]
fn topics_channels_and_clients_of_all_cores_are_joined_and_sorted() {
    let (cores, filter) = (cores(), filter("", ""));
    assert_eq!(outline(&StatsView::new(&cores, &filter, &[])), "s[] t[a:second b:first]");
}

#[test]
fn an_unknown_topic_is_null_and_an_unknown_channel_is_empty() {
    let cores = cores();
    for (topic, channel, expected) in [
        ("t", "", "t[a:second b:first]"),
        ("nope", "", "null"),
        ("nope", "a", "null"),
        ("", "a", "t[a:second]"),
        ("", "nope", ""),
        ("s", "a", ""),
    ] {
        let filter = filter(topic, channel);
        let view = StatsView::new(&cores, &filter, &[]);
        assert_eq!(outline(&view), expected, "{topic} {channel}");
        assert_eq!(view.producers.is_none(), expected == "null");
    }
}

#[test]
fn without_clients_their_lists_are_null_and_their_number_stays() {
    let cores = cores();
    let filter = StatsFilter { include_clients: false, ..filter("t", "") };
    let view = StatsView::new(&cores, &filter, &[]);
    assert!(view.producers.is_none());
    let topics = view.topics.unwrap();
    assert!(topics[0].channels.iter().all(|channel| channel.clients.is_none() && channel.client_count == 1));
}

#[test]
fn a_producer_shows_one_topic_the_filters_or_its_first() {
    let cores = cores();
    let shown = |topic: &str| {
        let filter = filter(topic, "");
        let view = StatsView::new(&cores, &filter, &[]);
        let producers = view.producers.unwrap();
        let of = |client: &ClientView<'_>| {
            client.pub_counts.as_ref().map(|[shown]| (shown.topic.to_owned(), shown.count))
        };
        producers.iter().map(|client| (client.client_id.to_owned(), of(client))).collect::<Vec<_>>()
    };
    let named = |topic: &str, count| Some((topic.to_owned(), count));
    assert_eq!(shown(""), [("producer".to_owned(), named("t", 5)), ("second".to_owned(), named("s", 1))]);
    assert_eq!(shown("t"), [("producer".to_owned(), named("t", 5)), ("second".to_owned(), None)]);
    assert_eq!(shown("s"), [("producer".to_owned(), named("s", 2)), ("second".to_owned(), named("s", 1))]);
}

#[test]
fn a_consumer_that_publishes_has_its_counters_in_both_lists() {
    let (cores, filter) = (cores(), filter("", ""));
    let view = StatsView::new(&cores, &filter, &[]);
    let producers = view.producers.unwrap();
    assert_eq!((producers[0].ready_count, producers[0].message_count), (0, 0));
    assert_eq!((producers[1].ready_count, producers[1].message_count), (5, 4));
}

#[test]
fn the_json_has_nsqs_keys_in_nsqs_order() {
    let cores = vec![CoreStats {
        topics: vec![topic("t")],
        channels: vec![channel("t", "c", &[1])],
        connections: vec![connection(1, "<id>", &[("t", 1)])],
        ..CoreStats::default()
    }];
    let filter = filter("", "");
    let mut view = StatsView::new(&cores, &filter, &[]);
    view.version = "1.3.0";
    view.health = "OK".to_owned();
    view.producers = None;
    let client = concat!(
        r#"{"client_id":"\u003cid\u003e","hostname":"h","version":"V2","remote_address":"127.0.0.1:9","state":3,"#,
        r#""ready_count":5,"in_flight_count":1,"message_count":4,"finish_count":2,"requeue_count":1,"connect_ts":0,"#,
        r#""sample_rate":0,"deflate":false,"snappy":false,"user_agent":"","pub_counts":[{"topic":"t","count":1}],"#,
        r#""tls":false,"tls_cipher_suite":"","tls_version":"","tls_negotiated_protocol":"","#,
        r#""tls_negotiated_protocol_is_mutual":false}"#
    );
    let latency = r#""e2e_processing_latency":{"count":0,"percentiles":null}"#;
    let channel = format!(
        concat!(
            r#"{{"channel_name":"c","depth":2,"backend_depth":0,"in_flight_count":1,"deferred_count":0,"#,
            r#""message_count":3,"requeue_count":0,"timeout_count":0,"client_count":1,"clients":[{}],"#,
            r#""paused":false,{}}}"#
        ),
        client, latency
    );
    let expected = format!(
        concat!(
            r#"{{"version":"1.3.0","health":"OK","start_time":0,"topics":[{{"topic_name":"t","channels":[{}],"#,
            r#""depth":1,"backend_depth":0,"message_count":3,"message_bytes":9,"paused":false,{}}}],"#,
            r#""producers":null}}"#
        ),
        channel, latency
    );
    assert_eq!(String::from_utf8(to_json(&view)).unwrap(), expected);
}

#[test]
fn resident_memory_is_read_in_kib() {
    assert_eq!(resident_bytes("Name:\tnsqd\nVmRSS:\t    1024 kB\nThreads:\t3\n"), Some(1_048_576));
    assert_eq!(resident_bytes("Name:\tnsqd\n"), None);
    assert_eq!(Memory::default().figures().map(|(key, _)| key).join(" "), figures_of_json());
}

fn figures_of_json() -> String {
    let json = serde_json::to_value(Memory::default()).unwrap();
    json.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_topics_latency_is_that_of_all_its_channels() {
    let mut cores = cores();
    for (core, latency_ns) in cores.iter_mut().zip([1_000, 1_000_000]) {
        let mut summary = empty_summary();
        summary.record(latency_ns).unwrap();
        let key = core.channels[0].channel;
        core.latencies.insert(key, summary);
    }
    let filter = filter("t", "");
    let view = StatsView::new(&cores, &filter, &[1.0, 0.5]);
    let topic = &view.topics.as_ref().unwrap()[0];
    let values = |latency: &Latency| -> Vec<f64> {
        latency.percentiles.iter().flatten().map(|percentile| percentile.value).collect()
    };
    let all = values(&topic.e2e_processing_latency);
    assert!((all[0] / 1e6 - 1.0).abs() < 0.01 && (all[1] / 1e3 - 1.0).abs() < 0.01, "{all:?}");
    let without = StatsView::new(&cores, &filter, &[]);
    assert!(without.topics.unwrap()[0].e2e_processing_latency.percentiles.is_none());
}
