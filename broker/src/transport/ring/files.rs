//! File operations: the log's writes, mostly.

use std::os::fd::RawFd;

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};

use super::super::{Event, IoBuf};
use super::RingTransport;
use super::tokens::Token;

/// Most bytes of one operation; a larger buffer is written or read in part, and its length reported.
const FILE_BYTES_MAX: usize = 1 << 30;

/// The operations under way, by place. Their number is the callers' business.
#[derive(Debug, Default)]
pub(super) struct Files {
    places: Vec<Option<FileOp>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct FileOp {
    tag: u64,
    buf: Option<IoBuf>,
}

impl Files {
    fn insert(&mut self, tag: u64, buf: Option<IoBuf>) -> u32 {
        let op = Some(FileOp { tag, buf });
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = op;
            return index;
        }
        self.places.push(op);
        u32::try_from(self.places.len() - 1).expect("invariant: fewer file operations than memory allows")
    }

    fn remove(&mut self, index: u32) -> Option<FileOp> {
        let op = self.places.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(op)
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.free.len() < self.places.len()
    }
}

impl RingTransport {
    pub(super) fn start_write(&mut self, tag: u64, fd: RawFd, offset: u64, buf: IoBuf, dsync: bool) {
        let size = buf.len().min(FILE_BYTES_MAX) as u32;
        let flags = if dsync { libc::RWF_DSYNC } else { 0 };
        let write = opcode::Write::new(Fd(fd), buf.as_ptr(), size).offset(offset).rw_flags(flags);
        self.start_file_op(tag, Some(buf), write.build());
    }

    pub(super) fn start_read(&mut self, tag: u64, fd: RawFd, offset: u64, mut buf: IoBuf) {
        let size = buf.len().min(FILE_BYTES_MAX) as u32;
        let Some(address) = buf.as_mut_ptr() else {
            self.table.report(Event::FileDone { tag, result: Err(libc::EFAULT), buf: Some(buf) });
            return;
        };
        let read = opcode::Read::new(Fd(fd), address, size).offset(offset);
        self.start_file_op(tag, Some(buf), read.build());
    }

    pub(super) fn start_sync(&mut self, tag: u64, fd: RawFd) {
        let sync = opcode::Fsync::new(Fd(fd)).flags(FsyncFlags::DATASYNC);
        self.start_file_op(tag, None, sync.build());
    }

    fn start_file_op(&mut self, tag: u64, buf: Option<IoBuf>, entry: squeue::Entry) {
        let index = self.files.insert(tag, buf);
        self.kernel.push(entry.user_data(Token::File(index).pack()));
    }

    pub(super) fn file_done(&mut self, index: u32, result: i32) {
        let Some(FileOp { tag, buf }) = self.files.remove(index) else { return };
        let result = if result < 0 { Err(-result) } else { Ok(result as usize) };
        self.table.report(Event::FileDone { tag, result, buf });
    }
}
