//! The connections of one core: their places, their life cycles, and the events that wait for the caller. Once, for
//! all drivers: a driver does what [`Sockets`] asks, and reports what came of it.
//!
//! ```text
//!   caller ── attach, send, pause, close, detach ──►┌───────┐── arm, cancel, send, … ──► driver ──► kernel
//!          ◄─────────── next_event ─────────────────│ Table │◄─ received, sent, … ──────
//!                                                   └───────┘
//! ```
//!
//! A slot is free again when its last event, `Closed` or `Detached`, was *taken*: whoever keeps something by slot
//! never meets a new connection before it has heard of the end of the old one.
//!
//! What the drivers' unsafe code leans on: the bytes given to [`Sockets::send`] stay in place and untouched until
//! [`Table::sent`] is called for that slot, or [`Sockets::abort`] says that nothing is under way.

use std::collections::VecDeque;

use super::closing::Closing;
use super::lifecycle::{Lifecycle, Phase, Receive, Step};
use super::slot::{Slot, Slots};
use super::socket::Socket;
use super::{Chunk, DRAIN_NS_MAX, Event};

mod caller;
mod check;
mod driver;
#[cfg(test)]
mod tests;

/// How a send waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It does not: what the peer has no room for is not sent.
    AtOnce,
    /// Until the peer has room for a part of it; that part is reported, not the whole.
    WhenWritable,
}

/// How a receive has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// It was cancelled, or has to be armed again.
    Over,
    /// The peer sends no more.
    Input,
    /// No buffer was free.
    Starved,
    /// An errno.
    Failed(i32),
}

/// What a [`Table`] asks of its driver. None of these reports back before it has returned.
pub trait Sockets {
    /// A connected socket as the driver keeps it; its drop closes the descriptor.
    type Socket;

    /// Monotonic time in ns.
    fn now_ns(&self) -> u64;

    /// Receives from now on: [`Table::received`], until [`Table::receive_ended`].
    fn arm(&mut self, slot: Slot, socket: &Self::Socket);

    /// Stops receiving. True: it has stopped; false: [`Table::receive_ended`] will say so.
    fn cancel(&mut self, slot: Slot, socket: &Self::Socket) -> bool;

    /// Sends all of `bytes`, which are not empty, or a first part of them, and reports [`Table::sent`].
    fn send(&mut self, slot: Slot, socket: &Self::Socket, bytes: &[u8], how: Sending);

    /// Tells the peer that no more will come. A socket that cannot be shut down is dead, which its receive will tell.
    fn shutdown(&mut self, socket: &Self::Socket);

    /// Makes receive and send end now. True: they have; false: [`Table::receive_ended`] and [`Table::sent`] will say
    /// so.
    fn abort(&mut self, slot: Slot, socket: &Self::Socket) -> bool;

    /// The descriptor, for another core; or the errno of why not, with the socket.
    fn detach(&mut self, socket: Self::Socket) -> Result<Socket, (Self::Socket, i32)>;

    /// The bytes of a chunk.
    fn bytes(&self, chunk: &Chunk) -> &[u8];

    /// Takes a chunk's buffer back.
    fn release(&mut self, chunk: Chunk);
}

/// One core's connections. See the module's head.
pub struct Table<K: Sockets> {
    slots: Slots<Place<K::Socket>>,
    events: VecDeque<Queued>,
    /// Connections whose receive ended for want of buffers, each once.
    starved: VecDeque<Slot>,
    closing: Closing,
    /// Receives that ended for want of buffers.
    starved_count: u64,
    /// Sends that the kernel took only in part at first.
    partial_sends: u64,
}

#[derive(Debug)]
enum Place<S> {
    Live(Connection<S>),
    /// Its `Closed` waits for the caller.
    Closed,
}

#[derive(Debug)]
struct Connection<S> {
    socket: S,
    life: Lifecycle,
    /// What is being sent, and how much of it was taken by the kernel.
    sending: Vec<u8>,
    sent_size: usize,
    /// Input since `detach`.
    pending: Vec<u8>,
    /// It stands in `Table::starved`.
    in_starved: bool,
}

/// What waits for the caller.
#[derive(Debug)]
enum Queued {
    Event(Event),
    /// A connection in `Phase::HandedOver`; it stays until its event is taken, so that its earlier events find it.
    HandOver(Slot),
    /// A place that is free once this is taken.
    Closed(Slot),
}

impl<K: Sockets> std::fmt::Debug for Table<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} slots, {} events)", self.len(), self.events.len())
    }
}

impl<K: Sockets> Default for Table<K> {
    fn default() -> Self {
        Self {
            slots: Slots::new(),
            events: VecDeque::new(),
            starved: VecDeque::new(),
            closing: Closing::default(),
            starved_count: 0,
            partial_sends: 0,
        }
    }
}

impl<K: Sockets> Table<K> {
    fn fail(&mut self, sockets: &mut K, slot: Slot, errno: i32) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        let first = !connection.life.broken;
        connection.life.broken = true;
        if first && connection.life.reports() {
            self.events.push_back(Queued::Event(Event::Failed { slot, errno }));
        }
        self.settle(sockets, slot);
    }

    /// Does what the connection's state asks for.
    fn settle(&mut self, sockets: &mut K, slot: Slot) {
        while let Some(connection) = live(&mut self.slots, slot) {
            let Connection { socket, life, .. } = connection;
            match life.step() {
                Step::Nothing => return,
                Step::Arm => sockets.arm(slot, socket),
                Step::Cancel => {
                    if sockets.cancel(slot, socket) {
                        life.receive = Receive::Idle;
                    }
                }
                Step::SayGoodbye => {
                    sockets.shutdown(socket);
                    self.closing.add(sockets.now_ns() + DRAIN_NS_MAX, slot, Phase::Draining);
                }
                Step::Break => {
                    if sockets.abort(slot, socket) {
                        life.receive = Receive::Idle;
                        life.sending = false;
                        connection.end_send();
                    }
                }
                Step::Finish => {
                    if let Some(place) = self.slots.get_mut(slot) {
                        *place = Place::Closed;
                    }
                    if planted!(SlotReused) {
                        self.slots.remove(slot);
                    }
                    self.events.push_back(Queued::Closed(slot));
                    return;
                }
                Step::HandOver => self.events.push_back(Queued::HandOver(slot)),
            }
        }
    }
}

impl<S> Connection<S> {
    /// Nothing of the send is left; the buffer, as it was.
    fn end_send(&mut self) -> Vec<u8> {
        self.sent_size = 0;
        std::mem::take(&mut self.sending)
    }
}

fn live<S>(slots: &mut Slots<Place<S>>, slot: Slot) -> Option<&mut Connection<S>> {
    match slots.get_mut(slot)? {
        Place::Live(connection) => Some(connection),
        Place::Closed => None,
    }
}
