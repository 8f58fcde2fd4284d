//! Records: the facts of the log.

use super::Unknown;
use super::bytes::{Reader, put_i64, put_name, put_u16, put_u32, put_u64};
use super::message::{word_count, words_match};
use crate::limits::MESSAGE_HEADER_BYTES;
use crate::{ChannelId, TopicId};

/// Bytes before the body of a record.
pub const RECORD_HEADER_BYTES: usize = 8;
/// Bytes of a `Publish` body before the message table.
pub const PUBLISH_FIXED_BYTES: usize = 44;

const PUBLISH: u8 = 1;
const TOPIC_CREATED: u8 = 2;
const TOPIC_DELETED: u8 = 3;
const TOPIC_PAUSED: u8 = 4;
const TOPIC_EMPTIED: u8 = 5;
const CHANNEL_CREATED: u8 = 6;
const CHANNEL_DELETED: u8 = 7;
const CHANNEL_PAUSED: u8 = 8;
const CHANNEL_EMPTIED: u8 = 9;
const FINISH: u8 = 10;
const REQUEUE: u8 = 11;
const ID_RESERVATION: u8 = 12;
const RETIRE: u8 = 13;

/// A fact that the queue hands to the log. Sequence numbers are those of the topic; ranges are half-open.
/// A record about a topic or channel that does not exist (any more) is ignored: facts may arrive late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A topic exists.
    TopicCreated {
        /// Its id, never used before.
        topic: TopicId,
        /// Its name, at most 255 bytes.
        name: String,
    },
    /// A topic, its channels and its messages are gone.
    TopicDeleted {
        /// Which.
        topic: TopicId,
    },
    /// A topic was paused or unpaused.
    TopicPaused {
        /// Which.
        topic: TopicId,
        /// The new state.
        paused: bool,
        /// First sequence not yet handed to channels.
        floor: u64,
    },
    /// What the topic held back is gone.
    TopicEmptied {
        /// Which.
        topic: TopicId,
        /// First sequence dropped.
        from: u64,
        /// End of what was dropped, and the new floor.
        to: u64,
    },
    /// A channel exists.
    ChannelCreated {
        /// Its topic.
        topic: TopicId,
        /// Its id, never used before in this topic.
        channel: ChannelId,
        /// Its name, at most 255 bytes.
        name: String,
        /// First sequence it gets.
        from: u64,
    },
    /// A channel is gone.
    ChannelDeleted {
        /// Its topic.
        topic: TopicId,
        /// Which.
        channel: ChannelId,
        /// First sequence not yet handed to channels: what the topic keeps if this was the last one.
        floor: u64,
    },
    /// A channel was paused or unpaused.
    ChannelPaused {
        /// Its topic.
        topic: TopicId,
        /// Which.
        channel: ChannelId,
        /// The new state.
        paused: bool,
    },
    /// Everything of a channel below `up_to` is finished.
    ChannelEmptied {
        /// Its topic.
        topic: TopicId,
        /// Which.
        channel: ChannelId,
        /// End of what was dropped.
        up_to: u64,
    },
    /// Messages are finished in a channel.
    Finish {
        /// Its topic.
        topic: TopicId,
        /// Which.
        channel: ChannelId,
        /// Half-open ranges of sequences.
        ranges: Vec<(u64, u64)>,
    },
    /// A message goes back to its channel.
    Requeue {
        /// Its topic.
        topic: TopicId,
        /// Which.
        channel: ChannelId,
        /// The message.
        seq: u64,
        /// Deliveries so far.
        attempts: u16,
        /// Wall clock, nanoseconds since 1970; 0 is "at once".
        due_at_ns: i64,
    },
    /// Internal: ids below `until` may have been issued.
    IdReservation {
        /// End of the reservation.
        until: u64,
    },
    /// Internal: a segment holds nothing that anybody wants.
    Retire {
        /// Its number.
        segment: u64,
    },
}

