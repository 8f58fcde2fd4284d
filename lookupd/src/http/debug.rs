//! The body of `/debug`, made piece by piece while it is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;

use crate::limits::DEBUG_PIECE_SIZE;
use crate::registry::DebugCursor;
use crate::shared::Shared;

/// With thousands of peers the whole would be tens of megabytes, and making it would hold up everybody.
pub(super) struct DebugPieces {
    shared: Arc<Shared>,
    cursor: Option<DebugCursor>,
}

impl DebugPieces {
    /// All of it.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, cursor: Some(DebugCursor::default()) }
    }
}

impl HttpBody for DebugPieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(cursor) = self.cursor.take() else { return Poll::Ready(None) };
        let mut piece = String::with_capacity(DEBUG_PIECE_SIZE);
        let next = self.shared.registry().push_debug(&mut piece, cursor, DEBUG_PIECE_SIZE);
        self.cursor = next;
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.cursor.is_none()
    }
}
