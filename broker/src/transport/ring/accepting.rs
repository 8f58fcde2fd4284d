//! Listeners: one multishot accept each.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::opcode;
use io_uring::types::Fd;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::super::{ACCEPT_REST_NS, Event, Taker, monotonic_ns};
use super::RingTransport;
use super::tokens::Token;

/// Listeners per transport; their numbers are bytes.
const LISTENERS_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Listener {
    number: u8,
    /// None once it was closed.
    socket: Option<OwnedFd>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The kernel accepts for us.
    Armed,
    /// It was asked to stop, for a rest.
    Interrupted,
    /// It was asked to stop for good.
    Stopping,
    /// The process is out of something; tried again then.
    RestingUntil(u64),
    /// Closed.
    Over,
}

impl Listener {
    pub(super) fn rest_until(&self) -> Option<u64> {
        match self.state {
            State::RestingUntil(at) => Some(at),
            _ => None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, State::Armed | State::Interrupted | State::Stopping)
    }
}

/// A socket that waits when io_uring is asked to wait: with O_NONBLOCK it would answer EAGAIN instead.
pub(super) fn set_blocking(socket: &OwnedFd) -> io::Result<()> {
    let flags = fcntl_getfl(socket)?;
    if flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(socket, flags - OFlags::NONBLOCK)?;
    }
    Ok(())
}

impl RingTransport {
    pub(super) fn start_listening(&mut self, number: u8, socket: OwnedFd) -> io::Result<()> {
        if self.listeners.len() == LISTENERS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many listeners"));
        }
        set_blocking(&socket)?;
        self.listeners.push(Listener { number, socket: Some(socket), state: State::Over });
        self.arm_accept(self.listeners.len() - 1);
        Ok(())
    }

    fn arm_accept(&mut self, index: usize) {
        let listener = &mut self.listeners[index];
        let Some(socket) = &listener.socket else { return };
        listener.state = State::Armed;
        let accept = opcode::AcceptMulti::new(Fd(socket.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
        self.kernel.push(accept.build().user_data(Token::Accept(index as u32).pack()));
    }

    /// A multishot accept keeps a listener alive even after its descriptor is closed, so it is cancelled first.
    pub(super) fn cancel_accepting(&mut self) {
        for index in 0..self.listeners.len() {
            let listener = &mut self.listeners[index];
            match listener.state {
                State::Armed => {
                    listener.state = State::Stopping;
                    self.kernel.push_cancel(Token::Accept(index as u32));
                }
                State::Interrupted => listener.state = State::Stopping,
                State::RestingUntil(_) => {
                    listener.state = State::Over;
                    listener.socket = None;
                }
                State::Stopping | State::Over => {}
            }
        }
    }

    /// Tries again with the listeners that have rested enough.
    pub(super) fn end_accept_rests(&mut self, now: u64) {
        for index in 0..self.listeners.len() {
            let listener = &self.listeners[index];
            if listener.rest_until().is_none_or(|at| at > now) {
                continue;
            }
            // Who cannot be kept had better wait in the listener's queue.
            if listener.socket.as_ref().is_some_and(|socket| Taker::Client.may_take(socket)) {
                self.arm_accept(index);
            } else {
                self.rest(index, libc::EMFILE);
            }
        }
    }

    fn rest(&mut self, index: usize, errno: i32) {
        Taker::Client.warn_of_shortage(errno);
        self.counters.accept_rests += 1;
        self.listeners[index].state = State::RestingUntil(monotonic_ns() + ACCEPT_REST_NS);
    }

    pub(super) fn accepted(&mut self, index: u32, result: i32, more: bool) {
        let index = index as usize;
        let Some(listener) = self.listeners.get_mut(index) else { return };
        if result >= 0 {
            // SAFETY: the kernel has just made this descriptor for us; nobody else has heard of it.
            let socket = unsafe { OwnedFd::from_raw_fd(result) };
            if Taker::Client.may_keep(&socket) {
                let listener = listener.number;
                self.table.report(Event::Accepted { listener, socket: socket.into() });
            } else {
                self.counters.turned_away += 1;
                if listener.state == State::Armed {
                    listener.state = State::Interrupted;
                    if more {
                        self.kernel.push_cancel(Token::Accept(index as u32));
                    }
                }
            }
        }
        if more {
            return;
        }
        let listener = &mut self.listeners[index];
        match listener.state {
            State::Stopping => {
                listener.state = State::Over;
                listener.socket = None;
                return;
            }
            State::Interrupted => return self.rest(index, libc::EMFILE),
            State::Armed | State::RestingUntil(_) | State::Over => {}
        }
        // Without error it ended because completions overflowed; these errors belong to one connection that left
        // before it was accepted. Everything else would come back at once.
        match -result {
            ..=0 | libc::ECONNABORTED | libc::EPROTO | libc::EINTR => self.arm_accept(index),
            errno => self.rest(index, errno),
        }
    }
}
