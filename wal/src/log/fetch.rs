//! Reading messages back.
//!
//! What is not written yet is answered from memory. Everything else is one sequential read of the run that holds
//! the message: at most a MiB and a frame. Check words are compared before anything is handed out; a message
//! that fails is read once more, past all caches, and then it is lost: counted, reported, never delivered.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::gather::FrameRun;
use super::roll::segment_name;
use super::types::{Batch, Event};
use super::{Log, Purpose};
use crate::TopicId;
use crate::disk::{ColdJob, FrameSlice, Io, IoDone, IoResult, LogFile, ReadBuf};
use crate::error::may_pass;
use crate::format::Seed;
use crate::format::frame::{self, FrameHeader, Kind};
use crate::format::record::{PublishView, RecordView, Records};
use crate::limits::{BLOCK_BYTES, READ_FILES_OPEN_MAX, READ_RETRY_NS, READS_IN_FLIGHT_MAX, RUN_SPAN_BYTES};

/// A read of one run.
#[derive(Clone, Debug)]
pub(super) struct ReadJob {
    token: u64,
    topic: TopicId,
    /// The message that was asked for.
    seq: u64,
    /// End of the sequences that the bytes must hold.
    end_seq: u64,
    segment: u64,
    offset: u64,
    len: u64,
    /// It was read before, and was damaged.
    again: bool,
}

/// Reads that wait and files that are open. The callers bound the number: one fetch per topic and core.
#[derive(Debug, Default)]
pub(super) struct Reads {
    queue: VecDeque<ReadJob>,
    in_flight: usize,
    files: HashMap<u64, Arc<dyn LogFile>>,
    /// Order of arrival in `files`, for eviction.
    file_order: VecDeque<u64>,
    opening: Option<u64>,
    retry_at: Option<u64>,
}

impl Reads {
    pub(super) fn retry_at(&self) -> Option<u64> {
        self.retry_at
    }

    pub(super) fn keep_file(&mut self, segment: u64, file: Arc<dyn LogFile>) {
        while self.files.len() >= READ_FILES_OPEN_MAX {
            let Some(oldest) = self.file_order.pop_front() else { break };
            self.files.remove(&oldest);
        }
        if self.files.insert(segment, file).is_none() {
            self.file_order.push_back(segment);
        }
    }

    pub(super) fn forget_file(&mut self, segment: u64) {
        if self.files.remove(&segment).is_some() {
            self.file_order.retain(|s| *s != segment);
        }
    }
}

impl Log {
    /// Reads back the messages of `topic` from `seq` on, as far as its run reaches; answered by
    /// [`Event::Loaded`], at once if they are still in memory. The answer begins at `seq`, or names it lost.
    pub fn fetch(&mut self, topic: TopicId, seq: u64, token: u64) {
        let batches = self.find_in_memory(topic, seq);
        if !batches.is_empty() {
            let batches = trim_front(batches, seq);
            return self.events.push_back(Event::Loaded { token, topic, batches, lost: Vec::new() });
        }
        let Some(state) = self.state.topic(topic) else {
            let lost = vec![(seq, seq.saturating_add(1))];
            return self.events.push_back(Event::Loaded { token, topic, batches: Vec::new(), lost });
        };
        let Some(run) = state.run_of(seq) else {
            let next = state.next_run_after(seq).max(seq.saturating_add(1));
            let lost = vec![(seq, next)];
            return self.events.push_back(Event::Loaded { token, topic, batches: Vec::new(), lost });
        };
        // What is being written cannot be read yet; it is in memory, and `seq` is not there.
        let mut end_seq = run.end_seq();
        let mut len = run.len;
        if let Some(flight) = self.in_flight.front()
            && self.segment.as_ref().is_some_and(|s| s.seq == run.segment)
        {
            len = len.min(flight.offset().saturating_sub(run.offset));
            let unwritten = self.in_flight.iter().flat_map(|f| f.runs.iter());
            let first = unwritten.filter(|r| r.fields.topic == topic).map(|r| r.fields.first_seq).min();
            end_seq = first.map_or(end_seq, |first| first.min(end_seq));
        }
        let job = ReadJob {
            token,
            topic,
            seq,
            end_seq,
            segment: run.segment,
            offset: run.offset,
            len,
            again: false,
        };
        self.reads.queue.push_back(job);
        self.start_reads();
    }