impl Record {
    /// Appends the record to a record area.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin(out, self.kind());
        match self {
            Record::TopicCreated { topic, name } => {
                put_u32(out, topic.0);
                put_name(out, name);
            }
            Record::TopicDeleted { topic } => put_u32(out, topic.0),
            Record::TopicPaused { topic, paused, floor } => {
                put_u32(out, topic.0);
                put_u64(out, *floor);
                out.push(u8::from(*paused));
            }
            Record::TopicEmptied { topic, from, to } => {
                put_u32(out, topic.0);
                put_u64(out, *from);
                put_u64(out, *to);
            }
            Record::ChannelCreated { topic, channel, name, from } => {
                put_u32(out, topic.0);
                put_u32(out, channel.0);
                put_u64(out, *from);
                put_name(out, name);
            }
            Record::ChannelDeleted { topic, channel, floor: seq }
            | Record::ChannelEmptied { topic, channel, up_to: seq } => {
                put_u32(out, topic.0);
                put_u32(out, channel.0);
                put_u64(out, *seq);
            }
            Record::ChannelPaused { topic, channel, paused } => {
                put_u32(out, topic.0);
                put_u32(out, channel.0);
                out.push(u8::from(*paused));
            }
            Record::Finish { topic, channel, ranges } => {
                put_u32(out, topic.0);
                put_u32(out, channel.0);
                for (start, end) in ranges {
                    put_u64(out, *start);
                    put_u64(out, *end);
                }
            }
            Record::Requeue { topic, channel, seq, attempts, due_at_ns } => {
                put_u32(out, topic.0);
                put_u32(out, channel.0);
                put_u64(out, *seq);
                put_i64(out, *due_at_ns);
                put_u16(out, *attempts);
            }
            Record::IdReservation { until: value } | Record::Retire { segment: value } => {
                put_u64(out, *value)
            }
        }
        finish(out, start);
    }

    /// Upper bound of the encoded size, in bytes.
    pub fn encoded_bytes_max(&self) -> usize {
        let body = match self {
            Record::TopicCreated { name, .. } | Record::ChannelCreated { name, .. } => 24 + name.len(),
            Record::Finish { ranges, .. } => 8 + ranges.len() * 16,
            _ => 32,
        };
        RECORD_HEADER_BYTES + body + 8
    }

    fn kind(&self) -> u8 {
        match self {
            Record::TopicCreated { .. } => TOPIC_CREATED,
            Record::TopicDeleted { .. } => TOPIC_DELETED,
            Record::TopicPaused { .. } => TOPIC_PAUSED,
            Record::TopicEmptied { .. } => TOPIC_EMPTIED,
            Record::ChannelCreated { .. } => CHANNEL_CREATED,
            Record::ChannelDeleted { .. } => CHANNEL_DELETED,
            Record::ChannelPaused { .. } => CHANNEL_PAUSED,
            Record::ChannelEmptied { .. } => CHANNEL_EMPTIED,
            Record::Finish { .. } => FINISH,
            Record::Requeue { .. } => REQUEUE,
            Record::IdReservation { .. } => ID_RESERVATION,
            Record::Retire { .. } => RETIRE,
        }
    }
}

fn begin(out: &mut Vec<u8>, kind: u8) -> usize {
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
    start
}

/// Writes the body's length into the header at `start` and pads to 8.
fn finish(out: &mut Vec<u8>, start: usize) {
    let body_len = out.len().saturating_sub(start + RECORD_HEADER_BYTES);
    set_u32(out, start + 4, u32::try_from(body_len).unwrap_or(u32::MAX));
    out.resize(out.len().next_multiple_of(8), 0);
}

fn set_u32(out: &mut [u8], at: usize, value: u32) {
    if let Some(field) = out.get_mut(at..at + 4) {
        field.copy_from_slice(&value.to_le_bytes());
    }
}

/// A `Publish` record that is still growing at the end of a record area. Layout of the body:
///
/// ```text
/// topic u32 | count u32 | first_seq u64 | first_id u64 | timestamp i64 | defer_ms u32 | payload_offset u32 | payload_len u32
/// then per message: len u32, check words u32 …
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OpenPublish {
    start: usize,
}

/// The fields of a `Publish` record that do not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishFields {
    /// Topic of the messages.
    pub topic: TopicId,
    /// Sequence of the first, in the topic.
    pub first_seq: u64,
    /// Id of the first; the others follow one by one.
    pub first_id: u64,
    /// How many.
    pub count: u32,
    /// Delay before first delivery, in milliseconds.
    pub defer_ms: u32,
    /// Wall clock of the first, nanoseconds since 1970.
    pub timestamp_ns: i64,
    /// Where the first begins, from the frame's start.
    pub payload_offset: u32,
    /// Bytes of all.
    pub payload_len: u32,
}

