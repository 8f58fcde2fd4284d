//! A core's transport in the world: the broker's own table of connections over pipes, and files that are the kernel's
//! business. The world drives it from the other side: it says which bytes come in, which are taken, what has ended.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use nsq_queue::Now;
use nsq_wal::{Disk, Io, IoResult};
use nsqd::transport::{
    CHUNK_BYTES, Chunk, ChunkOwner, Close, Counters, Event, LocalWaker, Options, ReceiveEnd, RemoteWaker,
    Sending, Slot, Socket, Sockets, Table, Transport, Wait,
};

use crate::choice::Draws;
use crate::clock::Clock;
use crate::pipe::Pipe;

/// The connections of a world by number, shared by clients and cores.
pub type Pipes = Rc<RefCell<BTreeMap<u64, Pipe>>>;

/// A socket of the broker. Its drop closes it.
#[derive(Debug)]
pub struct Ticket {
    /// The connection.
    pub pipe: u64,
    /// Where the drop is noted. Sockets cross the rings between cores, so this has to be `Send`.
    closed: Arc<Mutex<Vec<u64>>>,
}

impl Ticket {
    /// The broker's end of a connection.
    pub fn new(pipe: u64, closed: Arc<Mutex<Vec<u64>>>) -> Ticket {
        Ticket { pipe, closed }
    }

    /// As the broker hands it around.
    pub fn into_socket(self) -> Socket {
        Socket::ticket(Some(address(self.pipe)), Box::new(self))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).push(self.pipe);
    }
}

/// The client's address, which tells its connection.
pub fn address(pipe: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, (pipe >> 8) as u8, pipe as u8], 1_024 + (pipe % 60_000) as u16))
}

/// Hears of every byte that a core hands to its transport.
pub trait SendAudit {
    /// The connection has a slot on this core.
    fn on_attach(&mut self, core: u16, slot: u64, pipe: u64);

    /// `bytes` are on their way to the client at the other end of `pipe`.
    fn on_send(&mut self, core: u16, pipe: u64, bytes: &[u8]);
}

/// What the cores of one process share with the world.
#[derive(Clone)]
pub struct Shared {
    /// The clock.
    pub clock: Rc<Clock>,
    /// The connections.
    pub pipes: Pipes,
    /// Cores that were rung.
    pub bells: Rc<RefCell<BTreeSet<u16>>>,
    /// What the logs want of the disk, with the core and its tag.
    pub io: Rc<RefCell<VecDeque<(u16, u64, Io)>>>,
    /// Who looks at what is sent.
    pub audit: Rc<RefCell<dyn SendAudit>>,
}

/// One core's transport.
pub struct SimTransport {
    core: u16,
    shared: Shared,
    sockets: SimSockets,
    table: Table<SimSockets>,
    /// The connection behind each slot.
    attached: BTreeMap<u64, u64>,
    listening: bool,
    deadline: Option<u64>,
    waker: Rc<LocalWaker>,
}

/// The kernel's side of one core's sockets.
pub struct SimSockets {
    clock: Rc<Clock>,
    pipes: Pipes,
    receives: BTreeMap<u64, Receive>,
    sends: BTreeMap<u64, Send>,
    buffers: Vec<Vec<u8>>,
    free: Vec<u16>,
    owner: ChunkOwner,
}

/// A receive that the kernel was asked for.
#[derive(Clone, Copy, Debug)]
struct Receive {
    slot: Slot,
    pipe: u64,
    cancelled: bool,
}

#[derive(Debug)]
struct Send {
    slot: Slot,
    pipe: u64,
    bytes: Vec<u8>,
    how: Sending,
    aborted: bool,
}

/// Something that the kernel may do next for a connection of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetChoice {
    /// Bytes, an end or an error come in.
    Receive(Slot),
    /// A cancelled receive is answered.
    Cancelled(Slot),
    /// Bytes of a send are taken, or it fails.
    Send(Slot),
}

impl Sockets for SimSockets {
    type Socket = Ticket;

