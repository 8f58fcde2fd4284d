//! From what a crash left to a state.
//!
//! 1. List the shard's files; sync the directory, and the newest segment that was begun and those named behind it: a
//!    killed process may have left bytes that can be read and are not durable. (The older ones were durable before
//!    anything was written to it.)
//! 2. The newest segment that was begun begins with a checkpoint. (A file has its name before anything is in it; no
//!    frame with facts goes into it before its header and its checkpoint are durable. So one with such a frame and
//!    without a checkpoint is damaged; with `Quarantine` an older one serves.)
//! 3. Replay the frames behind it, each checked in full before any of it is applied. Where the next frame is
//!    not, [`decide`] says why.
//! 4. Compare the manifest with the files.
//!
//! Nothing of the log is written. Recovery can be cut off anywhere and run again with the same result; the next
//! segment, made before the first append, ends the old one for good.

mod aside;
mod replay;
mod report;
mod scan;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::report::{Lost, RecoveryReport, Verdict};
use self::scan::Scan;
pub use self::table::{Found, Later, decide};
use crate::data_dir::DataDir;
use crate::disk::{ColdJob, Disk, LogFile, ReadBuf};
use crate::error::{Errno, WalError};
use crate::format::segment::SegmentHeader;
use crate::format::{Seed, Unknown};
use crate::limits::{BLOCK_BYTES, SPARE_COUNT_MAX};
use crate::log::{Recover, Spare, segment_name, spare_name};
use crate::row::Row;
use crate::state::State;

/// Bytes of a torn tail that are copied aside when not even its header tells its length.
const TORN_COPY_BYTES: u64 = 1024 * 1024;

/// What the appender goes on from.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) next_frame_seq: u64,
    pub(crate) prev_crc: u32,
    /// Where the log ends: segment and offset.
    pub(crate) end: (u64, u64),
    pub(crate) next_segment_seq: u64,
    pub(crate) spares: Vec<Spare>,
    /// Damage was skipped: a new segment must end the old one before anything else.
    pub(crate) must_cut: bool,
    pub(crate) report: RecoveryReport,
}

/// A file with the name of a segment.
struct SegmentFile {
    path: PathBuf,
    bytes: u64,
    header: Header,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Valid(SegmentHeader),
    /// Of an earlier life of the file, in this shard: it was named for this segment, and not begun.
    Stale,
    /// Valid, and of another segment or shard.
    Other,
    Bad,
}

/// Recovers one shard.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &DataDir,
    shard: u16,
    mode: Recover,
) -> Result<Recovered, WalError> {
    let path = dir.shard_path(shard);
    disk.create_dir(&path).map_err(|errno| io("create", &path, 0, errno))?;
    let recovery = Recovery {
        disk,
        dir,
        shard,
        mode,
        seed: dir.seed(),
        path,
        state: State::default(),
        next_frame_seq: 1,
        prev_crc: 0,
        end: (0, 0),
        retired: BTreeSet::new(),
        unbegun: BTreeSet::new(),
        must_cut: false,
        report: RecoveryReport {
            shard,
            was_clean: false,
            verdict: Verdict { row: Row::B, segment: 0, offset: 0, frame_seq: 1 },
            segment_count: 0,
            frame_count: 0,
            cut_bytes: 0,
            tail_not_copied: None,
            damage: Vec::new(),
            lost: Vec::new(),
            set_aside: Vec::new(),
            clean_claim_was_stale: false,
        },
    };
    recovery.run()
}

fn io(operation: &'static str, path: &Path, offset: u64, errno: Errno) -> WalError {
    WalError::Io { operation, path: path.to_path_buf(), offset, errno }
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    dir: &'a DataDir,
    shard: u16,
    mode: Recover,
    seed: Seed,
    path: PathBuf,
    state: State,
    next_frame_seq: u64,
    prev_crc: u32,
    end: (u64, u64),
    retired: BTreeSet<u64>,
    /// Files that were named and hold nothing.
    unbegun: BTreeSet<u64>,
    must_cut: bool,
    report: RecoveryReport,
}

