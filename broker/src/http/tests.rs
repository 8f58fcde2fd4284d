//! Whole requests over loopback: the server on an executor of its own, with a loop that answers every request; clients
//! that write bytes as they please.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::mesh::handle::Inbox;
use crate::mesh::placement::Placement;
use crate::mesh::process::Address;
use crate::mesh::request::{Request as CoreRequest, Response as CoreResponse};
use crate::start::listen::Listener;
use crate::stats::snapshot::CoreStats;
use crate::transport::LocalWaker;

/// Longest wait for anything. Only a failing test waits so long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server, what it was requested, and its end.
struct Server {
    address: Address,
    requests: mpsc::Receiver<String>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(listener: Listener, timeouts: Timeouts) -> Self {
        let address = listener.address().clone();
        let (requested, requests) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let thread =
            std::thread::spawn(move || serve_until_stopped(&listener, timeouts, &requested, &stopped));
        Self { address, requests, stop: Some(stop), thread: Some(thread) }
    }

    fn new() -> Self {
        Self::with_timeouts(Timeouts::default())
    }

    fn with_timeouts(timeouts: Timeouts) -> Self {
        Self::start(Listener::tcp("127.0.0.1", 0).unwrap(), timeouts)
    }

    fn connect(&self) -> TcpStream {
        let Address::Tcp(address) = &self.address else { panic!("not TCP") };
        let client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        client
    }

