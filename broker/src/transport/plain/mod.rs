//! The driver on glommio's own sockets: simple and correct rather than fast.
//!
//! A connection is a glommio `TcpStream`, which serves Unix sockets as well, since it only receives, sends and polls.
//! The loop polls those connections whose readiness has changed; there is no task per connection. File operations
//! run on glommio's blocking thread, and a thread per listener accepts.

mod accepting;
mod chunks;
mod connections;
mod outside;
mod streams;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use nsq_queue::Now;
use nsq_wal::{Disk, Io};

use super::blocking::Blocking;
use super::clock::{self, monotonic_ns};
use super::table::Table;
use super::waker::{Bell, LocalWaker, RemoteWaker};
use super::{Chunk, Close, Counters, Event, Options, Slot, Socket, Transport, Wait};
use accepting::Acceptor;
use chunks::Chunks;
use outside::Outside;
use streams::{Stream, Streams};

/// One core's connections and files, on glommio.
pub struct PlainTransport {
    streams: Streams,
    table: Table<Streams>,
    acceptors: Vec<Acceptor>,
    blocking: Blocking,
    deadline: Option<u64>,
    last_yield: u64,
    outside: Arc<Outside>,
    waker: Rc<LocalWaker>,
    bell: Bell,
    peers: Vec<Option<PlainDoorbell>>,
    counters: Counters,
}

/// Another core's letter box and its eventfd.
#[derive(Debug)]
pub struct PlainDoorbell {
    outside: Arc<Outside>,
    waker: RemoteWaker,
}

impl std::fmt::Debug for PlainTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainTransport").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Transport for PlainTransport {
    type Doorbell = PlainDoorbell;

    fn open(options: &Options, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let waker = Rc::new(LocalWaker::default());
        let bell = Bell::new(waker.clone())?;
        Ok(Self {
            streams: Streams { chunks: Chunks::new(options.buffer_count), due: VecDeque::new() },
            table: Table::default(),
            acceptors: Vec::new(),
            blocking: Blocking::new(disk, waker.clone()),
            deadline: None,
            last_yield: monotonic_ns(),
            outside: Arc::default(),
            waker,
            bell,
            peers: Vec::new(),
            counters: Counters::default(),
        })
    }

    fn now(&self) -> Now {
        clock::now()
    }

    fn doorbell(&self) -> io::Result<PlainDoorbell> {
        Ok(PlainDoorbell { outside: self.outside.clone(), waker: self.bell.remote_waker()? })
    }

    fn set_peers(&mut self, peers: Vec<Option<PlainDoorbell>>) {
        self.peers = peers;
    }

    fn ring_peer(&mut self, core: usize) {
        if let Some(Some(peer)) = self.peers.get(core) {
            peer.outside.ring();
            peer.waker.wake();
        }
    }

    fn local_waker(&self) -> Rc<LocalWaker> {
        self.waker.clone()
    }

    fn remote_waker(&self) -> io::Result<RemoteWaker> {
        self.bell.remote_waker()
    }

    fn listen(&mut self, listener: u8, socket: OwnedFd) -> io::Result<()> {
        let acceptor = Acceptor::start(listener, socket, self.outside.clone(), self.remote_waker()?)?;
        self.acceptors.push(acceptor);
        Ok(())
    }

    fn stop_listening(&mut self) {
        self.acceptors.clear();
    }

    fn attach(&mut self, socket: Socket) -> Slot {
        let socket = socket.into_descriptor();
        let outside = self.outside.clone();
        self.table.attach(&mut self.streams, |slot| Stream::new(socket, slot, outside))
    }

    fn send(&mut self, slot: Slot, bytes: Vec<u8>) {
        self.table.send(&mut self.streams, slot, bytes);
    }

    fn pause(&mut self, slot: Slot) {
        self.table.set_paused(&mut self.streams, slot, true);
    }

    fn resume(&mut self, slot: Slot) {
        self.table.set_paused(&mut self.streams, slot, false);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.table.close(&mut self.streams, slot, how);
    }

    fn detach(&mut self, slot: Slot) {
        self.table.detach(&mut self.streams, slot);
    }

    fn chunk(&self, chunk: &Chunk) -> &[u8] {
        self.streams.chunks.bytes(chunk)
    }

    fn release(&mut self, chunk: Chunk) {
        self.streams.chunks.release(chunk);
    }

    fn submit(&mut self, tag: u64, io: Io) {
        self.blocking.submit(tag, io);
    }

    fn set_deadline(&mut self, at: Option<u64>) {
        self.deadline = at;
    }

    async fn turn(&mut self, wait: Wait) -> io::Result<()> {
        self.one_turn(wait).await;
        Ok(())
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.table.next_event(&mut self.streams)
    }

    fn counters(&self) -> Counters {
        let (starved, partial_sends) = self.table.counts();
        let accept_rests = self.outside.accept_rests();
        let turned_away = self.outside.turned_away();
        Counters { starved, partial_sends, accept_rests, turned_away, ..self.counters }
    }

    fn check(&self) {
        self.table.check();
    }

    async fn shutdown(mut self) {
        self.stop_listening();
        self.blocking.finish().await;
        self.bell.stop().await;
    }
}
