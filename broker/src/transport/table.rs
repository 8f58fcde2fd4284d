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
use super::{Chunk, Close, DRAIN_NS_MAX, Event, FLUSH_NS_MAX};

mod check;
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

/// The caller's side.
impl<K: Sockets> Table<K> {
    /// Takes a connection in and receives. `socket` makes the driver's part of it.
    pub fn attach(&mut self, sockets: &mut K, socket: impl FnOnce(Slot) -> K::Socket) -> Slot {
        let slot = self.slots.insert_with(|slot| {
            Place::Live(Connection {
                socket: socket(slot),
                life: Lifecycle::new(),
                sending: Vec::new(),
                sent_size: 0,
                pending: Vec::new(),
                in_starved: false,
            })
        });
        self.settle(sockets, slot);
        slot
    }

    /// See [`Transport::send`](super::Transport::send).
    pub fn send(&mut self, sockets: &mut K, slot: Slot, bytes: Vec<u8>) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        if connection.life.broken || connection.life.phase != Phase::Open {
            return;
        }
        assert!(!connection.life.sending, "one send at a time");
        connection.sending = bytes;
        connection.sent_size = 0;
        if connection.sending.is_empty() {
            return self.send_ended(sockets, slot);
        }
        connection.life.sending = true;
        sockets.send(slot, &connection.socket, &connection.sending, Sending::AtOnce);
    }

    /// Stops receiving, or receives again.
    pub fn set_paused(&mut self, sockets: &mut K, slot: Slot, paused: bool) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        connection.life.paused = paused;
        self.settle(sockets, slot);
    }

    /// See [`Transport::close`](super::Transport::close).
    pub fn close(&mut self, sockets: &mut K, slot: Slot, how: Close) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        match how {
            Close::Flush if connection.life.reports() => {
                connection.life.phase = Phase::Flushing;
                self.closing.add(sockets.now_ns() + FLUSH_NS_MAX, slot, Phase::Flushing);
            }
            Close::Flush => {}
            Close::Abort => connection.life.phase = Phase::Ending,
        }
        self.settle(sockets, slot);
    }

    /// Closes everything at once.
    pub fn abort_all(&mut self, sockets: &mut K) {
        let slots: Vec<_> = self.slots.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.close(sockets, slot, Close::Abort);
        }
    }

    /// See [`Transport::detach`](super::Transport::detach).
    pub fn detach(&mut self, sockets: &mut K, slot: Slot) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        if connection.life.phase != Phase::Open {
            return;
        }
        connection.life.phase = Phase::Detaching;
        self.absorb_queued_input(sockets, slot);
        self.settle(sockets, slot);
    }

    /// Input that the caller has not taken yet comes before what is still to come in.
    fn absorb_queued_input(&mut self, sockets: &mut K, slot: Slot) {
        for event in std::mem::take(&mut self.events) {
            match event {
                Queued::Event(Event::Received { slot: other, chunk }) if other == slot => {
                    self.received(sockets, slot, chunk);
                }
                Queued::Event(Event::EndOfInput { slot: other }) if other == slot => {}
                event => self.events.push_back(event),
            }
        }
    }

    /// Queues an event that is no connection's.
    pub fn report(&mut self, event: Event) {
        debug_assert_eq!(event.connection(), None);
        self.events.push_back(Queued::Event(event));
    }

    /// Whether [`Table::next_event`] has something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next event. Those of connections that were closed since they were queued interest nobody.
    pub fn next_event(&mut self, sockets: &mut K) -> Option<Event> {
        loop {
            let event = match self.events.pop_front()? {
                Queued::Event(event) => event,
                Queued::HandOver(slot) => match self.hand_over(sockets, slot) {
                    Some(event) => return Some(event),
                    None => continue,
                },
                Queued::Closed(slot) => {
                    self.slots.remove(slot);
                    return Some(Event::Closed { slot });
                }
            };
            let Some(slot) = event.connection() else { return Some(event) };
            if live(&mut self.slots, slot).is_some_and(|connection| connection.life.reports()) {
                return Some(event);
            }
            if let Event::Received { chunk, .. } = event {
                sockets.release(chunk);
            }
        }
    }

    fn hand_over(&mut self, sockets: &mut K, slot: Slot) -> Option<Event> {
        if live(&mut self.slots, slot)?.life.phase != Phase::HandedOver {
            return None;
        }
        let place = self.slots.get_mut(slot)?;
        let Place::Live(mut connection) = std::mem::replace(place, Place::Closed) else { return None };
        match sockets.detach(connection.socket) {
            Ok(socket) => {
                self.slots.remove(slot);
                Some(Event::Detached { slot, socket, pending: connection.pending })
            }
            // It stays, as good as broken, until the caller closes it.
            Err((socket, errno)) => {
                connection.life.broken = true;
                *place = Place::Live(Connection { socket, ..connection });
                Some(Event::Failed { slot, errno })
            }
        }
    }

    /// Slots in use: connections, and ends of connections that were not taken yet.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no slot is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Receives that ended for want of buffers, and sends that were taken only in part at first, since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.starved_count, self.partial_sends)
    }
}

