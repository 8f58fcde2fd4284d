//! From a closed frame to a released one.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::gather::{ClosedFrame, FrameRun};
use super::roll::Roll;
use super::types::{Batch, Durability, Event};
use super::{Closing, Log, Purpose};
use crate::disk::{FrameSlice, Io, IoDone, IoResult, UnsealedFrame};
use crate::error::WalError;
use crate::format::frame::{FrameHeader, Kind};
use crate::format::record::{Record, Records};
use crate::limits::{BLOCK_BYTES, FRAME_HEADER_BYTES, FRAMES_IN_FLIGHT_MAX, LAZY_NS_MAX, MARKER_IDLE_NS};
use crate::state::{Applied, Place};

/// A frame that is being written.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) frame_seq: u64,
    pub(super) slice: FrameSlice,
    pub(super) runs: Vec<FrameRun>,
    offset: u64,
    dsync: bool,
    message_count: u64,
    kind: Kind,
    /// Bytes that have arrived; the rest was submitted again.
    done_bytes: usize,
    resubmitted: bool,
    completed: bool,
    placed_at_ns: u64,
}

impl Flight {
    /// Where it lies in the segment.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

impl Log {
    /// Takes a closed frame into the queue for a place.
    pub(super) fn enqueue(&mut self, mut closed: ClosedFrame) {
        if self.options.durability == Durability::Async {
            for run in closed.runs.iter_mut().filter(|run| !run.released) {
                run.released = true;
                let batch = run.batch(closed.unsealed.share(run.range()), None);
                self.release(batch);
            }
        }
        self.closed_frame_count += 1;
        self.waiting_bytes += closed.unsealed.len();
        self.waiting.push_back(closed);
        self.lazy_at = None;
        self.prompt = false;
    }

    pub(super) fn close_open_frame(&mut self) {
        if let Some(closed) = self.gather.close() {
            self.enqueue(closed);
        }
    }

    /// Releases what is in the open frame: the promise of `Async`.
    pub(super) fn release_gathered(&mut self) {
        let mut batches = Vec::new();
        self.gather.release_open(|batch| batches.push(batch));
        batches.into_iter().for_each(|batch| self.release(batch));
    }

    /// Does everything that can be done now.
    pub(super) fn pump(&mut self) {
        while !self.poisoned {
            if !matches!(self.roll, Roll::Idle) {
                self.drive_roll();
                if !matches!(self.roll, Roll::Idle) {
                    break;
                }
            }
            let Some(front) = self.waiting.front() else { break };
            let may_go = self.in_flight.is_empty() || front.full;
            if !may_go || self.in_flight.len() >= FRAMES_IN_FLIGHT_MAX {
                break;
            }
            if !self.fits_segment(front.unsealed.len()) {
                self.roll = Roll::Draining;
                continue;
            }
            if let Some(closed) = self.waiting.pop_front() {
                self.waiting_bytes -= closed.unsealed.len();
                self.place(closed);
            }
        }
        self.start_sync();
        self.finish_closing();
        self.prepare_space();
    }

    /// The last block of a segment is kept for a close frame or a marker, so that neither ever needs a new one.
    fn fits_segment(&self, len: usize) -> bool {
        self.segment.as_ref().is_some_and(|s| s.offset + (len + BLOCK_BYTES) as u64 <= s.bytes)
    }

    fn place(&mut self, closed: ClosedFrame) {
        self.stats.padding_bytes += closed.padding_bytes as u64;
        let body = FrameBody {
            kind: Kind::Data,
            record_offset: closed.record_offset,
            record_len: closed.record_len,
            table_crc: closed.table_crc,
        };
        let Some(slice) = self.seal_and_write(closed.unsealed, body, closed.runs, closed.message_count)
        else {
            return;
        };
        let start = closed.record_offset as usize;
        let records = slice.slice(start..start + closed.record_len as usize);
        self.apply(records.as_slice(), slice.len() as u64);
    }

