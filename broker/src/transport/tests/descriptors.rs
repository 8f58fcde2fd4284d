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
    const LATE: usize = 5;
    const ROOM: u64 = 10;
    run(async |mut transport: T| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _peers: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let maximum = getrlimit(Resource::Nofile).maximum;
        // A quarter of so low a limit is kept back.
        let limit = (open + ROOM) * 4 / 3;
        setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
        transport.listen(1, listener.into()).unwrap();
        let mut kept = Vec::new();
        while transport.counters().accept_rests == 0 {
            accept(&mut transport, &mut kept).await;
        }
        // What a thread had accepted before it rested.
        accept(&mut transport, &mut kept).await;
        assert!((ROOM as usize - 2..=ROOM as usize + 2).contains(&kept.len()), "{}", kept.len());
        let turned_away = transport.counters().turned_away;

        // Now they wait in the listener's queue, for as long as there is no room, and the rest stays free.
        let _late_peers: Vec<_> = (0..LATE).map(|_| TcpStream::connect(address).unwrap()).collect();
        let accepted = kept.len();
        while transport.counters().accept_rests < 4 {
            let files: Vec<_> = (0..8).map(|_| std::fs::File::open("/dev/null")).collect();
            assert!(files.iter().all(Result::is_ok), "no descriptor is left for the log");
            drop(files);
            accept(&mut transport, &mut kept).await;
        }
        assert_eq!((kept.len(), transport.counters().turned_away), (accepted, turned_away));

        // And come in when there is.
        let mut accepted = 0;
        let mut rests = 0;
        while accepted + kept.len() + (transport.counters().turned_away as usize) < CONNECTIONS + LATE {
            if transport.counters().accept_rests > rests {
                rests = transport.counters().accept_rests;
                accepted += kept.len();
                kept.clear();
            }
            accept(&mut transport, &mut kept).await;
        }
        assert!(transport.counters().turns < 200, "it spins: {:?}", transport.counters());
    });
}

/// One turn, or half a rest.
async fn accept<T: Transport>(transport: &mut T, kept: &mut Vec<OwnedFd>) {
    transport.set_deadline(Some(monotonic_ns() + ACCEPT_REST_NS / 2));
    transport.turn(Wait::Block).await.unwrap();
    while let Some(event) = transport.poll_event() {
        match event {
            Event::Accepted { socket, .. } => {
                let socket = socket.into_descriptor();
                assert!(Taker::Client.may_keep(&socket));
                kept.push(socket);
            }
            Event::Timer => {}
            event => panic!("{event:?}"),
        }
    }
}
