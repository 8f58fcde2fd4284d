//! The driver on glommio's own sockets: simple and correct rather than fast.
//!
//! A connection is a glommio `TcpStream`, which serves Unix sockets as well, since it only receives, sends and polls.
//! The loop polls those connections whose readiness has changed; there is no task per connection. File operations
//! run on glommio's blocking thread, and a thread per listener accepts.

mod accepting;
mod chunks;
mod connections;
mod files;
mod outside;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use super::clock::monotonic_ns;
use super::closing::Closing;
use super::slot::Slots;
use super::waker::{Bell, LocalWaker, RemoteWaker};
use super::{Chunk, Close, Counters, Event, IoBuf, Options, Slot, Transport, Wait};
use accepting::Acceptor;
use chunks::Chunks;
use connections::Connection;
use files::Files;
use outside::Outside;

/// One core's connections and files, on glommio.
pub struct PlainTransport {
    connections: Slots<Connection>,
    acceptors: Vec<Acceptor>,
    chunks: Chunks,
    files: Files,
    events: VecDeque<Queued>,
    /// Connections to be polled.
    due: VecDeque<Slot>,
    /// Connections with input that found no buffer.
    starved: VecDeque<Slot>,
    closing: Closing,
    deadline: Option<u64>,
    last_yield: u64,
    outside: Arc<Outside>,
    waker: Rc<LocalWaker>,
    bell: Bell,
    peers: Vec<Option<PlainDoorbell>>,
    counters: Counters,
}

/// What waits for the caller.
enum Queued {
    Event(Event),
    /// A connection in `Phase::HandedOver`.
    HandOver(Slot),
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

impl PlainTransport {
    fn report(&mut self, event: Event) {
        self.events.push_back(Queued::Event(event));
    }
}

impl Transport for PlainTransport {
    type Doorbell = PlainDoorbell;

    fn open(options: &Options) -> io::Result<Self> {
        let waker = Rc::new(LocalWaker::default());
        let bell = Bell::new(waker.clone())?;
        Ok(Self {
            connections: Slots::new(),
            acceptors: Vec::new(),
            chunks: Chunks::new(options.buffer_count),
            files: Files::new(waker.clone()),
            events: VecDeque::new(),
            due: VecDeque::new(),
            starved: VecDeque::new(),
            closing: Closing::default(),
            deadline: None,
            last_yield: monotonic_ns(),
            outside: Arc::default(),
            waker,
            bell,
            peers: Vec::new(),
            counters: Counters::default(),
        })
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

    fn attach(&mut self, socket: OwnedFd) -> Slot {
        self.take_over(socket)
    }

    fn send(&mut self, slot: Slot, bytes: Vec<u8>) {
        self.start_send(slot, bytes);
    }

    fn pause(&mut self, slot: Slot) {
        self.set_paused(slot, true);
    }

    fn resume(&mut self, slot: Slot) {
        self.set_paused(slot, false);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.start_close(slot, how);
    }

    fn detach(&mut self, slot: Slot) {
        self.start_detach(slot);
    }

    fn chunk(&self, chunk: &Chunk) -> &[u8] {
        self.chunks.bytes(chunk)
    }

    fn release(&mut self, chunk: Chunk) {
        self.chunks.give_back(chunk.buffer);
    }

    fn write_file(&mut self, tag: u64, fd: RawFd, offset: u64, buf: IoBuf, dsync: bool) {
        self.files.write(tag, fd, offset, buf, dsync);
    }

    fn read_file(&mut self, tag: u64, fd: RawFd, offset: u64, buf: IoBuf) {
        self.files.read(tag, fd, offset, buf);
    }

    fn sync_file(&mut self, tag: u64, fd: RawFd) {
        self.files.sync(tag, fd);
    }

    fn set_deadline(&mut self, at: Option<u64>) {
        self.deadline = at;
    }

    async fn turn(&mut self, wait: Wait) -> io::Result<()> {
        self.one_turn(wait).await;
        Ok(())
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.next_event()
    }

    fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.accept_rests = self.outside.accept_rests();
        counters
    }

    async fn shutdown(mut self) {
        self.stop_listening();
        self.files.finish(&self.waker).await;
        self.bell.stop().await;
    }
}
