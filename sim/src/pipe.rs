//! The two directions of a connection, as the two kernels keep them.

use std::collections::VecDeque;

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
pub struct Flow {
    bytes: VecDeque<u8>,
    /// How many bytes the receiver's kernel keeps.
    capacity: usize,
    /// The sender has said that no more will come.
    ended: bool,
}

impl Flow {
    fn new(capacity: usize) -> Flow {
        Flow { capacity, ..Flow::default() }
    }

    /// Bytes that can be put in.
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    /// Bytes that can be taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing can be taken.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the receiver has got everything there will ever be.
    pub fn is_over(&self) -> bool {
        self.ended && self.bytes.is_empty()
    }

    /// Puts bytes in; returns how many had room.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let size = bytes.len().min(self.room());
        self.bytes.extend(&bytes[..size]);
        size
    }

    /// Takes at most `max` bytes.
    pub fn take(&mut self, max: usize) -> Vec<u8> {
        let size = max.min(self.bytes.len());
        self.bytes.drain(..size).collect()
    }

    /// No more will come.
    pub fn end(&mut self) {
        self.ended = true;
    }
}

/// A connection between a client and the broker.
#[derive(Debug)]
pub struct Pipe {
    /// What the client has sent.
    pub to_broker: Flow,
    /// What the broker has sent.
    pub to_client: Flow,
    /// It was reset: nothing can be sent or taken any more.
    pub reset: bool,
    /// The broker has closed its socket.
    pub broker_closed: bool,
    /// The client has closed its socket.
    pub client_closed: bool,
}

impl Pipe {
    /// An open connection with so much room for bytes in each direction.
    pub fn new(capacity: usize) -> Pipe {
        Pipe {
            to_broker: Flow::new(capacity),
            to_client: Flow::new(capacity),
            reset: false,
            broker_closed: false,
            client_closed: false,
        }
    }

    /// The broker closes its socket. With input that it has not read, the kernel resets the connection, and what the
    /// client has not read yet is lost.
    pub fn close_by_broker(&mut self) {
        self.broker_closed = true;
        if self.to_broker.is_empty() {
            self.to_client.end();
        } else {
            self.reset();
        }
    }

    /// The client closes its socket.
    pub fn close_by_client(&mut self) {
        self.client_closed = true;
        if self.to_client.is_empty() {
            self.to_broker.end();
        } else {
            self.reset();
        }
    }

    /// Both directions are lost.
    pub fn reset(&mut self) {
        self.reset = true;
        self.to_broker.bytes.clear();
        self.to_client.bytes.clear();
    }
}
