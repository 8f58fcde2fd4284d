//! Requests under way, and who waits for their answers.

use std::collections::HashMap;

use crate::mesh::handle::Pending;
use crate::mesh::request::Response;
use crate::transport::Slot;

/// Who waits for an answer.
#[derive(Debug, Clone)]
pub(super) enum Requester {
    /// A task of this core's executor, an HTTP handler say.
    Task(Pending),
    /// Another core, which knows the request by `number`.
    Core {
        /// The asking core.
        core: u16,
        /// Its number for the request.
        number: u64,
    },
    /// A connection of this core.
    Connection(Slot),
}

/// Requests under way, numbered. Bounded by what can make them: connections and HTTP requests, one each at a time.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    next: u64,
    waiting: HashMap<u64, (Requester, Response)>,
    /// Requests whose effect has to be in the log of a shard before they are answered.
    durable: HashMap<u64, u16>,
}

impl PendingRequests {
    /// Remembers who waits, and what to answer if nothing better comes; the number comes back with the answer.
    pub(super) fn add(&mut self, requester: Requester, response: Response) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, (requester, response));
        self.next
    }

    /// As [`PendingRequests::add`], for a request that is answered when its effect is in the log of `shard`.
    pub(super) fn add_durable(&mut self, requester: Requester, response: Response, shard: u16) -> u64 {
        let number = self.add(requester, response);
        self.durable.insert(number, shard);
        number
    }

    /// The shard whose log has to be waited for before `number` is answered. QueuedRequest once.
    pub(super) fn take_durable(&mut self, number: u64) -> Option<u16> {
        self.durable.remove(&number)
    }

    /// Changes the answer that was prepared.
    pub(super) fn prepare(&mut self, number: u64, response: Response) {
        if let Some((_, prepared)) = self.waiting.get_mut(&number) {
            *prepared = response;
        }
    }

    /// Who waited under `number`, and the answer that was prepared.
    pub(super) fn take(&mut self, number: u64) -> Option<(Requester, Response)> {
        self.waiting.remove(&number)
    }
}
