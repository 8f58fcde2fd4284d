//! The files of a shard that hold nothing: one table, and pure functions that say what is to be done about them.
//!
//! A file is in one place of the table at a time, so that no two jobs can aim at one name. Three blanks are the
//! *reserve*: when the disk has no room, facts live in them for ever, since a segment of nothing but facts is a blank
//! again as soon as the next one has its checkpoint. The third takes what publishes had gathered before the log knew.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::error::{Errno, is_full, may_pass};
use crate::limits::{
    FULL_RETRY_NS, NAME_RETRY_NS, RESERVE_COUNT, RETIRE_FILES_MAX, RETIRE_TRIES_MAX, SEGMENT_BYTES_MIN,
};

/// A file that holds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::log) struct Blank<F> {
    pub(in crate::log) file: F,
    pub(in crate::log) path: PathBuf,
    pub(in crate::log) bytes: u64,
}

/// The file of the next segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::log) enum Next<F> {
    None,
    /// It is getting its name; `again_at`: it could not be done, for a reason that passes.
    Naming {
        seq: u64,
        blank: Blank<F>,
        again_at: Option<u64>,
    },
    /// It has its name, and nothing else.
    Ready {
        seq: u64,
        blank: Blank<F>,
    },
}

/// A file that is being prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::log) struct Preparing {
    pub(in crate::log) bytes: u64,
    /// Less than this is of no use.
    pub(in crate::log) bytes_min: u64,
}

/// What the log needs of its files now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct Needs {
    /// The shard has a segment, or is about to have one, and is not closing.
    pub(in crate::log) in_use: bool,
    /// A roll waits for a file.
    pub(in crate::log) roll: Option<RollNeeds>,
    /// Size of the next segment.
    pub(in crate::log) usual_bytes: u64,
    /// Size of each file of the reserve: a checkpoint and room for facts behind it.
    pub(in crate::log) reserve_bytes: u64,
    /// Segments fill so fast that one more file should stand ready.
    pub(in crate::log) busy: bool,
}

/// What a roll needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct RollNeeds {
    pub(in crate::log) bytes: u64,
    /// The frame that waits has messages.
    pub(in crate::log) messages: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::log) enum Job {
    /// Make a file; see [`Table::start_preparing`].
    Prepare(Preparing),
    /// Give this blank the name of the next segment.
    Name(usize),
    /// Try again to give it.
    NameAgain,
    /// See [`Table::start_retiring`].
    Retire,
    /// Say that the disk is full, or not any more.
    Full(bool),
}

/// The table.
#[derive(Debug)]
pub(in crate::log) struct Table<F> {
    pub(in crate::log) blanks: Vec<Blank<F>>,
    pub(in crate::log) next: Next<F>,
    pub(in crate::log) preparing: Option<Preparing>,
    /// Segments whose retirement is durable, and whose files are there.
    pub(in crate::log) leaving: VecDeque<u64>,
    /// Those of them that are being removed or made blank.
    pub(in crate::log) retiring: Vec<u64>,
    retire_again_at: Option<u64>,
    retire_tries: u32,
    /// A preparation has failed at its smallest size, and nothing has become free since.
    pub(in crate::log) no_room: Option<Errno>,
    prepare_again_at: Option<u64>,
    pub(in crate::log) full: bool,
}

/// Places among the blanks, smallest file first.
struct Reserve {
    places: [usize; RESERVE_COUNT],
    count: usize,
}

impl Reserve {
    fn places(&self) -> &[usize] {
        &self.places[..self.count]
    }

    fn is_complete(&self) -> bool {
        self.count == RESERVE_COUNT
    }
}

impl<F> Table<F> {
    pub(in crate::log) fn new(blanks: Vec<Blank<F>>) -> Table<F> {
        Table {
            blanks,
            next: Next::None,
            preparing: None,
            leaving: VecDeque::new(),
            retiring: Vec::new(),
            retire_again_at: None,
            retire_tries: 0,
            no_room: None,
            prepare_again_at: None,
            full: false,
        }
    }

    /// The only place that decides.
    pub(in crate::log) fn wanted(&self, needs: &Needs, now_ns: u64) -> Option<Job> {
        let due = |at: Option<u64>| at.is_none_or(|at| at <= now_ns);
        if self.retiring.is_empty() && !self.leaving.is_empty() && due(self.retire_again_at) {
            return Some(Job::Retire);
        }
        if !needs.in_use {
            return None;
        }
        match &self.next {
            Next::Naming { again_at: Some(at), .. } if *at <= now_ns => return Some(Job::NameAgain),
            Next::Naming { .. } => {}
            Next::Ready { blank, .. } if needs.roll.is_none_or(|roll| blank.bytes >= roll.bytes) => {}
            Next::Ready { .. } | Next::None => {
                if let Some(index) = self.choose(needs) {
                    return Some(Job::Name(index));
                }
            }
        }
        let missing = self.missing(needs);
        if self.preparing.is_none()
            && due(self.prepare_again_at)
            && let Some(preparing) = missing
        {
            return Some(Job::Prepare(preparing));
        }
        let stuck = needs.roll.is_some() && self.no_room.is_some();
        if !self.full && stuck && self.preparing.is_none() && !self.has_next(needs) {
            return Some(Job::Full(true));
        }
        let ready = matches!(self.next, Next::Ready { .. }) && self.reserve(needs).is_complete();
        (self.full && needs.roll.is_none() && ready).then_some(Job::Full(false))
    }

