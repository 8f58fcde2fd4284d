//! The conversation over real sockets, with peers that play by the rules and peers that do not.

mod fake;

use std::cell::RefCell;
use std::ffi::OsString;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::LocalExecutorBuilder;
use glommio::timer::sleep;

use super::limits::CHANGES_COUNT_MAX;
use super::{Registrations, serve};
use crate::config::Config;
use crate::mesh::message::Change;
use crate::mesh::process::{Address, Process};
use fake::{FakePeer, FakeWeb, Reply, framed};

/// A condition that does not hold by then never will.
const DEADLINE: Duration = Duration::from_secs(10);

/// The tasks under test, on the executor of the scenario.
struct Bench {
    registrations: Rc<Registrations>,
    process: Arc<Process>,
    answers: Rc<RefCell<Vec<Answered>>>,
}

/// A topic and its channels.
type Answered = (String, Vec<String>);

impl Bench {
    async fn answer(&self) -> Answered {
        until("the discovery is answered", || !self.answers.borrow().is_empty()).await;
        self.answers.borrow_mut().remove(0)
    }

    async fn discover(&self, topic: &str) -> Vec<String> {
        self.registrations.discover(topic.to_owned());
        let (answered, channels) = self.answer().await;
        assert_eq!(answered, topic);
        channels
    }

