//! Steps 2 and 3: a checkpoint, and the frames behind it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::scan::Scan;
use super::table::{Found, Later, decide};
use super::{Header, Lost, Recovery, SegmentFile, TORN_COPY_BYTES, Verdict, io};
use crate::error::WalError;
use crate::format::checkpoint;
use crate::format::frame::{self, CONTINUED, FrameHeader, Kind};
use crate::format::record::{RecordView, Records};
use crate::format::segment::SegmentHeader;
use crate::limits::{BLOCK_BYTES, CHECKPOINT_BYTES_MAX};
use crate::log::segment_name;
use crate::row::Row;
use crate::state::{Applied, Place};

impl Recovery<'_> {
    /// Steps 2 and 3.
    pub(super) fn replay(&mut self, segments: &BTreeMap<u64, SegmentFile>) -> Result<(), WalError> {
        let mut later: Vec<u64> = Vec::new();
        for (seq, segment) in segments.iter().rev() {
            let file = self.open(&segment.path)?;
            file.sync_data().map_err(|errno| io("sync", &segment.path, 0, errno))?;
            drop(file);
            let row = match segment.header {
                Header::Valid(header) => {
                    let mut scan = self.scan(*seq, segment, header.segment_bytes)?;
                    if let Some(start) = self.load_checkpoint(&mut scan, &header)? {
                        self.check_length(*seq, segment, &header)?;
                        self.replay_segment(&mut scan, start, self.first_of(segments, &later))?;
                        return self.replay_later(segments, &later);
                    }
                    Row::E
                }
                Header::Other => Row::G,
                Header::Stale | Header::Bad => Row::E,
            };
            if later.is_empty() && segment.header != Header::Other && !self.has_begun(*seq, segment)? {
                // Named ahead, or a crash came before its checkpoint was whole: the one before it goes on.
                self.unbegun.insert(*seq);
                continue;
            }
            let verdict = Verdict { row, segment: *seq, offset: 0, frame_seq: 0 };
            self.damage(&segment.path, verdict)?;
            later.insert(0, *seq);
        }
        // The segment before one that was not begun is always there, but for the first of all: and that file was
        // zeros, where only the checkpoint of nothing was being written. Anything else is a log that cannot be read.
        for (seq, segment) in segments {
            let unbegun = self.unbegun.contains(seq);
            if unbegun && !self.scan(*seq, segment, segment.bytes)?.is_blank_from(2 * BLOCK_BYTES as u64)? {
                later.insert(0, *seq);
            }
        }
        match later.first() {
            // Nothing to start from: with nothing known, nothing can be kept.
            Some(seq) => Err(WalError::Corrupt {
                path: segments.get(seq).map_or_else(PathBuf::new, |s| s.path.clone()),
                offset: 0,
                row: Row::E,
                frame_seq: 0,
            }),
            None => Ok(()),
        }
    }

    /// First frame of the first later segment whose header can be read: it vouches for all before it.
    fn first_of(&self, segments: &BTreeMap<u64, SegmentFile>, later: &[u64]) -> Option<u64> {
        later.iter().find_map(|seq| match segments.get(seq)?.header {
            Header::Valid(header) => Some(header.first_frame_seq),
            _ => None,
        })
    }

    /// `Quarantine` only: segments whose own checkpoint is damaged, replayed on top of an older one.
    fn replay_later(&mut self, segments: &BTreeMap<u64, SegmentFile>, later: &[u64]) -> Result<(), WalError> {
        for (i, seq) in later.iter().enumerate() {
            let Some(segment) = segments.get(seq) else { continue };
            let bytes = match segment.header {
                Header::Valid(header) => header.segment_bytes,
                _ => segment.bytes,
            };
            let mut scan = self.scan(*seq, segment, bytes)?;
            self.state.add_segment(*seq, bytes);
            let vouched = self.first_of(segments, later.get(i + 1..).unwrap_or_default());
            self.replay_segment(&mut scan, BLOCK_BYTES as u64, vouched)?;
        }
        Ok(())
    }

    /// Loads the checkpoint at the start of a segment; the offset behind it, or `None` if it is not whole.
    fn load_checkpoint(&mut self, scan: &mut Scan, header: &SegmentHeader) -> Result<Option<u64>, WalError> {
        let mut bytes: Vec<u8> = Vec::new();
        let (mut offset, mut frame_seq) = (BLOCK_BYTES as u64, header.first_frame_seq);
        let mut prev_crc = header.prev_crc;
        loop {
            let seen = scan.look(offset, frame_seq, Some(prev_crc))?;
            let Some((header, crc)) = seen.header.filter(|_| seen.found == Found::Good) else {
                return Ok(None);
            };
            let frame = scan.read(offset, header.frame_len as usize)?;
            let part = frame::records(frame, &header).filter(|_| header.kind == Kind::Checkpoint);
            let Some(part) = part.filter(|p| bytes.len() + p.len() <= CHECKPOINT_BYTES_MAX) else {
                return Ok(None);
            };
            bytes.extend_from_slice(part);
            offset += u64::from(header.frame_len);
            frame_seq += 1;
            prev_crc = crc;
            if header.flags & CONTINUED == 0 {
                break;
            }
        }
        let Some((state, leaving)) = checkpoint::decode(&bytes) else { return Ok(None) };
        self.state = state;
        self.retired.extend(leaving);
        self.next_frame_seq = frame_seq;
        self.prev_crc = prev_crc;
        Ok(Some(offset))
    }

    /// A segment never changes its size: a shorter file was cut, and what was there is gone.
    fn check_length(
        &mut self,
        seq: u64,
        segment: &SegmentFile,
        header: &SegmentHeader,
    ) -> Result<(), WalError> {
        let bytes = segment.bytes;
        if bytes >= header.segment_bytes {
            return Ok(());
        }
        let frame_seq = self.next_frame_seq;
        self.damage(&segment.path, Verdict { row: Row::F, segment: seq, offset: bytes, frame_seq })
    }

    /// Replays a segment from `offset` to its end. `vouched_below`: frames below it are known to be durable.
    fn replay_segment(
        &mut self,
        scan: &mut Scan,
        mut offset: u64,
        vouched_below: Option<u64>,
    ) -> Result<(), WalError> {
        let mut chain = Some(self.prev_crc);
        loop {
            let frame_seq = self.next_frame_seq;
            if vouched_below.is_some_and(|end| frame_seq >= end) {
                // A later segment took over here; what lies behind was cut off.
                self.end_at(Row::B, scan.segment_seq, offset);
                return Ok(());
            }
            let seen = scan.look(offset, frame_seq, chain)?;
            if let (Found::Good, Some((header, crc))) = (seen.found, seen.header) {
                self.accept(scan, offset, &header, crc)?;
                chain = Some(crc);
                offset += u64::from(header.frame_len);
                continue;
            }
            let behind = scan.look_behind(offset, frame_seq)?;
            let claimed = self.dir.last_frame_seq(self.shard).is_some_and(|last| last >= frame_seq);
            let vouched = behind.durable_seq >= frame_seq || vouched_below.is_some() || claimed;
            let later = match behind.first {
                _ if vouched => Later::Vouched,
                Some(_) => Later::Unvouched,
                None => Later::Nothing,
            };
            let row = match decide(seen.found, later) {
                // Nothing in the log speaks against a clean end; only the superblock does.
                Row::E | Row::F if claimed && behind.first.is_none() => Row::I,
                row => row,
            };
            let verdict = Verdict { row, segment: scan.segment_seq, offset, frame_seq };
            match (row, seen.header) {
                (Row::H, Some((header, crc))) => {
                    self.report.damage.push(verdict);
                    self.note_lost(scan, offset, &header)?;
                    self.accept(scan, offset, &header, crc)?;
                    chain = Some(crc);
                    offset += u64::from(header.frame_len);
                }
                (Row::A | Row::B | Row::H, _) => {
                    self.end_at(row, scan.segment_seq, offset);
                    return Ok(());
                }
                // Not even a header, in a file that was used before: the middle of a frame from an earlier life of it.
                (Row::C, None) if scan.has_stale_behind(offset)? => {
                    self.end_at(Row::B, scan.segment_seq, offset);
                    return Ok(());
                }
                (Row::C | Row::D, header) => {
                    self.cut(scan, verdict, &behind, header.map(|(h, _)| h))?;
                    self.end_at(row, scan.segment_seq, offset);
                    return Ok(());
                }
                (Row::E | Row::F | Row::G | Row::I | Row::J | Row::K, _) => {
                    let path = self.path.join(segment_name(scan.segment_seq));
                    self.damage(&path, verdict)?;
                    let Some((next, next_seq)) = behind.first else {
                        self.set_aside(scan, offset, TORN_COPY_BYTES, verdict)?;
                        let to = self.dir.last_frame_seq(self.shard).unwrap_or(frame_seq) + 1;
                        self.report.lost.push(Lost::Frames { from: frame_seq, to: to.max(frame_seq + 1) });
                        self.next_frame_seq = to.max(frame_seq);
                        self.end_at(row, scan.segment_seq, offset);
                        return Ok(());
                    };
                    self.set_aside(scan, offset, next - offset, verdict)?;
                    self.report.lost.push(Lost::Frames { from: frame_seq, to: next_seq });
                    self.next_frame_seq = next_seq;
                    chain = None;
                    offset = next;
                }
            }
        }
    }

    fn end_at(&mut self, row: Row, segment: u64, offset: u64) {
        self.end = (segment, offset);
        self.report.verdict = Verdict { row, segment, offset, frame_seq: self.next_frame_seq };
    }

    /// Applies a frame that was checked.
    fn accept(
        &mut self,
        scan: &mut Scan,
        offset: u64,
        header: &FrameHeader,
        crc: u32,
    ) -> Result<(), WalError> {
        let len = u64::from(header.frame_len);
        let place = Place { segment: scan.segment_seq, offset, len };
        let frame = scan.read(offset, header.frame_len as usize)?;
        // A checkpoint in mid-replay is one that an older one stands in for: its facts are in the frames before.
        if header.kind == Kind::Data
            && let Some(records) = frame::records(frame, header)
        {
            for record in Records::new(records).flatten() {
                if let Applied::Retired(segment) = self.state.apply(&record, place) {
                    self.retired.insert(segment);
                }
            }
        }
        self.next_frame_seq = header.frame_seq + 1;
        self.prev_crc = crc;
        self.report.frame_count += 1;
        Ok(())
    }

    /// Lists the messages of a frame that fail their check words.
    fn note_lost(&mut self, scan: &mut Scan, offset: u64, header: &FrameHeader) -> Result<(), WalError> {
        let frame = scan.read(offset, header.frame_len as usize)?;
        let Some(records) = frame::records(frame, header) else { return Ok(()) };
        for record in Records::new(records).flatten() {
            let RecordView::Publish(view) = record else { continue };
            for (i, message) in (0u64..).zip(view.messages()) {
                if !message.is_intact(frame) {
                    let from = view.fields.first_seq + i;
                    let first_id = Some(view.fields.first_id + i);
                    let topic = view.fields.topic;
                    self.report.lost.push(Lost::Messages { topic, from, to: from + 1, first_id });
                }
            }
        }
        Ok(())
    }
}
