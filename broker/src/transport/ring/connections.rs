//! Connections: one multishot receive and at most one send each.

use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use rustix::net::{Shutdown, shutdown};

use super::super::lifecycle::{Lifecycle, Phase, Receive, Step};
use super::super::{Chunk, Close, DRAIN_NS_MAX, Event, FLUSH_NS_MAX, Slot, monotonic_ns};
use super::accepting::set_blocking;
use super::tokens::Token;
use super::{Queued, RingTransport, buffers};

/// Most bytes that one send is given; a longer buffer goes in several.
const SEND_BYTES_MAX: usize = 1 << 30;

#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    life: Lifecycle,
    /// What is being sent, and how much of it is.
    sending: Vec<u8>,
    sent_size: usize,
    /// Input since `detach`.
    pending: Vec<u8>,
}

impl Connection {
    pub(super) fn is_under_way(&self) -> bool {
        self.life.sending || matches!(self.life.receive, Receive::Armed | Receive::Cancelling)
    }
}

/// How a send waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// It does not, so that the submitting call can count on its completion.
    Inline,
    /// Until the peer has read enough.
    Patient,
}

impl RingTransport {
    pub(super) fn take_over(&mut self, socket: OwnedFd) -> Slot {
        // If this fails the socket is no socket, and the receive will say so.
        let _ = set_blocking(&socket);
        let slot = self.connections.insert(Connection {
            socket,
            life: Lifecycle::new(),
            sending: Vec::new(),
            sent_size: 0,
            pending: Vec::new(),
        });
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
        self.push_send(slot, Sending::Inline);
    }

    fn push_send(&mut self, slot: Slot, how: Sending) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let rest = &connection.sending[connection.sent_size..];
        if rest.is_empty() {
            self.send_ended(slot);
            return;
        }
        let flags = match how {
            Sending::Inline => libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            Sending::Patient => libc::MSG_WAITALL | libc::MSG_NOSIGNAL,
        };
        let size = rest.len().min(SEND_BYTES_MAX) as u32;
        let fd = Fd(connection.socket.as_raw_fd());
        let entry = opcode::Send::new(fd, rest.as_ptr(), size).flags(flags).build();
        if how == Sending::Inline {
            self.inline_sends += 1;
        }
        self.push(entry.user_data(Token::Send(slot).pack()));
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

    pub(super) fn sent(&mut self, slot: Slot, result: i32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        match result {
            0.. => {
                connection.sent_size += result as usize;
                if connection.sent_size == connection.sending.len() {
                    self.send_ended(slot);
                } else {
                    self.continue_send(slot);
                }
            }
            _ if matches!(-result, libc::EAGAIN | libc::EINTR) => self.continue_send(slot),
            _ => {
                connection.life.sending = false;
                connection.sending = Vec::new();
                self.fail(slot, -result);
            }
        }
    }

    /// The peer reads slower than we send.
    fn continue_send(&mut self, slot: Slot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.life.phase == Phase::Ending {
            connection.life.sending = false;
            self.settle(slot);
            return;
        }
        self.counters.partial_sends += 1;
        self.push_send(slot, Sending::Patient);
    }

    fn fail(&mut self, slot: Slot, errno: i32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let first = !connection.life.broken;
        connection.life.broken = true;
        if first && connection.life.reports() {
            self.report(Event::Failed { slot, errno });
        }
        self.settle(slot);
    }

    /// A completion of the multishot receive. Without `more` it was the last one.
    pub(super) fn received(&mut self, slot: Slot, result: i32, buffer: Option<u16>, more: bool) {
        if let Some(buffer) = buffer {
            let chunk = self.buffers.take(buffer, result.max(0) as usize);
            self.take_in(slot, chunk);
        }
        if !more {
            self.receive_ended(slot, result);
        }
    }

