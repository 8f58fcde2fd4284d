//! File operations: the log's writes, mostly.

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};
use nsq_wal::{Io, IoDone, IoResult};

use super::super::Event;
use super::RingTransport;
use super::tokens::Token;

/// Most bytes of one operation; a larger buffer is written or read in part, and its length reported.
const FILE_BYTES_MAX: usize = 1 << 30;

/// The operations under way, by place, with the buffers that the kernel works on and the files they belong to. Their
/// number is the callers' business.
#[derive(Debug, Default)]
pub(super) struct Files {
    places: Vec<Option<(u64, Io)>>,
    free: Vec<u32>,
}

impl Files {
    fn insert(&mut self, tag: u64, io: Io) -> u32 {
        let op = Some((tag, io));
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = op;
            return index;
        }
        self.places.push(op);
        u32::try_from(self.places.len() - 1).expect("invariant: fewer file operations than memory allows")
    }

    fn remove(&mut self, index: u32) -> Option<(u64, Io)> {
        let op = self.places.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(op)
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.free.len() < self.places.len()
    }
}

/// The operation for the kernel. What it points at is on the heap, so that `io` may be moved; it has to be kept until
/// the completion. `None` for what the ring does not do.
fn entry(io: &mut Io) -> Option<squeue::Entry> {
    let size = |len: usize| len.min(FILE_BYTES_MAX) as u32;
    Some(match io {
        Io::Write { file, offset, buf, dsync, .. } => {
            let flags = if *dsync { libc::RWF_DSYNC } else { 0 };
            let write = opcode::Write::new(Fd(file.raw_fd()), buf.as_ptr(), size(buf.len()));
            write.offset(*offset).rw_flags(flags).build()
        }
        Io::Read { file, offset, buf, .. } => {
            let len = size(buf.len());
            opcode::Read::new(Fd(file.raw_fd()), buf.as_mut_ptr(), len).offset(*offset).build()
        }
        Io::Sync { file, .. } => opcode::Fsync::new(Fd(file.raw_fd())).flags(FsyncFlags::DATASYNC).build(),
        Io::Cold { .. } => return None,
    })
}

/// The answer to an operation that has ended with `result`.
fn answer(io: Io, result: i32) -> IoResult {
    if result < 0 {
        return Err(-result);
    }
    Ok(match io {
        Io::Write { .. } => IoDone::Written(result as usize),
        Io::Read { buf, .. } => IoDone::Read { buf, len: result as usize },
        Io::Sync { .. } | Io::Cold { .. } => IoDone::Synced,
    })
}

impl RingTransport {
    pub(super) fn start_io(&mut self, tag: u64, mut io: Io) {
        let Some(entry) = entry(&mut io) else { return self.blocking.submit(tag, io) };
        let index = self.files.insert(tag, io);
        self.kernel.push(entry.user_data(Token::File(index).pack()));
    }

    pub(super) fn file_done(&mut self, index: u32, result: i32) {
        let Some((tag, io)) = self.files.remove(index) else { return };
        self.table.report(Event::Io { tag, result: answer(io, result) });
    }
}
