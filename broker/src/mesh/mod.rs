//! The rings between the cores: one single-producer single-consumer ring per ordered pair.
//!
//! ```text
//!            core 0   core 1   core 2
//!   core 0      ·    ──ring─►  ──ring─►      every arrow: a ring of 1,024 items, and at its writer a list of
//!   core 1   ◄─ring──    ·     ──ring─►      what did not fit
//!   core 2   ◄─ring──  ◄─ring──    ·
//! ```
//!
//! Sending never blocks and never fails: what does not fit into a ring waits at its writer, in order, and is moved on
//! each of the writer's turns. Everything that travels here is an answer to, or bounded by, something that a client or
//! a peer core was allowed to have under way; the list has no bound of its own, and [`MeshEnd::overflow_count`] shows
//! it.
//!
//! A turn of a core: [`poll`](MeshEnd::poll) and [`send`](MeshEnd::send) as often as need be, then
//! [`flush`](MeshEnd::flush) and ring whom it names, then [`about_to_sleep`](MeshEnd::about_to_sleep) and, if that
//! agrees, sleep; then [`awake`](MeshEnd::awake).

pub mod doorbell;
pub mod handle;
pub mod message;
pub mod permits;
pub mod placement;
pub mod process;
pub mod request;

use std::collections::VecDeque;
use std::sync::Arc;

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::mesh::doorbell::Sleeping;

/// Items that fit into the ring of one ordered pair of cores, in the broker.
pub const RING_ITEMS_MAX: usize = 1024;

/// Items taken from one peer before the next one's turn.
const BURST_ITEMS_MAX: usize = 32;

/// One core's end of the mesh. Belongs to that core's thread.
pub struct MeshEnd<M> {
    core: usize,
    /// By number of core; our own place is a list of what we sent to ourselves.
    peers: Vec<Peer<M>>,
    sleeping: Arc<[Sleeping]>,
    /// Whose items are taken next, and how many of its burst are left.
    next_peer: usize,
    burst_left: usize,
    to_ring: Vec<usize>,
}

struct Peer<M> {
    rings: Option<(Producer<M>, Consumer<M>)>,
    /// What did not fit, or, at our own place, what is for us.
    overflow: VecDeque<M>,
    /// Something was put into its ring since the last flush.
    touched: bool,
}

impl<M> std::fmt::Debug for MeshEnd<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeshEnd({} of {}, {} waiting)", self.core, self.peers.len(), self.overflow_count())
    }
}

/// Ties `cores` cores together, by rings for `ring_items` items each; end `n` is for core `n`.
pub fn mesh<M: Send>(cores: usize, ring_items: usize) -> Vec<MeshEnd<M>> {
    let sleeping: Arc<[Sleeping]> = (0..cores).map(|_| Sleeping::new()).collect();
    let mut producers: Vec<Vec<Option<Producer<M>>>> = Vec::new();
    let mut consumers: Vec<Vec<Option<Consumer<M>>>> = Vec::new();
    for _ in 0..cores {
        producers.push((0..cores).map(|_| None).collect());
        consumers.push((0..cores).map(|_| None).collect());
    }
    for from in 0..cores {
        for to in (0..cores).filter(|to| *to != from) {
            let (producer, consumer) = RingBuffer::new(ring_items);
            producers[from][to] = Some(producer);
            consumers[to][from] = Some(consumer);
        }
    }
    let ends = producers.into_iter().zip(consumers).enumerate();
    ends.map(|(core, (to, from))| MeshEnd::new(core, to, from, sleeping.clone())).collect()
}

impl<M> MeshEnd<M> {
    fn new(
        core: usize,
        to: Vec<Option<Producer<M>>>,
        from: Vec<Option<Consumer<M>>>,
        sleeping: Arc<[Sleeping]>,
    ) -> Self {
        let rings = to.into_iter().zip(from).map(|(to, from)| to.zip(from));
        let peers = rings.map(|rings| Peer { rings, overflow: VecDeque::new(), touched: false }).collect();
        Self { core, peers, sleeping, next_peer: 0, burst_left: BURST_ITEMS_MAX, to_ring: Vec::new() }
    }

