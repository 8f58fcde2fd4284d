//! Segments before and after their life: what the table wants done, and what comes of it.

mod table;

use std::path::PathBuf;
use std::sync::Arc;

pub(super) use self::table::{Blank, Next};
use self::table::{Job, Needs, Preparing, RollNeeds, Table};
use super::roll::{Roll, segment_name};
use super::types::{Event, LogOptions};
use super::{Closing, Log, Purpose};
use crate::disk::{ColdJob, Io, IoDone, IoResult, LogFile};
use crate::error::WalError;
use crate::limits::{BLOCK_BYTES, BUSY_ROLL_NS, SIZE_STEP_BYTES};

/// Name of a blank.
pub(crate) fn spare_name(number: u64) -> String {
    format!("free-{number}.seg")
}

/// A blank that recovery found.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) file: Arc<dyn LogFile>,
    /// The number in its name; 0 if it has none.
    pub(crate) number: u64,
}

/// The files of a shard that hold nothing (yet, or any more).
#[derive(Debug)]
pub(super) struct Space {
    table: Table<Arc<dyn LogFile>>,
    next_spare_number: u64,
    next_bytes: u64,
    /// Bytes of the newest checkpoint: what a file of the reserve must hold twice.
    pub(super) checkpoint_bytes: u64,
    rolled_at_ns: Option<u64>,
    busy: bool,
}

impl Space {
    pub(super) fn new(options: &LogOptions, spares: Vec<Spare>) -> Space {
        let next_spare_number = spares.iter().map(|s| s.number + 1).max().unwrap_or(0);
        let blank = |spare: Spare| Blank { file: spare.file, path: spare.path, bytes: spare.bytes };
        Space {
            table: Table::new(spares.into_iter().map(blank).collect()),
            next_spare_number,
            next_bytes: options.segment_bytes_first,
            checkpoint_bytes: 0,
            rolled_at_ns: None,
            busy: false,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.table.full
    }

    /// The last preparation has failed, and nothing has become free since.
    pub(super) fn has_no_room(&self) -> bool {
        self.table.no_room.is_some()
    }

    pub(super) fn count(&self) -> usize {
        self.table.count()
    }

    pub(super) fn ready_bytes(&self) -> u64 {
        self.table.ready_bytes()
    }

    /// Segments that are out of the state, and whose files are there under their names.
    pub(super) fn leaving(&self) -> impl Iterator<Item = u64> + '_ {
        self.table.leaving.iter().chain(&self.table.retiring).copied()
    }

    pub(super) fn retry_at(&self) -> Option<u64> {
        self.table.retry_at()
    }

    pub(super) fn forget_retries(&mut self, now_ns: u64) {
        self.table.forget_retries(now_ns);
    }

    pub(super) fn on_roll(&mut self, now_ns: u64, bytes: u64) {
        self.busy = self.rolled_at_ns.is_some_and(|at| now_ns.saturating_sub(at) < BUSY_ROLL_NS);
        self.rolled_at_ns = Some(now_ns);
        self.next_bytes = self.next_bytes.max(bytes.saturating_mul(4));
    }

    /// The next segment, if it stands ready and has so many bytes.
    pub(super) fn take_next(&mut self, bytes: u64) -> Option<(u64, Blank<Arc<dyn LogFile>>)> {
        self.table.take_next(bytes)
    }
}

impl Log {
    fn space_needs(&self) -> Needs {
        let rolls = !matches!(self.roll, Roll::Idle);
        let messages = self.waiting.front().is_some_and(|front| front.message_count > 0);
        let roll = match self.roll {
            Roll::Choosing { needed, .. } => Some(RollNeeds { bytes: needed, messages }),
            _ => None,
        };
        let block = BLOCK_BYTES as u64;
        let reserve = self.options.reserve_bytes.max(2 * self.space.checkpoint_bytes + 16 * block);
        Needs {
            in_use: (self.segment.is_some() || rolls) && (self.closing == Closing::No || roll.is_some()),
            roll,
            usual_bytes: self.space.next_bytes.min(self.options.segment_bytes_max).next_multiple_of(block),
            reserve_bytes: reserve.next_multiple_of(block),
            busy: self.space.busy,
        }
    }

