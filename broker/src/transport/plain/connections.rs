//! Connections, polled when they are ready.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use rustix::net::{Shutdown, shutdown};

use super::super::lifecycle::{Lifecycle, Phase, Receive, Step};
use super::super::{CHUNK_BYTES, Chunk, Close, DRAIN_NS_MAX, Event, FLUSH_NS_MAX, Slot, monotonic_ns};
use super::outside::ReadyWaker;
use super::{PlainTransport, Queued};

/// Receives per connection and visit; then others have their turn.
const RECEIVES_PER_VISIT_MAX: usize = 4;

pub(super) struct Connection {
    stream: TcpStream,
    waker: Waker,
    life: Lifecycle,
    sending: Vec<u8>,
    sent_size: usize,
    pending: Vec<u8>,
}

impl Connection {
    fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns its descriptor and is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }
}

/// What one receive yielded.
enum Received {
    Bytes(Chunk),
    End,
    NotReady,
    NoBuffer,
    Error(i32),
}

impl PlainTransport {
    pub(super) fn take_over(&mut self, socket: OwnedFd) -> Slot {
        // SAFETY: the descriptor was just taken out of its owner, so the stream is its only owner from here on.
        let stream = unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) };
        let slot = self.connections.insert(Connection {
            stream,
            waker: Waker::noop().clone(),
            life: Lifecycle::new(),
            sending: Vec::new(),
            sent_size: 0,
            pending: Vec::new(),
        });
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.waker = Waker::from(Arc::new(ReadyWaker { slot, outside: self.outside.clone() }));
        }
        self.settle(slot);
        slot
    }

    pub(super) fn start_send(&mut self, slot: Slot, bytes: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.life.broken || connection.life.phase != Phase::Open {
            return;
        }
        assert!(!connection.life.sending, "one send at a time");
        connection.life.sending = true;
        connection.sending = bytes;
        connection.sent_size = 0;
        self.due.push_back(slot);
    }

    pub(super) fn set_paused(&mut self, slot: Slot, paused: bool) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.life.paused = paused;
        self.settle(slot);
    }

    pub(super) fn start_close(&mut self, slot: Slot, how: Close) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        match how {
            Close::Flush if connection.life.reports() => {
                connection.life.phase = Phase::Flushing;
                self.closing.add(monotonic_ns() + FLUSH_NS_MAX, slot, Phase::Flushing);
            }
            Close::Flush => {}
            Close::Abort => connection.life.phase = Phase::Ending,
        }
        self.settle(slot);
    }

    pub(super) fn start_detach(&mut self, slot: Slot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.life.phase != Phase::Open {
            return;
        }
        connection.life.phase = Phase::Detaching;
        for event in std::mem::take(&mut self.events) {
            match event {
                Queued::Event(Event::Received { slot: other, chunk }) if other == slot => {
                    self.take_in(slot, chunk);
                }
                Queued::Event(Event::EndOfInput { slot: other }) if other == slot => {}
                event => self.events.push_back(event),
            }
        }
        self.settle(slot);
    }

    /// Puts an end to the closing connections whose time is over.
    pub(super) fn end_closing(&mut self, now: u64) {
        while let Some((slot, phase)) = self.closing.pop_due(now) {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            if connection.life.phase == phase {
                connection.life.phase = Phase::Ending;
                self.settle(slot);
            }
        }
    }

    /// Receives again where buffers were missing.
    pub(super) fn feed_starved(&mut self) {
        for _ in 0..self.chunks.available().min(self.starved.len()) {
            let Some(slot) = self.starved.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            if connection.life.receive == Receive::Starved {
                connection.life.receive = Receive::Idle;
                self.settle(slot);
            }
        }
    }

    /// Sends and receives what can be, and asks to be woken for the rest.
    pub(super) fn visit(&mut self, slot: Slot) {
        self.visit_output(slot);
        for _ in 0..RECEIVES_PER_VISIT_MAX {
            let Some(connection) = self.connections.get_mut(slot) else { return };
            if connection.life.receive != Receive::Armed {
                return;
            }
            match self.receive(slot) {
                Received::Bytes(chunk) => self.take_in(slot, chunk),
                Received::NotReady => return,
                Received::NoBuffer => {
                    self.counters.starved += 1;
                    self.starved.push_back(slot);
                    self.receive_ended(slot, Receive::Starved);
                }
                Received::End => {
                    self.end_of_input(slot);
                    self.receive_ended(slot, Receive::Idle);
                }
                Received::Error(errno) => {
                    self.fail(slot, errno);
                    self.receive_ended(slot, Receive::Idle);
                }
            }
        }
        self.due.push_back(slot);
    }

    fn receive(&mut self, slot: Slot) -> Received {
        let Some(connection) = self.connections.get_mut(slot) else { return Received::NotReady };
        let Some(buffer) = self.chunks.take() else { return Received::NoBuffer };
        let mut context = Context::from_waker(&connection.waker);
        let stream = Pin::new(&mut connection.stream);
        let received = match stream.poll_read(&mut context, self.chunks.whole(buffer)) {
            Poll::Ready(Ok(0)) => Received::End,
            Poll::Ready(Ok(size)) => {
                return Received::Bytes(Chunk { buffer, size: size.min(CHUNK_BYTES) as u32 });
            }
            Poll::Ready(Err(error)) => Received::Error(errno(&error)),
            Poll::Pending => Received::NotReady,
        };
        self.chunks.give_back(buffer);
        received
    }

    fn take_in(&mut self, slot: Slot, chunk: Chunk) {
        let Some(connection) = self.connections.get_mut(slot) else {
            self.chunks.give_back(chunk.buffer);
            return;
        };
        match connection.life.phase {
            Phase::Open => self.report(Event::Received { slot, chunk }),
            Phase::Detaching => {
                connection.pending.extend_from_slice(self.chunks.bytes(&chunk));
                self.chunks.give_back(chunk.buffer);
            }
            _ => self.chunks.give_back(chunk.buffer),
        }
    }

    fn receive_ended(&mut self, slot: Slot, receive: Receive) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.life.receive = receive;
        self.settle(slot);
    }

    fn end_of_input(&mut self, slot: Slot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.life.input_over = true;
        if connection.life.phase == Phase::Open {
            self.report(Event::EndOfInput { slot });
        }
    }

    fn visit_output(&mut self, slot: Slot) {
        while let Some(connection) = self.connections.get_mut(slot) {
            if !connection.life.sending {
                return;
            }
            let rest = &connection.sending[connection.sent_size..];
            if rest.is_empty() {
                self.send_ended(slot);
                return;
            }
            let mut context = Context::from_waker(&connection.waker);
            match Pin::new(&mut connection.stream).poll_write(&mut context, rest) {
                Poll::Ready(Ok(size)) => {
                    self.counters.partial_sends += u64::from(size < rest.len());
                    connection.sent_size += size;
                }
                Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => {
                    connection.life.sending = false;
                    connection.sending = Vec::new();
                    self.fail(slot, errno(&error));
                    self.settle(slot);
                    return;
                }
                Poll::Pending => return,
            }
        }
    }

    fn send_ended(&mut self, slot: Slot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.life.sending = false;
        let mut buffer = std::mem::take(&mut connection.sending);
        if connection.life.reports() && !connection.life.broken {
            buffer.clear();
            self.report(Event::Sent { slot, buffer });
        }
        self.settle(slot);
    }

    fn fail(&mut self, slot: Slot, errno: i32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let first = !connection.life.broken;
        connection.life.broken = true;
        if first && connection.life.reports() {
            self.report(Event::Failed { slot, errno });
        }
    }

    /// Does what the connection's state asks for. Nothing is ever under way in the kernel but polls, so cancelling
    /// is only forgetting.
    fn settle(&mut self, slot: Slot) {
        while let Some(connection) = self.connections.get_mut(slot) {
            match connection.life.step() {
                Step::Nothing => return,
                Step::Arm => self.due.push_back(slot),
                Step::Cancel => connection.life.receive = Receive::Idle,
                Step::SayGoodbye => {
                    let _ = shutdown(connection.socket(), Shutdown::Write);
                    self.closing.add(monotonic_ns() + DRAIN_NS_MAX, slot, Phase::Draining);
                }
                Step::Break => {
                    let _ = shutdown(connection.socket(), Shutdown::Both);
                    connection.life.receive = Receive::Idle;
                    connection.life.sending = false;
                }
                Step::Finish => {
                    self.connections.remove(slot);
                    self.report(Event::Closed { slot });
                }
                Step::HandOver => self.events.push_back(Queued::HandOver(slot)),
            }
        }
    }

    /// Events of connections that were closed since the event was queued interest nobody.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        loop {
            let event = match self.events.pop_front()? {
                Queued::Event(event) => event,
                Queued::HandOver(slot) => match self.hand_over(slot) {
                    Some(event) => return Some(event),
                    None => continue,
                },
            };
            let slot = match &event {
                Event::Received { slot, .. } | Event::EndOfInput { slot } => *slot,
                Event::Sent { slot, .. } | Event::Failed { slot, .. } => *slot,
                _ => return Some(event),
            };
            if self.connections.get(slot).is_some_and(|connection| connection.life.reports()) {
                return Some(event);
            }
            if let Event::Received { chunk, .. } = event {
                self.chunks.give_back(chunk.buffer);
            }
        }
    }

    /// The stream cannot give its descriptor away, so the caller gets a duplicate. Without one the connection is as
    /// good as broken.
    fn hand_over(&mut self, slot: Slot) -> Option<Event> {
        let connection = self.connections.get_mut(slot)?;
        if connection.life.phase != Phase::HandedOver {
            return None;
        }
        match connection.socket().try_clone_to_owned() {
            Ok(socket) => {
                let pending = std::mem::take(&mut connection.pending);
                self.connections.remove(slot);
                Some(Event::Detached { slot, socket, pending })
            }
            Err(error) => {
                connection.life.broken = true;
                Some(Event::Failed { slot, errno: errno(&error) })
            }
        }
    }
}

fn errno(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
