//! Publish commands, built once and sent over and over: only the stamps change.
//!
//! ```text
//!            | slot 0                  | slot 1                  | ...
//! capacity   | PUB t\n size stamp fill | PUB t\n size stamp fill | ...
//!                      ^ sent            ^ filled
//! ```
//! A command costs its 8 bytes of stamp per message and its share of one `write`, so that the generator stays cheaper
//! than the server it measures.

use crate::tally::Tally;
use crate::wire;

/// Room for prepared commands. It bounds one `write` and keeps the buffer inside the cache of a core.
const BUFFER_BYTES_MAX: usize = 256 << 10;

/// What a publisher repeats.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) topic: String,
    /// Body size in bytes, at least [`wire::STAMP_BYTES`].
    pub(crate) body_bytes: usize,
    /// Messages per command: `None` publishes with PUB, `Some` with MPUB.
    pub(crate) batch: Option<usize>,
}

impl Shape {
    /// Messages in one command.
    pub(crate) fn messages(&self) -> u64 {
        self.batch.unwrap_or(1) as u64
    }
}

/// A buffer of equal commands with a sent and a filled mark.
#[derive(Debug)]
pub(crate) struct Commands {
    buffer: Vec<u8>,
    slot_bytes: usize,
    /// Where the stamps of a slot lie.
    stamp_offset: usize,
    stamp_stride: usize,
    stamps: usize,
    sent: usize,
    filled: usize,
}

impl Commands {
    /// Prepares up to `count` commands of `shape`, at least one.
    pub(crate) fn new(shape: &Shape, count: u64) -> Self {
        // Not zeros: a body of one byte repeated would flatter a server or file system that compresses.
        let mut body: Vec<u8> = (0..shape.body_bytes).map(|i| b'!' + ((i * 31 + i / 7) % 90) as u8).collect();
        body[..wire::STAMP_BYTES].fill(0);
        let mut slot = Vec::new();
        match shape.batch {
            None => wire::push_with_body(&mut slot, &format!("PUB {}", shape.topic), &body),
            Some(batch) => {
                let mut messages = (batch as u32).to_be_bytes().to_vec();
                (0..batch).for_each(|_| wire::push_sized(&mut messages, &body));
                wire::push_with_body(&mut slot, &format!("MPUB {}", shape.topic), &messages);
            }
        }
        let stamps = shape.batch.unwrap_or(1);
        let stamp_stride = 4 + shape.body_bytes;
        let slots =
            (BUFFER_BYTES_MAX / slot.len()).clamp(1, usize::try_from(count.max(1)).unwrap_or(usize::MAX));
        Self {
            slot_bytes: slot.len(),
            stamp_offset: slot.len() - stamps * stamp_stride + 4,
            stamp_stride,
            stamps,
            buffer: slot.repeat(slots),
            sent: 0,
            filled: 0,
        }
    }

    /// Commands that still fit before what is filled has been sent.
    pub(crate) fn room(&self) -> u64 {
        ((self.buffer.len() - self.filled) / self.slot_bytes) as u64
    }

    /// Fills one slot, its messages stamped `stamp`, `stamp + 1` and so on, and counts them in `tally`.
    #[inline]
    pub(crate) fn push(&mut self, stamp: u64, tally: &mut Tally) {
        assert!(self.room() > 0, "a push needs room");
        let mut at = self.filled + self.stamp_offset;
        for stamp in (stamp..).take(self.stamps) {
            self.buffer[at..at + wire::STAMP_BYTES].copy_from_slice(&stamp.to_be_bytes());
            tally.add(stamp);
            at += self.stamp_stride;
        }
        self.filled += self.slot_bytes;
    }

    /// Bytes filled and not sent.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer[self.sent..self.filled]
    }

    /// A command is on the wire in part: nothing else may be written before its rest.
    pub(crate) fn is_mid_command(&self) -> bool {
        !self.sent.is_multiple_of(self.slot_bytes)
    }

    /// Marks `bytes` of [`Self::pending`] as sent.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        assert!(self.sent <= self.filled, "sent more than was filled");
        if self.sent == self.filled {
            self.sent = 0;
            self.filled = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(batch: Option<usize>) -> Shape {
        Shape { topic: "t".into(), body_bytes: 9, batch }
    }

    #[test]
    fn a_pub_is_byte_exact() {
        let mut commands = Commands::new(&shape(None), 2);
        let mut tally = Tally::default();
        commands.push(0x0102, &mut tally);
        let pending = commands.pending();
        assert_eq!(&pending[..18], b"PUB t\n\0\0\0\x09\0\0\0\0\0\0\x01\x02");
        assert_eq!(pending.len(), 19);
        assert_eq!(tally.count, 1);
    }

    #[test]
    fn an_mpub_counts_and_stamps_each_message() {
        let mut commands = Commands::new(&shape(Some(2)), 1);
        let mut tally = Tally::default();
        commands.push(5, &mut tally);
        let pending = commands.pending();
        assert_eq!(&pending[..15], b"MPUB t\n\0\0\0\x1e\0\0\0\x02");
        assert_eq!(&pending[15..27], b"\0\0\0\x09\0\0\0\0\0\0\0\x05");
        assert_eq!(&pending[28..40], b"\0\0\0\x09\0\0\0\0\0\0\0\x06");
        assert_eq!(tally.count, 2);
    }

    #[test]
    fn slots_are_reused_only_once_sent() {
        let mut commands = Commands::new(&shape(None), 2);
        let mut tally = Tally::default();
        commands.push(1, &mut tally);
        commands.push(2, &mut tally);
        assert_eq!(commands.room(), 0);
        commands.advance(20);
        assert_eq!(commands.room(), 0);
        assert_eq!(commands.pending().len(), 18);
        commands.advance(18);
        assert_eq!(commands.room(), 2);
    }
}
