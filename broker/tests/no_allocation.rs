//! The whole path of a message (receive, publish, commit, deliver, finish) allocates per turn and per commit, not per
//! message.
//!
//! The broker runs in this process on one core. Allocations of its threads are counted; those of the client are not.

#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nsq_protocol::frame::{self, FrameType};
use nsq_protocol::message::Delivery;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IS_CLIENT.try_with(Cell::get).unwrap_or(true) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Messages sent in one go. Their answers, deliveries and FINs make a few turns.
const BURST: usize = 500;
const WARM_UP_BURSTS: usize = 40;
const COUNTED_BURSTS: usize = 100;

/// A burst makes a handful of turns with a commit each, and each of those may allocate some dozen times.
const ALLOCATIONS_PER_MESSAGE_MAX: f64 = 0.2;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_message_costs_no_allocation_of_its_own() {
    IS_CLIENT.set(true);
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments = [
        format!("--data-path={}", data.path().display()),
        format!("--tcp-address=127.0.0.1:{port}"),
        "--http-address=".to_owned(),
        "--cores=1".to_owned(),
        "--log-level=error".to_owned(),
    ];
    let broker = std::thread::spawn(move || nsqd::main(arguments.map(Into::into)));

    let mut client = Client::connect(port);
    client.socket.write_all(b"  V2SUB t c\nRDY 2500\n").unwrap();
    for _ in 0..WARM_UP_BURSTS {
        client.burst();
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..COUNTED_BURSTS {
        client.burst();
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let per_message = allocations as f64 / (COUNTED_BURSTS * BURST) as f64;
    println!("{allocations} allocations for {} messages: {per_message:.4} each", COUNTED_BURSTS * BURST);

    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
    assert_eq!(broker.join().unwrap(), 0);
    assert!(per_message < ALLOCATIONS_PER_MESSAGE_MAX, "{per_message} allocations per message");
}

struct Client {
    socket: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    fn connect(port: u16) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(socket) => {
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    return Self { socket, input: Vec::new(), output: Vec::new() };
                }
                Err(error) => assert!(Instant::now() < deadline, "no broker: {error}"),
            }
            std::thread::yield_now();
        }
    }

    /// Publishes a burst, one command per message, and finishes every delivery of it.
    fn burst(&mut self) {
        self.output.clear();
        for _ in 0..BURST {
            self.output.extend_from_slice(b"PUB t\n\0\0\0\xc8");
            self.output.extend_from_slice(&[b'x'; 200]);
        }
        self.socket.write_all(&self.output).unwrap();
        let (mut delivered, mut buffer) = (0, [0; 65536]);
        while delivered < BURST {
            let count = self.socket.read(&mut buffer).unwrap();
            assert!(count > 0, "the broker has hung up");
            self.input.extend_from_slice(&buffer[..count]);
            delivered += self.finish_received();
        }
    }

    /// Finishes the messages received so far; says how many.
    fn finish_received(&mut self) -> usize {
        let (mut messages, mut at) = (0, 0);
        self.output.clear();
        while let Some((frame, consumed)) = frame::decode(&self.input[at..], 1 << 20).unwrap() {
            match frame.kind {
                FrameType::Message => {
                    let message = Delivery::decode(frame.data).unwrap();
                    self.output.extend_from_slice(b"FIN ");
                    self.output.extend_from_slice(message.id);
                    self.output.push(b'\n');
                    messages += 1;
                }
                FrameType::Response => {}
                FrameType::Error => panic!("{}", String::from_utf8_lossy(frame.data)),
            }
            at += consumed;
        }
        self.input.drain(..at);
        self.socket.write_all(&self.output).unwrap();
        messages
    }
}
