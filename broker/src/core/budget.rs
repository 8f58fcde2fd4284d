//! What the clients of a core make it keep, in bytes, in sum.
//!
//! *In receipt*: unfinished commands and what waits behind held ones. A command larger than [`RECEIPT_BYTES_FREE`]
//! reserves its size before more of it is read; who gets nothing is not read, and its clock stands. The first of those
//! that wait is served whatever the sum is: so the core never stands still, and exceeds its budget by one command.
//!
//! *Untaken*: what was written to clients and not taken by the kernel. While it is too much, consumers get less room,
//! then nothing, and those that read nothing are closed, the slowest first.

use std::collections::VecDeque;

use nsq_queue::{ConsumerId, Input};

use crate::client::connection::{Charged, Connection};
use crate::client::stage::{Event, Stage};
use crate::core::engine::Engine;
use crate::limits::{
    DEAL_BYTES_PER_TURN, DELIVERY_ROOM_BYTES, DELIVERY_ROOM_BYTES_SCARCE, EVICT_NS_MIN, RECEIPT_BYTES_FREE,
    RECEIPT_BYTES_MAX, UNTAKEN_BYTES_MAX, UNTAKEN_BYTES_SOFT,
};
use crate::transport::Slot;

/// How often to look for a connection to close while too much is untaken, ns.
const EVICT_STEP_NS: u64 = 100_000_000;

/// The sums. Owned by the core.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Bytes in receipt.
    pub(super) receipt: usize,
    /// Bytes untaken.
    pub(super) untaken: u64,
    /// Connections that wait until their command may be received, oldest first.
    starved: VecDeque<Slot>,
    /// The one that was served beyond the budget.
    first: Option<Slot>,
    /// Consumers were told that room is scarce.
    scarce: bool,
}

impl Budget {
    /// Bytes of room for each consumer.
    pub(super) fn room_max(&self) -> u64 {
        if self.scarce { DELIVERY_ROOM_BYTES_SCARCE } else { DELIVERY_ROOM_BYTES }
    }

    /// Bytes that one turn may deliver.
    pub(super) fn deal_bytes_max(&self) -> u64 {
        if self.untaken > UNTAKEN_BYTES_MAX { 0 } else { DEAL_BYTES_PER_TURN }
    }

    /// When to look for a connection to close, monotonic ns.
    pub(super) fn evict_at(&self, now: u64) -> Option<u64> {
        (self.untaken > UNTAKEN_BYTES_MAX).then_some(now + EVICT_STEP_NS)
    }
}

impl Engine {
    /// Makes what is counted for a connection what it is.
    pub(super) fn charge(&mut self, connection: &mut Connection) {
        let kept = connection.kept_bytes().saturating_sub(RECEIPT_BYTES_FREE);
        let now =
            Charged { receipt: kept.max(connection.input.reserved), untaken: connection.output.untaken() };
        let before = std::mem::replace(&mut connection.charged, now);
        self.budget.receipt = self.budget.receipt + now.receipt - before.receipt;
        self.budget.untaken = self.budget.untaken + now.untaken as u64 - before.untaken as u64;
    }

    /// The connection leaves this core, or is no more.
    pub(super) fn discharge(&mut self, slot: Slot, connection: &mut Connection) {
        let Charged { receipt, untaken } = std::mem::take(&mut connection.charged);
        if planted!(GoneStayCounted) {
            return;
        }
        self.budget.receipt -= receipt;
        self.budget.untaken -= untaken as u64;
        connection.input.reserved = 0;
        connection.input.starved = false;
        if self.budget.first == Some(slot) {
            self.budget.first = None;
        }
    }

    /// A command is being received: its size is reserved, or it waits for that. What is complete is given back.
    pub(super) fn reserve(&mut self, slot: Slot, connection: &mut Connection) {
        let kept = connection.input.len();
        let waits = connection.runs() && kept > 0;
        let wanted = if waits { connection.session.wanted(kept) } else { 0 };
        if wanted <= RECEIPT_BYTES_FREE {
            if connection.input.reserved > 0 {
                connection.input.reserved = 0;
                self.charge(connection);
            }
            if self.budget.first == Some(slot) {
                self.budget.first = None;
            }
            connection.input.starved = false;
        } else if wanted > connection.input.reserved && !connection.input.starved {
            self.charge(connection);
            let more = wanted - connection.charged.receipt.min(wanted);
            if self.budget.receipt + more <= RECEIPT_BYTES_MAX || self.budget.first == Some(slot) {
                connection.input.reserved = wanted;
                self.charge(connection);
            } else {
                connection.input.starved = true;
                self.budget.starved.push_back(slot);
            }
        }
    }

    /// Serves those that wait for memory, as far as there is some.
    pub(super) fn feed_starved(&mut self) {
        while let Some(&slot) = self.budget.starved.front() {
            let Some(mut connection) = self.connections.take(slot) else {
                self.budget.starved.pop_front();
                continue;
            };
            let mut served = true;
            if connection.input.starved {
                let wanted = connection.session.wanted(connection.input.len());
                let more = wanted - connection.charged.receipt.min(wanted);
                let fits = self.budget.receipt + more <= RECEIPT_BYTES_MAX;
                served = fits || self.budget.first.is_none();
                if served {
                    if !fits {
                        self.budget.first = Some(slot);
                    }
                    connection.input.starved = false;
                    connection.input.reserved = wanted;
                    connection.waiting_since = self.now.mono_ns;
                    self.charge(&mut connection);
                    self.after_commands(slot, &mut connection);
                    self.set_timer(slot, &mut connection);
                }
            }
            self.connections.put_back(slot, connection);
            if !served {
                return;
            }
            self.budget.starved.pop_front();
        }
    }

    /// Keeps what is untaken within bounds: room for consumers, and the end of one that reads nothing.
    pub(super) fn watch_untaken(&mut self) {
        let untaken = self.budget.untaken;
        let scarce = untaken > if self.budget.scarce { UNTAKEN_BYTES_SOFT / 2 } else { UNTAKEN_BYTES_SOFT };
        if scarce != self.budget.scarce {
            self.budget.scarce = scarce;
            for slot in self.connections.slots() {
                if let Some(mut connection) = self.connections.take(slot) {
                    self.tell_room(slot, &mut connection);
                    self.connections.put_back(slot, connection);
                }
            }
            self.turn_again = true;
        }
        if untaken > UNTAKEN_BYTES_MAX {
            self.evict_slowest();
        }
    }

    fn evict_slowest(&mut self) {
        let now = self.now.mono_ns;
        let slowest = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.output.is_sending())
            .filter(|(_, connection)| !matches!(connection.stage, Stage::Closing(_)))
            .map(|(slot, connection)| (connection.output.progress_at, slot.to_u64()))
            .min();
        let Some((_, slot)) = slowest.filter(|(since, _)| now >= since + EVICT_NS_MIN) else { return };
        let slot = Slot::from_u64(slot);
        if let Some(mut connection) = self.connections.take(slot) {
            self.happen(slot, &mut connection, Event::TakesNothing);
            self.connections.put_back(slot, connection);
        }
        self.turn_again = true; // Its bytes leave the sum when the transport gives its slot back.
    }

    /// Tells the queue how much more this consumer takes, if that has changed by enough.
    pub(super) fn tell_room(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.channel.is_none() {
            return;
        }
        if let Some(room_bytes) = connection.output.room_to_tell(self.budget.room_max()) {
            let consumer = ConsumerId(slot.to_u64());
            self.queue.handle(self.now, Input::Writable { consumer, room_bytes });
        }
    }
}