    /// Starts what is wanted.
    pub(super) fn prepare_space(&mut self) {
        while !self.poisoned {
            let needs = self.space_needs();
            let Some(job) = self.space.table.wanted(&needs, self.now_ns) else { return };
            match job {
                Job::Prepare(preparing) => self.start_preparing(preparing),
                Job::Name(index) => {
                    self.space.table.start_naming(index, self.next_segment_seq);
                    self.next_segment_seq += 1;
                    self.name_next();
                }
                Job::NameAgain => self.name_next(),
                Job::Retire => self.start_retiring(&needs),
                Job::Full(full) => self.set_full(full),
            }
        }
    }

    fn start_preparing(&mut self, mut preparing: Preparing) {
        if preparing.bytes > self.options.segment_bytes_max {
            preparing.bytes = preparing.bytes.next_multiple_of(SIZE_STEP_BYTES);
        }
        preparing.bytes = preparing.bytes.next_multiple_of(BLOCK_BYTES as u64);
        let name = spare_name(self.space.next_spare_number);
        self.space.next_spare_number += 1;
        let temporary = self.shard_path.join(format!("tmp-{name}"));
        let path = self.shard_path.join(name);
        let job = ColdJob::Prepare { temporary, path: path.clone(), bytes: preparing.bytes };
        self.space.table.start_preparing(preparing);
        let tag = self.tag(Purpose::Prepare(path));
        self.io.push_back(Io::Cold { tag, job });
    }

    pub(super) fn on_prepared(&mut self, path: PathBuf, result: IoResult) {
        match result {
            Ok(IoDone::File(file)) => {
                let bytes = file.bytes();
                self.space.table.prepared(Blank { file, path, bytes });
            }
            Ok(_) => {}
            Err(errno) => {
                if let Some(smaller) = self.space.table.not_prepared(errno, self.now_ns) {
                    self.start_preparing(smaller);
                }
            }
        }
    }

    fn name_next(&mut self) {
        let Next::Naming { seq, blank, again_at } = &mut self.space.table.next else { return };
        *again_at = None;
        let to = self.shard_path.join(segment_name(*seq));
        let job = ColdJob::Name { from: blank.path.clone(), to: to.clone(), inode: blank.file.inode() };
        let tag = self.tag(Purpose::Name(to));
        self.io.push_back(Io::Cold { tag, job });
    }

    pub(super) fn on_named(&mut self, path: PathBuf, result: IoResult) {
        match result {
            Ok(_) => self.space.table.named(path),
            Err(errno) => {
                if !self.space.table.not_named(errno, self.now_ns) {
                    self.poison(WalError::Io { operation: "rename", path, offset: 0, errno });
                }
            }
        }
    }

    fn set_full(&mut self, full: bool) {
        self.space.table.full = full;
        self.events.push_back(Event::Full(full));
    }

    /// The `Retire` record of a segment is durable: its file may go.
    pub(super) fn leave(&mut self, segment: u64) {
        self.reads.forget_file(segment);
        self.space.table.leaving.push_back(segment);
    }

    fn start_retiring(&mut self, needs: &Needs) {
        let (segments, kept_count) = self.space.table.start_retiring(needs);
        let path = |segment: &u64| self.shard_path.join(segment_name(*segment));
        let (kept, removed) = segments.split_at(kept_count);
        let mut keep = Vec::new();
        for segment in kept {
            let name = spare_name(self.space.next_spare_number);
            self.space.next_spare_number += 1;
            keep.push((path(segment), self.shard_path.join(name)));
        }
        let job = ColdJob::Retire { keep, remove: removed.iter().map(path).collect() };
        let tag = self.tag(Purpose::Retire);
        self.io.push_back(Io::Cold { tag, job });
    }

    pub(super) fn on_retired(&mut self, result: IoResult) {
        match result {
            Ok(IoDone::Files(files)) => {
                let blank = |file: Arc<dyn LogFile>| Blank {
                    path: file.path().to_path_buf(),
                    bytes: file.bytes(),
                    file,
                };
                self.space.table.retired(files.into_iter().map(blank).collect());
            }
            Ok(_) => {}
            Err(errno) => self.space.table.not_retired(errno, self.now_ns),
        }
    }
}