    /// Sends `request` on a connection of its own, closes that direction, and reads to the end.
    fn exchange(&self, request: &[u8]) -> String {
        let mut client = self.connect();
        client.write_all(request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        to_end(&mut client)
    }

    fn requested(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

fn to_end(client: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Reads one response: its head up to `\r\n\r\n`, and a body of the announced size.
fn response(client: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let size = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
    let mut body = vec![0; size.parse().unwrap()];
    client.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn serve_until_stopped(
    listener: &Listener,
    timeouts: Timeouts,
    requested: &mpsc::Sender<String>,
    stopped: &mpsc::Receiver<()>,
) {
    let config =
        Config::from_arguments(["--max-msg-size=100", "--max-body-size=1000"].map(Into::into)).unwrap();
    let address = || listener.address().clone();
    let process = Arc::new(Process::new(config, 1, address(), Some(address()), Box::new(|| ())));
    let inbox = Rc::new(RefCell::new(Inbox::default()));
    let handle = CoreHandle::new(inbox.clone(), Rc::<LocalWaker>::default(), Placement::new(1, 1));
    let mut context = HttpContext::new(handle, process);
    context.timeouts = timeouts;
    let context = Rc::new(context);
    let descriptor = listener.duplicate().unwrap();
    glommio::LocalExecutor::default().run(async move {
        let serving = glommio::spawn_local(serve(descriptor, context.clone()));
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            let requests: VecDeque<_> = std::mem::take(&mut inbox.borrow_mut().requests);
            for request in requests {
                let _ = requested.send(describe(&request.request));
                request.pending.complete(match request.request {
                    CoreRequest::Stats(_) => CoreResponse::Stats(Box::<CoreStats>::default()),
                    CoreRequest::EmptyTopic { .. } => CoreResponse::TopicNotFound,
                    _ => CoreResponse::Done,
                });
            }
            glommio::timer::sleep(Duration::from_millis(1)).await;
        }
        context.stop();
        serving.await;
    });
}

fn describe(request: &CoreRequest) -> String {
    match request {
        CoreRequest::Publish { topic, defer_ms, bodies } => {
            let bodies: Vec<_> = bodies.iter().map(|body| String::from_utf8_lossy(body)).collect();
            format!("publish {topic} {defer_ms} {}", bodies.join("|"))
        }
        CoreRequest::CreateTopic { topic } => format!("create {topic}"),
        other => format!("{other:?}"),
    }
}

fn head_of(response: &str) -> (&str, &str) {
    response.split_once("\r\n\r\n").unwrap()
}

#[test]
fn a_publish_answers_ok_with_nsqs_headers() {
    let server = Server::new();
    let answer =
        server.exchange(b"POST /pub?topic=t&defer=5 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    let (head, body) = head_of(&answer);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nX-Nsq-Content-Type: nsq; version=1.0"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8"), "{head}");
    assert_eq!(body, "OK");
    assert_eq!(server.requested(), ["publish t 5 hello"]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::new();
    let mut client = server.connect();
    let publish =
        |topic: &str| format!("POST /pub?topic={topic} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
    let all =
        [publish("t"), publish("%21"), publish("u"), "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()];
    client.write_all(all.concat().as_bytes()).unwrap();
    let answers: Vec<String> = (0..4).map(|_| response(&mut client)).collect();
    let bodies: Vec<&str> = answers.iter().map(|answer| head_of(answer).1).collect();
    assert_eq!(bodies, ["OK", "{\"message\":\"INVALID_TOPIC\"}", "OK", "OK"]);
}

#[test]
fn a_request_byte_by_byte_is_the_same_request() {
    let server = Server::new();
    let mut client = server.connect();
    client.set_nodelay(true).unwrap();
    for byte in b"POST /mpub?topic=t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\na\nb\r\n1\r\nc\r\n0\r\n\r\n"
    {
        client.write_all(&[*byte]).unwrap();
    }
    assert!(response(&mut client).ends_with("\r\n\r\nOK"));
    assert_eq!(server.requested(), ["publish t 0 a|bc"]);
}

#[test]
fn expect_continue_is_answered_unless_the_body_is_refused_anyway() {
    let server = Server::new();
    let head = |size| {
        format!(
            "POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = server.connect();
    client.write_all(head(5).as_bytes()).unwrap();
    assert!(response(&mut client).starts_with("HTTP/1.1 100 "));
    client.write_all(b"hello").unwrap();
    assert!(response(&mut client).starts_with("HTTP/1.1 200 "));
    let mut client = server.connect();
    client.write_all(head(101).as_bytes()).unwrap();
    let refused = to_end(&mut client);
    assert!(
        refused.starts_with("HTTP/1.1 413 ") && refused.ends_with("{\"message\":\"MSG_TOO_BIG\"}"),
        "{refused}"
    );
}

#[test]
fn a_small_refused_body_leaves_the_connection_usable_and_a_large_one_does_not() {
    let server = Server::new();
    let mut client = server.connect();
    let request =
        [&b"POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"[..], &[b'x'; 1000]]
            .concat();
    for _ in 0..2 {
        client.write_all(&request).unwrap();
        assert!(response(&mut client).ends_with("{\"message\":\"MSG_TOO_BIG\"}"));
    }
    let mut client = server.connect();
    client.write_all(b"POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000000\r\n\r\n").unwrap();
    assert!(to_end(&mut client).ends_with("{\"message\":\"MSG_TOO_BIG\"}"));
    assert!(server.requested().is_empty());
}

#[test]
fn an_answer_survives_a_body_that_was_not_read() {
    let server = Server::new();
    let mut client = server.connect();
    let body = vec![b'x'; 2 * 1024 * 1024];
    let head = format!("POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(&body).unwrap();
    assert!(to_end(&mut client).ends_with("{\"message\":\"MSG_TOO_BIG\"}"));
}

#[test]
fn a_body_that_ends_early_publishes_nothing() {
    let server = Server::new();
    server.exchange(b"POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc");
    assert!(server.requested().is_empty());
}

#[test]
fn a_refused_batch_still_makes_its_topic() {
    let server = Server::new();
    for (target, body, code) in
        [("/mpub?topic=t&binary=true", "\0\0", "BAD_BODY"), ("/pub?topic=t&defer=x", "a", "INVALID_DEFER")]
    {
        let size = body.len();
        let request = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n{body}");
        assert!(server.exchange(request.as_bytes()).contains(code));
        assert_eq!(server.requested(), ["create t"]);
    }
}

#[test]
fn garbage_is_answered_with_400_and_closed() {
    let server = Server::new();
    for garbage in [
        &b"GARBAGE\r\n\r\n"[..],
        b"  V2IDENTIFY\r\n\r\n",
        b"POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.write_all(garbage).unwrap();
        let answer = to_end(&mut client);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{garbage:?}: {answer:?}");
    }
}

#[test]
fn http_1_0_closes_unless_asked_to_keep_alive() {
    let server = Server::new();
    let mut client = server.connect();
    client.write_all(b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert!(response(&mut client).ends_with("OK"));
    client.write_all(b"GET /ping HTTP/1.0\r\n\r\n").unwrap();
    assert!(to_end(&mut client).ends_with("OK"));
}

#[test]
fn a_dripped_header_is_cut_off_and_an_idle_connection_is_not() {
    let timeouts =
        Timeouts { header_ns_max: 500_000_000, sweep: Duration::from_millis(20), ..Timeouts::default() };
    let server = Server::with_timeouts(timeouts);
    let mut idle = server.connect();
    idle.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(response(&mut idle).ends_with("OK"));
    let mut dripping = server.connect();
    dripping.write_all(b"GET /pi").unwrap();
    assert_eq!(to_end(&mut dripping), "", "closed without an answer");
    idle.set_nonblocking(true).unwrap();
    assert_eq!(idle.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_stop_closes_idle_connections_and_the_listener() {
    let mut server = Server::new();
    let mut client = server.connect();
    client.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(response(&mut client).ends_with("OK"));
    let fresh = server.connect();
    server.end();
    assert_eq!(to_end(&mut client), "");
    assert_eq!(to_end(&mut &fresh), "");
}

#[test]
fn a_unix_socket_serves_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("http");
    let server = Server::start(Listener::unix(&path).unwrap(), Timeouts::default());
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert!(to_end(&mut client).contains("\"http_port\":-1,\"tcp_port\":-1,\"start_time\":1,"));
    drop(server);
}

#[test]
fn stats_are_text_or_json() {
    let server = Server::new();
    let text = server.exchange(b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(text.ends_with("\n\nTopics: None\n\nProducers: None\n"), "{text}");
    let json = server.exchange(b"GET /stats?format=json&include_mem=0 HTTP/1.1\r\nHost: x\r\n\r\n");
    let expected = r#"{"version":"1.3.0","health":"OK","start_time":1,"topics":[],"producers":null}"#;
    assert_eq!(head_of(&json).1, expected);
}

#[test]
fn answers_of_the_cores_become_statuses() {
    let server = Server::new();
    let missing =
        server.exchange(b"POST /topic/empty?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert!(missing.starts_with("HTTP/1.1 404 ") && missing.ends_with("{\"message\":\"TOPIC_NOT_FOUND\"}"));
    let done =
        server.exchange(b"POST /topic/create?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    let (head, body) = head_of(&done);
    assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("Content-Type: text"), "{head}");
    assert_eq!(body, "");
}
