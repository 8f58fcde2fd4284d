//! Requests under way, and who waits for their answers.

use std::collections::HashMap;

use crate::mesh::request::{Pending, Response};
use crate::transport::Slot;

/// Who asked.
#[derive(Debug, Clone)]
pub(super) enum Asker {
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

/// Numbered waiting askers. Bounded by what can ask: connections and HTTP requests, one each at a time.
#[derive(Debug, Default)]
pub(super) struct Asks {
    next: u64,
    waiting: HashMap<u64, (Asker, Response)>,
    /// Requests whose effect has to be in the log of a shard before they are answered.
    durable: HashMap<u64, u16>,
}

impl Asks {
    /// Remembers who waits, and what to answer if nothing better comes; the number comes back with the answer.
    pub(super) fn add(&mut self, asker: Asker, response: Response) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, (asker, response));
        self.next
    }

    /// As [`Asks::add`], for a request that is answered when its effect is in the log of `shard`.
    pub(super) fn add_durable(&mut self, asker: Asker, response: Response, shard: u16) -> u64 {
        let number = self.add(asker, response);
        self.durable.insert(number, shard);
        number
    }

    /// The shard whose log has to be waited for before `number` is answered. Asked once.
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
    pub(super) fn take(&mut self, number: u64) -> Option<(Asker, Response)> {
        self.waiting.remove(&number)
    }
}