    fn now_ns(&self) -> u64 {
        self.clock.ns()
    }

    fn arm(&mut self, slot: Slot, socket: &Ticket) {
        self.receives.insert(slot.to_u64(), Receive { slot, pipe: socket.pipe, cancelled: false });
    }

    fn cancel(&mut self, slot: Slot, _socket: &Ticket) -> bool {
        if let Some(receive) = self.receives.get_mut(&slot.to_u64()) {
            receive.cancelled = true;
        }
        false
    }

    fn send(&mut self, slot: Slot, socket: &Ticket, bytes: &[u8], how: Sending) {
        let send = Send { slot, pipe: socket.pipe, bytes: bytes.to_vec(), how, aborted: false };
        self.sends.insert(slot.to_u64(), send);
    }

    fn shutdown(&mut self, socket: &Ticket) {
        if let Some(pipe) = self.pipes.borrow_mut().get_mut(&socket.pipe) {
            pipe.to_client.end();
        }
    }

    fn abort(&mut self, slot: Slot, _socket: &Ticket) -> bool {
        if let Some(receive) = self.receives.get_mut(&slot.to_u64()) {
            receive.cancelled = true;
        }
        if let Some(send) = self.sends.get_mut(&slot.to_u64()) {
            send.aborted = true;
        }
        false
    }

    fn detach(&mut self, socket: Ticket) -> Result<Socket, (Ticket, i32)> {
        Ok(socket.into_socket())
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        &self.buffers[usize::from(self.owner.buffer(chunk))][..chunk.len()]
    }

    fn release(&mut self, chunk: Chunk) {
        self.free.push(self.owner.buffer(&chunk));
    }
}

impl SimTransport {
    /// A transport with so many receive buffers.
    pub fn new(core: u16, shared: Shared, buffers: u16) -> SimTransport {
        let sockets = SimSockets {
            clock: shared.clock.clone(),
            pipes: shared.pipes.clone(),
            receives: BTreeMap::new(),
            sends: BTreeMap::new(),
            buffers: (0..buffers).map(|_| Vec::new()).collect(),
            free: (0..buffers).rev().collect(),
            owner: ChunkOwner::new(),
        };
        SimTransport {
            core,
            shared,
            sockets,
            table: Table::default(),
            attached: BTreeMap::new(),
            listening: true,
            deadline: None,
            waker: Rc::default(),
        }
    }

    /// Whether a turn has a cause: an event, a bell, the deadline.
    pub fn has_cause(&self) -> bool {
        self.table.has_events()
            || self.shared.bells.borrow().contains(&self.core)
            || self.next_deadline().is_some_and(|at| at <= self.shared.clock.ns())
    }