impl Recovery<'_> {
    fn run(mut self) -> Result<Recovered, WalError> {
        let (mut segments, blanks) = self.list()?;
        self.drop_strangers(&mut segments)?;
        self.replay(&segments)?;
        self.check_clean_claim()?;
        self.check_manifest(&segments)?;
        let newest = segments.keys().next_back().copied().unwrap_or(0);
        // What is beyond need is only space. It goes before any is opened: there may be more than descriptors.
        let mut spares = Vec::new();
        for (path, number) in blanks {
            if spares.len() < SPARE_COUNT_MAX {
                let file = self.open(&path)?;
                spares.push(Spare { path, bytes: file.bytes(), file, number });
            } else {
                self.cold("remove", &ColdJob::Remove { path })?;
            }
        }
        self.clear_leftovers(&segments, &mut spares)?;
        self.report.segment_count = self.state.segments.len() as u64;
        Ok(Recovered {
            state: self.state,
            next_frame_seq: self.next_frame_seq,
            prev_crc: self.prev_crc,
            end: self.end,
            next_segment_seq: newest + 1,
            spares,
            must_cut: self.must_cut,
            report: self.report,
        })
    }

    /// Step 1.
    #[allow(clippy::type_complexity, reason = "two plain collections, used once")]
    fn list(&self) -> Result<(BTreeMap<u64, SegmentFile>, Vec<(PathBuf, u64)>), WalError> {
        let entries = self.disk.list(&self.path).map_err(|errno| io("list", &self.path, 0, errno))?;
        let (mut segments, mut blanks) = (BTreeMap::new(), Vec::new());
        for entry in entries {
            let path = self.path.join(&entry.name);
            if entry.name.starts_with("tmp-") {
                // A preparation that was cut off.
                self.disk.remove(&path).map_err(|errno| io("remove", &path, 0, errno))?;
            } else if let Some(number) = number_in(&entry.name, "free-") {
                blanks.push((path, number));
            } else if let Some(seq) = number_in(&entry.name, "wal-") {
                let file = self.open(&path)?;
                let header = self.read_header(&path, &*file, seq)?;
                segments.insert(seq, SegmentFile { path, bytes: file.bytes(), header });
            }
        }
        self.disk.sync_dir(&self.path).map_err(|errno| io("sync", &self.path, 0, errno))?;
        Ok((segments, blanks))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn LogFile>, WalError> {
        // Whatever the reason, a file that cannot be opened is not a damaged one: refuse, touch nothing.
        self.disk.open(path).map_err(|errno| io("open", path, 0, errno))
    }

    fn read_header(&self, path: &Path, file: &dyn LogFile, seq: u64) -> Result<Header, WalError> {
        let mut block = ReadBuf::new(BLOCK_BYTES);
        let len = file.read_at(0, block.as_mut_slice()).map_err(|errno| io("read", path, 0, errno))?;
        let block = block.as_slice().get(..len).unwrap_or_default();
        let header = SegmentHeader::decode(block, &self.seed);
        if let Some(Unknown { field, found, wanted }) = SegmentHeader::unknown(block, &self.seed) {
            return Err(WalError::Unsupported { path: path.to_path_buf(), field, found, wanted });
        }
        Ok(match header {
            None => Header::Bad,
            Some(h) if h.segment_seq == seq && h.shard == self.shard && &h.uuid == self.dir.uuid() => {
                Header::Valid(h)
            }
            Some(h) if h.segment_seq < seq && h.shard == self.shard && &h.uuid == self.dir.uuid() => {
                Header::Stale
            }
            Some(_) => Header::Other,
        })
    }

    /// Row K for files that were copied here: a valid header of something else, and not one frame of this number.
    fn drop_strangers(&mut self, segments: &mut BTreeMap<u64, SegmentFile>) -> Result<(), WalError> {
        let strange: Vec<u64> =
            segments.iter().filter(|(_, s)| s.header == Header::Other).map(|(seq, _)| *seq).collect();
        for seq in strange {
            if !self.has_own_frames(seq, segments)?
                && let Some(segment) = segments.remove(&seq)
            {
                self.move_aside(seq, &segment.path)?;
            }
        }
        Ok(())
    }

    /// Opens a segment for reading. Files are open one at a time: a backlog has more of them than descriptors.
    fn scan(&self, seq: u64, segment: &SegmentFile, bytes: u64) -> Result<Scan, WalError> {
        Ok(Scan::new(self.open(&segment.path)?, self.seed, self.shard, seq, bytes))
    }

    /// Refuses, or notes the damage and goes on.
    fn damage(&mut self, path: &Path, verdict: Verdict) -> Result<(), WalError> {
        if self.mode == Recover::Refuse {
            let Verdict { row, offset, frame_seq, .. } = verdict;
            return Err(WalError::Corrupt { path: path.to_path_buf(), offset, row, frame_seq });
        }
        self.report.damage.push(verdict);
        self.must_cut = true;
        Ok(())
    }

    /// A clean stop is believed only if the log ends at its frame.
    fn check_clean_claim(&mut self) -> Result<(), WalError> {
        let Some(last) = self.dir.last_frame_seq(self.shard) else { return Ok(()) };
        if last + 1 == self.next_frame_seq {
            self.report.was_clean = true;
        } else if last >= self.next_frame_seq {
            // The frames are not there, and neither is a place where they should be: no segment at all.
            let verdict =
                Verdict { row: Row::I, segment: self.end.0, offset: 0, frame_seq: self.next_frame_seq };
            let path = self.path.clone();
            self.damage(&path, verdict)?;
            self.report.lost.push(Lost::Frames { from: self.next_frame_seq, to: last + 1 });
            self.next_frame_seq = last + 1;
        } else {
            self.report.clean_claim_was_stale = true;
        }
        Ok(())
    }

    /// Step 4: rows G and J.
    fn check_manifest(&mut self, segments: &BTreeMap<u64, SegmentFile>) -> Result<(), WalError> {
        let wanted: Vec<u64> = self.state.segments.keys().copied().collect();
        for seq in wanted {
            let row = match segments.get(&seq).map(|s| (s.header, s.bytes)) {
                None => Row::J,
                Some((Header::Valid(header), bytes)) if bytes >= header.segment_bytes => continue,
                // Cut, or under another's header. The last one was already dealt with by the replay.
                Some(_) if seq == self.end.0 => continue,
                Some((Header::Valid(_), _)) => Row::F,
                // Nothing of an old segment's header is needed any more; its frames have their own epoch.
                Some(_) if self.has_own_frames(seq, segments)? => {
                    let verdict = Verdict { row: Row::E, segment: seq, offset: 0, frame_seq: 0 };
                    self.report.damage.push(verdict);
                    continue;
                }
                Some(_) => Row::G,
            };
            let path = self.path.join(segment_name(seq));
            let verdict = Verdict { row, segment: seq, offset: 0, frame_seq: 0 };
            match (row, self.mode) {
                (Row::J, Recover::Refuse) => return Err(WalError::SegmentMissing { path }),
                _ => self.damage(&path, verdict)?,
            }
            if row == Row::J {
                for (topic, from, to) in self.state.lose_segment(seq) {
                    self.report.lost.push(Lost::Messages { topic, from, to, first_id: None });
                }
            }
        }
        Ok(())
    }

    fn has_own_frames(&self, seq: u64, segments: &BTreeMap<u64, SegmentFile>) -> Result<bool, WalError> {
        match segments.get(&seq) {
            Some(segment) => self.scan(seq, segment, segment.bytes)?.has_own_frames(),
            None => Ok(false),
        }
    }

    /// True if a frame with facts or messages is in a segment: then its header and its checkpoint were durable.
    fn has_begun(&self, seq: u64, segment: &SegmentFile) -> Result<bool, WalError> {
        self.scan(seq, segment, segment.bytes)?.has_begun()
    }

    /// Files with the name of a segment that the log does not need: retired ones, and those that were named and not
    /// begun, become space, others row K.
    fn clear_leftovers(
        &mut self,
        segments: &BTreeMap<u64, SegmentFile>,
        spares: &mut Vec<Spare>,
    ) -> Result<(), WalError> {
        for (seq, segment) in segments {
            if self.state.segments.contains_key(seq) {
                continue;
            }
            let retired = self.retired.contains(seq);
            let unbegun = self.unbegun.contains(seq) || (!retired && !self.has_begun(*seq, segment)?);
            // It may be the missing one, under a wrong name: a person decides.
            let missed =
                segment.header == Header::Stale && self.report.damage.iter().any(|d| d.row == Row::J);
            if !retired && (!unbegun || missed) {
                self.move_aside(*seq, &segment.path)?;
            } else if spares.len() < SPARE_COUNT_MAX {
                let number = spares.iter().map(|s| s.number + 1).max().unwrap_or(0);
                let path = self.path.join(spare_name(number));
                self.cold("rename", &ColdJob::Rename { from: segment.path.clone(), to: path.clone() })?;
                let bytes = segment.bytes;
                spares.push(Spare { file: self.open(&path)?, path, bytes, number });
            } else {
                self.cold("remove", &ColdJob::Remove { path: segment.path.clone() })?;
            }
        }
        Ok(())
    }

    fn cold(&self, operation: &'static str, job: &ColdJob) -> Result<(), WalError> {
        let path = match job {
            ColdJob::Prepare { path, .. } | ColdJob::Remove { path } | ColdJob::Open { path } => path,
            ColdJob::Rename { from, .. } | ColdJob::Name { from, .. } => from,
            ColdJob::Retire { .. } => &self.path,
        };
        self.disk.run(job).map(|_| ()).map_err(|errno| io(operation, path, 0, errno))
    }
}

/// The number in `<prefix><number>.seg`.
fn number_in(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.strip_suffix(".seg")?.parse().ok()
}