    /// Gives a frame its number and its place, and hands it to the disk.
    fn seal_and_write(
        &mut self,
        unsealed: UnsealedFrame,
        body: FrameBody,
        runs: Vec<FrameRun>,
        message_count: u64,
    ) -> Option<FrameSlice> {
        let segment = self.segment.as_mut()?;
        let len = unsealed.len();
        let frame_seq = self.next_frame_seq;
        let header = FrameHeader {
            kind: body.kind,
            flags: 0,
            frame_len: len as u32,
            record_len: body.record_len,
            table_crc: body.table_crc,
            record_offset: body.record_offset,
            prev_crc: self.prev_crc,
            frame_seq,
            durable_seq: self.durable_seq,
            segment_seq: segment.seq,
            block_index: (segment.offset / BLOCK_BYTES as u64) as u32,
            shard: self.options.shard,
            stream: 0,
        };
        let (bytes, crc) = header.encode(&self.seed);
        let slice = unsealed.seal(&bytes);
        let (file, offset) = (segment.file.clone(), segment.offset);
        segment.offset += len as u64;
        self.next_frame_seq += 1;
        self.prev_crc = crc;
        self.marker_at = None;
        if body.kind != Kind::Marker {
            self.last_real_seq = frame_seq;
        }
        // In `Sync` every frame is data-synchronous, the marker too: were it not, and were it lost, the next
        // frame would stand behind a hole and look like one that overtook.
        let dsync = self.options.durability == Durability::Sync || body.kind == Kind::Close;
        let dsync = dsync && !planted!(WriteNotSynchronous);
        let tag = self.tag(Purpose::Frame(frame_seq));
        self.io.push_back(Io::Write { tag, file, offset, buf: slice.clone(), dsync });
        self.stats.frame_count += 1;
        self.stats.frame_bytes += len as u64;
        self.in_flight.push_back(Flight {
            frame_seq,
            slice: slice.clone(),
            runs,
            offset,
            dsync,
            message_count,
            kind: body.kind,
            done_bytes: 0,
            resubmitted: false,
            completed: false,
            placed_at_ns: self.now_ns,
        });
        Some(slice)
    }

    /// Applies the records of the frame just placed.
    fn apply(&mut self, records: &[u8], len: u64) {
        let Some(segment) = &self.segment else { return };
        let place = Place { segment: segment.seq, offset: segment.offset - len, len };
        let frame_seq = self.next_frame_seq - 1;
        let mut freed = false;
        for record in Records::new(records) {
            let record = record.expect("invariant: the log reads what it wrote");
            match self.state.apply(&record, place) {
                Applied::Plain => {}
                Applied::Freed => freed = true,
                Applied::Reserved(until) => self.reservations.push_back((frame_seq, until)),
                Applied::Retired(segment) => {
                    reach!("wal.segment.retired");
                    self.retire_requested.remove(&segment);
                    if planted!(RecycledTooEarly) {
                        self.leave(segment);
                    } else {
                        self.retiring.push_back((frame_seq, segment));
                    }
                }
            }
        }
        if freed {
            self.retire_unused();
        }
    }

    /// Records that sealed segments without a run are not needed. They go once the record is durable.
    pub(super) fn retire_unused(&mut self) {
        let Some(active) = self.segment.as_ref().map(|s| s.seq) else { return };
        let unused: Vec<u64> = self
            .state
            .segments
            .iter()
            .filter(|(seq, segment)| segment.run_count == 0 && **seq < active)
            .map(|(seq, _)| *seq)
            .filter(|seq| self.retire_requested.insert(*seq))
            .collect();
        for segment in unused {
            self.append_record(&Record::Retire { segment });
        }
    }

    pub(super) fn on_frame(&mut self, frame_seq: u64, result: IoResult) {
        let Some(index) = frame_seq.checked_sub(self.written_seq + 1) else { return };
        let Some(flight) = self.in_flight.get_mut(index as usize) else { return };
        let path = self.segment.as_ref().map_or_else(PathBuf::new, |s| s.path.clone());
        let offset = flight.offset + flight.done_bytes as u64;
        let count = match result {
            Ok(IoDone::Written(count)) => count,
            Ok(_) => 0,
            Err(errno) => {
                return self.poison(WalError::Io { operation: "write", path, offset, errno });
            }
        };
        flight.done_bytes += count;
        if planted!(ShortWriteComplete) {
            flight.done_bytes = flight.slice.len();
        }
        if flight.done_bytes < flight.slice.len() {
            if flight.resubmitted {
                return self.poison(WalError::ShortWrite { path, offset });
            }
            reach!("wal.short-write.rest-goes-again");
            return self.resubmit(index as usize);
        }
        flight.completed = true;
        if planted!(ReleaseOutOfOrder) {
            self.in_flight.iter_mut().for_each(|flight| flight.completed = true);
        }
        let Some(flight) = self.in_flight.get_mut(index as usize) else { return };
        let took_ns = self.now_ns.saturating_sub(flight.placed_at_ns);
        self.stats.commit_count += 1;
        self.stats.commit_ns_sum += took_ns;
        self.stats.commit_ns_max = self.stats.commit_ns_max.max(took_ns);
        self.advance_written();
    }

