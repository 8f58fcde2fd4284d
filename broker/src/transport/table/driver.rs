//! What a driver reports of its connections.

use super::super::lifecycle::{Phase, Receive};
use super::super::slot::Slot;
use super::super::{Chunk, Event};
use super::{Connection, Place, Queued, ReceiveEnd, Sending, Sockets, Table, live};

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

    pub(super) fn send_ended(&mut self, sockets: &mut K, slot: Slot) {
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
}
