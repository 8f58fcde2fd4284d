//! The submission side of a ring, and what a table of connections asks of it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use rustix::net::{Shutdown, shutdown};

use super::super::table::{Sending, Sockets};
use super::super::{CHUNK_BYTES, Chunk, RECEIVE_BYTES_MAX, Slot, Socket, monotonic_ns};
use super::buffers::{self, Buffers};
use super::preflight::can_limit_receives;
use super::tokens::Token;
use super::turn::usual;

/// Most bytes that one send is given; a longer buffer goes in several.
const SEND_BYTES_MAX: usize = 1 << 30;

/// Where a submission entry has the most bytes that a multishot receive may take in all (`optlen`, Linux 6.17). The
/// crate has no name for it yet.
const OPTLEN_OFFSET: usize = 44;
const _: () = assert!(size_of::<squeue::Entry>() == 64);

const _: () = assert!(RECEIVE_BYTES_MAX as usize >= CHUNK_BYTES);

/// A multishot receive; if there is a limit in bytes, it ends with the buffer that reaches it.
pub(super) fn receive(fd: Fd, limit: Option<u32>) -> squeue::Entry {
    let mut entry = opcode::RecvMulti::new(fd, buffers::GROUP).build();
    if let Some(bytes) = limit {
        let optlen = std::ptr::from_mut(&mut entry).cast::<u8>().wrapping_add(OPTLEN_OFFSET).cast::<u32>();
        // SAFETY: an entry is the kernel's structure of 64 bytes and nothing else, plain integers at fixed places; the
        // place is within it, aligned to 4, and borrowed by nobody else.
        unsafe { optlen.write(bytes) };
    }
    entry
}

/// The ring, its receive buffers, and the operations that have not been handed over yet. Dropped in this order: the
/// buffers must outlive the ring.
pub(super) struct Kernel {
    pub(super) ring: IoUring,
    pub(super) buffers: Buffers,
    /// Operations that found the submission queue full, in order. Bounded by what can be under way: a receive, a
    /// send and a cancellation per connection, and the callers' file operations and rings.
    queued: VecDeque<squeue::Entry>,
    /// Sends since the last submission that complete within it.
    inline_sends: usize,
    /// With how many bytes a receive ends and is armed again, where the kernel can limit it.
    receive_limit: Option<u32>,
}

impl Kernel {
    pub(super) fn new(ring: IoUring, buffers: Buffers) -> Self {
        // The last buffer may exceed the limit by all of its bytes but one.
        let receive_limit = can_limit_receives().then_some(RECEIVE_BYTES_MAX - CHUNK_BYTES as u32 + 1);
        Self { ring, buffers, queued: VecDeque::new(), inline_sends: 0, receive_limit }
    }

    /// Queues an operation for the next submission.
    pub(super) fn push(&mut self, entry: squeue::Entry) {
        if !self.queued.is_empty() || !self.push_now(&entry) {
            self.queued.push_back(entry);
        }
    }

    /// False when the submission queue is full.
    fn push_now(&mut self, entry: &squeue::Entry) -> bool {
        let mut submission = self.ring.submission();
        // SAFETY: every entry is built by the driver from descriptors and memory that it owns and keeps until the
        // completion of the operation was reaped, or until the teardown saw the end of it.
        unsafe { submission.push(entry) }.is_ok()
    }

    /// Asks for the end of an operation, whose own completion tells of it.
    pub(super) fn push_cancel(&mut self, token: Token) {
        let cancel = opcode::AsyncCancel::new(token.pack()).build();
        self.push(cancel.flags(squeue::Flags::SKIP_SUCCESS).user_data(Token::Nobody.pack()));
    }

    /// Whether operations wait that found no place in the submission queue.
    pub(super) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Sends since the last call that complete within the next submission.
    pub(super) fn take_inline_sends(&mut self) -> usize {
        std::mem::take(&mut self.inline_sends)
    }

    /// Hands everything over, without waiting for any of it.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        self.fill_submission()?;
        if self.ring.submission().is_empty() {
            return Ok(());
        }
        // Their completions are there when this returns.
        self.inline_sends = 0;
        usual(self.ring.submit())
    }

    /// Moves what waits into the submission queue, submitting whenever that is full. Whatever the kernel does not
    /// take now waits for the next turn.
    pub(super) fn fill_submission(&mut self) -> io::Result<()> {
        while let Some(entry) = self.queued.pop_front() {
            if self.push_now(&entry) {
                continue;
            }
            self.queued.push_front(entry);
            usual(self.ring.submit())?;
            if self.ring.submission().is_full() {
                break;
            }
        }
        Ok(())
    }
}

impl Sockets for Kernel {
    type Socket = OwnedFd;

    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }

    fn arm(&mut self, slot: Slot, socket: &OwnedFd) {
        let receive = receive(Fd(socket.as_raw_fd()), self.receive_limit);
        self.push(receive.user_data(Token::Receive(slot).pack()));
    }

    fn cancel(&mut self, slot: Slot, _socket: &OwnedFd) -> bool {
        self.push_cancel(Token::Receive(slot));
        false
    }

    fn send(&mut self, slot: Slot, socket: &OwnedFd, bytes: &[u8], how: Sending) {
        let flags = match how {
            // Its completion comes within the submission, so that the waiting call can count on it.
            Sending::AtOnce => {
                self.inline_sends += 1;
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL
            }
            Sending::WhenWritable => libc::MSG_NOSIGNAL,
        };
        let size = bytes.len().min(SEND_BYTES_MAX) as u32;
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), size).flags(flags);
        self.push(send.build().user_data(Token::Send(slot).pack()));
    }

    fn shutdown(&mut self, socket: &OwnedFd) {
        let _ = shutdown(socket, Shutdown::Write);
    }

    fn abort(&mut self, slot: Slot, socket: &OwnedFd) -> bool {
        let _ = shutdown(socket, Shutdown::Both);
        self.push_cancel(Token::Receive(slot));
        self.push_cancel(Token::Send(slot));
        false
    }

    fn detach(&mut self, socket: OwnedFd) -> Result<Socket, (OwnedFd, i32)> {
        Ok(socket.into())
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.buffers.bytes(chunk)
    }

    fn release(&mut self, chunk: Chunk) {
        self.buffers.release(chunk);
    }
}