    /// A write may be short once: the rest goes again, from the last whole block.
    fn resubmit(&mut self, index: usize) {
        let Some(file) = self.segment.as_ref().map(|s| s.file.clone()) else { return };
        let Some(flight) = self.in_flight.get_mut(index) else { return };
        flight.resubmitted = true;
        flight.done_bytes -= flight.done_bytes % BLOCK_BYTES;
        let buf = flight.slice.slice(flight.done_bytes..flight.slice.len());
        let (offset, dsync) = (flight.offset + flight.done_bytes as u64, flight.dsync);
        let frame_seq = flight.frame_seq;
        let tag = self.tag(Purpose::Frame(frame_seq));
        self.io.push_back(Io::Write { tag, file, offset, buf, dsync });
    }

    /// Moves the end of the contiguous written prefix, and releases what it covers.
    fn advance_written(&mut self) {
        while self.in_flight.front().is_some_and(|flight| flight.completed) {
            let Some(mut flight) = self.in_flight.pop_front() else { break };
            self.written_seq = flight.frame_seq;
            let payload_bytes = flight.runs.iter().map(|run| u64::from(run.fields.payload_len)).sum();
            for run in flight.runs.iter_mut().filter(|run| !run.released) {
                run.released = true;
                let frame = Some((flight.slice.len(), payload_bytes));
                let batch = run.batch(flight.slice.slice(run.range()), frame);
                self.release(batch);
            }
            if self.options.durability == Durability::Sync {
                self.unsynced_count = self.unsynced_count.saturating_sub(flight.message_count);
                self.on_durable(flight.frame_seq);
            } else if flight.kind == Kind::Close {
                // Data-synchronous itself, but not for the frames before it.
                self.force_sync = true;
            }
            self.gather.recycle(flight.runs);
            if flight.kind == Kind::Data {
                self.written_frame_count += 1;
                self.tell_recorded();
            }
        }
    }

    /// Moves the end of the durable prefix, and does what waited for it.
    pub(super) fn on_durable(&mut self, frame_seq: u64) {
        self.durable_seq = self.durable_seq.max(frame_seq);
        while let Some(until) = pop_covered(&mut self.reservations, frame_seq) {
            self.id_durable_until = self.id_durable_until.max(until);
        }
        self.release_held();
        while let Some(segment) = pop_covered(&mut self.retiring, frame_seq) {
            self.leave(segment);
        }
        if self.is_all_durable() {
            if self.gather.is_empty() && self.waiting.is_empty() {
                self.dirty_since = None;
            }
            if self.last_real_seq == self.durable_seq {
                self.marker_at = Some(self.now_ns.saturating_add(MARKER_IDLE_NS));
            }
        }
    }

    pub(super) fn is_all_durable(&self) -> bool {
        self.durable_seq + 1 == self.next_frame_seq
    }

    /// When the next sync of `Write` and `Async` is due.
    pub(super) fn sync_due_at(&self) -> Option<u64> {
        // During a roll the numbers of the checkpoint are given, and no sync of the old file covers them.
        if self.options.durability == Durability::Sync
            || self.sync_upto.is_some()
            || !matches!(self.roll, Roll::Idle)
            || self.written_seq == self.durable_seq
            || self.last_real_seq <= self.durable_seq
        {
            return None;
        }
        if self.force_sync || self.unsynced_count >= self.options.sync_messages_max {
            return Some(self.now_ns);
        }
        self.dirty_since.map(|since| since.saturating_add(self.options.sync_interval_ns))
    }

    fn start_sync(&mut self) {
        if !self.poisoned && self.sync_due_at().is_some_and(|at| at <= self.now_ns) {
            self.sync_now();
        }
    }

