//! Reading a segment in order.

use std::sync::Arc;

use super::table::Found;
use crate::disk::{LogFile, ReadBuf};
use crate::error::WalError;
use crate::format::frame::{self, FrameHeader};
use crate::format::record::{RecordView, Records};
use crate::format::{Seed, Unknown};
use crate::limits::{BLOCK_BYTES, SCAN_WINDOW_BYTES};

/// A segment under a window.
pub(super) struct Scan {
    file: Arc<dyn LogFile>,
    seed: Seed,
    shard: u16,
    pub(super) segment_seq: u64,
    /// Bytes that can be read: the segment, or less if the file was cut.
    pub(super) bytes: u64,
    window: ReadBuf,
    window_offset: u64,
    window_len: usize,
}

/// The frame at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) found: Found,
    /// The header, if there is a valid one of this segment at its own place.
    pub(super) header: Option<(FrameHeader, u32)>,
}

/// Frames behind a place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behind {
    /// Place and number of the first.
    pub(super) first: Option<(u64, u64)>,
    /// Highest frame that any of them says was durable.
    pub(super) durable_seq: u64,
    /// End of the last.
    pub(super) end: u64,
}

impl Scan {
    pub(super) fn new(
        file: Arc<dyn LogFile>,
        seed: Seed,
        shard: u16,
        segment_seq: u64,
        segment_bytes: u64,
    ) -> Scan {
        let bytes = file.bytes().min(segment_bytes);
        let bytes = bytes - bytes % BLOCK_BYTES as u64;
        let window = ReadBuf::new(SCAN_WINDOW_BYTES.min(usize::try_from(bytes).unwrap_or(usize::MAX)));
        Scan { file, seed, shard, segment_seq, bytes, window, window_offset: 0, window_len: 0 }
    }

