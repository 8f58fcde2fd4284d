//! What a peer registers, a consumer finds; and the end is orderly.

use std::io::Read;

use crate::support::{Daemon, connect, until};

#[test]
fn what_a_peer_registers_is_found_until_it_leaves() {
    let daemon = Daemon::start(&[]);
    let mut peer = daemon.peer("h1");
    assert_eq!(peer.ask("REGISTER t c"), "OK");
    assert_eq!(daemon.producers("t"), ["h1"]);
    assert_eq!(daemon.http("GET", "/channels?topic=t"), (200, "{\"channels\":[\"c\"]}".into()));
    drop(peer);
    until("the peer is gone", || daemon.producers("t").is_empty().then_some(()));
    assert_eq!(daemon.http("GET", "/lookup?topic=t").0, 200, "the name stays");
}

#[test]
fn an_error_reaches_a_peer_that_has_sent_more() {
    let daemon = Daemon::start(&[]);
    let mut peer = daemon.peer("h1");
    peer.send(b"BAD\n");
    peer.send(&b"PING\n".repeat(20_000));
    assert_eq!(peer.answer().unwrap(), "E_INVALID invalid command BAD");
    assert_eq!(peer.answer(), None);
    assert_eq!(daemon.producers("t"), [""; 0]);
}

#[test]
fn a_tombstone_hides_a_producer_from_consumers_only() {
    let daemon = Daemon::start(&[]);
    daemon.peer("h0");
    let mut peer = daemon.peer("h1");
    peer.ask("REGISTER t");
    assert_eq!(daemon.http("POST", "/topic/tombstone?topic=t&node=h1:4151"), (200, String::new()));
    assert_eq!(daemon.producers("t"), [""; 0]);
    assert!(daemon.http("GET", "/nodes").1.contains("\"tombstones\":[true],\"topics\":[\"t\"]"));
}

#[test]
fn debug_arrives_whole_though_it_is_made_in_pieces() {
    let daemon = Daemon::start(&[]);
    let mut peer = daemon.peer("h1");
    for i in 0..600 {
        peer.send(format!("REGISTER t{i} c\n").as_bytes());
    }
    (0..600).for_each(|_| assert_eq!(peer.answer().unwrap(), "OK"));
    let mut stream = connect(daemon.http);
    std::io::Write::write_all(&mut stream, b"GET /debug HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 1 + 2 * 600);
}

#[test]
fn metrics_count_what_happens() {
    let daemon = Daemon::start(&[]);
    let mut peer = daemon.peer("h1");
    peer.ask("REGISTER t c");
    peer.ask("PING");
    let (status, text) = daemon.http("GET", "/metrics");
    assert_eq!(status, 200);
    for line in ["peers 1", "topics 1", "channel_registrations 1", "commands_total{command=\"PING\"} 1"] {
        assert!(text.contains(&format!("\nnsqlookupd_{line}\n")), "{line} in {text}");
    }
}

#[test]
fn sigterm_ends_it_whatever_the_clients_do() {
    let mut daemon = Daemon::start(&[]);
    let silent = connect(daemon.tcp);
    let mut peer = daemon.peer("h1");
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(peer.answer(), None);
    drop(silent);
}
