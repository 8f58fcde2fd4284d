//! Bytes handed to other cores and not looked at there: publishes for their topics, batches for their channels.
//!
//! A ring between two cores is bounded by a count, and overflows into memory. So the sender counts bytes, and the
//! receiver says now and then how many it has taken. While a core has too much to take, those who cause it wait.

use std::collections::VecDeque;

use nsq_queue::PeerMessage;

use crate::client::stage::Why;
use crate::core::engine::Engine;
use crate::limits::{HANDED_BYTES_MAX, HANDED_REPORT_BYTES};
use crate::mesh::message::CoreMessage;
use crate::transport::Slot;

/// The counts of one core; index = the other core.
#[derive(Debug)]
pub(super) struct Handed {
    /// Handed over and not reported as taken.
    to: Vec<u64>,
    /// Taken and not reported.
    from: Vec<u64>,
    /// Connections whose publishes wait for that core.
    waiting: Vec<VecDeque<Slot>>,
    /// Cores that have more than they should.
    over: usize,
}

impl Handed {
    pub(super) fn new(cores: u16) -> Self {
        let cores = usize::from(cores);
        Self {
            to: vec![0; cores],
            from: vec![0; cores],
            waiting: (0..cores).map(|_| VecDeque::new()).collect(),
            over: 0,
        }
    }

    /// Whether a core has more to take than it should.
    pub(super) fn is_over(&self) -> bool {
        self.over > 0
    }

    /// Whether so many bytes more may be handed to `core`. Something always may, or a large publish never could.
    pub(super) fn takes(&self, core: u16, bytes: u64) -> bool {
        let handed = self.to[usize::from(core)];
        handed == 0 || handed + bytes <= HANDED_BYTES_MAX
    }

    /// Bytes are on their way to `core`.
    pub(super) fn add(&mut self, core: u16, bytes: u64) {
        let handed = &mut self.to[usize::from(core)];
        let before = *handed > HANDED_BYTES_MAX;
        *handed += bytes;
        self.over += usize::from(!before && *handed > HANDED_BYTES_MAX);
    }

    /// A connection waits until `core` has taken more.
    pub(super) fn wait(&mut self, core: u16, slot: Slot) {
        self.waiting[usize::from(core)].push_back(slot);
    }
}

/// What a message between the halves of the queue keeps alive at its receiver, bytes.
pub(super) fn weight(message: &PeerMessage) -> u64 {
    match message {
        PeerMessage::Batch { batch, .. } => batch.payload.len() as u64,
        _ => 0,
    }
}

impl Engine {
    /// What `from` has handed over was looked at.
    pub(super) fn took(&mut self, from: u16, bytes: u64) {
        let taken = &mut self.handed.from[usize::from(from)];
        *taken += bytes;
        if *taken >= HANDED_REPORT_BYTES {
            let bytes = std::mem::take(taken);
            self.mesh.send(usize::from(from), CoreMessage::Taken { bytes });
        }
    }

    /// `core` has taken so many bytes.
    pub(super) fn on_handed_taken(&mut self, core: u16, bytes: u64) {
        let handed = &mut self.handed.to[usize::from(core)];
        let before = *handed > HANDED_BYTES_MAX;
        *handed = handed.saturating_sub(bytes);
        self.handed.over -= usize::from(before && *handed <= HANDED_BYTES_MAX);
        if *handed <= HANDED_BYTES_MAX / 2 {
            let waiting = std::mem::take(&mut self.handed.waiting[usize::from(core)]);
            self.ready.extend(waiting.into_iter().map(|slot| (slot, Why::Window)));
        }
    }
}
