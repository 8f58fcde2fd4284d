//! Reads of the log's files, and what their errors mean.
//!
//! An error says nothing about the messages: they are answered with "not now", and whoever wants them asks again.
//! A run that cannot be read whole is read in pieces, so that a bad sector withholds the messages on it and not
//! their neighbours. Only bytes that were read completely, twice, in frames whose header and records are good,
//! prove by their own check words that a message is lost; and then that message alone.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use hashbrown::HashMap;

use super::fetch::trim_front;
use super::intact::{Bytes, Found, Suspect, gaps};
use super::roll::segment_name;
use super::types::{Batch, Event, LostMessages, ReadFailure, Unread};
use super::{Log, Purpose};
use crate::TopicId;
use crate::disk::{ColdJob, FrameSlice, Io, IoDone, IoResult, LogFile, ReadBuf};
use crate::error::may_pass;
use crate::limits::{
    BLOCK_BYTES, READ_FAILURES_MAX, READ_FILES_OPEN_MAX, READ_PIECE_BYTES, READ_REPORT_NS, READ_RETRY_NS,
    READS_IN_FLIGHT_MAX,
};

/// A read of one run.
#[derive(Debug)]
pub(super) struct ReadJob {
    token: u64,
    topic: TopicId,
    /// From the message that was asked for to the end of what the bytes must hold.
    wanted: Range<u64>,
    segment: u64,
    offset: u64,
    len: u64,
    /// What the first complete read found wanting; `Some` asks for a second one.
    suspects: Option<Vec<Suspect>>,
    pieces: Option<Pieces>,
}

/// A run that could not be read at once.
#[derive(Debug)]
struct Pieces {
    whole: ReadBuf,
    /// What is read already, or given up.
    at: usize,
    /// Bytes of the next read.
    len: usize,
    failure_count: usize,
}

/// Reads that wait and files that are open. The callers bound the number: one fetch per topic and core.
#[derive(Debug, Default)]
pub(super) struct Reads {
    queue: VecDeque<ReadJob>,
    /// Reads that are repeated, and when.
    later: Vec<(u64, ReadJob)>,
    in_flight: usize,
    files: HashMap<u64, Arc<dyn LogFile>>,
    /// Order of arrival in `files`, for eviction.
    file_order: VecDeque<u64>,
    opening: Option<u64>,
    open_again_at: Option<u64>,
    /// Segments with a failure that was reported, and when.
    reported: VecDeque<(u64, u64)>,
}

impl ReadJob {
    pub(super) fn new(
        token: u64,
        topic: TopicId,
        wanted: Range<u64>,
        segment: u64,
        offset: u64,
        len: u64,
    ) -> ReadJob {
        ReadJob { token, topic, wanted, segment, offset, len, suspects: None, pieces: None }
    }

    /// The next place to read: offset in the segment, and length.
    fn next(&self) -> (u64, usize) {
        match &self.pieces {
            None => (self.offset, self.len as usize),
            Some(pieces) => (self.offset + pieces.at as u64, pieces.len.min(pieces.whole.len() - pieces.at)),
        }
    }
}