    fn take_in(&mut self, slot: Slot, chunk: Chunk) {
        let Some(connection) = self.connections.get_mut(slot).filter(|_| chunk.size > 0) else {
            self.buffers.give_back(chunk.buffer);
            return;
        };
        match connection.life.phase {
            Phase::Open => self.report(Event::Received { slot, chunk }),
            Phase::Detaching => {
                connection.pending.extend_from_slice(self.buffers.bytes(&chunk));
                self.buffers.give_back(chunk.buffer);
            }
            _ => self.buffers.give_back(chunk.buffer),
        }
    }

    fn receive_ended(&mut self, slot: Slot, result: i32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.life.receive = Receive::Idle;
        match result {
            // Data and the end of the multishot: completions overflowed. It is armed again.
            1.. => {}
            0 => {
                connection.life.input_over = true;
                if connection.life.phase == Phase::Open {
                    self.report(Event::EndOfInput { slot });
                }
            }
            _ => match -result {
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                libc::ENOBUFS => {
                    connection.life.receive = Receive::Starved;
                    self.counters.starved += 1;
                    self.starved.push_back(slot);
                }
                errno => return self.fail(slot, errno),
            },
        }
        self.settle(slot);
    }

    /// Receives again where buffers were missing, for as many connections as there are buffers: the others would
    /// starve again at once.
    pub(super) fn feed_starved(&mut self) {
        for _ in 0..self.buffers.available().min(self.starved.len()) {
            let Some(slot) = self.starved.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            if connection.life.receive == Receive::Starved {
                connection.life.receive = Receive::Idle;
                self.settle(slot);
            }
        }
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

    pub(super) fn start_detach(&mut self, slot: Slot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.life.phase != Phase::Open {
            return;
        }
        connection.life.phase = Phase::Detaching;
        self.absorb_queued_input(slot);
        self.settle(slot);
    }

    /// Input that the caller has not taken yet comes before what is still to come in.
    fn absorb_queued_input(&mut self, slot: Slot) {
        for event in std::mem::take(&mut self.events) {
            match event {
                Queued::Event(Event::Received { slot: other, chunk }) if other == slot => {
                    self.take_in(slot, chunk);
                }
                Queued::Event(Event::EndOfInput { slot: other }) if other == slot => {}
                event => self.events.push_back(event),
            }
        }
    }

    /// Does what the connection's state asks for.
    pub(super) fn settle(&mut self, slot: Slot) {
        while let Some(connection) = self.connections.get_mut(slot) {
            let socket = Fd(connection.socket.as_raw_fd());
            match connection.life.step() {
                Step::Nothing => return,
                Step::Arm => {
                    let receive = opcode::RecvMulti::new(socket, buffers::GROUP).build();
                    self.push(receive.user_data(Token::Receive(slot).pack()));
                }
                Step::Cancel => self.cancel(Token::Receive(slot)),
                Step::SayGoodbye => {
                    // A socket that cannot be shut down is dead already, and the receive will tell.
                    let _ = shutdown(&connection.socket, Shutdown::Write);
                    self.closing.add(monotonic_ns() + DRAIN_NS_MAX, slot, Phase::Draining);
                }
                Step::Break => {
                    let _ = shutdown(&connection.socket, Shutdown::Both);
                    self.cancel(Token::Receive(slot));
                    self.cancel(Token::Send(slot));
                }
                Step::Finish => {
                    self.connections.remove(slot);
                    self.report(Event::Closed { slot });
                }
                Step::HandOver => self.events.push_back(Queued::HandOver(slot)),
            }
        }
    }

    fn cancel(&mut self, token: Token) {
        let cancel = opcode::AsyncCancel::new(token.pack()).build();
        self.push(cancel.flags(squeue::Flags::SKIP_SUCCESS).user_data(Token::Nobody.pack()));
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
                self.buffers.give_back(chunk.buffer);
            }
        }
    }

    fn hand_over(&mut self, slot: Slot) -> Option<Event> {
        if self.connections.get(slot)?.life.phase != Phase::HandedOver {
            return None;
        }
        let Connection { socket, pending, .. } = self.connections.remove(slot)?;
        Some(Event::Detached { slot, socket, pending })
    }
}
