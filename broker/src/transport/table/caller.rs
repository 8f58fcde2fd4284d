//! What the caller of a transport asks of its connections.

use super::super::lifecycle::{Lifecycle, Phase};
use super::super::slot::Slot;
use super::super::{Close, Event, FLUSH_NS_MAX};
use super::{Connection, Place, Queued, Sending, Sockets, Table, live};

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
