//! Connections, polled when they are ready.

use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};

use super::super::table::ReceiveEnd;
use super::super::{CHUNK_BYTES, Chunk, Slot};
use super::PlainTransport;

/// Receives per connection and visit; then others have their turn.
const RECEIVES_PER_VISIT_MAX: usize = 4;

/// What one receive yielded.
enum Received {
    Bytes(Chunk),
    NotReady,
    End(ReceiveEnd),
}

impl PlainTransport {
    /// Sends and receives what can be, and asks to be woken for the rest.
    pub(super) fn visit(&mut self, slot: Slot) {
        self.visit_output(slot);
        for _ in 0..RECEIVES_PER_VISIT_MAX {
            match self.receive(slot) {
                Received::Bytes(chunk) => self.table.received(&mut self.streams, slot, chunk),
                Received::NotReady => return,
                Received::End(end) => return self.table.receive_ended(&mut self.streams, slot, end),
            }
        }
        self.streams.due.push_back(slot);
    }

    fn receive(&mut self, slot: Slot) -> Received {
        let Some(socket) = self.table.receiving(slot) else { return Received::NotReady };
        let chunks = &mut self.streams.chunks;
        let Some(buffer) = chunks.take() else { return Received::End(ReceiveEnd::Starved) };
        let mut context = Context::from_waker(&socket.waker);
        let received = match Pin::new(&mut socket.stream).poll_read(&mut context, chunks.whole(buffer)) {
            Poll::Ready(Ok(0)) => Received::End(ReceiveEnd::Input),
            Poll::Ready(Ok(size)) => {
                return Received::Bytes(chunks.chunk(buffer, size.min(CHUNK_BYTES)));
            }
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {
                Received::End(ReceiveEnd::Over)
            }
            Poll::Ready(Err(error)) => Received::End(ReceiveEnd::Failed(errno(&error))),
            Poll::Pending => Received::NotReady,
        };
        chunks.give_back(buffer);
        received
    }

    fn visit_output(&mut self, slot: Slot) {
        while let Some((socket, rest)) = self.table.unsent(slot) {
            let mut context = Context::from_waker(&socket.waker);
            match Pin::new(&mut socket.stream).poll_write(&mut context, rest) {
                Poll::Ready(result) => {
                    let result = result.map_err(|error| errno(&error));
                    self.table.sent(&mut self.streams, slot, result);
                }
                Poll::Pending => return,
            }
        }
    }
}

pub(super) fn errno(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
