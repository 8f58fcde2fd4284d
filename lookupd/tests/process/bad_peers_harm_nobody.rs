//! Peers that stall, flood or talk nonsense, beside one that is served within its second.

use std::io::{BufRead, ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Daemon, Peer, connect};

/// Sends `bytes` over and over until the daemon takes no more for a while.
fn flood(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    loop {
        match stream.write(bytes) {
            Ok(size) => sent += size,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                return sent;
            }
        }
        assert!(sent < 1 << 30, "the daemon buffers without bound");
    }
}

fn is_served(peer: &mut Peer) {
    let started = Instant::now();
    assert_eq!(peer.ask("REGISTER t c"), "OK");
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn who_does_not_read_is_not_read_from() {
    let daemon = Daemon::start(&[]);
    let mut good = daemon.peer("good");
    let mut bad = daemon.peer("bad");
    flood(&mut bad.stream, &b"PING\n".repeat(1000));
    is_served(&mut good);
}

#[test]
fn unfinished_commands_hold_nobody_up() {
    let daemon = Daemon::start(&[]);
    let mut good = daemon.peer("good");
    let stalled: Vec<TcpStream> =
        [&b"  "[..], b"  V1REGIS", b"  V1IDENTIFY\n\0\0", b"  V1IDENTIFY\n\0\0\x10\0{"]
            .into_iter()
            .cycle()
            .take(200)
            .map(|bytes| {
                let mut stream = connect(daemon.tcp);
                stream.write_all(bytes).unwrap();
                stream
            })
            .collect();
    is_served(&mut good);
    assert_eq!(daemon.http("GET", "/ping"), (200, "OK".into()));
    drop(stalled);
}

#[test]
fn a_line_without_end_is_refused() {
    let daemon = Daemon::start(&[]);
    let mut good = daemon.peer("good");
    let mut bad = daemon.peer("bad");
    bad.send(&vec![b'x'; 10_000]);
    assert_eq!(bad.answer().unwrap(), "E_INVALID line too long");
    assert_eq!(bad.answer(), None);
    is_served(&mut good);
}

#[test]
fn a_negative_size_ends_that_connection_alone() {
    let daemon = Daemon::start(&[]);
    let mut good = daemon.peer("good");
    let mut bad = Peer { stream: connect(daemon.tcp) };
    bad.send(b"  V1IDENTIFY\n\xff\xff\xff\xff");
    assert_eq!(bad.answer().unwrap(), "E_BAD_BODY IDENTIFY body too big");
    is_served(&mut good);
}

#[test]
fn half_an_http_request_holds_nobody_up() {
    let daemon = Daemon::start(&[]);
    let stalled: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = connect(daemon.http);
            stream
                .write_all(b"POST /topic/create?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
                .unwrap();
            stream
        })
        .collect();
    assert_eq!(daemon.http("GET", "/ping"), (200, "OK".into()));
    is_served(&mut daemon.peer("good"));
    drop(stalled);
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let (mut daemon, log) = Daemon::with_log(&[]);
    let mut peer = daemon.peer("good");
    // A line each, and some 2 MB in sum: more than the pipe and the buffer of the log take.
    for _ in 0..100 {
        peer.send(&b"PING\n".repeat(250));
        (0..250).for_each(|_| assert_eq!(peer.answer().unwrap(), "OK"));
    }
    is_served(&mut peer);
    assert_eq!(daemon.http("GET", "/ping"), (200, "OK".into()));
    assert_eq!(daemon.terminate(), Some(0));
    let told = log.lines().map_while(Result::ok).filter(|line| line.contains("pinged")).count();
    assert!(told < 25_000, "the rest was dropped");
}

#[test]
fn who_meets_a_bound_keeps_its_registrations() {
    const CHANNELS_MAX: usize = 1 << 16;
    let daemon = Daemon::start(&[]);
    let mut peer = daemon.peer("good");
    assert_eq!(peer.ask("REGISTER other"), "OK");
    for some in 0..64 {
        let lines: String =
            (0..CHANNELS_MAX / 64).map(|i| format!("REGISTER t c{some:02}.{i:04}\n")).collect();
        peer.send(lines.as_bytes());
        (0..CHANNELS_MAX / 64).for_each(|_| assert_eq!(peer.answer().unwrap(), "OK"));
    }
    assert_eq!(peer.ask("REGISTER t d"), "E_INVALID REGISTER more than 65536 channels of one topic");
    assert_eq!(daemon.http("POST", "/channel/create?topic=t&channel=d").0, 507);
    assert_eq!(peer.ask("REGISTER u d"), "OK");
    assert_eq!(daemon.producers("other"), ["good"]);
    let (_, metrics) = daemon.http("GET", "/metrics");
    assert!(metrics.contains("\nnsqlookupd_registers_refused_total 1\n"), "{metrics}");
}
