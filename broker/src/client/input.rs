//! What a client has sent and its commands have not used up.

use crate::limits::{INPUT_KEPT_BYTES_MAX, RECEIPT_BYTES_FREE};

/// Capacity of an empty buffer that is worth keeping.
const KEPT_BUFFER_BYTES: usize = RECEIPT_BYTES_FREE;

/// Received and not carried out. Owned by its connection.
#[derive(Debug)]
pub struct Input {
    plain: Vec<u8>,
    /// When the first of the bytes kept came in, monotonic ns.
    pub begun_at: u64,
    /// The peer has sent its last byte.
    pub ended: bool,
    /// What the transport was told last.
    pub reading: bool,
    /// Reserved of the core's budget for the command that is being received, bytes.
    pub reserved: usize,
    /// It waits for such a reservation; its clock stands.
    pub starved: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { plain: Vec::new(), begun_at: 0, ended: false, reading: true, reserved: 0, starved: false }
    }
}

impl Input {
    /// Bytes kept.
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// True if nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// Keeps bytes behind those there.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.plain.extend_from_slice(bytes);
    }

    /// Makes room for a command of which so many bytes are missing; no more than may be kept unseen, because a client
    /// can announce more than it ever sends.
    pub fn expect(&mut self, missing: usize) {
        self.plain.reserve(missing.min(INPUT_KEPT_BYTES_MAX));
    }

    /// Takes the bytes out, to be run; [`Input::put_back`] gets what is left.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plain)
    }

    /// What is left after `used` bytes of what was taken were run. An idle connection keeps a small buffer, not that of
    /// its largest command.
    pub fn put_back(&mut self, mut bytes: Vec<u8>, used: usize) {
        debug_assert!(self.plain.is_empty(), "nothing comes in while commands run");
        bytes.drain(..used);
        if !bytes.is_empty() || bytes.capacity() <= KEPT_BUFFER_BYTES {
            self.plain = bytes;
        }
    }

    /// Nothing that was received matters any more.
    pub fn forget(&mut self) {
        self.plain = Vec::new();
        self.reserved = 0;
        self.starved = false;
    }

    /// Whether the socket is to be read: while commands wait, only until enough is kept; otherwise always, unless memory
    /// for what is being received has to be waited for.
    pub fn wants(&self, held: bool, scarce: bool) -> bool {
        if held {
            self.plain.len() <= if scarce { RECEIPT_BYTES_FREE } else { INPUT_KEPT_BYTES_MAX }
        } else {
            !self.starved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_used_stays_in_order() {
        let mut input = Input::default();
        input.keep(b"abc");
        let taken = input.take();
        assert!(input.is_empty());
        input.put_back(taken, 1);
        input.keep(b"de");
        assert_eq!(input.take(), b"bcde");
    }

    #[test]
    fn an_idle_connection_keeps_no_large_buffer() {
        let mut input = Input::default();
        input.keep(&vec![0; 1 << 20]);
        let taken = input.take();
        input.put_back(taken, 1 << 20);
        assert_eq!(input.take().capacity(), 0);
        input.expect(usize::MAX / 2);
        assert!(input.take().capacity() <= 2 * INPUT_KEPT_BYTES_MAX, "what is announced is not there yet");
    }

    #[test]
    fn a_held_connection_is_read_until_enough_is_kept() {
        let mut input = Input::default();
        input.keep(&vec![0; INPUT_KEPT_BYTES_MAX]);
        assert!(input.wants(true, false));
        assert!(!input.wants(true, true), "less while memory is short");
        input.keep(b"x");
        assert!(!input.wants(true, false));
        assert!(input.wants(false, false), "one command may be larger");
        input.starved = true;
        assert!(!input.wants(false, false));
    }
}
