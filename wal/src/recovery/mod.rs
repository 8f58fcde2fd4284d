//! From what a crash left to a state.
//!
//! 1. List the shard's files; sync each segment and the directory: a killed process may have left bytes that can
//!    be read and are not durable.
//! 2. The newest segment begins with a checkpoint. (A file gets a segment's name only after its header and its
//!    checkpoint are durable, so one that has neither is damaged; with `Quarantine` an older one serves.)
//! 3. Replay the frames behind it, each checked in full before any of it is applied. Where the next frame is
//!    not, [`decide`] says why.
//! 4. Compare the manifest with the files.
//!
//! Nothing of the log is written. Recovery can be cut off anywhere and run again with the same result; the next
//! segment, made before the first append, ends the old one for good.

mod report;
mod scan;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::report::{Lost, RecoveryReport, Verdict};
use self::scan::{Behind, Scan};
pub use self::table::{Found, Later, Row, decide};
use crate::data_dir::DataDir;
use crate::disk::{ColdJob, Disk, LogFile, ReadBuf};
use crate::error::{Errno, WalError};
use crate::format::frame::{self, CONTINUED, FrameHeader, Kind};
use crate::format::record::{RecordView, Records};
use crate::format::segment::SegmentHeader;
use crate::format::{Seed, checkpoint};
use crate::limits::{BLOCK_BYTES, BROKEN_COPY_BYTES_MAX, CHECKPOINT_BYTES_MAX, SPARE_COUNT_MAX};
use crate::log::{RESERVE_NAME, Recover, Spare, segment_name, spare_name};
use crate::state::{Applied, Place, State};

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
    pub(crate) reserve: Option<Spare>,
    /// Damage was skipped: a new segment must end the old one before anything else.
    pub(crate) must_cut: bool,
    pub(crate) report: RecoveryReport,
}

/// A file with the name of a segment.
struct SegmentFile {
    path: PathBuf,
    file: Arc<dyn LogFile>,
    header: Header,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Valid(SegmentHeader),
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
        must_cut: false,
        report: RecoveryReport {
            shard,
            was_clean: false,
            verdict: Verdict { row: Row::B, segment: 0, offset: 0, frame_seq: 1 },
            segment_count: 0,
            frame_count: 0,
            cut_bytes: 0,
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
    must_cut: bool,
    report: RecoveryReport,
}

impl Recovery<'_> {
    fn run(mut self) -> Result<Recovered, WalError> {
        let (mut segments, mut spares, mut reserve) = self.list()?;
        self.drop_strangers(&mut segments)?;
        self.replay(&segments)?;
        self.check_clean_claim()?;
        self.check_manifest(&segments)?;
        self.clear_leftovers(&segments, &mut spares)?;
        let newest = segments.keys().next_back().copied().unwrap_or(0);
        // A spare of another shard's making, or beyond need, is only space.
        for extra in spares.drain(SPARE_COUNT_MAX.min(spares.len())..) {
            self.cold("remove", &ColdJob::Remove { path: extra.path })?;
        }
        if reserve.as_ref().is_some_and(|r| r.bytes < BLOCK_BYTES as u64) {
            reserve = None;
        }
        self.report.segment_count = self.state.segments.len() as u64;
        Ok(Recovered {
            state: self.state,
            next_frame_seq: self.next_frame_seq,
            prev_crc: self.prev_crc,
            end: self.end,
            next_segment_seq: newest + 1,
            spares,
            reserve,
            must_cut: self.must_cut,
            report: self.report,
        })
    }

