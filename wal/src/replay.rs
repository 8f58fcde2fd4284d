//! Frames read back one by one, as an auditor does who watches the disk: what a log hands out is decoded and applied
//! to a state of its own.

use std::ops::Range;

use crate::format::Seed;
use crate::format::frame::{self, FrameHeader, Kind};
use crate::format::record::{PublishFields, Record, RecordView, Records};
use crate::limits::BLOCK_BYTES;
use crate::state::{Place, State};

/// A state, and the seed that the frames for it are checked with.
#[derive(Clone, Debug)]
pub struct Replay {
    seed: Seed,
    state: State,
}

/// A frame that was read back.
#[derive(Clone, Debug)]
pub struct SeenFrame {
    /// What it is for.
    pub kind: Kind,
    /// Its number in its shard.
    pub frame_seq: u64,
    /// Number of its segment.
    pub segment_seq: u64,
    /// Where it lies in the segment.
    pub offset: u64,
    /// All bytes of it.
    pub len: u64,
    /// What it says, in order. Empty but for data.
    pub facts: Vec<Fact>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Messages, and where they are in the frame, in delivery form one after the other.
    Publish(PublishFields, Range<usize>),
    /// Anything else.
    Record(Record),
}

impl Replay {
    pub(crate) fn new(seed: Seed, state: State) -> Replay {
        Replay { seed, state }
    }

    /// Reads a frame without applying it; `None` if these bytes are not a whole frame whose checksums hold.
    pub fn read(&self, bytes: &[u8]) -> Option<SeenFrame> {
        let (header, area) = self.checked(bytes)?;
        let facts = match header.kind {
            Kind::Data => Records::new(area).map(|record| record.map(fact)).collect::<Option<Vec<Fact>>>()?,
            Kind::Checkpoint | Kind::Marker | Kind::Close => Vec::new(),
        };
        Some(SeenFrame {
            kind: header.kind,
            frame_seq: header.frame_seq,
            segment_seq: header.segment_seq,
            offset: u64::from(header.block_index) * BLOCK_BYTES as u64,
            len: u64::from(header.frame_len),
            facts,
        })
    }

    /// Applies a frame of data; false if these bytes are not a whole frame. Other frames change nothing.
    pub fn apply(&mut self, bytes: &[u8]) -> bool {
        let Some((header, area)) = self.checked(bytes) else { return false };
        if header.kind == Kind::Data {
            let place = Place {
                segment: header.segment_seq,
                offset: u64::from(header.block_index) * BLOCK_BYTES as u64,
                len: u64::from(header.frame_len),
            };
            for record in Records::new(area).flatten() {
                self.state.apply(&record, place);
            }
        }
        true
    }

    fn checked<'a>(&self, bytes: &'a [u8]) -> Option<(FrameHeader, &'a [u8])> {
        let (header, _) = FrameHeader::decode(bytes, &self.seed)?;
        let area = bytes.get(..header.frame_len as usize).and_then(|bytes| frame::records(bytes, &header))?;
        Some((header, area))
    }

    /// What the frames applied so far amount to.
    pub fn state(&self) -> &State {
        &self.state
    }
}

fn fact(view: RecordView<'_>) -> Fact {
    Fact::Record(match view {
        RecordView::Publish(view) => {
            let start = view.fields.payload_offset as usize;
            return Fact::Publish(view.fields, start..start + view.fields.payload_len as usize);
        }
        RecordView::TopicCreated { topic, name } => Record::TopicCreated { topic, name: name.to_owned() },
        RecordView::TopicDeleted { topic } => Record::TopicDeleted { topic },
        RecordView::TopicPaused { topic, paused, floor } => Record::TopicPaused { topic, paused, floor },
        RecordView::TopicEmptied { topic, from, to } => Record::TopicEmptied { topic, from, to },
        RecordView::ChannelCreated { topic, channel, name, from } => {
            Record::ChannelCreated { topic, channel, name: name.to_owned(), from }
        }
        RecordView::ChannelDeleted { topic, channel, floor } => {
            Record::ChannelDeleted { topic, channel, floor }
        }
        RecordView::ChannelPaused { topic, channel, paused } => {
            Record::ChannelPaused { topic, channel, paused }
        }
        RecordView::ChannelEmptied { topic, channel, up_to } => {
            Record::ChannelEmptied { topic, channel, up_to }
        }
        RecordView::Finish { topic, channel, ranges } => {
            Record::Finish { topic, channel, ranges: ranges.iter().collect() }
        }
        RecordView::Requeue { topic, channel, seq, attempts, due_at_ns } => {
            Record::Requeue { topic, channel, seq, attempts, due_at_ns }
        }
        RecordView::IdReservation { until } => Record::IdReservation { until },
        RecordView::Retire { segment } => Record::Retire { segment },
    })
}