    /// Bytes from `offset` on, at most `len`, fewer only at the end.
    pub(super) fn read(&mut self, offset: u64, len: usize) -> Result<&[u8], WalError> {
        let len = len.min(usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX));
        let window_end = self.window_offset + self.window_len as u64;
        if offset < self.window_offset || offset + len as u64 > window_end {
            self.load(offset, len)?;
        }
        let start = usize::try_from(offset - self.window_offset).unwrap_or(usize::MAX);
        let window = self.window.as_slice().get(..self.window_len).unwrap_or_default();
        let end = start.saturating_add(len).min(window.len());
        Ok(window.get(start..end).unwrap_or_default())
    }

    fn load(&mut self, offset: u64, len: usize) -> Result<(), WalError> {
        if len > self.window.len() {
            self.window = ReadBuf::new(len);
        }
        let left = usize::try_from(self.bytes - offset).unwrap_or(usize::MAX);
        let want = self.window.len().min(left.next_multiple_of(BLOCK_BYTES));
        let buf = &mut self.window.as_mut_slice()[..want];
        let count = self.file.read_at(offset, buf).map_err(|errno| WalError::Io {
            operation: "read",
            path: self.file.path().to_path_buf(),
            offset,
            errno,
        })?;
        self.window_offset = offset;
        self.window_len = count;
        Ok(())
    }

    /// Looks at `offset`, where frame `frame_seq` is expected behind a frame with `prev_crc`; `None` does not
    /// compare the chain, after a gap.
    pub(super) fn look(
        &mut self,
        offset: u64,
        frame_seq: u64,
        prev_crc: Option<u32>,
    ) -> Result<Seen, WalError> {
        let (seed, shard, segment_seq) = (self.seed, self.shard, self.segment_seq);
        let block = self.read(offset, BLOCK_BYTES)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(Seen { found: Found::Zeros, header: None });
        }
        let index = offset / BLOCK_BYTES as u64;
        let Some((header, crc)) = FrameHeader::decode(block, &seed) else {
            if let Some(unknown) = FrameHeader::unknown(block, &seed, segment_seq, index) {
                return Err(self.unsupported(unknown));
            }
            return Ok(Seen { found: Found::Bad, header: None });
        };
        if header.segment_seq < segment_seq {
            return Ok(Seen { found: Found::Stale, header: None });
        }
        let in_place = header.segment_seq == segment_seq
            && header.shard == shard
            && u64::from(header.block_index) == index;
        if !in_place {
            return Ok(Seen { found: Found::Misplaced, header: None });
        }
        let frame_len = header.frame_len as usize;
        let expected = header.frame_seq == frame_seq && prev_crc.is_none_or(|crc| crc == header.prev_crc);
        let found = if !expected {
            Found::Bad
        } else {
            let frame = self.read(offset, frame_len)?;
            let unknown = frame::records(frame, &header)
                .filter(|_| header.kind == frame::Kind::Data)
                .and_then(Records::unknown);
            if let Some(unknown) = unknown {
                return Err(self.unsupported(unknown));
            }
            let frame = self.read(offset, frame_len)?;
            if frame.len() < frame_len { Found::Bad } else { inspect(frame, &header) }
        };
        Ok(Seen { found, header: Some((header, crc)) })
    }

    fn unsupported(&self, unknown: Unknown) -> WalError {
        let Unknown { field, found, wanted } = unknown;
        WalError::Unsupported { path: self.file.path().to_path_buf(), field, found, wanted }
    }

    /// The frames behind `offset` with a number above `frame_seq`, at block boundaries only: a body cannot forge
    /// a header, whose checksum is seeded with a secret.
    pub(super) fn look_behind(&mut self, offset: u64, frame_seq: u64) -> Result<Behind, WalError> {
        let mut behind = Behind::default();
        let mut at = offset;
        while let Some((place, header)) = self.next_own(at, frame_seq)? {
            behind.first.get_or_insert((place, header.frame_seq));
            behind.durable_seq = behind.durable_seq.max(header.durable_seq);
            behind.end = behind.end.max(place + u64::from(header.frame_len)).min(self.bytes);
            at = place;
        }
        Ok(behind)
    }

    /// True if a frame of an earlier life of the file lies behind `offset`.
    pub(super) fn has_stale_behind(&mut self, offset: u64) -> Result<bool, WalError> {
        let (seed, segment_seq) = (self.seed, self.segment_seq);
        let mut at = offset + BLOCK_BYTES as u64;
        while at < self.bytes {
            let block = self.read(at, BLOCK_BYTES)?;
            let index = at / BLOCK_BYTES as u64;
            let header = FrameHeader::decode(block, &seed);
            if header.is_some_and(|(h, _)| h.segment_seq < segment_seq && u64::from(h.block_index) == index) {
                return Ok(true);
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(false)
    }

    /// True if any frame of this segment's own epoch is in the file.
    pub(super) fn has_own_frames(&mut self) -> Result<bool, WalError> {
        Ok(self.next_own(0, 0)?.is_some())
    }

    /// True if any frame of this segment's own epoch but those of its checkpoint is in the file.
    pub(super) fn has_begun(&mut self) -> Result<bool, WalError> {
        let mut at = 0;
        while let Some((place, header)) = self.next_own(at, 0)? {
            if header.kind != frame::Kind::Checkpoint {
                return Ok(true);
            }
            at = place;
        }
        Ok(false)
    }

    /// True if all is zeros from `offset` on.
    pub(super) fn is_blank_from(&mut self, offset: u64) -> Result<bool, WalError> {
        let mut at = offset;
        while at < self.bytes {
            if self.read(at, BLOCK_BYTES)?.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(true)
    }

    /// The next frame of this segment behind `offset`, in its place, with a number above `frame_seq`.
    fn next_own(&mut self, offset: u64, frame_seq: u64) -> Result<Option<(u64, FrameHeader)>, WalError> {
        let (seed, shard, segment_seq) = (self.seed, self.shard, self.segment_seq);
        let mut at = offset + BLOCK_BYTES as u64;
        while at < self.bytes {
            let block = self.read(at, BLOCK_BYTES)?;
            if let Some((header, _)) = FrameHeader::decode(block, &seed)
                && header.segment_seq == segment_seq
                && header.shard == shard
                && u64::from(header.block_index) == at / BLOCK_BYTES as u64
                && header.frame_seq > frame_seq
            {
                return Ok(Some((at, header)));
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(None)
    }
}

/// Checks all of a frame, before any of it is applied.
fn inspect(frame: &[u8], header: &FrameHeader) -> Found {
    let Some(records) = frame::records(frame, header) else { return Found::Bad };
    if header.kind == frame::Kind::Checkpoint {
        return Found::Good;
    }
    let mut found = Found::Good;
    for record in Records::new(records) {
        match record {
            None => return Found::Bad,
            Some(RecordView::Publish(view)) if !view.messages().all(|m| m.is_intact(frame)) => {
                found = Found::MessageBad;
            }
            Some(_) => {}
        }
    }
    found
}
