//! What waits for the log and has no connection of this core that could wait for it.

use bytes::Bytes;

use crate::core::pending::Requester;
use crate::mesh::message::Forward;

/// A publish from elsewhere that waits for the log. Bounded by `HANDED_BYTES_MAX` for each core, and by the bodies that
/// HTTP may have in receipt.
#[derive(Debug)]
pub(super) enum Delayed {
    /// Of connections of another core.
    Forward {
        /// That core.
        from: u16,
        /// The publishes.
        forward: Box<Forward>,
        /// How many of them were carried out, and how many bytes those had.
        done: (usize, usize),
    },
    /// Of an HTTP handler.
    Request {
        /// Who hears of it.
        requester: Requester,
        /// The topic.
        topic: String,
        /// Delay in milliseconds.
        defer_ms: u32,
        /// The messages.
        bodies: Vec<Bytes>,
    },
}

#[cfg(test)]
impl Delayed {
    /// Bytes that wait.
    pub(in crate::core) fn bytes(&self) -> usize {
        match self {
            Delayed::Forward { forward, done, .. } => forward.bytes.len() - done.1,
            Delayed::Request { bodies, .. } => bodies.iter().map(Bytes::len).sum(),
        }
    }
}
