//! Bytes that a person may want to look at are copied or moved, never dropped.

use std::path::{Path, PathBuf};

use super::scan::{Behind, Scan};
use super::{Recovery, TORN_COPY_BYTES, Verdict, io};
use crate::disk::ColdJob;
use crate::error::{EROFS, WalError, is_full};
use crate::format::frame::FrameHeader;
use crate::limits::BROKEN_COPY_BYTES_MAX;
use crate::log::segment_name;
use crate::row::Row;

impl Recovery<'_> {
    /// Copies a tail aside, as far as the disk has room for it: a start must not depend on that.
    pub(super) fn cut(
        &mut self,
        scan: &mut Scan,
        verdict: Verdict,
        behind: &Behind,
        header: Option<FrameHeader>,
    ) -> Result<(), WalError> {
        let here = header.map_or(TORN_COPY_BYTES, |h| u64::from(h.frame_len));
        let len = here.max(behind.end.saturating_sub(verdict.offset));
        match self.set_aside(scan, verdict.offset, len, verdict) {
            Ok(bytes) => self.report.cut_bytes += bytes,
            Err(WalError::Io { errno, .. }) if is_full(errno) || errno == EROFS => {
                self.report.tail_not_copied = Some(errno);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Copies `len` bytes, without trailing zeros, to the directory of broken things, with a line that says what
    /// they are. The name depends on the place alone, so doing it again changes nothing.
    pub(super) fn set_aside(
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

    /// Row K.
    pub(super) fn move_aside(&mut self, seq: u64, path: &Path) -> Result<(), WalError> {
        let to = self.broken_dir()?.join(format!("shard-{:02}-{}", self.shard, segment_name(seq)));
        self.cold("rename", &ColdJob::Rename { from: path.to_path_buf(), to: to.clone() })?;
        self.disk.sync_dir(&self.path).map_err(|errno| io("sync", &self.path, 0, errno))?;
        self.report.damage.push(Verdict { row: Row::K, segment: seq, offset: 0, frame_seq: 0 });
        self.report.set_aside.push(to);
        Ok(())
    }
}
