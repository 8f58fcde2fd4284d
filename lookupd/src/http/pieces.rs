//! Listings, made piece by piece while they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Either;
use hyper::body::{Body, Frame};
use nsq_http::reply;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Answer, whole};
use crate::limits::{ANSWER_BYTES_MAX, PIECE_SIZE};
use crate::registry::{Cursor, Listing};
use crate::shared::Shared;

/// Permits for pieces that are made and not sent: [`ANSWER_BYTES_MAX`].
pub(super) fn budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ANSWER_BYTES_MAX / PIECE_SIZE))
}

/// The answer; what fits one piece is sent as a whole. Waits while too much is unsent.
pub(super) async fn answer(shared: Arc<Shared>, budget: Arc<Semaphore>, listing: Listing) -> Answer {
    let permit = acquire(Arc::clone(&budget)).await;
    let mut pieces = Pieces { shared, budget, cursor: Cursor::new(listing), ready: None, permit: None };
    let first = pieces.make(permit);
    if pieces.cursor.is_at_end() {
        return whole(reply::json(first));
    }
    pieces.ready = Some(first);
    reply::json("").map(|_| Either::Right(pieces))
}

pub(super) struct Pieces {
    shared: Arc<Shared>,
    budget: Arc<Semaphore>,
    cursor: Cursor,
    ready: Option<Bytes>,
    /// The wait for the next piece's permit.
    permit: Option<Permit>,
}

type Permit = Pin<Box<dyn Future<Output = OwnedSemaphorePermit> + Send + Sync>>;

/// Bytes with their permit, which is given back when the connection has passed all of them on.
struct Piece {
    text: String,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Pieces {
    fn make(&mut self, permit: OwnedSemaphorePermit) -> Bytes {
        let mut text = String::with_capacity(1024);
        let now_ns = self.shared.clock.now_ns();
        self.shared.registry().push_piece(&mut text, &mut self.cursor, now_ns, PIECE_SIZE);
        // Small answers are the rule, and live for the life of a write.
        text.shrink_to_fit();
        Bytes::from_owner(Piece { text, _permit: permit })
    }
}

async fn acquire(budget: Arc<Semaphore>) -> OwnedSemaphorePermit {
    budget.acquire_owned().await.expect("invariant: the semaphore is never closed")
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(ready) = self.ready.take() {
            return Poll::Ready(Some(Ok(Frame::data(ready))));
        }
        if self.cursor.is_at_end() {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let wait = this.permit.get_or_insert_with(|| Box::pin(acquire(Arc::clone(&this.budget))));
        let permit = ready!(wait.as_mut().poll(task));
        this.permit = None;
        let piece = this.make(permit);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_none() && self.cursor.is_at_end()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::time::{Duration, timeout};

    use super::*;
    use crate::clock::Clock;
    use crate::registry::{Lifetimes, Registry};

    fn shared() -> Arc<Shared> {
        let mut registry = Registry::new(Lifetimes { inactive_ns: i64::MAX, tombstone_ns: 0 });
        // Some three pieces of `/topics`.
        (0..3 * PIECE_SIZE / 60).for_each(|i| assert!(registry.create_topic(&format!("{i:057}")).unwrap()));
        Arc::new(Shared::new(registry, Clock::start(), Vec::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_made_and_not_sent_is_bounded_over_all_clients() {
        let (shared, budget) = (shared(), Arc::new(Semaphore::new(1)));
        let answer = |shared: &Arc<Shared>| answer(Arc::clone(shared), Arc::clone(&budget), Listing::Topics);
        let mut stalled = answer(&shared).await.into_body();
        let unsent = stalled.frame().await.unwrap().unwrap();
        let moment = Duration::from_secs(1);
        assert!(timeout(moment, answer(&shared)).await.is_err(), "waits for the one who does not read");
        assert!(timeout(moment, stalled.frame()).await.is_err(), "who gets no more either");
        drop(unsent);
        let mut end = Vec::new();
        while let Some(piece) = stalled.frame().await {
            end = piece.unwrap().into_data().unwrap().to_vec();
        }
        assert!(end.ends_with(b"\"]}"));
        assert_eq!(budget.available_permits(), 1);
    }
}
