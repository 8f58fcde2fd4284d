//! The open frame: what gathers until the next commit.

use super::types::Batch;
use crate::disk::{Arena, ArenaPool, FrameSlice, UnsealedFrame};
use crate::format::message;
use crate::format::record::{OpenPublish, PUBLISH_FIXED_BYTES, PublishFields, RECORD_HEADER_BYTES, Record};
use crate::format::{bytes, frame};
use crate::limits::{BLOCK_BYTES, FRAME_BYTES_MAX, FRAME_TARGET_BYTES};

use super::types::Publish;

/// Messages of one `Publish` record, and where they are in their frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameRun {
    pub(super) fields: PublishFields,
    pub(super) released: bool,
}

impl FrameRun {
    pub(super) fn end_seq(&self) -> u64 {
        self.fields.first_seq + u64::from(self.fields.count)
    }

    /// The messages, for the caller. `frame_bytes` and `frame_payload_bytes` are those of the frame, once they are
    /// known: its padding and records are shared out by payload, so that a cache that counts costs counts memory.
    pub(super) fn batch(&self, payload: FrameSlice, frame: Option<(usize, u64)>) -> Batch {
        let f = &self.fields;
        let len = u64::from(f.payload_len);
        let cost = frame.map_or(len + len / 16, |(bytes, payload)| bytes as u64 * len / payload.max(1));
        let cost_bytes = u32::try_from(cost).unwrap_or(u32::MAX);
        Batch {
            topic: f.topic,
            first_seq: f.first_seq,
            first_id: f.first_id,
            count: f.count,
            defer_ms: f.defer_ms,
            timestamp_ns: f.timestamp_ns,
            payload: payload.into_bytes(),
            cost_bytes,
        }
    }

    pub(super) fn range(&self) -> std::ops::Range<usize> {
        let start = self.fields.payload_offset as usize;
        start..start + self.fields.payload_len as usize
    }
}

/// A frame that gathers no more and waits for its place in a segment.
#[derive(Debug)]
pub(super) struct ClosedFrame {
    pub(super) unsealed: UnsealedFrame,
    pub(super) record_offset: u32,
    pub(super) record_len: u32,
    pub(super) table_crc: u32,
    pub(super) padding_bytes: usize,
    pub(super) runs: Vec<FrameRun>,
    pub(super) message_count: u64,
    /// Reached the target size: may be written while others are in flight.
    pub(super) full: bool,
}

/// The open frame and the memory it grows in.
#[derive(Debug, Default)]
pub(super) struct Gather {
    pub(super) pool: ArenaPool,
    arena: Option<Arena>,
    /// A frame was begun in `arena`.
    begun: bool,
    records: Vec<u8>,
    growing: Option<OpenPublish>,
    runs: Vec<FrameRun>,
    message_count: u64,
    /// Run vectors of frames that are done, for reuse.
    run_vectors: Vec<Vec<FrameRun>>,
    /// A frame that has grown to this is full.
    target_bytes: usize,
}

impl Gather {
    pub(super) fn new(target_bytes: usize) -> Gather {
        Gather { target_bytes, ..Gather::default() }
    }