    /// A next segment that will do is there, or is getting its name.
    fn has_next(&self, needs: &Needs) -> bool {
        match &self.next {
            Next::None => false,
            Next::Naming { .. } => true,
            Next::Ready { blank, .. } => needs.roll.is_none_or(|roll| blank.bytes >= roll.bytes),
        }
    }

    /// The blanks that are the reserve: the smallest that will do. Asked in every turn, so nothing is allocated.
    fn reserve(&self, needs: &Needs) -> Reserve {
        let mut reserve = Reserve { places: [0; RESERVE_COUNT], count: 0 };
        for (place, blank) in self.blanks.iter().enumerate() {
            if blank.bytes < needs.reserve_bytes {
                continue;
            }
            let at = reserve.places().partition_point(|before| self.blanks[*before].bytes <= blank.bytes);
            if at < RESERVE_COUNT {
                reserve.count = (reserve.count + 1).min(RESERVE_COUNT);
                reserve.places[at..reserve.count].rotate_right(1);
                reserve.places[at] = place;
            }
        }
        reserve
    }

    /// The blank that becomes the next segment.
    fn choose(&self, needs: &Needs) -> Option<usize> {
        let by_size = |i: &usize| self.blanks[*i].bytes;
        let all = 0..self.blanks.len();
        if self.no_room.is_none() && !self.full {
            // There is room to fill up the reserve again: the largest, if it is worth it.
            let bytes_min = needs.roll.map_or(0, |roll| roll.bytes).max(needs.usual_bytes / 2);
            return all.filter(|i| by_size(i) >= bytes_min).max_by_key(by_size);
        }
        let bytes_min = needs.roll.map_or(0, |roll| roll.bytes);
        let reserve = self.reserve(needs);
        let spare = all.clone().filter(|i| !reserve.places().contains(i) && by_size(i) >= bytes_min);
        let complete = reserve.is_complete() || needs.roll.is_some();
        if let Some(spare) = spare.max_by_key(by_size).filter(|_| complete) {
            return Some(spare);
        }
        // Facts, and what had been gathered before the disk was known to be full.
        let roll = needs.roll.filter(|roll| self.full || !roll.messages)?;
        all.filter(|i| by_size(i) >= roll.bytes).min_by_key(by_size)
    }

    /// The file that is missing most.
    fn missing(&self, needs: &Needs) -> Option<Preparing> {
        let usual = needs.usual_bytes;
        if let Some(roll) = needs.roll.filter(|_| !self.has_next(needs)) {
            let bytes_min = roll.bytes.max(SEGMENT_BYTES_MIN.min(usual));
            return Some(Preparing { bytes: usual.max(roll.bytes), bytes_min });
        }
        if !self.leaving.is_empty() || !self.retiring.is_empty() {
            // A file that is about to be a blank costs no zero-filling.
            return None;
        }
        let reserve = Preparing { bytes: needs.reserve_bytes, bytes_min: needs.reserve_bytes };
        let next = Preparing { bytes: usual, bytes_min: SEGMENT_BYTES_MIN.min(usual) };
        let no_reserve = !self.reserve(needs).is_complete();
        let no_next = matches!(self.next, Next::None);
        let spares = self.blanks.len().saturating_sub(RESERVE_COUNT);
        match (no_reserve, no_next) {
            (true, true) if needs.busy && self.no_room.is_none() => Some(next),
            (true, _) => Some(reserve),
            (false, true) => Some(next),
            // A wish: nothing depends on it, and on a disk without room it is not tried.
            (false, false) if needs.busy && spares == 0 && self.no_room.is_none() => Some(next),
            (false, false) => None,
        }
    }

    pub(in crate::log) fn start_preparing(&mut self, preparing: Preparing) {
        self.prepare_again_at = None;
        self.preparing = Some(preparing);
    }

    /// A preparation has succeeded.
    pub(in crate::log) fn prepared(&mut self, blank: Blank<F>) {
        self.preparing = None;
        self.no_room = None;
        self.blanks.push(blank);
    }