impl OpenPublish {
    /// Starts a record; `count` and `payload_len` of `fields` are written by [`OpenPublish::close`].
    pub fn begin(out: &mut Vec<u8>, fields: &PublishFields) -> OpenPublish {
        let start = begin(out, PUBLISH);
        put_u32(out, fields.topic.0);
        put_u32(out, 0);
        put_u64(out, fields.first_seq);
        put_u64(out, fields.first_id);
        put_i64(out, fields.timestamp_ns);
        put_u32(out, fields.defer_ms);
        put_u32(out, fields.payload_offset);
        put_u32(out, 0);
        OpenPublish { start }
    }

    /// Writes the lengths and the padding; nothing may be added afterwards.
    pub fn close(self, out: &mut Vec<u8>, count: u32, payload_len: u32) {
        set_u32(out, self.start + RECORD_HEADER_BYTES + 4, count);
        set_u32(out, self.start + RECORD_HEADER_BYTES + 40, payload_len);
        finish(out, self.start);
    }
}

/// A `Publish` record read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishView<'a> {
    /// The fixed part.
    pub fields: PublishFields,
    table: &'a [u8],
}

/// A message named by a `Publish` record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageView<'a> {
    /// Where it begins, from the frame's start.
    pub offset: usize,
    /// Its length in delivery form.
    pub len: usize,
    /// Its check words, little-endian.
    pub words: &'a [u8],
}

impl MessageView<'_> {
    /// True if the message in `frame` has its check words.
    pub fn is_intact(&self, frame: &[u8]) -> bool {
        frame.get(self.offset..self.offset + self.len).is_some_and(|m| words_match(m, self.words))
    }
}

impl<'a> PublishView<'a> {
    fn decode(body: &'a [u8]) -> Option<PublishView<'a>> {
        let mut r = Reader::new(body);
        let topic = TopicId(r.u32()?);
        let count = r.u32()?;
        let fields = PublishFields {
            topic,
            count,
            first_seq: r.u64()?,
            first_id: r.u64()?,
            timestamp_ns: r.i64()?,
            defer_ms: r.u32()?,
            payload_offset: r.u32()?,
            payload_len: r.u32()?,
        };
        let view = PublishView { fields, table: r.rest() };
        view.is_consistent().then_some(view)
    }

    /// True if the message table has `count` entries that fill the payload exactly.
    fn is_consistent(&self) -> bool {
        let f = &self.fields;
        let (mut seen, mut bytes) = (0u32, 0usize);
        let mut rest = Reader::new(self.table);
        while !rest.is_empty() {
            let Some(len) = rest.u32() else { return false };
            if (len as usize) < MESSAGE_HEADER_BYTES || rest.take(word_count(len as usize) * 4).is_none() {
                return false;
            }
            bytes = bytes.saturating_add(len as usize);
            seen = seen.saturating_add(1);
        }
        seen == f.count
            && seen > 0
            && bytes == f.payload_len as usize
            && f.first_seq.checked_add(u64::from(seen)).is_some()
            && f.first_id.checked_add(u64::from(seen)).is_some()
    }

    /// The messages in order.
    pub fn messages(&self) -> Messages<'a> {
        Messages { rest: Reader::new(self.table), offset: self.fields.payload_offset as usize }
    }

    /// End of the sequences.
    pub fn end_seq(&self) -> u64 {
        self.fields.first_seq.saturating_add(u64::from(self.fields.count))
    }
}

/// Iterator over the messages of a `Publish` record.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: Reader<'a>,
    offset: usize,
}

impl<'a> Iterator for Messages<'a> {
    type Item = MessageView<'a>;

    fn next(&mut self) -> Option<MessageView<'a>> {
        let len = self.rest.u32()? as usize;
        let words = self.rest.take(word_count(len) * 4)?;
        let offset = self.offset;
        self.offset = offset.checked_add(len)?;
        Some(MessageView { offset, len, words })
    }
}

/// Half-open ranges, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangesView<'a>(&'a [u8]);

impl RangesView<'_> {
    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut r = Reader::new(self.0);
        std::iter::from_fn(move || Some((r.u64()?, r.u64()?)))
    }
}

