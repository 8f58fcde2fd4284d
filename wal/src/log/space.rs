//! Segments before and after their life: prepared spares, the reserve, retirement, and the full disk.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::roll::{Blank, Roll, segment_name};
use super::types::{Event, LogOptions};
use super::{Closing, Log, Purpose};
use crate::disk::{ColdJob, Io, IoDone, IoResult, LogFile};
use crate::error::{WalError, is_full, may_pass};
use crate::limits::{FULL_RETRY_NS, SPARE_COUNT_MAX};

/// A segment filled within this time is followed by two spares.
const BUSY_ROLL_NS: u64 = 2_000_000_000;
const SIZE_STEP_BYTES: u64 = 1024 * 1024;

pub(crate) const RESERVE_NAME: &str = "reserve.seg";

/// Name of a ready spare.
pub(crate) fn spare_name(number: u64) -> String {
    format!("free-{number}.seg")
}

/// A file that recovery found ready.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) file: Arc<dyn LogFile>,
    /// The number in its name.
    pub(crate) number: u64,
}

/// What a preparation was for.
#[derive(Debug)]
pub(super) struct Preparing {
    path: PathBuf,
    reserve: bool,
}

/// What becomes of a retired file.
#[derive(Debug)]
pub(super) struct Recycling {
    segment: u64,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    reserve: bool,
}

/// The files of a shard that hold nothing (yet, or any more).
#[derive(Debug)]
pub(super) struct Space {
    spares: Vec<Blank>,
    reserve: Option<Blank>,
    next_spare_number: u64,
    next_bytes: u64,
    preparing: bool,
    recycling_count: usize,
    retirements: BTreeSet<u64>,
    full: bool,
    retry_at: Option<u64>,
    rolled_at_ns: Option<u64>,
    busy: bool,
}

