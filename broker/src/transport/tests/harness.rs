//! A core to test with, and peers for it.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement};
use nsq_wal::StdDisk;

use super::super::*;

/// A test that takes longer hangs; it is ended with its name.
const TEST_TIME_MAX: Duration = Duration::from_secs(60);

/// Ends the process when a test hangs: a core that waits for an event that never comes cannot be interrupted.
pub(super) struct Watchdog(#[allow(dead_code, reason = "its drop is the signal")] mpsc::Sender<()>);

impl Watchdog {
    pub(super) fn new() -> Self {
        Self::of(TEST_TIME_MAX)
    }

    /// For a test that takes long.
    pub(super) fn of(limit: Duration) -> Self {
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        let (alive, over) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if let Err(mpsc::RecvTimeoutError::Timeout) = over.recv_timeout(limit) {
                eprintln!("{name} hangs");
                std::process::abort();
            }
        });
        Self(alive)
    }
}

/// Runs `test` with a transport on an executor of this thread. It keeps glommio's preempt timer of 100 ms: one of 1 ms
/// makes the fault of executors that `waker.rs` tells of a hundred times likelier, and one that has not polled its
/// first task yet cannot be helped.
pub(super) fn run_with<T: Transport, R>(options: &Options, test: impl AsyncFnOnce(T) -> R) -> R {
    let executor =
        LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 * 1024).ring_depth(64).make().unwrap();
    executor.run(async { test(T::open(options, Arc::new(StdDisk::new())).unwrap()).await })
}

/// Small, because tests run side by side.
pub(super) fn options() -> Options {
    Options { buffer_count: 64, submission_count: 256, completion_count: 1024, ..Options::default() }
}

pub(super) fn run<T: Transport, R>(test: impl AsyncFnOnce(T) -> R) -> R {
    let _watchdog = Watchdog::new();
    run_with(&options(), test)
}

/// Turns until `done` says so, showing it every event.
pub(super) async fn turn_until<T: Transport>(transport: &mut T, mut done: impl FnMut(&mut T, Event) -> bool) {
    let mut over = false;
    while !over {
        transport.turn(Wait::Block).await.unwrap();
        transport.check();
        while let Some(event) = transport.poll_event() {
            over |= done(transport, event);
        }
        transport.check();
    }
}

pub(super) fn listen<T: Transport>(transport: &mut T) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    transport.listen(1, listener.into()).unwrap();
    address
}

/// Two connected sockets; the second is attached.
pub(super) fn connection<T: Transport>(transport: &mut T) -> (TcpStream, Slot) {
    let (peer, ours) = tcp_pair();
    (peer, transport.attach(ours.into()))
}

pub(super) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (ours, _) = listener.accept().unwrap();
    (peer, ours)
}

/// Makes the peer's close a reset.
pub(super) fn reset_on_close(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Bytes that tell where they belong: byte `n` of the stream is `pattern(n)`.
pub(super) fn pattern(position: usize) -> u8 {
    (position.wrapping_mul(31) ^ (position >> 8) ^ (position >> 16)) as u8
}

pub(super) fn patterned(size: usize) -> Vec<u8> {
    (0..size).map(pattern).collect()
}

/// Answers every byte with itself, and a goodbye with a goodbye.
#[derive(Default)]
pub(super) struct Echo {
    out: HashMap<Slot, Output>,
    pub(super) closed: usize,
    pub(super) failed: usize,
}

#[derive(Default)]
struct Output {
    waiting: Vec<u8>,
    sending: bool,
    over: bool,
}

impl Echo {
    pub(super) fn handle<T: Transport>(&mut self, transport: &mut T, event: Event) {
        match event {
            Event::Accepted { socket, .. } => {
                transport.attach(socket);
            }
            Event::Received { slot, chunk } => {
                let output = self.out.entry(slot).or_default();
                output.waiting.extend_from_slice(transport.chunk(&chunk));
                transport.release(chunk);
                self.progress(transport, slot);
            }
            Event::Taken { .. } => {}
            Event::Sent { slot, buffer } => {
                assert!(buffer.is_empty());
                self.out.entry(slot).or_default().sending = false;
                self.progress(transport, slot);
            }
            Event::EndOfInput { slot } => {
                self.out.entry(slot).or_default().over = true;
                self.progress(transport, slot);
            }
            Event::Failed { slot, .. } => {
                self.failed += 1;
                transport.close(slot, Close::Abort);
            }
            Event::Closed { slot } => {
                self.out.remove(&slot);
                self.closed += 1;
            }
            event => panic!("{event:?}"),
        }
    }

    fn progress<T: Transport>(&mut self, transport: &mut T, slot: Slot) {
        let output = self.out.entry(slot).or_default();
        if output.sending {
            return;
        }
        if !output.waiting.is_empty() {
            output.sending = true;
            transport.send(slot, std::mem::take(&mut output.waiting));
        } else if output.over {
            transport.close(slot, Close::Flush);
        }
    }

    /// Serves until `count` connections have come and gone.
    pub(super) async fn serve<T: Transport>(&mut self, transport: &mut T, count: usize) {
        turn_until(transport, |transport, event| {
            self.handle(transport, event);
            self.closed == count
        })
        .await;
    }
}