    /// The batch with `seq` and those behind it, from frames that are not written.
    fn find_in_memory(&self, topic: TopicId, seq: u64) -> Vec<Batch> {
        let mut budget = RUN_SPAN_BYTES;
        let mut wanted = |run: &FrameRun| {
            let hit = run.fields.topic == topic && run.end_seq() > seq && budget > 0;
            budget = budget.saturating_sub(if hit { u64::from(run.fields.payload_len) } else { 0 });
            hit
        };
        // Only if `seq` itself is there: otherwise it is on disk, and comes first.
        let holds =
            |run: &FrameRun| run.fields.topic == topic && run.fields.first_seq <= seq && seq < run.end_seq();
        let placed = self.in_flight.iter().flat_map(|f| f.runs.iter());
        let waiting = self.waiting.iter().flat_map(|f| f.runs.iter());
        if !placed.chain(waiting).any(holds) && !self.gather.any(holds) {
            return Vec::new();
        }
        let mut batches = Vec::new();
        for flight in &self.in_flight {
            for run in flight.runs.iter().filter(|run| wanted(run)) {
                batches.push(run.batch(flight.slice.slice(run.range()), None));
            }
        }
        for closed in &self.waiting {
            for run in closed.runs.iter().filter(|run| wanted(run)) {
                batches.push(run.batch(closed.unsealed.share(run.range()), None));
            }
        }
        batches.extend(self.gather.find(wanted));
        batches
    }

    fn start_reads(&mut self) {
        while self.reads.in_flight < READS_IN_FLIGHT_MAX {
            let Some(job) = self.reads.queue.front() else { return };
            let segment = job.segment;
            let active = self.segment.as_ref().filter(|s| s.seq == segment).map(|s| s.file.clone());
            let Some(file) = active.or_else(|| self.reads.files.get(&segment).cloned()) else {
                return self.open_for_read(segment);
            };
            let Some(job) = self.reads.queue.pop_front() else { return };
            self.reads.in_flight += 1;
            let (offset, buf) = (job.offset, ReadBuf::new(job.len as usize));
            let tag = self.tag(Purpose::Read(job));
            self.io.push_back(Io::Read { tag, file, offset, buf });
        }
    }

    fn open_for_read(&mut self, segment: u64) {
        if self.reads.opening.is_some() || self.reads.retry_at.is_some_and(|at| at > self.now_ns) {
            return;
        }
        self.reads.opening = Some(segment);
        let path = self.shard_path.join(segment_name(segment));
        let tag = self.tag(Purpose::OpenForRead(segment));
        self.io.push_back(Io::Cold { tag, job: ColdJob::Open { path } });
    }

    pub(super) fn on_opened(&mut self, segment: u64, result: IoResult) {
        self.reads.opening = None;
        match result {
            Ok(IoDone::File(file)) => self.reads.keep_file(segment, file),
            Err(errno) if may_pass(errno) => {
                self.reads.retry_at = Some(self.now_ns.saturating_add(READ_RETRY_NS));
                return;
            }
            Ok(_) | Err(_) => {
                // The segment is gone, retired meanwhile, or out of reach: nothing of it can be delivered.
                let (gone, rest) =
                    std::mem::take(&mut self.reads.queue).into_iter().partition(|j| j.segment == segment);
                self.reads.queue = rest;
                let gone: VecDeque<ReadJob> = gone;
                gone.into_iter().for_each(|job| self.answer(&job, Vec::new()));
            }
        }
        self.start_reads();
    }

    pub(super) fn retry_reads(&mut self) {
        if self.reads.retry_at.is_some_and(|at| at <= self.now_ns) {
            self.reads.retry_at = None;
            self.start_reads();
        }
    }

    pub(super) fn on_read(&mut self, mut job: ReadJob, result: IoResult) {
        self.reads.in_flight -= 1;
        let batches = match result {
            Ok(IoDone::Read { buf, len }) => {
                let len = len.min(buf.len());
                parse(&buf.freeze().slice(0..len), &job, &self.seed, self.options.shard)
            }
            Err(errno) if may_pass(errno) => {
                self.reads.queue.push_front(job);
                self.reads.retry_at = Some(self.now_ns.saturating_add(READ_RETRY_NS));
                return;
            }
            Ok(_) | Err(_) => Vec::new(),
        };
        let complete = gaps(&batches, job.seq, job.end_seq).is_empty();
        if complete || job.again {
            self.answer(&job, batches);
        } else {
            job.again = true;
            self.reads.queue.push_front(job);
        }
        self.start_reads();
    }

