//! Request bodies: received within a limit, or dropped.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use glommio::sync::{Semaphore, StaticPermit};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;

use super::deadline::{Deadline, Phase};
use super::{BODY_BYTES_IN_RECEIPT_MAX, BODY_BYTES_SMALL};

/// What is read and dropped of a body that no handler wanted, to keep the connection usable. For a larger rest,
/// closing is cheaper.
pub(super) const DROPPED_BYTES_MAX: u64 = 256 * 1024;

/// Why a body was not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than the limit.
    TooBig,
    /// It ended before its end.
    Broken,
}

/// The body of one request, and what it holds of the core's budget. Dropped after the answer is made.
pub(super) struct RequestBody<B = Incoming> {
    incoming: B,
    declared_size: Option<u64>,
    /// The peer waits for our word before it sends; reading gives it.
    expects_continue: bool,
    state: State,
    deadline: Rc<Deadline>,
    budget: Rc<Semaphore>,
    permit: Option<StaticPermit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unread,
    Partly,
    Complete,
    Broken,
}

impl<B: Body<Data = Bytes> + Unpin> RequestBody<B> {
    pub(super) fn new(
        incoming: B,
        headers: &HeaderMap,
        deadline: Rc<Deadline>,
        budget: Rc<Semaphore>,
    ) -> Self {
        let declared_size = incoming.size_hint().exact();
        let state = if incoming.is_end_stream() { State::Complete } else { State::Unread };
        let expects_continue = headers.contains_key(EXPECT);
        Self { incoming, declared_size, expects_continue, state, deadline, budget, permit: None }
    }

    /// Whether the size is known beforehand to be above `size_max`.
    pub(super) fn declares_more_than(&self, size_max: usize) -> bool {
        self.declared_size.is_some_and(|size| size > size_max as u64)
    }

    /// The whole body, of at most `size_max` bytes. Memory grows by what has arrived, never by what was announced.
    pub(super) async fn collect(&mut self, size_max: usize) -> Result<Bytes, BodyError> {
        if self.declares_more_than(size_max) {
            return Err(BodyError::TooBig);
        }
        if self.declared_size.is_some_and(|size| size > BODY_BYTES_SMALL as u64) {
            self.reserve(self.declared_size.unwrap_or_default()).await?;
        }
        let mut received = Received::default();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            let size = received.len() + piece.len();
            if size > size_max {
                return Err(BodyError::TooBig);
            }
            if size > BODY_BYTES_SMALL && self.permit.is_none() {
                self.reserve(size_max as u64).await?;
            }
            received.push(piece);
        }
        Ok(received.into_bytes())
    }

    /// Reads the rest of a body and drops it. False where that would be too much: the connection must be closed.
    pub(super) async fn drop_rest(&mut self) -> bool {
        let waits_for_us = self.expects_continue && self.state == State::Unread;
        match self.state {
            State::Complete => return true,
            State::Broken => return false,
            _ if waits_for_us || self.declares_more_than(DROPPED_BYTES_MAX as usize) => return false,
            State::Unread | State::Partly => {}
        }
        let mut dropped = 0;
        while let Some(piece) = self.next().await {
            let Ok(piece) = piece else { return false };
            dropped += piece.len() as u64;
            if dropped > DROPPED_BYTES_MAX {
                return false;
            }
        }
        true
    }

    /// Waits until the core has room for a large body. All of it is asked for at once: bodies that each held a
    /// part and waited for the rest would wait for each other.
    async fn reserve(&mut self, size: u64) -> Result<(), BodyError> {
        let size = size.min(BODY_BYTES_IN_RECEIPT_MAX);
        self.deadline.enter(Phase::Working);
        self.permit = Some(self.budget.acquire_static_permit(size).await.map_err(|_| BodyError::Broken)?);
        Ok(())
    }

    /// The next piece of data; trailers are skipped.
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.state == State::Complete {
            return None;
        }
        self.deadline.enter_body();
        loop {
            match self.incoming.frame().await {
                Some(Ok(frame)) => {
                    self.state = State::Partly;
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Some(Err(_)) => {
                    self.state = State::Broken;
                    self.deadline.enter(Phase::Working);
                    return Some(Err(BodyError::Broken));
                }
                None => {
                    self.state = State::Complete;
                    self.deadline.enter(Phase::Working);
                    return None;
                }
            }
        }
    }
}

/// The pieces so far. A single one, the usual case, is not copied.
#[derive(Default)]
struct Received {
    only: Bytes,
    joined: BytesMut,
}

impl Received {
    fn len(&self) -> usize {
        self.only.len() + self.joined.len()
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.only = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.only));
        }
        self.joined.extend_from_slice(&piece);
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.only } else { self.joined.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_order() {
        for count in 0..5 {
            let mut received = Received::default();
            let pieces: Vec<Vec<u8>> = (0..count).map(|i| vec![b'a' + i; usize::from(i)]).collect();
            pieces.iter().for_each(|piece| received.push(Bytes::from(piece.clone())));
            assert_eq!(received.len(), pieces.concat().len());
            assert_eq!(received.into_bytes(), pieces.concat());
        }
    }
}
