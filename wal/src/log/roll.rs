//! From one segment to the next.
//!
//! A roll is a barrier. Everything in the old segment is written and durable before the new one exists by name,
//! and the new one is complete, header and checkpoint, before it gets its name:
//!
//! 1. wait for the frames in flight; sync, if they were not data-synchronous
//! 2. wait for the removal of retired segments: the manifest about to be written does not know them
//! 3. take a spare that is large enough, or have one prepared
//! 4. write header and checkpoint into it, data-synchronous
//! 5. rename it to its number, and sync the directory
//!
//! So a file with the name of a segment always had a valid header and a complete checkpoint once. If it has not
//! now, that is damage and not a crash. And a frame of a later segment vouches for all of the earlier ones.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Log, Purpose, Segment};
use crate::disk::{ColdJob, Io, IoDone, IoResult, LogFile, ReadBuf};
use crate::error::{WalError, is_full, may_pass};
use crate::format::frame::{self, CONTINUED, FrameHeader, Kind};
use crate::format::segment::SegmentHeader;
use crate::format::{Seed, checkpoint};
use crate::limits::{
    BLOCK_BYTES, CHECKPOINT_PART_BYTES, FRAME_HEADER_BYTES, ID_RESERVATION_COUNT, NAME_RETRY_NS,
};
use crate::state::State;

/// How far a roll has come.
#[derive(Debug)]
pub(super) enum Roll {
    Idle,
    /// Steps 1 and 2.
    Draining,
    /// Step 3: the file must have so many bytes.
    Choosing {
        needed: u64,
    },
    /// Step 4.
    Writing {
        next: Segment,
        left: usize,
    },
    /// Step 5.
    Naming {
        next: Segment,
        from: PathBuf,
        /// It could not be done, for a reason that passes.
        again_at: Option<u64>,
    },
}

/// A spare that was chosen for the next segment.
#[derive(Debug)]
pub(super) struct Blank {
    pub(super) file: Arc<dyn LogFile>,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
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
            if self.space.is_recycling() {
                return;
            }
            // Nothing is placed during a roll, so the state stays as it is, and so does its size.
            let checkpoint = checkpoint_bytes(checkpoint::encode(&self.state_of_next(0)).len());
            let frame = self.waiting.front().map_or(0, |front| front.unsealed.len());
            // Header, checkpoint, the frame that is waiting, and the block for a close frame.
            let needed = (BLOCK_BYTES + checkpoint + frame + BLOCK_BYTES) as u64;
            self.roll = Roll::Choosing { needed };
        }
        if let Roll::Naming { again_at, .. } = &mut self.roll
            && again_at.is_some_and(|at| at <= self.now_ns)
        {
            *again_at = None;
            return self.name_segment();
        }
        if let Roll::Choosing { needed } = self.roll
            && let Some(blank) = self.take_blank(needed)
        {
            let state = self.state_of_next(blank.bytes);
            self.begin_segment(state, blank);
        }
    }

    /// The state as the checkpoint of the next segment has it.
    fn state_of_next(&self, segment_bytes: u64) -> State {
        let mut state = self.state.clone();
        state.add_segment(self.next_segment_seq, segment_bytes);
        state.id_reserved_until = state.id_reserved_until.max(self.next_id + ID_RESERVATION_COUNT);
        state
    }

    fn begin_segment(&mut self, state: State, blank: Blank) {
        let segment_seq = self.next_segment_seq;
        self.next_segment_seq += 1;
        let (prev_segment_seq, prev_end_offset) =
            self.segment.as_ref().map_or(self.prev_end, |old| (old.seq, old.offset));
        let header = SegmentHeader {
            uuid: self.uuid,
            shard: self.options.shard,
            stream: 0,
            segment_seq,
            segment_bytes: blank.bytes,
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
        writes.extend(parts.encode(&checkpoint::encode(&state)));
        let left = writes.len();
        for buf in writes {
            let buf = buf.freeze();
            let len = buf.len() as u64;
            let tag = self.tag(Purpose::SegmentPart { len: buf.len() });
            self.io.push_back(Io::Write { tag, file: blank.file.clone(), offset, buf, dsync: true });
            self.stats.frame_bytes += len;
            offset += len;
        }
        self.stats.frame_count += left as u64 - 1;
        self.next_frame_seq = parts.frame_seq;
        self.prev_crc = parts.prev_crc;
        self.state = state;
        // No frame of the old segment is in flight, so these are the only ones that could complete.
        self.written_seq = self.next_frame_seq - 1;
        self.last_real_seq = self.written_seq;
        let Blank { file, path, bytes } = blank;
        let next = Segment { seq: segment_seq, file, path, bytes, offset };
        self.roll = Roll::Writing { next, left };
    }

    pub(super) fn on_segment_part(&mut self, len: usize, result: IoResult) {
        let Roll::Writing { next, left } = &mut self.roll else { return };
        let (path, offset) = (next.path.clone(), 0);
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
        let Roll::Writing { mut next, .. } = std::mem::replace(&mut self.roll, Roll::Idle) else { return };
        next.path = self.shard_path.join(segment_name(next.seq));
        self.roll = Roll::Naming { next, from: path, again_at: None };
        self.name_segment();
    }

    fn name_segment(&mut self) {
        let Roll::Naming { next, from, .. } = &self.roll else { return };
        let job = ColdJob::Name { from: from.clone(), to: next.path.clone(), inode: next.file.inode() };
        let tag = self.tag(Purpose::SegmentName);
        self.io.push_back(Io::Cold { tag, job });
    }

    /// When a naming is tried again.
    pub(super) fn roll_retry_at(&self) -> Option<u64> {
        match &self.roll {
            Roll::Naming { again_at, .. } => *again_at,
            _ => None,
        }
    }

    pub(super) fn on_segment_name(&mut self, result: IoResult) {
        let Roll::Naming { next, from, .. } = std::mem::replace(&mut self.roll, Roll::Idle) else { return };
        match result {
            Ok(_) => {}
            Err(errno) if may_pass(errno) || is_full(errno) => {
                // Nothing is under way in this segment: whoever waits goes on waiting.
                let again_at = Some(self.now_ns.saturating_add(NAME_RETRY_NS));
                self.roll = Roll::Naming { next, from, again_at };
                return;
            }
            Err(errno) => {
                let error = WalError::Io { operation: "rename", path: next.path, offset: 0, errno };
                return self.poison(error);
            }
        }
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
