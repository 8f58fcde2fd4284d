//! A file of the disk, open.

use std::path::{Path, PathBuf};

use super::FaultDisk;
use crate::disk::LogFile;
use crate::error::Errno;
use crate::limits::BLOCK_BYTES;

/// Open until it is dropped: it holds a descriptor, and keeps the space of its file when that is unlinked.
#[derive(Debug)]
pub(super) struct FaultFile {
    pub(super) disk: FaultDisk,
    pub(super) inode: usize,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Which process opened it; see `World::epoch`.
    pub(super) epoch: u64,
}

impl Drop for FaultFile {
    fn drop(&mut self) {
        self.disk.world().close(self.inode, self.epoch);
    }
}

fn assert_aligned(offset: u64, address: *const u8, len: usize) {
    assert_eq!(offset % BLOCK_BYTES as u64, 0, "offset of an IO is not aligned");
    assert_eq!(address as usize % BLOCK_BYTES, 0, "address of an IO is not aligned");
    assert_eq!(len % BLOCK_BYTES, 0, "length of an IO is not aligned");
}

impl LogFile for FaultFile {
    fn raw_fd(&self) -> i32 {
        -1 - self.inode as i32
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn inode(&self) -> u64 {
        self.inode as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        assert_aligned(offset, buf.as_ptr(), buf.len());
        self.disk.world().read(self.inode, &self.path, offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8], dsync: bool) -> Result<usize, Errno> {
        assert_aligned(offset, buf.as_ptr(), buf.len());
        let mut world = self.disk.world();
        assert_eq!(world.epoch(), self.epoch, "a file outlived its crash");
        world.write(self.inode, &self.path, offset, buf, dsync)
    }

    fn sync_data(&self) -> Result<(), Errno> {
        let mut world = self.disk.world();
        let sync = world.begin_sync(self.inode);
        world.end_sync(&sync, &self.path)
    }
}