    /// Syncs what is written. One at a time: what completes meanwhile is for the next.
    pub(super) fn sync_now(&mut self) {
        let Some(file) = self.segment.as_ref().map(|s| s.file.clone()) else { return };
        if self.sync_upto.is_some() || self.written_seq == self.durable_seq {
            return;
        }
        self.sync_upto = Some(self.written_seq);
        self.force_sync = false;
        let unwritten = self.in_flight.iter().map(|f| f.message_count).sum::<u64>()
            + self.waiting.iter().map(|f| f.message_count).sum::<u64>()
            + self.gather.message_count();
        self.unsynced_count = unwritten;
        // What is appended from here on is not covered; neither is what was appended and is not written, which
        // is no older than the longest wait for a frame.
        self.dirty_since = Some(self.now_ns.saturating_sub(if unwritten > 0 { LAZY_NS_MAX } else { 0 }));
        let tag = self.tag(Purpose::Sync);
        self.io.push_back(Io::Sync { tag, file });
    }

    pub(super) fn on_sync(&mut self, result: IoResult) {
        let Some(upto) = self.sync_upto.take() else { return };
        if let Err(errno) = result {
            let path = self.segment.as_ref().map_or_else(PathBuf::new, |s| s.path.clone());
            return self.poison(WalError::Io { operation: "sync", path, offset: 0, errno });
        }
        self.stats.sync_count += 1;
        self.on_durable(upto);
    }

    /// Gives messages to the caller, unless a crash now could let their ids be issued again.
    pub(super) fn release(&mut self, batch: Batch) {
        self.held.push_back(batch);
        self.release_held();
    }

    pub(super) fn release_held(&mut self) {
        while let Some(batch) = self.held.pop_front() {
            let last = crate::state::id_sequence(batch.first_id) + u64::from(batch.count);
            // A synced message vouches for its own id: recovery begins behind the highest it finds.
            if self.options.durability != Durability::Sync && last > self.id_durable_until {
                self.held.push_front(batch);
                self.force_sync = true;
                self.prompt |= !self.gather.is_empty();
                break;
            }
            self.events.push_back(Event::Released(batch));
        }
    }

    // Why a marker is worth a write when nothing happens:
    //   1. Frame 7 is written and synced; its publishers have their OK. Nothing follows.
    //   2. A bit of frame 7 rots, then the power fails.
    //   3. Recovery finds a bad last frame. No later frame vouches for it, so it must be called a torn tail, and
    //      an acknowledged message is gone without a word.
    // A marker written 10 ms after the sync vouches for frame 7, so step 3 finds rot and says so.
    pub(super) fn write_marker(&mut self) {
        if self.marker_at.is_none_or(|at| at > self.now_ns) {
            return;
        }
        self.marker_at = None;
        if !self.gather.is_empty() || !self.waiting.is_empty() || !matches!(self.roll, Roll::Idle) {
            return;
        }
        // The last two blocks: one for this, one left for a close frame. On a full disk it is room that there is not.
        if self.closing == Closing::No && self.fits_segment(BLOCK_BYTES) && !self.space.is_full() {
            self.write_empty(Kind::Marker);
        }
        self.gather.rest();
    }

    fn write_empty(&mut self, kind: Kind) {
        let unsealed = self.gather.empty_frame();
        let body = FrameBody {
            kind,
            record_offset: FRAME_HEADER_BYTES as u32,
            record_len: 0,
            table_crc: crc32fast::hash(&[]),
        };
        self.stats.padding_bytes += (BLOCK_BYTES - FRAME_HEADER_BYTES) as u64;
        self.seal_and_write(unsealed, body, Vec::new(), 0);
    }

    fn finish_closing(&mut self) {
        if self.poisoned || !matches!(self.roll, Roll::Idle) {
            return;
        }
        let drained = self.gather.is_empty() && self.waiting.is_empty() && self.in_flight.is_empty();
        match self.closing {
            Closing::Draining if drained && self.segment.is_none() => self.closing = Closing::Done,
            Closing::Draining if drained && self.sync_upto.is_none() => {
                if self.is_all_durable() {
                    self.closing = Closing::Frame;
                    self.write_empty(Kind::Close);
                } else {
                    self.sync_now();
                }
            }
            Closing::Frame if drained && self.is_all_durable() => self.closing = Closing::Done,
            Closing::Frame if drained => self.sync_now(),
            _ => {}
        }
    }
}

/// Takes the first of `queue` if its frame is covered by the durable prefix.
fn pop_covered(queue: &mut VecDeque<(u64, u64)>, durable_seq: u64) -> Option<u64> {
    let (_, value) = *queue.front().filter(|(frame_seq, _)| *frame_seq <= durable_seq)?;
    queue.pop_front();
    Some(value)
}

struct FrameBody {
    kind: Kind,
    record_offset: u32,
    record_len: u32,
    table_crc: u32,
}
