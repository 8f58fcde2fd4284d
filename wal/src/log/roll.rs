//! From one segment to the next.
//!
//! The file of the next segment has its name before it is needed, and nothing else: no header, no frame. A roll is a
//! barrier, and short:
//!
//! 1. wait for the frames in flight; sync, if they were not data-synchronous
//! 2. take the file that stands ready; only if it is too small, or late, wait for another one
//! 3. write header and checkpoint into it, data-synchronous, all at once
//!
//! Only then a frame with facts or messages goes there. So a file with the name of a segment in which no such frame
//! is was never begun, whatever else is in it; and one that has such a frame had a complete checkpoint. A frame of a
//! later segment vouches for all of the earlier ones.

use std::path::PathBuf;
use std::sync::Arc;

use super::space::Blank;
use super::{Log, Purpose, Segment};
use crate::disk::{Io, IoDone, IoResult, LogFile, ReadBuf};
use crate::error::WalError;
use crate::format::checkpoint::{Besides, Encoded};
use crate::format::frame::{self, CONTINUED, FrameHeader, Kind};
use crate::format::segment::SegmentHeader;
use crate::format::{Seed, checkpoint};
use crate::limits::{BLOCK_BYTES, CHECKPOINT_PART_BYTES, FRAME_HEADER_BYTES, ID_RESERVATION_COUNT};

/// How far a roll has come.
#[derive(Debug)]
pub(super) enum Roll {
    Idle,
    /// Step 1.
    Draining,
    /// Step 2: the file must have so many bytes.
    Choosing {
        needed: u64,
        checkpoint: Box<Encoded>,
        id_reserved_until: u64,
    },
    /// Step 3.
    Writing {
        next: Segment,
        left: usize,
    },
}

pub(crate) fn segment_name(segment_seq: u64) -> String {
    format!("wal-{segment_seq:020}.seg")
}

impl Log {
    pub(super) fn drive_roll(&mut self) {
        if matches!(self.roll, Roll::Draining) {
            if !self.in_flight.is_empty() || self.sync_upto.is_some() {
                return;
            }
            if !self.is_all_durable() {
                return self.sync_now();
            }
            // Nothing is placed during a roll, so the state stays as it is.
            let id_reserved_until = self.next_id + ID_RESERVATION_COUNT;
            let besides = Besides { id_reserved_until, leaving: self.space.leaving().collect() };
            let checkpoint = Box::new(checkpoint::encode(&self.state, &besides));
            let bytes = checkpoint_bytes(checkpoint.len());
            self.space.checkpoint_bytes = bytes as u64;
            let frame = self.waiting.front().map_or(0, |front| front.unsealed.len());
            // Header, checkpoint, the frame that is waiting, and the block for a close frame.
            let needed = (BLOCK_BYTES + bytes + frame + BLOCK_BYTES) as u64;
            self.roll = Roll::Choosing { needed, checkpoint, id_reserved_until };
        }
        if let Roll::Choosing { needed, .. } = self.roll {
            self.prepare_space();
            if let Some((seq, blank)) = self.space.take_next(needed)
                && let Roll::Choosing { checkpoint, id_reserved_until, .. } =
                    std::mem::replace(&mut self.roll, Roll::Idle)
            {
                self.state.id_reserved_until = self.state.id_reserved_until.max(id_reserved_until);
                self.begin_segment(seq, blank, *checkpoint);
            }
        }
    }

    fn begin_segment(&mut self, segment_seq: u64, blank: Blank<Arc<dyn LogFile>>, checkpoint: Encoded) {
        let Blank { file, path, bytes } = blank;
        let (prev_segment_seq, prev_end_offset) =
            self.segment.as_ref().map_or(self.prev_end, |old| (old.seq, old.offset));
        let header = SegmentHeader {
            uuid: self.uuid,
            shard: self.options.shard,
            stream: 0,
            segment_seq,
            segment_bytes: bytes,
            first_frame_seq: self.next_frame_seq,
            prev_crc: self.prev_crc,
            prev_segment_seq,
            prev_end_offset,
        };
        let mut block = ReadBuf::new(BLOCK_BYTES);
        block.as_mut_slice().copy_from_slice(&header.encode(&self.seed));
        let mut offset = 0;
        let mut writes = vec![block];
        let mut parts = CheckpointParts {
            seed: self.seed,
            shard: self.options.shard,
            segment_seq,
            durable_seq: self.durable_seq,
            frame_seq: self.next_frame_seq,
            prev_crc: self.prev_crc,
            offset: BLOCK_BYTES as u64,
        };
        writes.extend(parts.encode(&checkpoint.at_start_of(segment_seq, bytes)));
        let left = writes.len();
        for buf in writes {
            let buf = buf.freeze();
            let len = buf.len() as u64;
            let tag = self.tag(Purpose::SegmentPart { len: buf.len() });
            self.io.push_back(Io::Write { tag, file: file.clone(), offset, buf, dsync: true });
            self.stats.frame_bytes += len;
            offset += len;
        }
        self.stats.frame_count += left as u64 - 1;
        self.next_frame_seq = parts.frame_seq;
        self.prev_crc = parts.prev_crc;
        self.state.add_segment(segment_seq, bytes);
        // No frame of the old segment is in flight, so these are the only ones that could complete.
        self.written_seq = self.next_frame_seq - 1;
        self.last_real_seq = self.written_seq;
        let next = Segment { seq: segment_seq, file, path, bytes, offset };
        self.roll = Roll::Writing { next, left };
    }

