//! Out of descriptors. The limit belongs to the process, so this runs in one of its own.

use std::net::{TcpListener, TcpStream};
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::*;
use super::harness::*;

/// Set for the child process: which driver to test.
const CHILD: &str = "NSQD_TEST_OUT_OF_DESCRIPTORS";

#[test]
fn out_of_descriptors_a_listener_rests_and_goes_on() {
    for driver in ["ring", "plain"] {
        let name = format!("{}::in_a_process_of_its_own", module_path!().split_once("::").unwrap().1);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"])
            .env(CHILD, driver)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{driver}: {text}{}", String::from_utf8_lossy(&child.stderr));
        assert!(text.contains("1 passed"), "{text}");
    }
}

#[test]
#[ignore = "lowers a limit of the process; the test above runs it"]
fn in_a_process_of_its_own() {
    match std::env::var(CHILD).as_deref() {
        Ok("ring") => check::<RingTransport>(),
        Ok("plain") => check::<PlainTransport>(),
        _ => {}
    }
}

fn check<T: Transport>() {
    const CONNECTIONS: usize = 30;
    const ROOM: u64 = 10;
    run(async |mut transport: T| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _peers: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(open + ROOM), maximum }).unwrap();
        transport.listen(1, listener.into()).unwrap();
        let mut kept = Vec::new();
        let (mut accepted, mut rests) = (0, 0);
        while accepted < CONNECTIONS {
            transport.set_deadline(Some(monotonic_ns() + ACCEPT_REST_NS / 2));
            transport.turn(Wait::Block).await.unwrap();
            while let Some(event) = transport.poll_event() {
                match event {
                    Event::Accepted { socket, .. } => {
                        kept.push(socket);
                        accepted += 1;
                    }
                    Event::Timer => {}
                    event => panic!("{event:?}"),
                }
            }
            // Room comes back only once the listener has met the limit.
            if transport.counters().accept_rests > rests {
                rests = transport.counters().accept_rests;
                kept.clear();
            }
        }
        let counters = transport.counters();
        assert!(counters.accept_rests >= 2, "{counters:?}");
        assert!(counters.turns < 200, "it spins: {counters:?}");
    });
}