impl Pieces {
    fn new(len: usize) -> Pieces {
        Pieces { whole: ReadBuf::new(len), at: 0, len: READ_PIECE_BYTES, failure_count: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.whole.as_mut_slice()[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    /// A piece that cannot be read is read block by block; a block that cannot be read stays zeros.
    fn fail(&mut self) {
        self.failure_count += 1;
        if self.len > BLOCK_BYTES {
            self.len = BLOCK_BYTES;
        } else {
            self.advance(BLOCK_BYTES);
        }
    }

    fn advance(&mut self, len: usize) {
        self.at += len;
        if self.at.is_multiple_of(READ_PIECE_BYTES) {
            self.len = READ_PIECE_BYTES;
        }
    }

    fn is_done(&self) -> bool {
        self.at >= self.whole.len() || self.failure_count > READ_FAILURES_MAX
    }
}

impl Reads {
    /// When there is something to repeat.
    pub(super) fn retry_at(&self) -> Option<u64> {
        let jobs = self.later.iter().map(|(at, _)| *at);
        jobs.chain(self.open_again_at).min()
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

    /// True if a failure of this segment has not been told of late.
    fn may_report(&mut self, segment: u64, now_ns: u64) -> bool {
        while self.reported.front().is_some_and(|(_, at)| at.saturating_add(READ_REPORT_NS) <= now_ns)
            || self.reported.len() > READ_FILES_OPEN_MAX
        {
            self.reported.pop_front();
        }
        let known = self.reported.iter().any(|(s, _)| *s == segment);
        if !known {
            self.reported.push_back((segment, now_ns));
        }
        !known
    }
}

impl Log {
    pub(super) fn read(&mut self, job: ReadJob) {
        self.reads.queue.push_back(job);
        self.start_reads();
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
            let (offset, len) = job.next();
            let tag = self.tag(Purpose::Read(Box::new(job)));
            self.io.push_back(Io::Read { tag, file, offset, buf: ReadBuf::new(len) });
        }
    }

    fn open_for_read(&mut self, segment: u64) {
        if self.reads.opening.is_some() || self.reads.open_again_at.is_some_and(|at| at > self.now_ns) {
            return;
        }
        self.reads.opening = Some(segment);
        let path = self.segment_path(segment);
        let tag = self.tag(Purpose::OpenForRead(segment));
        self.io.push_back(Io::Cold { tag, job: ColdJob::Open { path } });
    }

    fn segment_path(&self, segment: u64) -> PathBuf {
        self.shard_path.join(segment_name(segment))
    }

    pub(super) fn on_opened(&mut self, segment: u64, result: IoResult) {
        self.reads.opening = None;
        match result {
            Ok(IoDone::File(file)) => self.reads.keep_file(segment, file),
            Err(errno) if may_pass(errno) => {
                self.stats.read_retry_count += 1;
                self.reads.open_again_at = Some(self.now_ns.saturating_add(READ_RETRY_NS));
                return;
            }
            Ok(_) => {}
            Err(errno) => {
                let queue = std::mem::take(&mut self.reads.queue);
                let (withheld, rest): (VecDeque<_>, VecDeque<_>) =
                    queue.into_iter().partition(|job| job.segment == segment);
                self.reads.queue = rest;
                for job in withheld {
                    self.report_unread(&job, 0, Unread::Open(errno));
                    self.answer(&job, Vec::new(), Vec::new());
                }
            }
        }
        self.start_reads();
    }

    /// Starts again what has waited long enough.
    pub(super) fn retry_reads(&mut self) {
        let now = self.now_ns;
        if self.reads.retry_at().is_none_or(|at| at > now) {
            return;
        }
        self.reads.open_again_at = self.reads.open_again_at.filter(|at| *at > now);
        for (at, job) in std::mem::take(&mut self.reads.later) {
            if at <= now {
                self.reads.queue.push_back(job);
            } else {
                self.reads.later.push((at, job));
            }
        }
        self.start_reads();
    }

    fn read_later(&mut self, job: ReadJob) {
        reach!("wal.read.later");
        self.stats.read_retry_count += 1;
        self.reads.later.push((self.now_ns.saturating_add(READ_RETRY_NS), job));
    }

    pub(super) fn on_read(&mut self, job: ReadJob, result: IoResult) {
        self.reads.in_flight -= 1;
        let offset = job.next().0;
        match result {
            Ok(IoDone::Read { buf, len }) if len >= buf.len() => self.on_bytes(job, buf),
            Ok(IoDone::Read { len, .. }) => self.on_unread(job, offset, Unread::Short(len)),
            Err(errno) if may_pass(errno) => self.read_later(job),
            Err(errno) => self.on_unread(job, offset, Unread::Read(errno)),
            Ok(_) => self.on_unread(job, offset, Unread::Short(0)),
        }
        self.start_reads();
    }

    /// A read failed: what was to be read goes in pieces, at once and once.
    fn on_unread(&mut self, mut job: ReadJob, offset: u64, why: Unread) {
        reach!("wal.read.failed");
        self.report_unread(&job, offset, why);
        let len = job.len as usize;
        match &mut job.pieces {
            None => job.pieces = Some(Pieces::new(len)),
            Some(pieces) => pieces.fail(),
        }
        self.go_on_in_pieces(job);
    }

    fn on_bytes(&mut self, mut job: ReadJob, buf: ReadBuf) {
        if let Some(pieces) = &mut job.pieces {
            pieces.take(buf.as_slice());
            return self.go_on_in_pieces(job);
        }
        let found = self.find(&job, &buf.freeze());
        let missing = gaps(&found.batches, job.wanted.clone());
        match job.suspects.take() {
            _ if missing.is_empty() => self.answer(&job, found.batches, Vec::new()),
            // Once more, into other memory, past all caches.
            None => {
                job.suspects = Some(found.suspects);
                self.read_later(job);
            }
            Some(before) => {
                let proven = |s: &Suspect| before.contains(s) && job.wanted.contains(&s.seq);
                let lost: Vec<Suspect> = found.suspects.into_iter().filter(proven).collect();
                if missing.iter().map(|(from, to)| to - from).sum::<u64>() > lost.len() as u64 {
                    self.report_unread(&job, job.offset, Unread::Damaged);
                }
                self.answer(&job, found.batches, lost);
            }
        }
    }

    fn go_on_in_pieces(&mut self, mut job: ReadJob) {
        match job.pieces.take() {
            Some(pieces) if pieces.is_done() => {
                // With holes in it, it proves nothing about what is missing.
                let found = self.find(&job, &pieces.whole.freeze());
                let mut lost = Vec::new();
                if planted!(ReadErrorLoses) {
                    let missing = gaps(&found.batches, job.wanted.clone());
                    let seqs = missing.into_iter().flat_map(|(from, to)| from..to);
                    lost.extend(seqs.map(|seq| Suspect { seq, id: 0, offset: job.offset }));
                }
                self.answer(&job, found.batches, lost);
            }
            pieces => {
                job.pieces = pieces;
                self.reads.queue.push_front(job);
            }
        }
    }

    fn find(&self, job: &ReadJob, slice: &FrameSlice) -> Found {
        let (segment, offset) = (job.segment, job.offset);
        let bytes = Bytes { slice, seed: &self.seed, shard: self.options.shard, segment, offset };
        let mut found = bytes.find(job.topic);
        found.batches.retain(|b| b.end_seq() > job.wanted.start);
        found.batches = trim_front(std::mem::take(&mut found.batches), job.wanted.start);
        found
    }

    /// Counts a failure, and tells of it unless the segment has left the log meanwhile.
    fn report_unread(&mut self, job: &ReadJob, offset: u64, why: Unread) {
        let run = self.state.topic(job.topic).and_then(|topic| topic.run_of(job.wanted.start));
        if run.is_none_or(|run| run.segment != job.segment) {
            return;
        }
        self.stats.read_error_count += 1;
        if self.reads.may_report(job.segment, self.now_ns) {
            let path = self.segment_path(job.segment);
            self.events.push_back(Event::ReadFailed(ReadFailure { path, offset, why }));
        }
    }

    /// Answers with what could be read, and with what is proven lost.
    fn answer(&mut self, job: &ReadJob, batches: Vec<Batch>, lost: Vec<Suspect>) {
        self.stats.lost_message_count += lost.len() as u64;
        let mut gone: Vec<LostMessages> = Vec::new();
        for Suspect { seq, id, offset } in lost {
            match gone.last_mut() {
                Some(last) if last.first_seq + last.count == seq => last.count += 1,
                _ => {
                    let path = self.segment_path(job.segment);
                    let first = LostMessages {
                        topic: job.topic,
                        first_seq: seq,
                        first_id: id,
                        count: 1,
                        path,
                        offset,
                    };
                    gone.push(first);
                }
            }
        }
        let lost = gone.iter().map(|range| (range.first_seq, range.first_seq + range.count)).collect();
        self.events.extend(gone.into_iter().map(Event::Lost));
        self.events.push_back(Event::Loaded { token: job.token, topic: job.topic, batches, lost });
    }
}