    fn add_topic(&self, topic: &str) {
        self.registrations.push(Change::added(topic, None));
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Runs `scenario` beside the tasks under test, and stops them behind it. `existing` was there before the start.
fn on_core(flags: &[&str], existing: &[Change], scenario: impl AsyncFnOnce(&Bench)) {
    let arguments = flags.iter().map(OsString::from).chain(["--broadcast-address=here".into()]);
    let config = Config::from_arguments(arguments).unwrap().with_bound_ports(Some(4150), Some(4151));
    let address = Address::Tcp("127.0.0.1:4150".parse().unwrap());
    let bench = Bench {
        registrations: Rc::default(),
        process: Arc::new(Process::new(config, 0, address, None, Box::new(|| ()))),
        answers: Rc::default(),
    };
    existing.iter().for_each(|change| bench.registrations.push(change.clone()));
    LocalExecutorBuilder::default().make().unwrap().run(async {
        let answers = bench.answers.clone();
        let answer = Rc::new(move |topic, channels| answers.borrow_mut().push((topic, channels)));
        let serving = glommio::spawn_local(serve(bench.registrations.clone(), bench.process.clone(), answer));
        scenario(&bench).await;
        bench.registrations.stop();
        serving.await;
    });
}

fn flag(peer: &FakePeer) -> String {
    format!("--lookupd-tcp-address={}", peer.address())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_new_peer_is_told_who_we_are_and_then_everything() {
    let peer = FakePeer::start();
    let existing =
        [Change::added("full", Some("d")), Change::added("full", Some("c")), Change::added("bare", None)];
    on_core(&[&flag(&peer)], &existing, async |_| {
        until("all is told", || peer.lines(1).len() >= 5).await;
        let host = nsq_flags::hostname();
        let identity = format!(
            r#"{{"broadcast_address":"here","hostname":"{host}","http_port":4151,"tcp_port":4150,"version":"1.3.0"}}"#
        );
        let lines = peer.lines(1);
        let start =
            ["  V1", &format!("IDENTIFY {identity}"), "REGISTER bare", "REGISTER full c", "REGISTER full d"];
        assert_eq!(lines, start);
    });
}

#[test]
fn changes_are_told_in_their_order_on_one_connection() {
    let peer = FakePeer::start();
    on_core(&[&flag(&peer)], &[Change::added("first", None)], async |bench| {
        until("it knows", || peer.has("REGISTER first")).await;
        bench.add_topic("t");
        bench.registrations.push(Change::added("t", Some("c")));
        bench.registrations.push(Change::removed("t", Some("c")));
        bench.registrations.push(Change::removed("t", None));
        until("all is told", || peer.lines(1).len() == 7).await;
        assert_eq!(peer.lines(1)[3..], ["REGISTER t", "REGISTER t c", "UNREGISTER t c", "UNREGISTER t"]);
        assert_eq!(peer.connections(), 1);
    });
}

#[test]
fn replies_may_say_anything_and_come_in_pieces() {
    let peer = FakePeer::with(|_, line| match line {
        "REGISTER a" => Reply::Bytes(framed(b"E_INVALID something")),
        "REGISTER b" => Reply::Bytes(framed(b"")),
        _ => Reply::Pieces,
    });
    on_core(&[&flag(&peer)], &[], async |bench| {
        for topic in ["a", "b", "c"] {
            bench.add_topic(topic);
        }
        until("all is told", || peer.has("REGISTER c")).await;
        bench.add_topic("d");
        until("it goes on", || peer.has("REGISTER d")).await;
        assert_eq!(peer.connections(), 1);
    });
}

#[test]
fn a_lost_connection_is_made_again_with_the_next_change_and_told_everything() {
    let peer = FakePeer::start();
    on_core(&[&flag(&peer)], &[Change::added("t", Some("c"))], async |bench| {
        until("it is connected", || peer.has("REGISTER t c")).await;
        peer.hang_up();
        until("it is gone", || peer.ended() == 1).await;
        bench.add_topic("u");
        until("all is told again", || peer.lines(2).len() >= 5).await;
        assert!(peer.lines(2)[1].starts_with("IDENTIFY"));
        assert_eq!(peer.lines(2)[2..5], ["REGISTER t c", "REGISTER u", "REGISTER u"]);
    });
}

/// What ends the first connection, at the command named.
fn is_given_up_and_told_again(at: &'static str, reply: Reply) {
    let peer =
        FakePeer::with(
            move |connection, line| {
                if connection == 1 && line.starts_with(at) { reply.clone() } else { Reply::Usual }
            },
        );
    on_core(&[&flag(&peer)], &[], async |bench| {
        until("it identified itself", || peer.lines(1).len() == 2).await;
        if at != "IDENTIFY" {
            bench.add_topic("t");
        }
        until("the connection is given up", || peer.ended() == 1).await;
        bench.add_topic("u");
        until("it is told on a new one", || peer.lines(2).iter().any(|line| line == "REGISTER u")).await;
        assert_eq!(peer.lines(2).iter().any(|line| line == "REGISTER t"), at != "IDENTIFY");
    });
}

#[test]
fn a_peer_that_does_not_answer_is_given_up() {
    is_given_up_and_told_again("REGISTER t", Reply::Silence);
}

#[test]
fn a_peer_that_does_not_answer_identify_is_given_up() {
    is_given_up_and_told_again("IDENTIFY", Reply::Silence);
}

#[test]
fn a_reply_of_an_absurd_size_ends_the_connection() {
    is_given_up_and_told_again("REGISTER t", Reply::Bytes(vec![0x7f, 0xff, 0xff, 0xff]));
    is_given_up_and_told_again("REGISTER t", Reply::Bytes(vec![0xff, 0xff, 0xff, 0xff]));
}

#[test]
fn an_answer_to_identify_that_is_no_json_ends_the_connection() {
    for reply in [&b"E_INVALID"[..], b"E_BAD_BODY IDENTIFY missing fields", b"OK", b"\xff\xfe"] {
        is_given_up_and_told_again("IDENTIFY", Reply::Bytes(framed(reply)));
    }
}

#[test]
fn what_nobody_asked_for_ends_the_connection() {
    is_given_up_and_told_again("REGISTER t", Reply::Bytes([framed(b"OK"), framed(b"OK")].concat()));
}

#[test]
fn a_peer_that_hangs_up_is_given_up() {
    is_given_up_and_told_again("REGISTER t", Reply::HangUp);
    is_given_up_and_told_again("IDENTIFY", Reply::HangUp);
}

#[test]
fn a_silent_peer_delays_no_other() {
    let silent = FakePeer::with(|_, line| if line == "REGISTER t" { Reply::Silence } else { Reply::Usual });
    let lively = FakePeer::start();
    on_core(&[&flag(&silent), &flag(&lively)], &[], async |bench| {
        until("both are connected", || silent.lines(1).len() == 2 && lively.lines(1).len() == 2).await;
        bench.add_topic("t");
        until("the one waits for its reply", || silent.has("REGISTER t")).await;
        for index in 0..100 {
            bench.add_topic(&index.to_string());
        }
        until("the other knows everything", || lively.has("REGISTER 99")).await;
        assert_eq!(silent.ended(), 0, "the silent peer has not even been given up");
    });
}

#[test]
fn too_many_changes_at_once_become_one_new_registration() {
    let peer = FakePeer::start();
    on_core(&[&flag(&peer)], &[Change::added("first", None)], async |bench| {
        until("it knows", || peer.has("REGISTER first")).await;
        for _ in 0..CHANGES_COUNT_MAX {
            bench.add_topic("t");
            bench.registrations.push(Change::removed("t", None));
        }
        bench.add_topic("last");
        until("it is told the table", || peer.has("REGISTER last")).await;
        assert_eq!(peer.lines(1)[2..], ["REGISTER first"]);
        assert_eq!(peer.lines(2)[2..], ["REGISTER first", "REGISTER last"]);
    });
}

#[test]
fn addresses_that_go_are_dropped_at_once_and_those_that_come_are_told_everything() {
    let (stays, goes, comes) = (FakePeer::start(), FakePeer::start(), FakePeer::start());
    on_core(&[&flag(&stays), &flag(&goes)], &[Change::added("t", None)], async |bench| {
        until("both know", || stays.has("REGISTER t") && goes.has("REGISTER t")).await;
        bench.process.set_lookupd_addresses(vec![stays.address(), comes.address(), comes.address()]);
        bench.registrations.addresses_changed();
        until("the one is dropped", || goes.ended() == 1).await;
        until("the other knows", || comes.has("REGISTER t")).await;
        bench.add_topic("u");
        until("both are told", || stays.has("REGISTER u") && comes.has("REGISTER u")).await;
        assert!(!goes.has("REGISTER u"));
        assert_eq!((stays.connections(), goes.connections(), comes.connections()), (1, 1, 1));
    });
}

#[test]
fn the_stop_says_nothing() {
    let peer = FakePeer::start();
    on_core(&[&flag(&peer)], &[Change::added("t", None)], async |bench| {
        until("it knows", || peer.has("REGISTER t")).await;
        let said = peer.lines(1).len();
        bench.registrations.stop();
        bench.registrations.push(Change::removed("t", None));
        until("the connection has ended", || peer.ended() == 1).await;
        assert_eq!(peer.lines(1).len(), said);
    });
}

#[test]
fn a_new_topic_gets_the_lasting_channels_of_all_peers() {
    let (a, b) =
        (FakeWeb::channels(&["x", "y", "gone#ephemeral"]), FakeWeb::channels(&["y", "z", "no name"]));
    let (first, second) = (FakePeer::beside(&a), FakePeer::beside(&b));
    on_core(&[&flag(&first), &flag(&second)], &[], async |bench| {
        // At once: what the peers would tell is worth waiting for their first connection.
        assert_eq!(bench.discover("t#ephemeral").await, names(&["x", "y", "z"]));
        assert_eq!(a.requests(), ["/channels?topic=t%23ephemeral"]);
        assert_eq!(b.requests(), ["/channels?topic=t%23ephemeral"]);
    });
}

#[test]
fn what_one_peer_tells_is_used_when_the_others_fail() {
    let bad: [&[u8]; 5] = [
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nno json",
        b"\0\0\0\x02OK",
        b"",
    ];
    let good = FakeWeb::channels(&["c"]);
    let bad = bad.map(FakeWeb::raw);
    let peers =
        [FakePeer::beside(&good)].into_iter().chain(bad.iter().map(FakePeer::beside)).collect::<Vec<_>>();
    let flags: Vec<String> = peers.iter().map(flag).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    on_core(&flags, &[], async |bench| {
        assert_eq!(bench.discover("t").await, names(&["c"]));
    });
}

#[test]
fn a_query_that_hangs_ends_with_its_timeout_and_the_rest_counts() {
    let (hangs, good) = (FakeWeb::silent(), FakeWeb::channels(&["c"]));
    let (first, second) = (FakePeer::beside(&hangs), FakePeer::beside(&good));
    let timeout = "--http-client-request-timeout=300ms";
    on_core(&[&flag(&first), &flag(&second), timeout], &[], async |bench| {
        until("both are connected", || first.lines(1).len() == 2 && second.lines(1).len() == 2).await;
        let started = Instant::now();
        assert_eq!(bench.discover("t").await, names(&["c"]));
        assert!(started.elapsed() >= Duration::from_millis(300));
        assert!(started.elapsed() < Duration::from_secs(3));
    });
}

#[test]
fn a_topic_waits_for_nobody_where_nobody_can_be_asked() {
    on_core(&[], &[], async |bench| assert!(bench.discover("t").await.is_empty()));
    let nobody = FakePeer::start();
    let refused = flag(&nobody);
    nobody.close();
    on_core(&[&refused, "--lookupd-tcp-address=nonsense"], &[], async |bench| {
        assert!(bench.discover("t").await.is_empty());
    });
    let nameless = FakePeer::with(|_, line| match line.starts_with("IDENTIFY") {
        true => Reply::Bytes(framed(b"{}")),
        false => Reply::Usual,
    });
    on_core(&[&flag(&nameless)], &[], async |bench| {
        bench.add_topic("t");
        assert!(bench.discover("t").await.is_empty());
        until("it is told all the same", || nameless.has("REGISTER t")).await;
    });
}

#[test]
fn a_peer_that_is_silent_from_the_start_delays_a_topic_only_while_it_is_tried() {
    let silent = FakePeer::with(|_, _| Reply::Silence);
    let good = FakeWeb::channels(&["c"]);
    let other = FakePeer::beside(&good);
    on_core(&[&flag(&silent), &flag(&other)], &[], async |bench| {
        let started = Instant::now();
        assert_eq!(bench.discover("t").await, names(&["c"]));
        assert!(started.elapsed() < Duration::from_secs(3));
        let started = Instant::now();
        bench.discover("u").await;
        assert!(started.elapsed() < Duration::from_millis(500), "the first attempt is over");
    });
}

#[test]
fn the_stop_answers_the_discoveries_under_way() {
    let hangs = FakeWeb::silent();
    let peer = FakePeer::beside(&hangs);
    on_core(&[&flag(&peer)], &[], async |bench| {
        bench.registrations.discover("t".to_owned());
        until("it is asked", || !hangs.requests().is_empty()).await;
        bench.registrations.stop();
        assert_eq!(bench.answer().await, ("t".to_owned(), Vec::new()));
    });
}

#[test]
fn names_are_looked_up_beside_the_core() {
    LocalExecutorBuilder::default().make().unwrap().run(async {
        let resolver = super::dial::Resolver::default();
        let found = resolver.resolve("localhost", 7, DEADLINE).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
        assert_eq!(resolver.resolve("", 7, DEADLINE).await.unwrap(), ["127.0.0.1:7".parse().unwrap()]);
        assert_eq!(resolver.resolve("::1", 7, DEADLINE).await.unwrap(), ["[::1]:7".parse().unwrap()]);
    });
}