impl Space {
    pub(super) fn new(options: &LogOptions, spares: Vec<Spare>, reserve: Option<Spare>) -> Space {
        let next_spare_number = spares.iter().map(|s| s.number + 1).max().unwrap_or(0);
        let blank = |spare: Spare| Blank { file: spare.file, path: spare.path, bytes: spare.bytes };
        Space {
            spares: spares.into_iter().map(blank).collect(),
            reserve: reserve.map(blank),
            next_spare_number,
            next_bytes: options.segment_bytes_first,
            preparing: false,
            recycling_count: 0,
            retirements: BTreeSet::new(),
            full: false,
            retry_at: None,
            rolled_at_ns: None,
            busy: false,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn is_recycling(&self) -> bool {
        self.recycling_count > 0
    }

    pub(super) fn spare_count(&self) -> usize {
        self.spares.len()
    }

    pub(super) fn spare_bytes(&self) -> u64 {
        self.spares.iter().map(|s| s.bytes).sum()
    }

    pub(super) fn retry_at(&self) -> Option<u64> {
        self.retry_at
    }

    /// Ends a retry that is due and that nobody made use of: a timer in the past would never let the core sleep.
    pub(super) fn forget_retry(&mut self, now_ns: u64) {
        self.retry_at = self.retry_at.filter(|at| *at > now_ns);
    }

    /// True if nobody has asked for it before.
    pub(super) fn request_retirement(&mut self, segment: u64) -> bool {
        self.retirements.insert(segment)
    }

    pub(super) fn on_roll(&mut self, now_ns: u64, bytes: u64) {
        self.busy = self.rolled_at_ns.is_some_and(|at| now_ns.saturating_sub(at) < BUSY_ROLL_NS);
        self.rolled_at_ns = Some(now_ns);
        self.next_bytes = self.next_bytes.max(bytes.saturating_mul(4));
    }
}

impl Log {
    /// A file of at least `needed` bytes for the next segment. `None`: one is being prepared, or cannot be.
    pub(super) fn take_blank(&mut self, needed: u64) -> Option<Blank> {
        let fits = self.space.spares.iter().position(|spare| spare.bytes >= needed);
        if let Some(index) = fits {
            return Some(self.space.spares.remove(index));
        }
        if self.space.full && self.space.reserve.as_ref().is_some_and(|r| r.bytes >= needed) {
            return self.space.reserve.take();
        }
        self.prepare(needed, false);
        None
    }

    /// Keeps the next segment, and the reserve, ready once the shard is in use.
    pub(super) fn prepare_space(&mut self) {
        if self.segment.is_none() || self.poisoned || self.closing != Closing::No {
            return;
        }
        // A roll that waits for a file asks for itself, and knows the size.
        if matches!(self.roll, Roll::Choosing { .. }) {
            return;
        }
        let wanted = if self.space.busy { SPARE_COUNT_MAX } else { 1 };
        if self.space.spares.len() < wanted {
            self.prepare(0, false);
        } else if self.space.reserve.is_none() {
            self.prepare(0, true);
        } else if self.space.full {
            self.set_full(false);
        }
    }

    fn prepare(&mut self, needed: u64, reserve: bool) {
        let due = self.space.retry_at.is_none_or(|at| at <= self.now_ns);
        if self.space.preparing || self.poisoned || !due {
            return;
        }
        self.space.retry_at = None;
        self.space.preparing = true;
        let (name, bytes) = if reserve {
            (RESERVE_NAME.to_owned(), self.options.reserve_bytes)
        } else {
            self.space.next_spare_number += 1;
            let usual = self.space.next_bytes.min(self.options.segment_bytes_max);
            let rounded = if needed > usual { needed.next_multiple_of(SIZE_STEP_BYTES) } else { usual };
            (spare_name(self.space.next_spare_number - 1), rounded)
        };
        let bytes = bytes.next_multiple_of(crate::limits::BLOCK_BYTES as u64);
        let temporary = self.shard_path.join(format!("tmp-{name}"));
        let path = self.shard_path.join(name);
        let job = ColdJob::Prepare { temporary, path: path.clone(), bytes };
        let tag = self.tag(Purpose::Prepare(Preparing { path, reserve }));
        self.io.push_back(Io::Cold { tag, job });
    }

    pub(super) fn on_prepared(&mut self, preparing: Preparing, result: IoResult) {
        self.space.preparing = false;
        let Preparing { path, reserve } = preparing;
        match result {
            Ok(IoDone::File(file)) => self.keep_blank(path, file, reserve),
            Ok(_) => {}
            Err(errno) if is_full(errno) => {
                self.space.retry_at = Some(self.now_ns.saturating_add(FULL_RETRY_NS));
                self.set_full(true);
            }
            Err(errno) if may_pass(errno) => {
                self.space.retry_at = Some(self.now_ns.saturating_add(FULL_RETRY_NS));
            }
            Err(errno) => {
                self.poison(WalError::Io { operation: "preparation", path, offset: 0, errno });
            }
        }
    }

    fn keep_blank(&mut self, path: PathBuf, file: Arc<dyn LogFile>, reserve: bool) {
        let bytes = file.bytes();
        let blank = Blank { file, path, bytes };
        if reserve {
            self.space.reserve = Some(blank);
        } else {
            self.space.spares.push(blank);
        }
        // Room for publishes is a spare; the reserve is refilled next, and if that fails we are full again.
        if !self.space.spares.is_empty() && self.space.reserve.is_some() {
            self.set_full(false);
        }
    }

    fn set_full(&mut self, full: bool) {
        if self.space.full != full {
            self.space.full = full;
            self.events.push_back(Event::Full(full));
        }
    }

    /// Starts the removal of a segment whose `Retire` record is durable.
    pub(super) fn recycle(&mut self, segment: u64) {
        self.reads.forget_file(segment);
        let from = self.shard_path.join(segment_name(segment));
        let kept = if self.space.spares.len() < SPARE_COUNT_MAX {
            let name = spare_name(self.space.next_spare_number);
            self.space.next_spare_number += 1;
            Some(Kept { path: self.shard_path.join(name), reserve: false })
        } else if self.space.reserve.is_none() && !self.space.preparing {
            Some(Kept { path: self.shard_path.join(RESERVE_NAME), reserve: true })
        } else {
            None
        };
        let job = match &kept {
            Some(kept) => ColdJob::Recycle { from, to: kept.path.clone() },
            None => ColdJob::Remove { path: from },
        };
        self.space.recycling_count += 1;
        let tag = self.tag(Purpose::Recycle(Recycling { segment, kept }));
        self.io.push_back(Io::Cold { tag, job });
    }

    pub(super) fn on_recycled(&mut self, recycling: Recycling, result: IoResult) {
        self.space.recycling_count -= 1;
        self.space.retirements.remove(&recycling.segment);
        match (result, recycling.kept) {
            (Ok(IoDone::File(file)), Some(kept)) => self.keep_blank(kept.path, file, kept.reserve),
            (Ok(_), _) => {}
            (Err(errno), _) if may_pass(errno) => {
                // The name may have changed; the next start sorts it out. No data depends on it.
            }
            (Err(errno), _) => {
                let path = self.shard_path.join(segment_name(recycling.segment));
                return self.poison(WalError::Io { operation: "retirement", path, offset: 0, errno });
            }
        }
        // There is room now: no need to wait for the timer.
        if self.space.retry_at.is_some() {
            self.space.retry_at = Some(self.now_ns);
        }
    }
}