    /// A preparation has failed: the next one, smaller and at once, or when there may be room. No data is in it, so
    /// no error of it is more than a lack of room.
    pub(in crate::log) fn not_prepared(&mut self, errno: Errno, now_ns: u64) -> Option<Preparing> {
        let Preparing { bytes, bytes_min } = self.preparing.take()?;
        if is_full(errno) && bytes > bytes_min {
            let bytes = (bytes / 4).max(bytes_min);
            return Some(Preparing { bytes, bytes_min });
        }
        if !may_pass(errno) {
            self.no_room = Some(errno);
        }
        self.prepare_again_at = Some(now_ns.saturating_add(FULL_RETRY_NS));
        None
    }

    /// Takes the blank at `index` for the segment `seq`. One that was named and is too small is a blank again.
    pub(in crate::log) fn start_naming(&mut self, index: usize, seq: u64) {
        let blank = self.blanks.remove(index);
        let old = std::mem::replace(&mut self.next, Next::Naming { seq, blank, again_at: None });
        if let Next::Ready { blank, .. } = old {
            self.blanks.push(blank);
        }
    }

    /// The next segment has its name.
    pub(in crate::log) fn named(&mut self, path: PathBuf) {
        let old = std::mem::replace(&mut self.next, Next::None);
        if let Next::Naming { seq, blank, .. } = old {
            self.next = Next::Ready { seq, blank: Blank { path, ..blank } };
        }
    }

    /// True if the naming is tried again.
    pub(in crate::log) fn not_named(&mut self, errno: Errno, now_ns: u64) -> bool {
        let passes = may_pass(errno) || is_full(errno);
        if let Next::Naming { again_at, .. } = &mut self.next {
            *again_at = passes.then_some(now_ns.saturating_add(NAME_RETRY_NS));
        }
        passes
    }

    /// The next segment, if it is ready and large enough.
    pub(in crate::log) fn take_next(&mut self, bytes: u64) -> Option<(u64, Blank<F>)> {
        match std::mem::replace(&mut self.next, Next::None) {
            Next::Ready { seq, blank } if blank.bytes >= bytes => Some((seq, blank)),
            other => {
                self.next = other;
                None
            }
        }
    }

    /// Takes segments that are to become blanks or to go; the first `.1` of them are to be kept.
    pub(in crate::log) fn start_retiring(&mut self, needs: &Needs) -> (Vec<u64>, usize) {
        let count = self.leaving.len().min(RETIRE_FILES_MAX);
        self.retiring = self.leaving.drain(..count).collect();
        self.retire_again_at = None;
        let next = usize::from(!matches!(self.next, Next::None));
        let wanted = RESERVE_COUNT + 1 + usize::from(needs.busy);
        let there = self.blanks.len() + next + usize::from(self.preparing.is_some());
        (self.retiring.clone(), wanted.saturating_sub(there).min(count))
    }

    /// They are gone, and these are blank.
    pub(in crate::log) fn retired(&mut self, blanks: Vec<Blank<F>>) {
        self.retiring.clear();
        self.retire_tries = 0;
        // There may be room now: no need to wait for the timer.
        self.prepare_again_at = None;
        self.blanks.extend(blanks);
    }

    /// They are still there, or some of them: once more later, and in the end not any more. The next start finds
    /// them; no data depends on it.
    pub(in crate::log) fn not_retired(&mut self, errno: Errno, now_ns: u64) {
        self.retire_tries += u32::from(!may_pass(errno));
        if self.retire_tries >= RETIRE_TRIES_MAX {
            self.retire_tries = 0;
            self.retiring.clear();
            return;
        }
        self.leaving.extend(std::mem::take(&mut self.retiring));
        self.retire_again_at = Some(now_ns.saturating_add(FULL_RETRY_NS));
    }

    /// When something is to be tried again.
    pub(in crate::log) fn retry_at(&self) -> Option<u64> {
        let naming = match &self.next {
            Next::Naming { again_at, .. } => *again_at,
            _ => None,
        };
        let retiring = self.retire_again_at.filter(|_| !self.leaving.is_empty());
        let preparing = self.prepare_again_at.filter(|_| self.preparing.is_none());
        [naming, retiring, preparing].into_iter().flatten().min()
    }

    /// Ends retries that are due and that nobody made use of: a timer in the past would never let the core sleep.
    pub(in crate::log) fn forget_retries(&mut self, now_ns: u64) {
        self.prepare_again_at = self.prepare_again_at.filter(|at| *at > now_ns);
        self.retire_again_at = self.retire_again_at.filter(|at| *at > now_ns);
    }

    /// Bytes that are ready for the next segments.
    pub(in crate::log) fn ready_bytes(&self) -> u64 {
        let next = match &self.next {
            Next::Naming { blank, .. } | Next::Ready { blank, .. } => blank.bytes,
            Next::None => 0,
        };
        next + self.blanks.iter().map(|blank| blank.bytes).max().unwrap_or(0)
    }

    /// Files that hold nothing.
    pub(in crate::log) fn count(&self) -> usize {
        self.blanks.len() + usize::from(!matches!(self.next, Next::None))
    }
}

#[cfg(test)]
mod tests;