    /// Step 1.
    #[allow(clippy::type_complexity, reason = "three plain collections, used once")]
    fn list(&self) -> Result<(BTreeMap<u64, SegmentFile>, Vec<Spare>, Option<Spare>), WalError> {
        let entries = self.disk.list(&self.path).map_err(|errno| io("list", &self.path, 0, errno))?;
        let (mut segments, mut spares, mut reserve) = (BTreeMap::new(), Vec::new(), None);
        for entry in entries {
            let path = self.path.join(&entry.name);
            let spare = |number| -> Result<Spare, WalError> {
                let file = self.open(&path)?;
                Ok(Spare { path: path.clone(), bytes: entry.bytes, file, number })
            };
            if entry.name.starts_with("tmp-") {
                // A preparation that was cut off.
                self.disk.remove(&path).map_err(|errno| io("remove", &path, 0, errno))?;
            } else if entry.name == RESERVE_NAME {
                reserve = Some(spare(0)?);
            } else if let Some(number) = number_in(&entry.name, "free-") {
                spares.push(spare(number)?);
            } else if let Some(seq) = number_in(&entry.name, "wal-") {
                let file = self.open(&path)?;
                file.sync_data().map_err(|errno| io("sync", &path, 0, errno))?;
                let header = self.read_header(&path, &*file, seq)?;
                segments.insert(seq, SegmentFile { path, file, header });
            }
        }
        self.disk.sync_dir(&self.path).map_err(|errno| io("sync", &self.path, 0, errno))?;
        Ok((segments, spares, reserve))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn LogFile>, WalError> {
        // Whatever the reason, a file that cannot be opened is not a damaged one: refuse, touch nothing.
        self.disk.open(path).map_err(|errno| io("open", path, 0, errno))
    }

    fn read_header(&self, path: &Path, file: &dyn LogFile, seq: u64) -> Result<Header, WalError> {
        let mut block = ReadBuf::new(BLOCK_BYTES);
        let len = file.read_at(0, block.as_mut_slice()).map_err(|errno| io("read", path, 0, errno))?;
        let header = SegmentHeader::decode(block.as_slice().get(..len).unwrap_or_default(), &self.seed);
        Ok(match header {
            None => Header::Bad,
            Some(h) if h.segment_seq == seq && h.shard == self.shard && &h.uuid == self.dir.uuid() => {
                Header::Valid(h)
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

    fn scan(&self, seq: u64, segment: &SegmentFile, bytes: u64) -> Scan {
        Scan::new(segment.file.clone(), self.seed, self.shard, seq, bytes)
    }

    /// Steps 2 and 3.
    fn replay(&mut self, segments: &BTreeMap<u64, SegmentFile>) -> Result<(), WalError> {
        let mut later: Vec<u64> = Vec::new();
        for (seq, segment) in segments.iter().rev() {
            let row = match segment.header {
                Header::Valid(header) => {
                    let mut scan = self.scan(*seq, segment, header.segment_bytes);
                    if let Some(start) = self.load_checkpoint(&mut scan, &header)? {
                        self.check_length(*seq, segment, &header)?;
                        self.replay_segment(&mut scan, start, self.first_of(segments, &later))?;
                        return self.replay_later(segments, &later);
                    }
                    Row::E
                }
                Header::Other => Row::G,
                Header::Bad => Row::E,
            };
            let verdict = Verdict { row, segment: *seq, offset: 0, frame_seq: 0 };
            self.damage(&segment.path, verdict)?;
            later.insert(0, *seq);
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
                _ => segment.file.bytes(),
            };
            let mut scan = self.scan(*seq, segment, bytes);
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
        let Some(state) = checkpoint::decode(&bytes) else { return Ok(None) };
        self.state = state;
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
        let bytes = segment.file.bytes();
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

    /// Copies a tail aside.
    fn cut(
        &mut self,
        scan: &mut Scan,
        verdict: Verdict,
        behind: &Behind,
        header: Option<FrameHeader>,
    ) -> Result<(), WalError> {
        let here = header.map_or(TORN_COPY_BYTES, |h| u64::from(h.frame_len));
        let len = here.max(behind.end.saturating_sub(verdict.offset));
        self.report.cut_bytes += self.set_aside(scan, verdict.offset, len, verdict)?;
        Ok(())
    }

    /// Copies `len` bytes, without trailing zeros, to the directory of broken things, with a line that says what
    /// they are. The name depends on the place alone, so doing it again changes nothing.
    fn set_aside(
        &mut self,
        scan: &mut Scan,
        offset: u64,
        len: u64,
        verdict: Verdict,
    ) -> Result<u64, WalError> {
        let len = usize::try_from(len.min(BROKEN_COPY_BYTES_MAX)).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let part = scan.read(offset + bytes.len() as u64, (len - bytes.len()).min(1 << 20))?;
            if part.is_empty() {
                break;
            }
            bytes.extend_from_slice(part);
        }
        bytes.truncate(bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1));
        if bytes.is_empty() {
            return Ok(0);
        }
        let broken = self.broken_dir()?;
        let name = format!("shard-{:02}-wal-{:020}-{offset}", self.shard, scan.segment_seq);
        let line = format!(
            "{{\"shard\":{},\"segment\":{},\"offset\":{offset},\"bytes\":{},\"frame_seq\":{},\"row\":\"{:?}\",\"meaning\":\"{}\"}}\n",
            self.shard,
            scan.segment_seq,
            bytes.len(),
            verdict.frame_seq,
            verdict.row,
            verdict.row.meaning()
        );
        for (suffix, content) in [("bin", bytes.as_slice()), ("json", line.as_bytes())] {
            let path = broken.join(format!("{name}.{suffix}"));
            self.disk.write_file(&path, content).map_err(|errno| io("write", &path, 0, errno))?;
            self.report.set_aside.push(path);
        }
        self.disk.sync_dir(&broken).map_err(|errno| io("sync", &broken, 0, errno))?;
        Ok(bytes.len() as u64)
    }

    fn broken_dir(&self) -> Result<PathBuf, WalError> {
        let broken = self.dir.broken_path();
        self.disk.create_dir(&broken).map_err(|errno| io("create", &broken, 0, errno))?;
        Ok(broken)
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
            let row = match segments.get(&seq).map(|s| (s.header, s.file.bytes())) {
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
            Some(segment) => self.scan(seq, segment, segment.file.bytes()).has_own_frames(),
            None => Ok(false),
        }
    }

    /// Files with the name of a segment that the log does not need: retired ones become space, others row K.
    fn clear_leftovers(
        &mut self,
        segments: &BTreeMap<u64, SegmentFile>,
        spares: &mut Vec<Spare>,
    ) -> Result<(), WalError> {
        for (seq, segment) in segments {
            if self.state.segments.contains_key(seq) {
                continue;
            }
            if !self.retired.contains(seq) {
                self.move_aside(*seq, &segment.path)?;
            } else if spares.len() < SPARE_COUNT_MAX {
                let number = spares.iter().map(|s| s.number + 1).max().unwrap_or(0);
                let path = self.path.join(spare_name(number));
                self.cold("rename", &ColdJob::Rename { from: segment.path.clone(), to: path.clone() })?;
                let bytes = segment.file.bytes();
                spares.push(Spare { file: self.open(&path)?, path, bytes, number });
            } else {
                self.cold("remove", &ColdJob::Remove { path: segment.path.clone() })?;
            }
        }
        Ok(())
    }

    /// Row K.
    fn move_aside(&mut self, seq: u64, path: &Path) -> Result<(), WalError> {
        let to = self.broken_dir()?.join(format!("shard-{:02}-{}", self.shard, segment_name(seq)));
        self.cold("rename", &ColdJob::Rename { from: path.to_path_buf(), to: to.clone() })?;
        self.disk.sync_dir(&self.path).map_err(|errno| io("sync", &self.path, 0, errno))?;
        self.report.damage.push(Verdict { row: Row::K, segment: seq, offset: 0, frame_seq: 0 });
        self.report.set_aside.push(to);
        Ok(())
    }

    fn cold(&self, operation: &'static str, job: &ColdJob) -> Result<(), WalError> {
        let path = match job {
            ColdJob::Prepare { path, .. } | ColdJob::Remove { path } | ColdJob::Open { path } => path,
            ColdJob::Rename { from, .. } | ColdJob::Recycle { from, .. } => from,
        };
        self.disk.run(job).map(|_| ()).map_err(|errno| io(operation, path, 0, errno))
    }
}

/// The number in `<prefix><number>.seg`.
fn number_in(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.strip_suffix(".seg")?.parse().ok()
}
