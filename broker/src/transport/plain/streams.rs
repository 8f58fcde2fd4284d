//! glommio's streams as a table's sockets. Nothing is ever under way in the kernel but polls, so asking for something
//! means to visit the connection, and stopping it only to forget it.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::task::Waker;

use glommio::net::TcpStream;
use rustix::net::{Shutdown, shutdown};

use super::super::table::{Sending, Sockets};
use super::super::{Chunk, Slot, Socket, monotonic_ns};
use super::chunks::Chunks;
use super::connections::errno;
use super::outside::{Outside, ReadyWaker};

/// Receive buffers, and the connections to be polled.
pub(super) struct Streams {
    pub(super) chunks: Chunks,
    pub(super) due: VecDeque<Slot>,
}

pub(super) struct Stream {
    pub(super) stream: TcpStream,
    pub(super) waker: Waker,
}

impl Stream {
    pub(super) fn new(socket: OwnedFd, slot: Slot, outside: Arc<Outside>) -> Self {
        // SAFETY: the descriptor was just taken out of its owner, so the stream is its only owner from here on.
        let stream = unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) };
        Self { stream, waker: Waker::from(Arc::new(ReadyWaker { slot, outside })) }
    }

    fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns its descriptor and is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }
}

impl Sockets for Streams {
    type Socket = Stream;

    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }

    fn arm(&mut self, slot: Slot, _socket: &Stream) {
        self.due.push_back(slot);
    }

    fn cancel(&mut self, _slot: Slot, _socket: &Stream) -> bool {
        true
    }

    fn send(&mut self, slot: Slot, _socket: &Stream, _bytes: &[u8], how: Sending) {
        // The rest goes when the stream's waker says so.
        if how == Sending::AtOnce {
            self.due.push_back(slot);
        }
    }

    fn shutdown(&mut self, socket: &Stream) {
        let _ = shutdown(socket.socket(), Shutdown::Write);
    }

    fn abort(&mut self, _slot: Slot, socket: &Stream) -> bool {
        let _ = shutdown(socket.socket(), Shutdown::Both);
        true
    }

    /// The stream cannot give its descriptor away, so this is a duplicate.
    fn detach(&mut self, socket: Stream) -> Result<Socket, (Stream, i32)> {
        let duplicate = socket.socket().try_clone_to_owned();
        duplicate.map(Socket::from).map_err(|error| (socket, errno(&error)))
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.chunks.bytes(chunk)
    }

    fn release(&mut self, chunk: Chunk) {
        self.chunks.release(chunk);
    }
}
