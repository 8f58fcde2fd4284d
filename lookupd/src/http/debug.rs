//! `/debug`, made piece by piece while it is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Either;
use hyper::body::{Body, Frame};
use nsq_http::reply;

use super::{Answer, whole};
use crate::limits::DEBUG_PIECE_SIZE;
use crate::registry::DebugCursor;
use crate::shared::Shared;

/// The answer; what fits one piece is sent as a whole.
pub(super) fn answer(shared: &Arc<Shared>) -> Answer {
    let mut first = String::new();
    let next = shared.registry().push_debug(&mut first, DebugCursor::default(), DEBUG_PIECE_SIZE);
    if next.is_none() {
        return whole(reply::json(first));
    }
    let ready = Some(Bytes::from(first));
    reply::json("").map(|_| Either::Right(Pieces { shared: Arc::clone(shared), ready, next }))
}

/// With thousands of peers the whole would be tens of megabytes, and making it would hold up everybody.
pub(super) struct Pieces {
    shared: Arc<Shared>,
    ready: Option<Bytes>,
    next: Option<DebugCursor>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(ready) = self.ready.take() {
            return Poll::Ready(Some(Ok(Frame::data(ready))));
        }
        let Some(cursor) = self.next.take() else { return Poll::Ready(None) };
        let mut piece = String::with_capacity(DEBUG_PIECE_SIZE);
        let next = self.shared.registry().push_debug(&mut piece, cursor, DEBUG_PIECE_SIZE);
        self.next = next;
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_none() && self.next.is_none()
    }
}
