//! What of the bytes of a run can be delivered.

use std::ops::Range;

use super::types::Batch;
use crate::TopicId;
use crate::disk::FrameSlice;
use crate::format::Seed;
use crate::format::frame::{self, FrameHeader, Kind};
use crate::format::record::{PublishView, RecordView, Records};
use crate::limits::BLOCK_BYTES;

/// Bytes that were read, and where they lie.
pub(super) struct Bytes<'a> {
    pub(super) slice: &'a FrameSlice,
    pub(super) seed: &'a Seed,
    pub(super) shard: u16,
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// A message whose frame is whole and whose own check words fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) seq: u64,
    pub(super) id: u64,
    /// Where it begins in the segment.
    pub(super) offset: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Intact messages, in order.
    pub(super) batches: Vec<Batch>,
    /// Messages that fail.
    pub(super) suspects: Vec<Suspect>,
}

impl Bytes<'_> {
    /// Looks for the messages of `topic`.
    pub(super) fn find(&self, topic: TopicId) -> Found {
        let mut found = Found::default();
        let mut at = 0;
        while at + BLOCK_BYTES <= self.slice.len() {
            let rest = &self.slice.as_slice()[at..];
            let index = (self.offset as usize + at) / BLOCK_BYTES;
            let own = |h: &FrameHeader| {
                h.segment_seq == self.segment && h.block_index as usize == index && h.shard == self.shard
            };
            let header = FrameHeader::decode(rest, self.seed).map(|(header, _)| header).filter(own);
            // A block that is no frame of ours: damage, or the middle of a damaged frame.
            let Some(header) = header else {
                at += BLOCK_BYTES;
                continue;
            };
            let len = header.frame_len as usize;
            if let Some(frame) = rest.get(..len).filter(|_| header.kind == Kind::Data)
                && let Some(records) = frame::records(frame, &header)
            {
                for view in Records::new(records).flatten() {
                    if let RecordView::Publish(view) = view
                        && view.fields.topic == topic
                    {
                        self.take(&mut found, at..at + len, frame, &view);
                    }
                }
            }
            at += len;
        }
        compact(&mut found.batches, self.slice.len());
        found
    }

    /// Adds the messages of one record, as few batches as damage allows.
    fn take(&self, found: &mut Found, place: Range<usize>, frame: &[u8], view: &PublishView<'_>) {
        let at = place.start;
        let mut open: Option<(u64, usize, usize)> = None;
        let mut push = |open: &mut Option<(u64, usize, usize)>, index: u64| {
            if let Some((first, start, end)) = open.take() {
                found.batches.push(Batch {
                    topic: view.fields.topic,
                    first_seq: view.fields.first_seq + first,
                    first_id: view.fields.first_id + first,
                    count: (index - first) as u32,
                    defer_ms: view.fields.defer_ms,
                    timestamp_ns: view.fields.timestamp_ns,
                    payload: self.slice.slice(at + start..at + end).into_bytes(),
                    cost_bytes: (end - start) as u32,
                });
            }
        };
        for (index, message) in (0u64..).zip(view.messages()) {
            let end = message.offset + message.len;
            if !message.is_intact(frame) {
                push(&mut open, index);
                found.suspects.push(Suspect {
                    seq: view.fields.first_seq + index,
                    id: view.fields.first_id + index,
                    offset: self.offset + (at + message.offset) as u64,
                });
            } else if let Some((_, _, open_end)) = &mut open {
                *open_end = end;
            } else {
                open = Some((index, message.offset, end));
            }
        }
        push(&mut open, u64::from(view.fields.count));
    }
}

/// Sequences of `wanted` that no batch has.
pub(super) fn gaps(batches: &[Batch], wanted: Range<u64>) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut at = wanted.start;
    for batch in batches {
        if batch.first_seq > at {
            gaps.push((at, batch.first_seq.min(wanted.end)));
        }
        at = at.max(batch.end_seq());
        if at >= wanted.end {
            return gaps;
        }
    }
    if at < wanted.end {
        gaps.push((at, wanted.end));
    }
    gaps
}

/// Shares the cost of the buffer out to the batches; where most of it is other topics' data, copies, so that a
/// few messages do not keep a MiB alive.
fn compact(batches: &mut [Batch], buffer_bytes: usize) {
    let useful: usize = batches.iter().map(|b| b.payload.len()).sum();
    let sparse = useful < buffer_bytes / 4;
    for batch in batches {
        if sparse {
            batch.payload = bytes::Bytes::copy_from_slice(&batch.payload);
        } else if useful > 0 {
            let share = batch.payload.len() as u128 * buffer_bytes as u128 / useful as u128;
            batch.cost_bytes = u32::try_from(share).unwrap_or(u32::MAX);
        }
    }
}
