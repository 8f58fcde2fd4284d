//! The driver on an io_uring ring of the core's own.

mod accepting;
mod buffers;
mod completions;
mod connections;
mod files;
mod kernel;
mod preflight;
mod setup;
mod teardown;
mod tokens;
mod turn;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use io_uring::types::{Fd, Timespec};
use io_uring::{cqueue, opcode, squeue};
use nsq_queue::Now;
use nsq_wal::{Disk, Io};

use super::blocking::Blocking;
use super::clock::{self, monotonic_ns};
use super::table::Table;
use super::waker::{Bell, LocalWaker, RemoteWaker};
use super::{Chunk, Close, Counters, Event, Options, Slot, Socket, Transport, Wait};
use accepting::{Listener, set_blocking};
use buffers::Buffers;
use files::Files;
use kernel::Kernel;
#[cfg(test)]
pub(super) use preflight::can_limit_receives;
pub use preflight::{PreflightError, preflight};
use tokens::Token;

/// One core's ring and everything that is under way in it.
pub struct RingTransport {
    kernel: Kernel,
    table: Table<Kernel>,
    listeners: Vec<Listener>,
    files: Files,
    blocking: Blocking,
    /// The completions of one turn, kept for their memory.
    reaped: Vec<cqueue::Entry>,
    wait_ns_max: u64,
    deadline: Option<u64>,
    /// The timeout that the kernel has, and what it points at.
    armed_deadline: Option<u64>,
    armed_timespec: Box<Timespec>,
    last_yield: u64,
    waker: Rc<LocalWaker>,
    bell: Bell,
    peers: Vec<Option<RingDoorbell>>,
    counters: Counters,
}

/// Another core's ring, to send it a message.
#[derive(Debug)]
pub struct RingDoorbell(OwnedFd);

impl std::fmt::Debug for RingTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RingTransport").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl RingTransport {
    /// The earliest moment at which the driver or the caller has something to do.
    fn next_deadline(&self) -> Option<u64> {
        let rests = self.listeners.iter().filter_map(Listener::rest_until);
        rests.chain(self.table.next_deadline()).chain(self.deadline).min()
    }
}

impl Transport for RingTransport {
    type Doorbell = RingDoorbell;

    fn open(options: &Options, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let ring = setup::build(options)?;
        let buffers = Buffers::register(&ring, options.buffer_count)?;
        let waker = Rc::new(LocalWaker::default());
        let bell = Bell::new(waker.clone())?;
        ring.submitter().register_eventfd(bell.eventfd().as_raw_fd())?;
        let mut transport = Self {
            kernel: Kernel::new(ring, buffers),
            table: Table::default(),
            listeners: Vec::new(),
            files: Files::default(),
            blocking: Blocking::new(disk, waker.clone()),
            reaped: Vec::with_capacity(turn::COMPLETIONS_PER_TURN_MAX),
            wait_ns_max: options.wait_ns_max,
            deadline: None,
            armed_deadline: None,
            armed_timespec: Box::default(),
            last_yield: monotonic_ns(),
            waker,
            bell,
            peers: Vec::new(),
            counters: Counters::default(),
        };
        transport.mute_bell();
        Ok(transport)
    }

    fn now(&self) -> Now {
        clock::now()
    }

    fn doorbell(&self) -> io::Result<RingDoorbell> {
        Ok(RingDoorbell(setup::duplicate_ring_descriptor(&self.kernel.ring)?))
    }

    fn set_peers(&mut self, peers: Vec<Option<RingDoorbell>>) {
        self.peers = peers;
    }

    fn ring_peer(&mut self, core: usize) {
        let Some(Some(peer)) = self.peers.get(core) else { return };
        let token = Token::Rang(core as u32).pack();
        let message = opcode::MsgRingData::new(Fd(peer.0.as_raw_fd()), 0, Token::Doorbell.pack(), None);
        // Its completion matters only if it failed.
        self.kernel.push(message.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(token));
    }

    fn local_waker(&self) -> Rc<LocalWaker> {
        self.waker.clone()
    }

    fn remote_waker(&self) -> io::Result<RemoteWaker> {
        self.bell.remote_waker()
    }

    fn listen(&mut self, listener: u8, socket: OwnedFd) -> io::Result<()> {
        self.start_listening(listener, socket)
    }

    fn stop_listening(&mut self) {
        self.cancel_accepting();
    }

    fn attach(&mut self, socket: Socket) -> Slot {
        let socket = socket.into_descriptor();
        // If this fails the socket is no socket, and the receive will say so.
        let _ = set_blocking(&socket);
        self.table.attach(&mut self.kernel, |_| socket)
    }

    fn send(&mut self, slot: Slot, bytes: Vec<u8>) {
        self.table.send(&mut self.kernel, slot, bytes);
    }

    fn pause(&mut self, slot: Slot) {
        self.table.set_paused(&mut self.kernel, slot, true);
    }

    fn resume(&mut self, slot: Slot) {
        self.table.set_paused(&mut self.kernel, slot, false);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.table.close(&mut self.kernel, slot, how);
    }

    fn detach(&mut self, slot: Slot) {
        self.table.detach(&mut self.kernel, slot);
    }

    fn chunk(&self, chunk: &Chunk) -> &[u8] {
        self.kernel.buffers.bytes(chunk)
    }

    fn release(&mut self, chunk: Chunk) {
        self.kernel.buffers.release(chunk);
    }

    fn submit(&mut self, tag: u64, io: Io) {
        self.start_io(tag, io);
    }

    fn set_deadline(&mut self, at: Option<u64>) {
        self.deadline = at;
    }

    async fn turn(&mut self, wait: Wait) -> io::Result<()> {
        self.one_turn(wait).await
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.table.next_event(&mut self.kernel)
    }

    fn counters(&self) -> Counters {
        let (starved, partial_sends) = self.table.counts();
        Counters { starved, partial_sends, ..self.counters }
    }

    fn check(&self) {
        self.table.check();
    }

    async fn shutdown(mut self) {
        self.tear_down();
        self.blocking.finish().await;
        self.bell.stop().await;
    }
}
