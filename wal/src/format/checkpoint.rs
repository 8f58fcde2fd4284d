//! A checkpoint: the whole [`State`] as bytes. The parts of several frames are joined before decoding.

use std::collections::BTreeMap;

use rangemap::RangeSet;

use super::bytes::{Reader, put_i64, put_name, put_u16, put_u32, put_u64};
use crate::state::{ChannelState, Requeued, Run, SegmentState, State, TopicState};
use crate::{ChannelId, TopicId};

const VERSION: u16 = 1;

/// What a checkpoint says besides the state.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// Ids below this may be issued behind the checkpoint.
    pub id_reserved_until: u64,
    /// Segments that are retired, and whose files are still there.
    pub leaving: Vec<u64>,
}

/// A checkpoint in which the segment that it opens has yet to be named.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    segment_at: usize,
}

impl Encoded {
    /// Bytes of it, padded to 8.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes, as the checkpoint at the start of `segment`, a file of `bytes`.
    pub fn at_start_of(mut self, segment: u64, bytes: u64) -> Vec<u8> {
        let place = self.bytes.get_mut(self.segment_at..self.segment_at + 16);
        let (seq, size) = place.expect("invariant: encoded below").split_at_mut(8);
        seq.copy_from_slice(&segment.to_le_bytes());
        size.copy_from_slice(&bytes.to_le_bytes());
        self.bytes
    }
}

/// The bytes of `state`.
pub fn encode(state: &State, besides: &Besides) -> Encoded {
    let mut out = Vec::new();
    put_u16(&mut out, VERSION);
    put_u64(&mut out, state.next_id);
    put_u64(&mut out, state.id_reserved_until.max(besides.id_reserved_until));
    put_u32(&mut out, state.next_topic_id);
    put_len(&mut out, state.segments.len() + besides.leaving.len() + 1);
    for (seq, segment) in &state.segments {
        put_u64(&mut out, *seq);
        put_u64(&mut out, segment.bytes);
    }
    // No segment is empty: this says that it is retired.
    for seq in &besides.leaving {
        put_u64(&mut out, *seq);
        put_u64(&mut out, 0);
    }
    let segment_at = out.len();
    put_u64(&mut out, 0);
    put_u64(&mut out, 0);
    put_len(&mut out, state.topics.len());
    for (id, topic) in &state.topics {
        put_u32(&mut out, id.0);
        put_topic(&mut out, topic);
    }
    out.resize(out.len().next_multiple_of(8), 0);
    Encoded { bytes: out, segment_at }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u32(out, u32::try_from(len).unwrap_or(u32::MAX));
}

fn put_topic(out: &mut Vec<u8>, topic: &TopicState) {
    put_name(out, &topic.name);
    out.push(u8::from(topic.paused));
    put_u64(out, topic.floor);
    put_u64(out, topic.next_seq);
    put_u32(out, topic.next_channel_id);
    put_len(out, topic.channels.len());
    for (id, channel) in &topic.channels {
        put_u32(out, id.0);
        put_channel(out, channel);
    }
    put_len(out, topic.runs.len());
    for run in topic.runs.values() {
        for field in [run.first_seq, run.count, run.segment, run.offset, run.len] {
            put_u64(out, field);
        }
    }
    put_len(out, topic.deferred.len());
    for (seq, due) in &topic.deferred {
        put_u64(out, *seq);
        put_i64(out, *due);
    }
}

fn put_channel(out: &mut Vec<u8>, channel: &ChannelState) {
    put_name(out, &channel.name);
    out.push(u8::from(channel.paused));
    put_u64(out, channel.watermark);
    put_len(out, channel.finished.iter().count());
    for range in channel.finished.iter() {
        put_u64(out, range.start);
        put_u64(out, range.end);
    }
    put_len(out, channel.requeued.len());
    for (seq, requeued) in &channel.requeued {
        put_u64(out, *seq);
        put_u16(out, requeued.attempts);
        put_i64(out, requeued.due_at_ns);
    }
}

/// Reads a checkpoint, and which segments are retired; `None` if the bytes are none. Nothing is allocated from a
/// claimed length.
pub fn decode(bytes: &[u8]) -> Option<(State, Vec<u64>)> {
    let mut r = Reader::new(bytes);
    if r.u16()? != VERSION {
        return None;
    }
    let mut state =
        State { next_id: r.u64()?, id_reserved_until: r.u64()?, next_topic_id: r.u32()?, ..State::default() };
    let mut leaving = Vec::new();
    for _ in 0..r.u32()? {
        match (r.u64()?, r.u64()?) {
            (seq, 0) => leaving.push(seq),
            (seq, bytes) => {
                state.segments.insert(seq, SegmentState { bytes, run_count: 0 });
            }
        }
    }
    for _ in 0..r.u32()? {
        let id = TopicId(r.u32()?);
        let topic = topic(&mut r)?;
        for run in topic.runs.values() {
            // A run in a segment outside the manifest would be a hole that nobody reports.
            state.segments.get_mut(&run.segment)?.run_count += 1;
        }
        state.topics.insert(id, topic);
    }
    Some((state, leaving))
}

fn topic(r: &mut Reader<'_>) -> Option<TopicState> {
    let mut topic = TopicState::new(r.name()?);
    topic.paused = r.bool()?;
    topic.floor = r.u64()?;
    topic.next_seq = r.u64()?;
    topic.next_channel_id = r.u32()?;
    for _ in 0..r.u32()? {
        let id = ChannelId(r.u32()?);
        topic.channels.insert(id, channel(r)?);
    }
    topic.runs = runs(r)?;
    let mut deferred = BTreeMap::new();
    for _ in 0..r.u32()? {
        deferred.insert(r.u64()?, r.i64()?);
    }
    topic.deferred = deferred;
    Some(topic)
}

fn runs(r: &mut Reader<'_>) -> Option<BTreeMap<u64, Run>> {
    let mut runs = BTreeMap::new();
    for _ in 0..r.u32()? {
        let run =
            Run { first_seq: r.u64()?, count: r.u64()?, segment: r.u64()?, offset: r.u64()?, len: r.u64()? };
        run.first_seq.checked_add(run.count)?;
        run.offset.checked_add(run.len)?;
        runs.insert(run.first_seq, run);
    }
    Some(runs)
}

fn channel(r: &mut Reader<'_>) -> Option<ChannelState> {
    let name = r.name()?;
    let paused = r.bool()?;
    let mut channel = ChannelState::new(name, r.u64()?);
    channel.paused = paused;
    let mut finished = RangeSet::new();
    for _ in 0..r.u32()? {
        let (start, end) = (r.u64()?, r.u64()?);
        if start >= end {
            return None;
        }
        finished.insert(start..end);
    }
    channel.finished = finished;
    for _ in 0..r.u32()? {
        let seq = r.u64()?;
        let attempts = r.u16()?;
        channel.requeued.insert(seq, Requeued { attempts, due_at_ns: r.i64()? });
    }
    Some(channel)
}