    /// True if there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn message_count(&self) -> u64 {
        self.message_count
    }

    /// Bytes of the frame if it were closed now.
    pub(super) fn frame_bytes(&self) -> usize {
        if self.begun { self.bytes_with(0, 0) } else { 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.frame_bytes() >= self.target_bytes
    }

    fn bytes_with(&self, payload_bytes: usize, record_bytes: usize) -> usize {
        let position = self.arena.as_ref().filter(|_| self.begun).map_or(64, Arena::position);
        frame_bytes(position + payload_bytes, self.records.len() + record_bytes)
    }

    /// True if so much fits in the open frame, or if there is no open frame to outgrow.
    fn fits(&self, payload_bytes: usize, record_bytes: usize) -> bool {
        let Some(arena) = &self.arena else { return false };
        let position = if self.begun { arena.position() } else { 0 };
        let end = self.bytes_with(payload_bytes, record_bytes);
        end - position <= arena.room() && end <= FRAME_BYTES_MAX
    }

    /// Makes room. Returns the frame that had to be closed for it.
    pub(super) fn reserve(&mut self, payload_bytes: usize, record_bytes: usize) -> Option<ClosedFrame> {
        if self.fits(payload_bytes, record_bytes) {
            if !self.begun {
                self.begin();
            }
            return None;
        }
        let closed = self.close();
        if !self.fits(payload_bytes, record_bytes) {
            self.arena = None;
            self.arena = Some(self.pool.take(frame_bytes(64 + payload_bytes, record_bytes)));
        }
        self.begin();
        closed
    }

    fn begin(&mut self) {
        self.begun = self.arena.as_mut().is_some_and(Arena::begin_frame);
        debug_assert!(self.begun);
    }

    /// Appends a record. The caller has reserved.
    pub(super) fn record(&mut self, record: &Record) {
        self.end_growing();
        record.encode(&mut self.records);
    }

    /// Appends messages, extending the last run if they continue it. The caller has reserved.
    pub(super) fn publish<'a>(
        &mut self,
        publish: &Publish,
        first_id: u64,
        bodies: impl Iterator<Item = &'a [u8]>,
    ) {
        let Some(arena) = &mut self.arena else { return };
        let extends = self.growing.is_some()
            && publish.defer_ms == 0
            && self.runs.last().is_some_and(|run| {
                !run.released
                    && run.fields.topic == publish.topic
                    && run.fields.defer_ms == 0
                    && run.end_seq() == publish.first_seq
                    && run.fields.first_id + u64::from(run.fields.count) == first_id
            });
        if !extends {
            if let (Some(open), Some(run)) = (self.growing.take(), self.runs.last()) {
                open.close(&mut self.records, run.fields.count, run.fields.payload_len);
            }
            let fields = PublishFields {
                topic: publish.topic,
                first_seq: publish.first_seq,
                first_id,
                count: 0,
                defer_ms: publish.defer_ms,
                timestamp_ns: publish.timestamp_ns,
                payload_offset: arena.position() as u32,
                payload_len: 0,
            };
            self.growing = Some(OpenPublish::begin(&mut self.records, &fields));
            self.runs.push(FrameRun { fields, released: false });
        }
        let Some(run) = self.runs.last_mut() else { return };
        let mut id = first_id;
        for body in bodies {
            let start = arena.position();
            arena.append(&message::header(body.len() as u32, publish.timestamp_ns, id));
            arena.append(body);
            let end = arena.position();
            bytes::put_u32(&mut self.records, (end - start) as u32);
            message::put_words(&mut self.records, arena.appended(start..end));
            run.fields.payload_len += (end - start) as u32;
            run.fields.count += 1;
            id += 1;
        }
        self.message_count += id - first_id;
    }

    fn end_growing(&mut self) {
        if let (Some(open), Some(run)) = (self.growing.take(), self.runs.last()) {
            open.close(&mut self.records, run.fields.count, run.fields.payload_len);
        }
    }

    /// Ends the frame: records, piece table, padding.
    pub(super) fn close(&mut self) -> Option<ClosedFrame> {
        if self.is_empty() {
            return None;
        }
        self.end_growing();
        let full = self.is_full();
        let arena = self.arena.as_mut()?;
        let record_offset = arena.position().next_multiple_of(8);
        arena.append(&[0; 8][..record_offset - arena.position()]);
        arena.append(&self.records);
        let record_len = self.records.len();
        let mut table = Vec::with_capacity(frame::table_bytes(record_len));
        let table_crc = frame::put_table(&mut table, &self.records);
        arena.append(&table);
        let used = arena.position();
        let unsealed = arena.close_frame();
        self.begun = false;
        self.records.clear();
        if self.records.capacity() > 4 * FRAME_TARGET_BYTES {
            self.records = Vec::new();
        }
        let runs = std::mem::replace(&mut self.runs, self.run_vectors.pop().unwrap_or_default());
        Some(ClosedFrame {
            record_offset: record_offset as u32,
            record_len: record_len as u32,
            table_crc,
            padding_bytes: unsealed.len() - used,
            unsealed,
            runs,
            message_count: std::mem::take(&mut self.message_count),
            full,
        })
    }

    /// An empty frame: a marker or a close.
    pub(super) fn empty_frame(&mut self) -> UnsealedFrame {
        debug_assert!(self.is_empty() && !self.begun);
        if self.arena.as_ref().is_none_or(|arena| arena.room() < BLOCK_BYTES) {
            self.arena = None;
            self.arena = Some(self.pool.take(BLOCK_BYTES));
        }
        self.begin();
        let arena = self.arena.as_mut().expect("invariant: taken above");
        self.begun = false;
        arena.close_frame()
    }

    /// Takes back the vector of a frame that is done.
    pub(super) fn recycle(&mut self, mut runs: Vec<FrameRun>) {
        if self.run_vectors.len() < 16 && runs.capacity() <= 4096 {
            runs.clear();
            self.run_vectors.push(runs);
        }
    }

    /// Runs of the open frame that nobody has been given; each is handed to `release` once, and not extended
    /// afterwards.
    pub(super) fn release_open(&mut self, mut release: impl FnMut(Batch)) {
        let Some(arena) = &self.arena else { return };
        let first = self.runs.iter().rposition(|run| run.released).map_or(0, |i| i + 1);
        for run in &mut self.runs[first..] {
            run.released = true;
            release(run.batch(arena.share(run.range()), None));
        }
    }

    /// The run of the open frame with `topic` and `seq`, and those of the topic behind it.
    pub(super) fn find(&self, mut wanted: impl FnMut(&FrameRun) -> bool) -> Vec<Batch> {
        let Some(arena) = &self.arena else { return Vec::new() };
        self.runs
            .iter()
            .filter(|run| wanted(run))
            .map(|run| run.batch(arena.share(run.range()), None))
            .collect()
    }

    /// True if a run of the open frame satisfies `wanted`.
    pub(super) fn any(&self, wanted: impl FnMut(&FrameRun) -> bool) -> bool {
        self.runs.iter().any(wanted)
    }

    /// Frees memory that idleness does not need.
    pub(super) fn rest(&mut self) {
        if self.is_empty() && !self.begun {
            self.arena = None;
            self.pool.trim(1);
        }
    }
}

/// Bytes of a frame whose payload ends at `position`, with so many bytes of records.
pub(super) fn frame_bytes(position: usize, record_bytes: usize) -> usize {
    let records = position.next_multiple_of(8) + record_bytes.next_multiple_of(8);
    (records + frame::table_bytes(record_bytes.next_multiple_of(8))).next_multiple_of(BLOCK_BYTES)
}

/// Upper bound of the bytes in the record area for messages of `payload_bytes` in all.
pub(super) fn publish_record_bytes(count: u32, payload_bytes: usize) -> usize {
    // Each message has one length, and one word per started piece: at most one more than its full pieces.
    let words = payload_bytes / crate::limits::PIECE_BYTES + count as usize;
    // A growing record before it may still need its padding.
    RECORD_HEADER_BYTES + PUBLISH_FIXED_BYTES + 4 * count as usize + 4 * words + 16
}
