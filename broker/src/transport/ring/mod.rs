//! The driver on an io_uring ring of the core's own.

mod accepting;
mod buffers;
mod completions;
mod connections;
mod files;
mod preflight;
mod setup;
mod teardown;
mod tokens;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use io_uring::types::{Fd, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::clock::monotonic_ns;
use super::closing::Closing;
use super::slot::Slots;
use super::waker::{Bell, LocalWaker, RemoteWaker};
use super::{Chunk, Close, Counters, Event, IoBuf, Options, Slot, Transport, Wait};
use accepting::Listener;
use buffers::Buffers;
use connections::Connection;
use files::Files;
pub use preflight::{PreflightError, preflight};
use tokens::Token;

/// One core's ring and everything that is under way in it.
pub struct RingTransport {
    ring: IoUring,
    buffers: Buffers,
    connections: Slots<Connection>,
    listeners: Vec<Listener>,
    files: Files,
    /// Operations that found the submission queue full, in order. Bounded by what can be under way: a receive, a
    /// send and a cancellation per connection, and the callers' file operations and rings.
    queued: VecDeque<squeue::Entry>,
    events: VecDeque<Queued>,
    /// Connections whose receive ended for want of buffers.
    starved: VecDeque<Slot>,
    closing: Closing,
    /// Sends since the last submission that complete within it.
    inline_sends: usize,
    /// The completions of one turn, kept for their memory.
    reaped: Vec<cqueue::Entry>,
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

/// What waits for the caller.
enum Queued {
    Event(Event),
    /// A connection in `Phase::HandedOver`; it stays until its event is taken, so that its earlier events find it.
    HandOver(Slot),
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
    /// Queues an operation for the next submission.
    fn push(&mut self, entry: squeue::Entry) {
        if !self.queued.is_empty() || !self.push_now(&entry) {
            self.queued.push_back(entry);
        }
    }

    /// False when the submission queue is full.
    fn push_now(&mut self, entry: &squeue::Entry) -> bool {
        let mut submission = self.ring.submission();
        // SAFETY: every entry is built in this module from descriptors and memory that `self` owns and keeps until
        // the completion of the operation was reaped, or until the teardown saw the end of it.
        unsafe { submission.push(entry) }.is_ok()
    }

    fn report(&mut self, event: Event) {
        self.events.push_back(Queued::Event(event));
    }

    /// The earliest moment at which the driver or the caller has something to do.
    fn next_deadline(&self) -> Option<u64> {
        let rests = self.listeners.iter().filter_map(Listener::rest_until);
        rests.chain(self.closing.next()).chain(self.deadline).min()
    }
}

impl Transport for RingTransport {
    type Doorbell = RingDoorbell;

    fn open(options: &Options) -> io::Result<Self> {
        let ring = setup::build(options)?;
        let buffers = Buffers::register(&ring, options.buffer_count)?;
        let waker = Rc::new(LocalWaker::default());
        let bell = Bell::new(waker.clone())?;
        ring.submitter().register_eventfd(bell.eventfd().as_raw_fd())?;
        let mut transport = Self {
            ring,
            buffers,
            connections: Slots::new(),
            listeners: Vec::new(),
            files: Files::default(),
            queued: VecDeque::new(),
            events: VecDeque::new(),
            starved: VecDeque::new(),
            closing: Closing::default(),
            inline_sends: 0,
            reaped: Vec::with_capacity(turn::COMPLETIONS_PER_TURN_MAX),
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

    fn doorbell(&self) -> io::Result<RingDoorbell> {
        Ok(RingDoorbell(setup::duplicate_ring_descriptor(&self.ring)?))
    }

    fn set_peers(&mut self, peers: Vec<Option<RingDoorbell>>) {
        self.peers = peers;
    }

    fn ring_peer(&mut self, core: usize) {
        let Some(Some(peer)) = self.peers.get(core) else { return };
        let token = Token::Rang(core as u32).pack();
        let message = opcode::MsgRingData::new(Fd(peer.0.as_raw_fd()), 0, Token::Doorbell.pack(), None);
        // Its completion matters only if it failed.
        self.push(message.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(token));
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
        self.buffers.bytes(chunk)
    }

    fn release(&mut self, chunk: Chunk) {
        self.buffers.give_back(chunk.buffer);
    }

    fn write_file(&mut self, tag: u64, fd: RawFd, offset: u64, buf: IoBuf, dsync: bool) {
        self.start_write(tag, fd, offset, buf, dsync);
    }

    fn read_file(&mut self, tag: u64, fd: RawFd, offset: u64, buf: IoBuf) {
        self.start_read(tag, fd, offset, buf);
    }

    fn sync_file(&mut self, tag: u64, fd: RawFd) {
        self.start_sync(tag, fd);
    }

    fn set_deadline(&mut self, at: Option<u64>) {
        self.deadline = at;
    }

    async fn turn(&mut self, wait: Wait) -> io::Result<()> {
        self.one_turn(wait).await
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.next_event()
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    async fn shutdown(mut self) {
        self.tear_down();
        self.bell.stop().await;
    }
}
