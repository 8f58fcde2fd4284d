//! What waits for the log and has no connection of this core that could wait for it.

use bytes::Bytes;

use crate::core::pending::Requester;
use crate::mesh::message::Forward;

/// A publish from elsewhere that waits for the log. Bounded by what the senders may have unanswered.
#[derive(Debug)]
pub(super) enum Delayed {
    /// Of connections of another core.
    Forward(u16, Box<Forward>),
    /// Of an HTTP handler.
    Request { requester: Requester, topic: String, defer_ms: u32, bodies: Vec<Bytes> },
}
