//! One publishing command: what it says, its bodies, its refusal.

use nsq_protocol::WireError;
use nsq_protocol::error::cause;

use crate::client::replies::PublishVerb;
use crate::client::suspended::Suspended;

/// Marks a [`Waiter`] that is a request of [`super::pending::PendingRequests`], not a connection. Slots never have this bit.
pub(super) const WAITER_IS_REQUEST: u64 = 1 << 63;

/// One publishing command, without its bodies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publish<'a> {
    pub(super) topic: &'a str,
    pub(super) verb: PublishVerb,
    /// Delay in milliseconds, 0 for none.
    pub(super) defer_ms: u32,
    /// Number of messages, at least one.
    pub(super) count: u32,
    /// Bytes of all bodies.
    pub(super) body_bytes: u64,
}

/// The publish was not taken: its topic is going away, or its log takes no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused;

/// The error for a publish that was not taken.
pub(super) fn refusal(verb: PublishVerb) -> WireError {
    match verb {
        PublishVerb::Pub => WireError::pub_failed(cause::EXITING),
        PublishVerb::Mpub => WireError::mpub_failed(cause::EXITING),
        PublishVerb::Dpub => WireError::dpub_failed(cause::EXITING),
    }
}

pub(super) fn suspend<'a>(publish: &Publish<'_>, bodies: impl Iterator<Item = &'a [u8]>) -> Suspended {
    let mut messages = Vec::with_capacity(publish.body_bytes as usize + 4 * publish.count as usize);
    append_sized(&mut messages, bodies);
    Suspended::Publish {
        topic: publish.topic.to_owned(),
        verb: publish.verb,
        defer_ms: publish.defer_ms,
        messages,
        count: publish.count,
    }
}

pub(super) fn append_sized<'a>(out: &mut Vec<u8>, bodies: impl Iterator<Item = &'a [u8]>) {
    for body in bodies {
        out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        out.extend_from_slice(body);
    }
}

/// Bodies that lie one behind the other, each with its size as u32 before it.
#[derive(Clone)]
pub(super) struct Sized<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Sized<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (size, rest) = self.0.split_first_chunk()?;
        let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        self.0 = rest;
        Some(body)
    }
}
