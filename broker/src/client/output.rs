//! What a client is to be sent, in bytes: gathered over a turn, then under way until the kernel has taken it.

use crate::limits::{
    ANSWER_BYTES_LOW, ANSWER_BYTES_MAX, BUFFER_KEPT_BYTES_MAX, BUFFERS_KEPT_MAX, CONNECTION_BUFFER_BYTES,
    DELIVERY_ROOM_BYTES,
};

/// Large buffers that a core's consumers take turns with. Owned by the core.
#[derive(Debug, Default)]
pub struct Buffers {
    free: Vec<Vec<u8>>,
}

impl Buffers {
    /// Keeps a buffer for whoever needs a large one next, if it is one, and not one too many.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        let useful = (CONNECTION_BUFFER_BYTES..=BUFFER_KEPT_BYTES_MAX).contains(&buffer.capacity());
        if useful && self.free.len() < BUFFERS_KEPT_MAX {
            buffer.clear();
            self.free.push(buffer);
        }
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.free.iter().map(Vec::capacity).sum()
    }
}

/// To be sent to one client. Owned by its connection.
#[derive(Debug, Default)]
pub struct Output {
    /// To be handed over at the end of the turn.
    queued: Vec<u8>,
    /// Of these, answers.
    answers_queued: usize,
    /// Handed over, not taken by the kernel yet. A send is under way until the transport gives its buffer back.
    sending: usize,
    is_sending: bool,
    /// Of these, answers, at most.
    answers_sending: usize,
    /// A buffer to gather the next bytes in.
    spare: Vec<u8>,
    /// When the kernel last took a byte, or was first given one, monotonic ns.
    pub progress_at: u64,
    /// What the queue counts as this consumer's room.
    room_told: u64,
}

impl Output {
    /// Adds answers: whatever `write` appends counts as such.
    pub fn answer(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.queued.len();
        write(&mut self.queued);
        self.answers_queued += self.queued.len() - before;
    }

    /// Adds messages, which the queue has subtracted from the room already.
    pub fn deliver(&mut self, buffers: &mut Buffers, bytes: &[u8]) {
        self.grow(buffers, bytes.len());
        self.queued.extend_from_slice(bytes);
        self.room_told = self.room_told.saturating_sub(bytes.len() as u64);
    }

    /// As [`Output::deliver`], for one message whose attempts are written over those at `at`.
    pub fn redeliver(&mut self, buffers: &mut Buffers, message: &[u8], at: usize, attempts: u16) {
        let start = self.queued.len();
        self.deliver(buffers, message);
        self.queued[start + at..start + at + 2].copy_from_slice(&attempts.to_be_bytes());
    }

    /// Adds a heartbeat, which is no answer.
    pub fn heartbeat(&mut self, frame: &[u8]) {
        self.queued.extend_from_slice(frame);
    }

    /// Makes place for `more` bytes in a buffer of the core's, where the connection's own is too small.
    pub fn grow(&mut self, buffers: &mut Buffers, more: usize) {
        let needed = self.queued.len() + more;
        if needed > self.queued.capacity()
            && needed > CONNECTION_BUFFER_BYTES
            && let Some(mut large) = buffers.free.pop()
        {
            large.extend_from_slice(&self.queued);
            let mut small = std::mem::replace(&mut self.queued, large);
            if small.capacity() <= CONNECTION_BUFFER_BYTES && self.spare.capacity() == 0 {
                small.clear();
                self.spare = small;
            }
        }
    }

    /// What to hand over now, unless a send is under way.
    pub fn take(&mut self, now: u64) -> Option<Vec<u8>> {
        if self.is_sending || self.queued.is_empty() {
            return None;
        }
        let bytes = std::mem::replace(&mut self.queued, std::mem::take(&mut self.spare));
        self.sending = bytes.len();
        self.answers_sending = std::mem::take(&mut self.answers_queued);
        self.is_sending = true;
        self.progress_at = now;
        Some(bytes)
    }

    /// The kernel has taken some of what is under way. Which bytes are answers is not remembered; they are counted as
    /// taken last.
    pub fn on_taken(&mut self, bytes: usize, now: u64) {
        self.sending = self.sending.saturating_sub(bytes);
        self.answers_sending = self.answers_sending.min(self.sending);
        self.progress_at = now;
    }

    /// The kernel has taken everything; the buffer comes back.
    pub fn on_sent(&mut self, buffers: &mut Buffers, mut buffer: Vec<u8>, now: u64) {
        self.sending = 0;
        self.answers_sending = 0;
        self.is_sending = false;
        self.progress_at = now;
        buffer.clear();
        if buffer.capacity() <= CONNECTION_BUFFER_BYTES {
            self.spare = buffer;
        } else {
            buffers.give(buffer);
        }
    }

    /// Bytes that the kernel has not taken, under way or not.
    pub fn untaken(&self) -> usize {
        self.queued.len() + self.sending
    }

    /// Whether a send is under way.
    pub fn is_sending(&self) -> bool {
        self.is_sending
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty() && !self.is_sending
    }

    /// Whether the client leaves too many answers unread.
    pub fn is_over(&self) -> bool {
        self.answers_queued + self.answers_sending > ANSWER_BYTES_MAX
    }

    /// Whether it has read most of them.
    pub fn is_low(&self) -> bool {
        self.answers_queued + self.answers_sending < ANSWER_BYTES_LOW
    }

    /// Bytes of messages that the client may still be given.
    pub fn room(&self) -> u64 {
        DELIVERY_ROOM_BYTES.saturating_sub(self.untaken() as u64)
    }

    /// The room to be told to the queue, if it is worth telling: when it left 0, or doubled, or must shrink to
    /// `room_max`.
    pub fn room_to_tell(&mut self, room_max: u64) -> Option<u64> {
        let room = self.room().min(room_max);
        let worth = if self.room_told == 0 { room > 0 } else { room >= self.room_told * 2 };
        (worth || self.room_told > room_max).then(|| {
            self.room_told = room;
            room
        })
    }

    /// The queue knows this room from the start of the subscription.
    pub fn begin(&mut self, room_max: u64) -> u64 {
        self.room_told = self.room().min(room_max);
        self.room_told
    }

    /// Nothing of what is queued is sent any more.
    pub fn forget(&mut self) {
        self.queued = Vec::new();
        self.answers_queued = 0;
        self.spare = Vec::new();
    }
}

#[cfg(test)]
mod tests;