    pub(super) fn on_segment_part(&mut self, len: usize, result: IoResult) {
        let Roll::Writing { next, left } = &mut self.roll else { return };
        let (path, offset): (PathBuf, u64) = (next.path.clone(), 0);
        match result {
            Ok(IoDone::Written(count)) if count == len => {}
            // Inside a prepared file a short write is next to impossible: no second try as for frames.
            Ok(_) => return self.poison(WalError::ShortWrite { path, offset }),
            Err(errno) => return self.poison(WalError::Io { operation: "write", path, offset, errno }),
        }
        *left -= 1;
        if *left > 0 {
            return;
        }
        let Roll::Writing { next, .. } = std::mem::replace(&mut self.roll, Roll::Idle) else { return };
        self.space.on_roll(self.now_ns, next.bytes);
        if let Some(old) = self.segment.replace(next) {
            self.reads.keep_file(old.seq, old.file);
        }
        self.id_reserved_until = self.id_reserved_until.max(self.state.id_reserved_until);
        self.id_durable_until = self.state.id_reserved_until;
        let durable = self.written_seq;
        self.on_durable(durable);
        self.retire_unused();
    }
}

/// Bytes of the frames of a checkpoint of so many bytes.
fn checkpoint_bytes(len: usize) -> usize {
    let parts = len.div_ceil(CHECKPOINT_PART_BYTES).max(1);
    len + frame::table_bytes(len) + parts * (FRAME_HEADER_BYTES + BLOCK_BYTES)
}

/// Cuts a checkpoint into frames.
struct CheckpointParts {
    seed: Seed,
    shard: u16,
    segment_seq: u64,
    durable_seq: u64,
    frame_seq: u64,
    prev_crc: u32,
    offset: u64,
}

impl CheckpointParts {
    fn encode(&mut self, bytes: &[u8]) -> Vec<ReadBuf> {
        let count = bytes.len().div_ceil(CHECKPOINT_PART_BYTES);
        let parts = bytes.chunks(CHECKPOINT_PART_BYTES).enumerate();
        parts.map(|(i, part)| self.part(part, i + 1 < count)).collect()
    }

    fn part(&mut self, records: &[u8], continued: bool) -> ReadBuf {
        let mut table = Vec::new();
        let table_crc = frame::put_table(&mut table, records);
        let mut buf = ReadBuf::new(FRAME_HEADER_BYTES + records.len() + table.len());
        let header = FrameHeader {
            kind: Kind::Checkpoint,
            flags: if continued { CONTINUED } else { 0 },
            frame_len: buf.len() as u32,
            record_len: records.len() as u32,
            table_crc,
            record_offset: FRAME_HEADER_BYTES as u32,
            prev_crc: self.prev_crc,
            frame_seq: self.frame_seq,
            durable_seq: self.durable_seq,
            segment_seq: self.segment_seq,
            block_index: (self.offset / BLOCK_BYTES as u64) as u32,
            shard: self.shard,
            stream: 0,
        };
        let (bytes, crc) = header.encode(&self.seed);
        let out = buf.as_mut_slice();
        let (head, rest) = out.split_at_mut(FRAME_HEADER_BYTES);
        head.copy_from_slice(&bytes);
        rest[..records.len()].copy_from_slice(records);
        rest[records.len()..records.len() + table.len()].copy_from_slice(&table);
        self.frame_seq += 1;
        self.prev_crc = crc;
        self.offset += buf.len() as u64;
        buf
    }
}