    /// When the core has something to do although nothing happens.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadline.into_iter().chain(self.table.next_deadline()).min()
    }

    /// The part of a turn that the kernel does: what is due is reported.
    pub fn begin_turn(&mut self) {
        self.shared.bells.borrow_mut().remove(&self.core);
        if self.deadline.is_some_and(|at| at <= self.shared.clock.ns()) {
            self.deadline = None;
            self.table.report(Event::Timer);
        }
        self.table.end_closing(&mut self.sockets);
    }

    /// The part that it does before it waits: receives go on where buffers were missing.
    pub fn end_turn(&mut self) {
        let free = self.sockets.free.len();
        self.table.feed_starved(&mut self.sockets, free);
    }

    /// Whether connections are accepted.
    pub fn is_listening(&self) -> bool {
        self.listening
    }

    /// A client has connected.
    pub fn accept(&mut self, ticket: Ticket) {
        self.table.report(Event::Accepted { listener: 0, socket: ticket.into_socket() });
    }

    /// An operation of the disk has ended.
    pub fn io_done(&mut self, tag: u64, result: IoResult) {
        self.table.report(Event::Io { tag, result });
    }

    /// Connections in the table, and places whose end was not taken yet.
    pub fn connection_count(&self) -> usize {
        self.table.len()
    }

    /// Adds what may happen next on the sockets.
    pub fn choices(&self, into: &mut Vec<(u16, NetChoice)>) {
        let pipes = self.shared.pipes.borrow();
        for receive in self.sockets.receives.values() {
            let Some(pipe) = pipes.get(&receive.pipe) else { continue };
            if receive.cancelled {
                into.push((self.core, NetChoice::Cancelled(receive.slot)));
            } else if pipe.reset || !pipe.to_broker.is_empty() || pipe.to_broker.is_over() {
                into.push((self.core, NetChoice::Receive(receive.slot)));
            }
        }
        for send in self.sockets.sends.values() {
            let Some(pipe) = pipes.get(&send.pipe) else { continue };
            let gone = pipe.reset || pipe.client_closed || send.aborted;
            if gone || send.how == Sending::AtOnce || pipe.to_client.room() > 0 {
                into.push((self.core, NetChoice::Send(send.slot)));
            }
        }
    }

    /// Makes one of the choices.
    pub fn choose(&mut self, choice: NetChoice, draws: &mut Draws) {
        match choice {
            NetChoice::Receive(slot) => self.receive(slot, draws),
            NetChoice::Cancelled(slot) => self.cancelled(slot, draws),
            NetChoice::Send(slot) => self.progress(slot, draws),
        }
    }

    fn receive(&mut self, slot: Slot, draws: &mut Draws) {
        let Some(Receive { pipe, .. }) = self.sockets.receives.get(&slot.to_u64()).copied() else { return };
        let end = {
            let pipes = self.shared.pipes.borrow();
            let Some(pipe) = pipes.get(&pipe) else { return };
            if pipe.reset {
                Some(ReceiveEnd::Failed(libc::ECONNRESET))
            } else if pipe.to_broker.is_over() {
                Some(ReceiveEnd::Input)
            } else {
                None
            }
        };
        if let Some(end) = end {
            return self.end_receive(slot, end);
        }
        let Some(buffer) = self.sockets.free.pop() else {
            return self.end_receive(slot, ReceiveEnd::Starved);
        };
        let most = match draws.below(8) {
            0 => 1,
            1 => draws.within(1, 64) as usize,
            2 => draws.within(1, CHUNK_BYTES as u64) as usize,
            _ => CHUNK_BYTES,
        };
        let bytes = match self.shared.pipes.borrow_mut().get_mut(&pipe) {
            Some(pipe) => pipe.to_broker.take(most),
            None => Vec::new(),
        };
        let size = bytes.len() as u32;
        self.sockets.buffers[usize::from(buffer)] = bytes;
        let chunk = self.sockets.owner.chunk(buffer, size);
        self.table.received(&mut self.sockets, slot, chunk);
    }

    /// A receive that was cancelled ends as cancelled, or with what came just before.
    fn cancelled(&mut self, slot: Slot, draws: &mut Draws) {
        let Some(Receive { pipe, .. }) = self.sockets.receives.get(&slot.to_u64()).copied() else { return };
        let (has_bytes, over, reset) = {
            let pipes = self.shared.pipes.borrow();
            let Some(pipe) = pipes.get(&pipe) else { return };
            (!pipe.to_broker.is_empty(), pipe.to_broker.is_over(), pipe.reset)
        };
        if has_bytes && !reset && draws.percent(50) {
            return self.receive(slot, draws);
        }
        let end = match draws.below(2) {
            0 if reset => ReceiveEnd::Failed(libc::ECONNRESET),
            0 if over => ReceiveEnd::Input,
            _ => ReceiveEnd::Over,
        };
        self.end_receive(slot, end);
    }

    fn end_receive(&mut self, slot: Slot, end: ReceiveEnd) {
        self.sockets.receives.remove(&slot.to_u64());
        self.table.receive_ended(&mut self.sockets, slot, end);
    }

    fn progress(&mut self, slot: Slot, draws: &mut Draws) {
        let Some(send) = self.sockets.sends.remove(&slot.to_u64()) else { return };
        let result = {
            let mut pipes = self.shared.pipes.borrow_mut();
            match pipes.get_mut(&send.pipe) {
                Some(_) if send.aborted => Err(libc::ECANCELED),
                Some(pipe) if !pipe.reset && !pipe.client_closed => {
                    let most = match draws.below(8) {
                        0 => draws.within(1, 64) as usize,
                        _ => send.bytes.len(),
                    };
                    let size = pipe.to_client.put(&send.bytes[..most.min(send.bytes.len())]);
                    if size == 0 { Err(libc::EAGAIN) } else { Ok(size) }
                }
                _ => Err(libc::EPIPE),
            }
        };
        self.table.sent(&mut self.sockets, slot, result);
    }

    fn forget(&mut self, slot: Slot) {
        self.attached.remove(&slot.to_u64());
    }
}

fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

impl Transport for SimTransport {
    type Doorbell = ();

    fn open(_options: &Options, _disk: Arc<dyn Disk>) -> io::Result<Self> {
        Err(unsupported())
    }

    fn now(&self) -> Now {
        self.shared.clock.read()
    }

    fn doorbell(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_peers(&mut self, _peers: Vec<Option<()>>) {}

    fn ring_peer(&mut self, core: usize) {
        self.shared.bells.borrow_mut().insert(core as u16);
    }

    fn local_waker(&self) -> Rc<LocalWaker> {
        self.waker.clone()
    }

    fn remote_waker(&self) -> io::Result<RemoteWaker> {
        Err(unsupported())
    }

    fn listen(&mut self, _listener: u8, _socket: OwnedFd) -> io::Result<()> {
        Err(unsupported())
    }

    fn stop_listening(&mut self) {
        self.listening = false;
    }

    fn attach(&mut self, socket: Socket) -> Slot {
        let ticket = socket.into_ticket().and_then(|ticket| ticket.downcast::<Ticket>().ok());
        let ticket = *ticket.expect("invariant: sockets of this world are tickets");
        let pipe = ticket.pipe;
        let slot = self.table.attach(&mut self.sockets, |_| ticket);
        self.attached.insert(slot.to_u64(), pipe);
        self.shared.audit.borrow_mut().on_attach(self.core, slot.to_u64(), pipe);
        slot
    }

    fn send(&mut self, slot: Slot, bytes: Vec<u8>) {
        if let Some(pipe) = self.attached.get(&slot.to_u64()) {
            self.shared.audit.borrow_mut().on_send(self.core, *pipe, &bytes);
        }
        self.table.send(&mut self.sockets, slot, bytes);
    }

    fn pause(&mut self, slot: Slot) {
        self.table.set_paused(&mut self.sockets, slot, true);
    }

    fn resume(&mut self, slot: Slot) {
        self.table.set_paused(&mut self.sockets, slot, false);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.table.close(&mut self.sockets, slot, how);
    }

    fn detach(&mut self, slot: Slot) {
        self.table.detach(&mut self.sockets, slot);
    }

    fn chunk(&self, chunk: &Chunk) -> &[u8] {
        self.sockets.bytes(chunk)
    }

    fn release(&mut self, chunk: Chunk) {
        self.sockets.release(chunk);
    }

    fn submit(&mut self, tag: u64, io: Io) {
        self.shared.io.borrow_mut().push_back((self.core, tag, io));
    }

    fn set_deadline(&mut self, at: Option<u64>) {
        self.deadline = at;
    }

    async fn turn(&mut self, _wait: Wait) -> io::Result<()> {
        Err(unsupported())
    }

    fn poll_event(&mut self) -> Option<Event> {
        let event = self.table.next_event(&mut self.sockets)?;
        if let Event::Closed { slot } | Event::Detached { slot, .. } = &event {
            self.forget(*slot);
        }
        Some(event)
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn check(&self) {
        self.table.check();
    }

    async fn shutdown(self) {}
}