/// A record read back, borrowing from the record area: replay allocates nothing per record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `Record`")]
pub enum RecordView<'a> {
    Publish(PublishView<'a>),
    TopicCreated { topic: TopicId, name: &'a str },
    TopicDeleted { topic: TopicId },
    TopicPaused { topic: TopicId, paused: bool, floor: u64 },
    TopicEmptied { topic: TopicId, from: u64, to: u64 },
    ChannelCreated { topic: TopicId, channel: ChannelId, name: &'a str, from: u64 },
    ChannelDeleted { topic: TopicId, channel: ChannelId, floor: u64 },
    ChannelPaused { topic: TopicId, channel: ChannelId, paused: bool },
    ChannelEmptied { topic: TopicId, channel: ChannelId, up_to: u64 },
    Finish { topic: TopicId, channel: ChannelId, ranges: RangesView<'a> },
    Requeue { topic: TopicId, channel: ChannelId, seq: u64, attempts: u16, due_at_ns: i64 },
    IdReservation { until: u64 },
    Retire { segment: u64 },
}

impl<'a> RecordView<'a> {
    fn decode(kind: u8, body: &'a [u8]) -> Option<RecordView<'a>> {
        let mut r = Reader::new(body);
        let view = match kind {
            PUBLISH => return Some(RecordView::Publish(PublishView::decode(body)?)),
            FINISH => {
                let (topic, channel) = (TopicId(r.u32()?), ChannelId(r.u32()?));
                if !r.rest().len().is_multiple_of(16) {
                    return None;
                }
                return Some(RecordView::Finish { topic, channel, ranges: RangesView(r.rest()) });
            }
            TOPIC_CREATED => RecordView::TopicCreated { topic: TopicId(r.u32()?), name: r.name()? },
            TOPIC_DELETED => RecordView::TopicDeleted { topic: TopicId(r.u32()?) },
            TOPIC_PAUSED => {
                let (topic, floor) = (TopicId(r.u32()?), r.u64()?);
                RecordView::TopicPaused { topic, floor, paused: r.bool()? }
            }
            TOPIC_EMPTIED => {
                RecordView::TopicEmptied { topic: TopicId(r.u32()?), from: r.u64()?, to: r.u64()? }
            }
            CHANNEL_CREATED => {
                let (topic, channel) = (TopicId(r.u32()?), ChannelId(r.u32()?));
                let from = r.u64()?;
                RecordView::ChannelCreated { topic, channel, name: r.name()?, from }
            }
            CHANNEL_DELETED => {
                let (topic, channel) = (TopicId(r.u32()?), ChannelId(r.u32()?));
                RecordView::ChannelDeleted { topic, channel, floor: r.u64()? }
            }
            CHANNEL_PAUSED => {
                let (topic, channel) = (TopicId(r.u32()?), ChannelId(r.u32()?));
                RecordView::ChannelPaused { topic, channel, paused: r.bool()? }
            }
            CHANNEL_EMPTIED => {
                let (topic, channel) = (TopicId(r.u32()?), ChannelId(r.u32()?));
                RecordView::ChannelEmptied { topic, channel, up_to: r.u64()? }
            }
            REQUEUE => {
                let (topic, channel) = (TopicId(r.u32()?), ChannelId(r.u32()?));
                let (seq, due_at_ns) = (r.u64()?, r.i64()?);
                RecordView::Requeue { topic, channel, seq, attempts: r.u16()?, due_at_ns }
            }
            ID_RESERVATION => RecordView::IdReservation { until: r.u64()? },
            RETIRE => RecordView::Retire { segment: r.u64()? },
            _ => return None,
        };
        r.is_empty().then_some(view)
    }
}

/// Iterator over a record area. Yields `None` as an item where the bytes are no records, and then ends: with
/// good checksums that is a bug or a forgery, and the frame counts as damaged.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: Reader<'a>,
}

impl<'a> Records<'a> {
    /// Over a whole record area.
    pub fn new(area: &'a [u8]) -> Records<'a> {
        Records { rest: Reader::new(area) }
    }

    fn read(&mut self) -> Option<RecordView<'a>> {
        let kind = self.rest.u8()?;
        self.rest.take(3)?;
        let body_len = self.rest.u32()? as usize;
        let body = self.rest.take(body_len)?;
        self.rest.take(body_len.next_multiple_of(8) - body_len)?;
        RecordView::decode(kind, body)
    }
}

impl Records<'_> {
    /// The first record of a kind that this version does not know, in an area whose checksums hold.
    pub fn unknown(area: &[u8]) -> Option<Unknown> {
        let mut records = Records::new(area);
        loop {
            let kind = records.rest.u8()?;
            if !(PUBLISH..=RETIRE).contains(&kind) {
                let (found, wanted) = (u64::from(kind), u64::from(RETIRE));
                return Some(Unknown { field: "record kind", found, wanted });
            }
            records.rest.take(3)?;
            let body_len = records.rest.u32()? as usize;
            records.rest.take(body_len.checked_next_multiple_of(8)?)?;
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Option<RecordView<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.read();
        if record.is_none() {
            self.rest = Reader::new(&[]);
        }
        Some(record)
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
