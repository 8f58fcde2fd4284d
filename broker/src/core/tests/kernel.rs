//! A kernel that does what a test says: sockets are byte buffers, the disk is a real one that can be stopped, and the
//! clock stands still.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use nsq_queue::Now;
use nsq_wal::{Disk, Io};

use crate::transport::{
    Chunk, ChunkOwner, Close, Counters, Event, LocalWaker, Options, RemoteWaker, Slot, Socket, Transport,
    Wait,
};

/// What the kernel knows of one connection.
pub(crate) struct Peer {
    /// What the client has read.
    pub(crate) read: Vec<u8>,
    /// The client reads what it is sent.
    pub(crate) reads: bool,
    /// The core reads from it.
    pub(crate) receiving: bool,
    /// How it was closed, in order.
    pub(crate) closes: Vec<Close>,
    under_way: Option<Vec<u8>>,
    detaching: Option<Vec<u8>>,
    gone: bool,
    socket: Option<Socket>,
}

/// One core's kernel.
pub(crate) struct Kernel {
    pub(crate) now: Now,
    pub(crate) peers: HashMap<Slot, Peer>,
    /// The disk answers nothing.
    pub(crate) disk_stands: bool,
    /// What the core's next turn finds.
    pub(crate) events: VecDeque<Event>,
    pub(crate) deadline: Option<u64>,
    pub(crate) rung: Vec<usize>,
    /// What the core has told the kernel to do, in number.
    pub(crate) calls: u64,
    disk: Arc<dyn Disk>,
    io: VecDeque<(u64, Io)>,
    chunks: BTreeMap<u16, Vec<u8>>,
    owner: ChunkOwner,
    generations: HashMap<u32, u32>,
    free: Vec<u32>,
    next_chunk: u16,
}

/// The seam of a core, over a [`Kernel`] that the test holds too.
pub(crate) struct FakeTransport(pub(crate) Rc<RefCell<Kernel>>);

impl Kernel {
    pub(crate) fn new(disk: Arc<dyn Disk>, now: Now) -> Rc<RefCell<Kernel>> {
        Rc::new(RefCell::new(Kernel {
            now,
            peers: HashMap::new(),
            disk_stands: false,
            events: VecDeque::new(),
            deadline: None,
            rung: Vec::new(),
            calls: 0,
            disk,
            io: VecDeque::new(),
            chunks: BTreeMap::new(),
            owner: ChunkOwner::new(),
            generations: HashMap::new(),
            free: Vec::new(),
            next_chunk: 0,
        }))
    }

    pub(crate) fn accept(&mut self) {
        let nothing: OwnedFd = File::open("/dev/null").expect("/dev/null").into();
        self.events.push_back(Event::Accepted { listener: 0, socket: nothing.into() });
    }

    /// Bytes of the client arrive, in buffers of 16 KiB.
    pub(crate) fn receive(&mut self, slot: Slot, bytes: &[u8]) {
        for part in bytes.chunks(16 * 1024) {
            self.next_chunk = self.next_chunk.wrapping_add(1);
            self.chunks.insert(self.next_chunk, part.to_vec());
            let chunk = self.owner.chunk(self.next_chunk, part.len() as u32);
            self.events.push_back(Event::Received { slot, chunk });
        }
    }

    /// Buffers that the core has not given back.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// Everything that can happen by itself happens: sends, closes, detaches, the disk.
    pub(crate) fn run(&mut self) {
        for (slot, peer) in &mut self.peers {
            let sent = if peer.reads { peer.under_way.take() } else { None };
            if let Some(mut buffer) = sent {
                peer.read.append(&mut buffer);
                if peer.closes.is_empty() {
                    self.events.push_back(Event::Sent { slot: *slot, buffer });
                }
            }
            let abort = peer.closes.contains(&Close::Abort);
            if !peer.closes.is_empty() && !peer.gone && (abort || peer.under_way.is_none()) {
                peer.gone = true;
                peer.socket = None;
                self.free.push(slot.index);
                self.events.push_back(Event::Closed { slot: *slot });
            } else if peer.closes.is_empty()
                && peer.under_way.is_none()
                && !peer.gone
                && let Some(pending) = peer.detaching.take()
            {
                peer.gone = true;
                let socket = peer.socket.take().expect("a socket until it goes");
                self.free.push(slot.index);
                self.events.push_back(Event::Detached { slot: *slot, socket, pending });
            }
        }
        if !self.disk_stands {
            while let Some((tag, io)) = self.io.pop_front() {
                let (_, result) = io.run(&*self.disk);
                self.events.push_back(Event::Io { tag, result });
            }
        }
    }

    /// A part of what is under way is taken by a client that does not read everything.
    pub(crate) fn take(&mut self, slot: Slot, bytes: usize) {
        let peer = self.peers.get_mut(&slot).expect("a peer");
        let under_way = peer.under_way.as_mut().expect("a send under way");
        let bytes = bytes.min(under_way.len());
        peer.read.extend(under_way.drain(..bytes));
        self.events.push_back(Event::Taken { slot, bytes });
    }

