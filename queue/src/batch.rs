//! A batch: consecutive messages of one topic, as they lie in a block of the log.

use bytes::Bytes;
pub use nsq_protocol::message::ATTEMPTS_OFFSET;
use nsq_protocol::message::{MESSAGE_OVERHEAD, TIMESTAMP_OFFSET};

/// Consecutive messages of one topic. The bytes are shared with the log and with every consumer that gets them; a clone
/// is a reference.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Sequence number, within its topic, of the first message.
    pub first_seq: u64,
    /// Message id of the first message; the others follow without a gap.
    pub first_id: u64,
    /// How many messages, at least one.
    pub count: u32,
    /// The delay a publisher asked for. Above zero only if `count` is one.
    pub defer_ms: u32,
    /// The messages in delivery form, one after the other, nothing between them:
    /// `size u32 | type u32 = 2 | timestamp i64 | attempts u16 = 1 | id 16 hex digits | body`, big-endian.
    pub payload: Bytes,
    /// The memory that this batch keeps alive, for the cache's budget. Not less than its payload's share of a block.
    pub cost_bytes: u32,
}

impl Batch {
    /// The sequence number behind the last message.
    pub fn end_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count)
    }

    /// Bytes of all bodies together.
    pub fn body_bytes(&self) -> u64 {
        (self.payload.len() - MESSAGE_OVERHEAD * self.count as usize) as u64
    }

    /// Whether the payload holds exactly `count` well-formed messages. What was read back from a disk is asked this
    /// before it is believed.
    pub fn is_well_formed(&self) -> bool {
        let mut offset = 0;
        for _ in 0..self.count {
            match message_end(&self.payload, offset) {
                Some(end) => offset = end,
                None => return false,
            }
        }
        self.count > 0 && offset == self.payload.len() && (self.defer_ms == 0 || self.count == 1)
    }

    pub(crate) fn id_of(&self, seq: u64) -> u64 {
        self.first_id + (seq - self.first_seq)
    }

    /// Where the message that starts at `offset` ends.
    pub(crate) fn end_of(&self, offset: usize) -> usize {
        message_end(&self.payload, offset).expect("invariant: a batch was checked when it came")
    }

    /// When the message that starts at `offset` was published, in nanoseconds since the epoch.
    pub(crate) fn published_at_ns(&self, offset: usize) -> i64 {
        let at = offset + TIMESTAMP_OFFSET;
        i64::from_be_bytes(self.payload[at..at + 8].try_into().expect("invariant: eight bytes"))
    }

    /// The messages `[from, to)` of this batch as a batch of their own. Walks the messages before `to`.
    pub(crate) fn part(&self, from: u64, to: u64) -> Batch {
        assert!(self.first_seq <= from && from < to && to <= self.end_seq());
        if from == self.first_seq && to == self.end_seq() {
            return self.clone();
        }
        let mut offset = 0;
        let mut start = 0;
        for seq in self.first_seq..to {
            if seq == from {
                start = offset;
            }
            offset = self.end_of(offset);
        }
        let size = (offset - start) as u64;
        let cost = u64::from(self.cost_bytes) * size / self.payload.len().max(1) as u64;
        Batch {
            first_seq: from,
            first_id: self.id_of(from),
            count: (to - from) as u32,
            defer_ms: self.defer_ms,
            payload: self.payload.slice(start..offset),
            cost_bytes: (cost as u32).max(1),
        }
    }
}

/// The end of the message at `offset`, if a whole one lies there.
fn message_end(payload: &[u8], offset: usize) -> Option<usize> {
    let size = payload.get(offset..offset + 4)?;
    let size = u32::from_be_bytes(size.try_into().ok()?) as usize;
    let end = offset + 4 + size;
    (size >= MESSAGE_OVERHEAD - 4 && end <= payload.len()).then_some(end)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids::format_message_id;

    /// A batch with the given bodies, published at time 7.
    pub(crate) fn batch(first_seq: u64, first_id: u64, bodies: &[&[u8]]) -> Batch {
        let mut payload = Vec::new();
        for (index, body) in bodies.iter().enumerate() {
            payload.extend_from_slice(&(body.len() as u32 + 30).to_be_bytes());
            payload.extend_from_slice(&2_u32.to_be_bytes());
            payload.extend_from_slice(&7_i64.to_be_bytes());
            payload.extend_from_slice(&1_u16.to_be_bytes());
            payload.extend_from_slice(&format_message_id(first_id + index as u64));
            payload.extend_from_slice(body);
        }
        let cost_bytes = payload.len() as u32;
        let count = bodies.len() as u32;
        Batch { first_seq, first_id, count, defer_ms: 0, payload: payload.into(), cost_bytes }
    }

    #[test]
    fn a_part_has_the_bytes_and_ids_of_its_messages() {
        let whole = batch(10, 100, &[b"a", b"bb", b"", b"dddd"]);
        assert!(whole.is_well_formed());
        assert_eq!(whole.body_bytes(), 7);
        let part = whole.part(11, 13);
        assert_eq!((part.first_seq, part.first_id, part.count), (11, 101, 2));
        assert_eq!(part.payload, batch(11, 101, &[b"bb", b""]).payload);
        assert!(part.is_well_formed());
    }

    #[test]
    fn damaged_bytes_are_not_well_formed() {
        let whole = batch(0, 0, &[b"abc", b"def"]);
        for cut in 0..whole.payload.len() {
            assert!(!Batch { payload: whole.payload.slice(..cut), ..whole.clone() }.is_well_formed());
        }
        let mut long = whole.payload.to_vec();
        long[0] = 0xff;
        let long = Batch { payload: long.into(), ..whole };
        assert!(!long.is_well_formed());
        assert!(!Batch { count: 0, payload: Bytes::new(), ..long }.is_well_formed());
    }
}