    /// Answers with what could be read; the rest of the run is lost.
    fn answer(&mut self, job: &ReadJob, batches: Vec<Batch>) {
        let lost = gaps(&batches, job.seq, job.end_seq);
        self.stats.lost_message_count += lost.iter().map(|(start, end)| end - start).sum::<u64>();
        self.events.push_back(Event::Loaded { token: job.token, topic: job.topic, batches, lost });
    }
}

/// Sequences of `seq..end_seq` that no batch has.
fn gaps(batches: &[Batch], seq: u64, end_seq: u64) -> Vec<(u64, u64)> {
    let mut lost = Vec::new();
    let mut at = seq;
    for batch in batches {
        if batch.first_seq > at {
            lost.push((at, batch.first_seq));
        }
        at = at.max(batch.end_seq());
    }
    if at < end_seq {
        lost.push((at, end_seq));
    }
    lost
}

/// Reads the frames of a run and takes out the intact messages of its topic.
fn parse(bytes: &FrameSlice, job: &ReadJob, seed: &Seed, shard: u16) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut at = 0;
    while at + BLOCK_BYTES <= bytes.len() {
        let rest = &bytes.as_slice()[at..];
        let index = (job.offset as usize + at) / BLOCK_BYTES;
        let header = FrameHeader::decode(rest, seed)
            .map(|(header, _)| header)
            .filter(|h| h.segment_seq == job.segment && h.block_index as usize == index && h.shard == shard);
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
                    && view.fields.topic == job.topic
                {
                    take_intact(&mut batches, bytes, at, frame, &view);
                }
            }
        }
        at += len;
    }
    let wanted = batches.into_iter().filter(|b: &Batch| b.end_seq() > job.seq).collect();
    compact(trim_front(wanted, job.seq), bytes.len())
}

/// Adds the intact messages of one record, as few batches as damage allows.
fn take_intact(
    batches: &mut Vec<Batch>,
    bytes: &FrameSlice,
    at: usize,
    frame: &[u8],
    view: &PublishView<'_>,
) {
    let mut open: Option<(u64, usize, usize)> = None;
    let mut push = |open: &mut Option<(u64, usize, usize)>, index: u64| {
        if let Some((first, start, end)) = open.take() {
            batches.push(Batch {
                topic: view.fields.topic,
                first_seq: view.fields.first_seq + first,
                first_id: view.fields.first_id + first,
                count: (index - first) as u32,
                defer_ms: view.fields.defer_ms,
                timestamp_ns: view.fields.timestamp_ns,
                payload: bytes.slice(at + start..at + end).into_bytes(),
                cost_bytes: (end - start) as u32,
            });
        }
    };
    for (index, message) in (0u64..).zip(view.messages()) {
        let end = message.offset + message.len;
        if !message.is_intact(frame) {
            push(&mut open, index);
        } else if let Some((_, _, open_end)) = &mut open {
            *open_end = end;
        } else {
            open = Some((index, message.offset, end));
        }
    }
    push(&mut open, u64::from(view.fields.count));
}

/// Cuts the messages below `seq` off the first batch.
fn trim_front(mut batches: Vec<Batch>, seq: u64) -> Vec<Batch> {
    if let Some(first) = batches.first_mut() {
        while first.first_seq < seq && first.count > 1 {
            let Some(size) = first.payload.first_chunk::<4>() else { break };
            let len = (u32::from_be_bytes(*size) as usize).saturating_add(4);
            if len > first.payload.len() {
                break;
            }
            let _ = first.payload.split_to(len);
            first.first_seq += 1;
            first.first_id += 1;
            first.count -= 1;
        }
    }
    batches
}

/// Shares the cost of the buffer out to the batches; where most of it is other topics' data, copies, so that a
/// few messages do not keep a MiB alive.
fn compact(mut batches: Vec<Batch>, buffer_bytes: usize) -> Vec<Batch> {
    let useful: usize = batches.iter().map(|b| b.payload.len()).sum();
    let sparse = useful < buffer_bytes / 4;
    for batch in &mut batches {
        if sparse {
            batch.payload = bytes::Bytes::copy_from_slice(&batch.payload);
        } else if useful > 0 {
            let share = batch.payload.len() as u128 * buffer_bytes as u128 / useful as u128;
            batch.cost_bytes = u32::try_from(share).unwrap_or(u32::MAX);
        }
    }
    batches
}