    /// Bytes that arrive while a connection is being detached.
    pub(crate) fn receive_late(&mut self, slot: Slot, bytes: &[u8]) -> bool {
        let detaching = self.peers.get_mut(&slot).and_then(|peer| peer.detaching.as_mut());
        detaching.map(|pending| pending.extend_from_slice(bytes)).is_some()
    }

    pub(crate) fn is_detaching(&self, slot: Slot) -> bool {
        self.peers.get(&slot).is_some_and(|peer| peer.detaching.is_some())
    }

    fn open(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.peers.get_mut(&slot).filter(|peer| peer.closes.is_empty() && !peer.gone)
    }
}

impl Transport for FakeTransport {
    type Doorbell = ();

    fn open(_: &Options, _: Arc<dyn Disk>) -> io::Result<Self> {
        unreachable!("a test makes its own")
    }

    fn now(&self) -> Now {
        self.0.borrow().now
    }

    fn doorbell(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_peers(&mut self, _: Vec<Option<()>>) {}

    fn ring_peer(&mut self, core: usize) {
        self.0.borrow_mut().rung.push(core);
    }

    fn local_waker(&self) -> Rc<LocalWaker> {
        Rc::default()
    }

    fn remote_waker(&self) -> io::Result<RemoteWaker> {
        unreachable!("there are no other threads")
    }

    fn listen(&mut self, _: u8, _: OwnedFd) -> io::Result<()> {
        Ok(())
    }

    fn stop_listening(&mut self) {}

    fn attach(&mut self, socket: Socket) -> Slot {
        let mut kernel = self.0.borrow_mut();
        kernel.calls += 1;
        let index = kernel.free.pop().unwrap_or(kernel.generations.len() as u32);
        let generation = kernel.generations.entry(index).and_modify(|g| *g += 1).or_insert(1);
        let slot = Slot { index, generation: *generation };
        kernel.peers.insert(
            slot,
            Peer {
                read: Vec::new(),
                reads: true,
                receiving: true,
                closes: Vec::new(),
                under_way: None,
                detaching: None,
                gone: false,
                socket: Some(socket),
            },
        );
        slot
    }

    fn send(&mut self, slot: Slot, bytes: Vec<u8>) {
        let mut kernel = self.0.borrow_mut();
        kernel.calls += 1;
        let Some(peer) = kernel.open(slot) else { return };
        assert!(peer.under_way.is_none(), "one send at a time");
        assert!(peer.detaching.is_none(), "nothing is sent behind a detach");
        peer.under_way = Some(bytes);
    }

    fn pause(&mut self, slot: Slot) {
        if let Some(peer) = self.0.borrow_mut().open(slot) {
            assert!(std::mem::replace(&mut peer.receiving, false), "paused once");
        }
    }

    fn resume(&mut self, slot: Slot) {
        if let Some(peer) = self.0.borrow_mut().open(slot) {
            assert!(!std::mem::replace(&mut peer.receiving, true), "resumed once");
        }
    }

    fn close(&mut self, slot: Slot, how: Close) {
        let mut kernel = self.0.borrow_mut();
        kernel.calls += 1;
        if let Some(peer) = kernel.peers.get_mut(&slot).filter(|peer| !peer.gone) {
            peer.closes.push(how);
            peer.detaching = None;
            kernel.events.retain(|event| match event {
                Event::Received { slot: other, .. }
                | Event::EndOfInput { slot: other }
                | Event::Taken { slot: other, .. }
                | Event::Sent { slot: other, .. }
                | Event::Failed { slot: other, .. } => *other != slot,
                _ => true,
            });
        }
    }

    fn detach(&mut self, slot: Slot) {
        if let Some(peer) = self.0.borrow_mut().open(slot) {
            peer.detaching = Some(Vec::new());
        }
    }

    fn chunk(&self, chunk: &Chunk) -> &[u8] {
        let kernel = self.0.borrow();
        let bytes: &[u8] = &kernel.chunks[&kernel.owner.buffer(chunk)];
        // The borrow of the kernel ends here, the bytes stay until `release`: a test leaks them instead of lying.
        Vec::leak(bytes.to_vec())
    }

    fn release(&mut self, chunk: Chunk) {
        let mut kernel = self.0.borrow_mut();
        let buffer = kernel.owner.buffer(&chunk);
        kernel.chunks.remove(&buffer);
    }

    fn submit(&mut self, tag: u64, io: Io) {
        let mut kernel = self.0.borrow_mut();
        kernel.calls += 1;
        kernel.io.push_back((tag, io));
    }

    fn set_deadline(&mut self, at: Option<u64>) {
        self.0.borrow_mut().deadline = at;
    }

    async fn turn(&mut self, _: Wait) -> io::Result<()> {
        Ok(())
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.borrow_mut().events.pop_front()
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn check(&self) {}

    async fn shutdown(self) {}
}