    /// Puts an item on its way to core `to`; items to one core arrive in the order of sending. Sending to oneself
    /// works too. The peer hears of it at the next [`flush`](MeshEnd::flush) if it sleeps.
    ///
    /// # Panics
    ///
    /// When there is no core of that number.
    pub fn send(&mut self, to: usize, item: M) {
        let peer = &mut self.peers[to];
        match &mut peer.rings {
            Some((producer, _)) if peer.overflow.is_empty() => {
                if let Err(PushError::Full(item)) = producer.push(item)
                    && !planted!(FullRingDrops)
                {
                    reach!("mesh.ring.full");
                    peer.overflow.push_back(item);
                }
                peer.touched = true;
            }
            _ => peer.overflow.push_back(item),
        }
    }

    /// Moves what had not fitted, and names the cores that sleep and must be rung now. Each is named once per sleep,
    /// to one of its writers.
    pub fn flush(&mut self) -> impl Iterator<Item = usize> {
        self.to_ring.clear();
        for (to, peer) in self.peers.iter_mut().enumerate() {
            peer.drain_overflow();
            if std::mem::take(&mut peer.touched) && self.sleeping[to].claim() && !planted!(SleeperNotRung) {
                self.to_ring.push(to);
            }
        }
        self.to_ring.drain(..)
    }

    /// The next item and who sent it; fair among the peers. The caller limits how many it takes per turn.
    pub fn poll(&mut self) -> Option<(usize, M)> {
        for _ in 0..=self.peers.len() {
            if self.burst_left > 0
                && let Some(item) = self.peers[self.next_peer].take()
            {
                self.burst_left -= 1;
                return Some((self.next_peer, item));
            }
            self.next_peer = (self.next_peer + 1) % self.peers.len();
            self.burst_left = BURST_ITEMS_MAX;
        }
        None
    }

    /// Announces a sleep and looks once more. True: the core may sleep, and will be rung. False: there is something to
    /// take, or to pass on to a core whose ring was full, so the core goes on.
    pub fn about_to_sleep(&mut self) -> bool {
        self.sleeping[self.core].announce();
        let may_sleep = self.is_empty();
        if !may_sleep {
            self.awake();
        }
        may_sleep
    }

    /// Ends a sleep, or the announcement of one.
    pub fn awake(&self) {
        self.sleeping[self.core].awake();
    }

    /// True if there is nothing to take and nothing that waits for room. Items in the rings to other cores are their
    /// business.
    pub fn is_empty(&self) -> bool {
        self.peers.iter().all(|peer| {
            let nothing_came = peer.rings.as_ref().is_none_or(|(_, consumer)| consumer.is_empty());
            nothing_came && peer.overflow.is_empty()
        })
    }

    /// Items that wait for room in a ring, for all peers together.
    pub fn overflow_count(&self) -> usize {
        let others = self.peers.iter().filter(|peer| peer.rings.is_some());
        others.map(|peer| peer.overflow.len()).sum()
    }
}

impl<M> Peer<M> {
    fn take(&mut self) -> Option<M> {
        match &mut self.rings {
            Some((_, consumer)) => consumer.pop().ok(),
            None => self.overflow.pop_front(),
        }
    }

    fn drain_overflow(&mut self) {
        let Some((producer, _)) = &mut self.rings else { return };
        if !self.overflow.is_empty() && producer.is_abandoned() {
            // The core has ended; nobody will take these.
            self.overflow.clear();
        }
        while let Some(item) = self.overflow.pop_front() {
            if let Err(PushError::Full(item)) = producer.push(item) {
                self.overflow.push_front(item);
                return;
            }
            self.touched = true;
        }
    }
}

#[cfg(test)]
mod tests;
