//! glommio's stream as hyper wants it, with an eye on its progress.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::deadline::Deadline;

/// What one read takes at most. On the stack, since hyper's buffer may be uninitialised and glommio's call needs
/// an initialised one.
const READ_SIZE: usize = 16 * 1024;

/// A connection's socket. Clones are the same socket: the connection keeps one for what follows after hyper.
/// It is glommio's TCP stream also for a unix socket: both are read and written by the same calls.
#[derive(Clone)]
pub(crate) struct Stream {
    socket: Rc<RefCell<TcpStream>>,
    deadline: Rc<Deadline>,
    /// The peer has closed its end.
    ended: Rc<Cell<bool>>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, deadline: Rc<Deadline>) -> Self {
        Self { socket: Rc::new(RefCell::new(socket)), deadline, ended: Rc::default() }
    }

    /// For a connection that is watched by other means, such as one that we have opened.
    pub(crate) fn without_deadline(socket: TcpStream) -> Self {
        Self::new(socket, Rc::new(Deadline::new(0)))
    }

    /// Whether all that the peer sent was read, up to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Reads into `buffer`.
    pub(super) fn poll_bytes(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let size = ready!(Pin::new(&mut *self.socket.borrow_mut()).poll_read(context, buffer))?;
        if size == 0 {
            self.ended.set(true);
        } else {
            self.deadline.on_read(size);
        }
        Poll::Ready(Ok(size))
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = [0; READ_SIZE];
        let room = cursor.remaining().min(READ_SIZE);
        let size = ready!(self.poll_bytes(context, &mut buffer[..room]))?;
        cursor.put_slice(&buffer[..size]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let size = ready!(Pin::new(&mut *self.socket.borrow_mut()).poll_write(context, bytes))?;
        self.deadline.on_write();
        Poll::Ready(Ok(size))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes our direction only.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket.borrow_mut()).poll_close(context)
    }
}
