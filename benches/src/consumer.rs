//! One consuming connection: counts every message, checks it, finishes it.

use std::io;

use crate::clock;
use crate::error::BenchError;
use crate::link::Link;
use crate::publisher::unexpected;
use crate::tally::Tally;
use crate::wire::{self, Frame};

/// Unsent FINs beyond this stop the reading, so that the buffer stays bounded when the server stops reading.
const OUTGOING_BYTES_MAX: usize = 1 << 20;

/// A subscription with its account of what came.
#[derive(Debug)]
pub(crate) struct Consumer {
    link: Link,
    /// Which of the run's channels this one subscribed to.
    channel_index: usize,
    body_bytes: usize,
    outgoing: Vec<u8>,
    written: usize,
    received: Tally,
    redelivered: u64,
}

impl Consumer {
    /// A consumer that starts with `RDY credit` on its first flush; every body must have `body_bytes`.
    pub(crate) fn new(link: Link, channel_index: usize, body_bytes: usize, credit: u32) -> Self {
        let outgoing = format!("RDY {credit}\n").into_bytes();
        Self {
            link,
            channel_index,
            body_bytes,
            outgoing,
            written: 0,
            received: Tally::default(),
            redelivered: 0,
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn channel_index(&self) -> usize {
        self.channel_index
    }

    pub(crate) fn received(&self) -> Tally {
        self.received
    }

    /// Messages that came with attempts above 1.
    pub(crate) fn redelivered(&self) -> u64 {
        self.redelivered
    }

    pub(crate) fn wants_write(&self) -> bool {
        self.written < self.outgoing.len()
    }

    pub(crate) fn wants_read(&self) -> bool {
        self.outgoing.len() - self.written < OUTGOING_BYTES_MAX
    }

    /// Reads once, takes every whole message and answers it with FIN. `on_message` gets each stamp and the time of
    /// the read in ns. Returns the number of messages.
    ///
    /// # Errors
    /// A closed or failed socket, an error frame, or a body that nobody published.
    pub(crate) fn on_readable(
        &mut self,
        scratch: &mut [u8],
        mut on_message: impl FnMut(u64, u64),
    ) -> Result<u64, BenchError> {
        let Some(mut input) = self.link.read(scratch).map_err(BenchError::io("read messages"))? else {
            return Ok(0);
        };
        let now_ns = clock::now_ns();
        let before = self.received.count;
        while let Some(frame) = wire::next_frame(&mut input)? {
            match frame {
                Frame::Message { attempts, id, body } => {
                    let stamp = self.check(body)?;
                    self.received.add(stamp);
                    self.redelivered += u64::from(attempts != 1);
                    wire::push_finish(&mut self.outgoing, id);
                    on_message(stamp, now_ns);
                }
                Frame::Response(b"_heartbeat_") => self.outgoing.extend_from_slice(wire::NOP),
                other => return Err(unexpected(&other)),
            }
        }
        self.link.keep(input);
        self.flush()?;
        Ok(self.received.count - before)
    }

    #[inline]
    fn check(&self, body: &[u8]) -> Result<u64, BenchError> {
        let length = |length: usize| BenchError::Mismatch(format!("a body of {length} bytes"));
        if body.len() != self.body_bytes {
            return Err(length(body.len()));
        }
        wire::stamp_of(body).ok_or_else(|| length(body.len()))
    }

    /// Writes what is pending as far as the socket takes it.
    ///
    /// # Errors
    /// A failed socket.
    pub(crate) fn flush(&mut self) -> Result<(), BenchError> {
        self.try_flush().map_err(BenchError::io("write FIN"))
    }

    fn try_flush(&mut self) -> io::Result<()> {
        self.written += self.link.write(&self.outgoing[self.written..])?;
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        } else if self.written > OUTGOING_BYTES_MAX / 2 {
            self.outgoing.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }
}
