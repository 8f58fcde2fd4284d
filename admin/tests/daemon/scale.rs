//! As large as clusters get.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::support::{Process, Web, ask, lookupd, nsqd_with, ok};

/// The goal of admin-ui's budget; the measure is the process's resident memory.
const MEMORY_BYTES_MAX: u64 = 100 << 20;

fn stats(topics: usize, channels: usize, round: u64) -> String {
    let mut json = String::from(r#"{"version":"1.3.0","health":"OK","start_time":1,"topics":["#);
    for topic in 0..topics {
        let comma = if topic == 0 { "" } else { "," };
        let count = round * 7 + topic as u64;
        let _ = write!(
            json,
            r#"{comma}{{"topic_name":"topic-{topic:04}","depth":0,"backend_depth":0,"message_count":{count},"message_bytes":{count},"paused":false,"channels":["#
        );
        for channel in 0..channels {
            let comma = if channel == 0 { "" } else { "," };
            let depth = (count + channel as u64) % 100;
            let _ = write!(
                json,
                r#"{comma}{{"channel_name":"channel-{channel}","depth":{depth},"backend_depth":0,"in_flight_count":1,"deferred_count":0,"message_count":{count},"requeue_count":0,"timeout_count":0,"client_count":1,"clients":null,"paused":false,"e2e_processing_latency":{{"count":0,"percentiles":null}}}}"#
            );
        }
        json.push_str(r#"],"e2e_processing_latency":{"count":0,"percentiles":null}}"#);
    }
    json.push_str(r#"],"memory":{},"producers":[]}"#);
    json
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_topics_of_five_channels_on_three_nodes_fit() {
    let round = Arc::new(AtomicU64::new(0));
    let node = || {
        let round = Arc::clone(&round);
        nsqd_with(move || stats(1_000, 5, round.fetch_add(1, Ordering::Relaxed)))
    };
    let nodes = [node().await, node().await, node().await];
    let directory = lookupd(&nodes.each_ref().map(|node| node.address)).await;
    let process = Process::start(&[
        format!("--lookupd-http-address={}", directory.address),
        "--poll-interval=1s".to_owned(),
    ])
    .await;
    let attention = process.until_tick(6).await;
    assert_eq!(attention["nodes_answering"].as_u64(), Some(3));
    for page in ["/", "/topics?per=100", "/channels?sort=-depth", "/topics/topic-0007"] {
        let (status, body) = ask(process.address, "GET", page, &[], "").await;
        assert_eq!(status, 200, "{page}");
        assert!(body.contains("topic-0"), "{page}");
    }
    process.until_tick(9).await;
    let (now, most) = process.memory();
    println!("1,000 topics x 5 channels x 3 nodes: {} MiB now, {} MiB at most", now >> 20, most >> 20);
    assert!(now < MEMORY_BYTES_MAX, "{now} bytes in use");
    // What was asked each tick is the figures, without consumers and memory.
    let asked = nodes[0].seen();
    let stats: Vec<&String> = asked.iter().filter(|line| line.starts_with("GET /stats")).collect();
    assert!(stats.iter().any(|line| line.contains("include_clients=false&include_mem=false")));
}

/// nsq#1325: 81 nodes with 592 consumers each on one channel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_consumers_are_answered() {
    const NODES: usize = 81;
    const CONSUMERS: usize = 592;
    let client = r#"{"client_id":"worker-host-name","hostname":"worker-host-name.example.internal","version":"V2","remote_address":"10.20.30.40:54321","state":3,"ready_count":10,"in_flight_count":1,"message_count":123456,"finish_count":123450,"requeue_count":5,"connect_ts":1700000000,"sample_rate":0,"deflate":false,"snappy":true,"user_agent":"go-nsq/1.1.0","tls":true,"tls_cipher_suite":"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256","tls_version":"TLS1.2","tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":true}"#;
    let full = format!(
        r#"{{"version":"1.3.0","health":"OK","start_time":1,"topics":[{{"topic_name":"t","depth":0,"message_count":1,"channels":[{{"channel_name":"c","depth":1,"client_count":{CONSUMERS},"clients":[{}]}}]}}]}}"#,
        vec![client; CONSUMERS].join(",")
    );
    let brief = full.replace(&vec![client; CONSUMERS].join(","), "");
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        let (full, brief) = (full.clone(), brief.clone());
        nodes.push(
            Web::start(move |_, uri| match uri.path() {
                "/stats" if uri.query().is_some_and(|query| query.contains("include_clients=false")) => ok(brief.clone()),
                "/stats" => ok(full.clone()),
                _ => ok(r#"{"version":"1.3.0","broadcast_address":"127.0.0.1","hostname":"h","http_port":1,"tcp_port":1}"#),
            })
            .await,
        );
    }
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let directory = lookupd(&addresses).await;
    let process = Process::start(&[format!("--lookupd-http-address={}", directory.address)]).await;
    let attention = process.until_tick(1).await;
    assert_eq!(attention["nodes_answering"].as_u64(), Some(NODES as u64));
    let (before, _) = process.memory();
    let (status, body) = ask(process.address, "GET", "/api/topics/t/c", &[], "").await;
    assert_eq!(status, 200);
    assert_eq!(body.matches("\"remote_address\"").count(), 2 * NODES * CONSUMERS);
    let (now, most) = process.memory();
    println!(
        "81 nodes x 592 consumers: {} MiB before, {} MiB after, {} MiB at most, answer {} MiB",
        before >> 20,
        now >> 20,
        most >> 20,
        body.len() >> 20
    );
    // The whole answer is made before it is sent, as NSQ does; the bound is what two such requests may cost.
    assert!(most < 2 * MEMORY_BYTES_MAX, "{most} bytes at most");
    let (status, page) = ask(process.address, "GET", "/topics/t/c", &[], "").await;
    assert_eq!(status, 200);
    assert!(page.len() < 1 << 20, "the page shows a part of the consumers, not {} bytes of them", page.len());
}