/// The driver's side.
impl<K: Sockets> Table<K> {
    /// The kernel has taken `result` bytes of a send, or failed with an errno.
    pub fn sent(&mut self, sockets: &mut K, slot: Slot, result: Result<usize, i32>) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        debug_assert!(connection.life.sending);
        let size = match result {
            Ok(size) => size,
            Err(libc::EAGAIN | libc::EINTR) => 0,
            Err(errno) => {
                connection.life.sending = false;
                connection.end_send();
                return self.fail(sockets, slot, errno);
            }
        };
        connection.sent_size += size;
        if connection.sent_size == connection.sending.len() {
            return self.send_ended(sockets, slot);
        }
        if connection.life.phase == Phase::Ending {
            connection.life.sending = false;
            connection.end_send();
            return self.settle(sockets, slot);
        }
        // The peer reads slower than we send.
        self.partial_sends += 1;
        let rest = &connection.sending[connection.sent_size..];
        sockets.send(slot, &connection.socket, rest, Sending::WhenWritable);
        if size > 0 && connection.life.reports() && !connection.life.broken {
            self.events.push_back(Queued::Event(Event::Taken { slot, bytes: size }));
        }
    }

    fn send_ended(&mut self, sockets: &mut K, slot: Slot) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        connection.life.sending = false;
        let mut buffer = connection.end_send();
        if connection.life.reports() && !connection.life.broken {
            buffer.clear();
            self.events.push_back(Queued::Event(Event::Sent { slot, buffer }));
        }
        self.settle(sockets, slot);
    }

    /// Bytes have come in.
    pub fn received(&mut self, sockets: &mut K, slot: Slot, chunk: Chunk) {
        let phase = live(&mut self.slots, slot).map(|connection| connection.life.phase);
        match phase {
            Some(Phase::Open) if !chunk.is_empty() => {
                self.events.push_back(Queued::Event(Event::Received { slot, chunk }));
            }
            Some(Phase::Detaching) => {
                if let Some(connection) = live(&mut self.slots, slot) {
                    connection.pending.extend_from_slice(sockets.bytes(&chunk));
                }
                sockets.release(chunk);
            }
            _ => sockets.release(chunk),
        }
    }

    /// The receive is over.
    pub fn receive_ended(&mut self, sockets: &mut K, slot: Slot, end: ReceiveEnd) {
        let Some(connection) = live(&mut self.slots, slot) else { return };
        connection.life.receive = Receive::Idle;
        match end {
            ReceiveEnd::Over => {}
            ReceiveEnd::Input => {
                connection.life.input_over = true;
                if connection.life.phase == Phase::Open {
                    self.events.push_back(Queued::Event(Event::EndOfInput { slot }));
                }
            }
            ReceiveEnd::Starved => {
                connection.life.receive = Receive::Starved;
                self.starved_count += 1;
                if !std::mem::replace(&mut connection.in_starved, true) {
                    self.starved.push_back(slot);
                }
            }
            ReceiveEnd::Failed(errno) => return self.fail(sockets, slot, errno),
        }
        self.settle(sockets, slot);
    }

    /// `buffers` are free: receives again where some were missing, for as many connections, since the others would
    /// starve again at once.
    pub fn feed_starved(&mut self, sockets: &mut K, buffers: usize) {
        let mut fed = 0;
        while fed < buffers {
            let Some(slot) = self.starved.pop_front() else { return };
            let Some(connection) = live(&mut self.slots, slot) else { continue };
            connection.in_starved = false;
            if connection.life.receive == Receive::Starved {
                connection.life.receive = Receive::Idle;
                self.settle(sockets, slot);
                fed += 1;
            }
        }
    }

    /// Puts an end to the closing connections whose time is over.
    pub fn end_closing(&mut self, sockets: &mut K) {
        if self.closing.next().is_none() {
            return;
        }
        let now = sockets.now_ns();
        while let Some((slot, phase)) = self.closing.pop_due(now) {
            let Some(connection) = live(&mut self.slots, slot) else { continue };
            if connection.life.phase == phase {
                connection.life.phase = Phase::Ending;
                self.settle(sockets, slot);
            }
        }
    }

    /// When [`Table::end_closing`] has something to do.
    pub fn next_deadline(&self) -> Option<u64> {
        self.closing.next()
    }

    /// The kernel still works on something.
    pub fn is_under_way(&self) -> bool {
        self.slots.iter().any(|(_, place)| match place {
            Place::Live(Connection { life, .. }) => {
                life.sending || matches!(life.receive, Receive::Armed | Receive::Cancelling)
            }
            Place::Closed => false,
        })
    }

    /// The socket of a connection that is to receive; for drivers that poll.
    pub fn receiving(&mut self, slot: Slot) -> Option<&mut K::Socket> {
        let connection = live(&mut self.slots, slot)?;
        (connection.life.receive == Receive::Armed).then_some(&mut connection.socket)
    }

    /// The socket of a connection with a send under way, and what is left of it; for drivers that poll.
    pub fn unsent(&mut self, slot: Slot) -> Option<(&mut K::Socket, &[u8])> {
        let connection = live(&mut self.slots, slot)?;
        let rest = &connection.sending[connection.sent_size..];
        connection.life.sending.then_some((&mut connection.socket, rest))
    }

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
