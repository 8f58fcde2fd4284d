//! A disk in memory that behaves as badly as a real one may, from a seed.
//!
//! It keeps two images of every file, the one that reads see and the one that is durable, and a list of the
//! writes in between. [`FaultDisk::crash`] turns the first into what a power cut leaves: of each write that no
//! sync covered, every 512-byte sector is kept, lost or garbled; of the names changed since the last sync of
//! their directory, a prefix is kept. A [`Judge`] decides what goes wrong with each operation; capacity and
//! descriptors run out by themselves; [`FaultDisk::die_after`] ends the process in the middle of its work.

mod chance;
mod file;
mod judge;
mod pages;
#[cfg(test)]
mod tests;
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::chance::Chance;
use self::file::FaultFile;
pub use self::judge::{Class, Fault, FaultPlan, Judge, Operation};
use self::pages::Pages;
use self::world::World;
use super::{Disk, Entry, LogFile};
use crate::error::Errno;

/// What is written whole, and nothing more.
pub const SECTOR_BYTES: usize = 512;

/// The disk. Clones share the world.
#[derive(Clone, Debug, Default)]
pub struct FaultDisk {
    world: Arc<Mutex<World>>,
}

/// A sync that was handed out and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    inode: usize,
    /// It covers the writes that were answered before this many.
    before: u64,
}

impl FaultDisk {
    /// An empty disk that works.
    pub fn new() -> FaultDisk {
        FaultDisk::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or clears the one thing that goes wrong, and restarts the count of operations.
    pub fn set_plan(&self, plan: Option<FaultPlan>) {
        self.set_judge(plan.map(|plan| Box::new(plan) as Box<dyn Judge>));
    }

    /// Sets or clears who decides what goes wrong, and restarts the count of operations. Gone with the process.
    pub fn set_judge(&self, judge: Option<Box<dyn Judge>>) {
        self.world().set_judge(judge);
    }

    /// Operations since plan or judge were set.
    pub fn operation_count(&self) -> u64 {
        self.world().operation_count()
    }

    /// The process dies behind its next `count` operations: what follows does nothing and fails, until
    /// [`FaultDisk::kill`] or [`FaultDisk::crash`] ends it for good. `None` lets it live.
    pub fn die_after(&self, count: Option<u64>) {
        self.world().set_die_after(count);
    }

    /// Whether the process has died in the middle of its work: nobody hears the answers of its operations.
    pub fn is_dead(&self) -> bool {
        self.world().is_dead()
    }

    /// Sets the size of the disk: creating files beyond it is ENOSPC, after a part of it was written.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().set_capacity(bytes);
    }

    /// Bytes of every file that has a name or is open.
    pub fn used_bytes(&self) -> u64 {
        self.world().used_bytes()
    }

    /// Sets the size of the process's table of descriptors: beyond it there is EMFILE.
    pub fn set_descriptors_max(&self, count: Option<usize>) {
        self.world().set_descriptors_max(count);
    }

    /// Descriptors in use, those of [`FaultDisk::take_descriptor`] included.
    pub fn descriptor_count(&self) -> usize {
        self.world().descriptor_count()
    }

    /// Takes a place in the table for something that is not a file of this disk: a socket.
    pub fn take_descriptor(&self) -> Result<(), Errno> {
        self.world().take_descriptor()
    }

    /// Gives it back.
    pub fn give_back_descriptor(&self) {
        self.world().give_back_descriptor();
    }

    /// Hands out a sync: it covers the writes of the file that were answered until now.
    pub fn begin_sync(&self, file: &dyn LogFile) -> Sync {
        self.world().begin_sync(inode_of(file))
    }

    /// Answers it.
    pub fn end_sync(&self, sync: &Sync, path: &Path) -> Result<(), Errno> {
        self.world().end_sync(sync, path)
    }

    /// Writes that were handed out but not answered when the power fails: `(path, offset, bytes)` reach the disk
    /// in part.
    pub fn half_write(&self, file: &dyn LogFile, offset: u64, bytes: &[u8], chance: &mut Chance) {
        self.world().half_write(inode_of(file), offset, bytes, chance);
    }

    /// The power fails and comes back.
    pub fn crash(&self, chance: &mut Chance) {
        self.world().crash(chance);
    }

    /// The process dies, the machine lives: everything answered is still readable.
    pub fn kill(&self) {
        self.world().end_process();
    }

    /// An independent copy of the disk as it is, without a process. Pages are shared until they are written.
    pub fn fork(&self) -> FaultDisk {
        FaultDisk { world: Arc::new(Mutex::new(self.world().fork())) }
    }

    /// Content of a file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().content(path)
    }

    /// Changes a file behind everybody's back, durably: rot.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.world().damage(path, change);
    }

    /// Adds, replaces or (with `None`) removes a file, durably.
    pub fn set_file(&self, path: &Path, content: Option<Vec<u8>>) {
        self.world().set_file(path, content);
    }

    /// Paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().paths()
    }

    fn file(&self, world: &World, inode: usize, path: &Path) -> Arc<dyn LogFile> {
        let (bytes, epoch) = (world.inode_bytes(inode), world.epoch());
        Arc::new(FaultFile { disk: self.clone(), inode, path: path.to_path_buf(), bytes, epoch })
    }
}

/// Files in memory carry their inode as a negative descriptor.
fn inode_of(file: &dyn LogFile) -> usize {
    usize::try_from(-1 - i64::from(file.raw_fd())).expect("invariant: a file of this disk")
}

impl Disk for FaultDisk {
    fn create_dir(&self, path: &Path) -> Result<(), Errno> {
        self.world().create_dir(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Errno> {
        self.world().list(path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn LogFile>, Errno> {
        let mut world = self.world();
        let inode = world.open(path)?;
        Ok(self.file(&world, inode, path))
    }

    fn create_zeroed(&self, path: &Path, bytes: u64) -> Result<Arc<dyn LogFile>, Errno> {
        let mut world = self.world();
        let inode = world.create(path, Pages::zeroed(bytes as usize), true)?;
        Ok(self.file(&world, inode, path))
    }

    fn write_file(&self, path: &Path, content: &[u8]) -> Result<(), Errno> {
        self.world().create(path, Pages::from_bytes(content), false).map(|_| ())
    }

    fn inode_at(&self, path: &Path) -> Result<u64, Errno> {
        self.world().inode_at(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Errno> {
        self.world().rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), Errno> {
        self.world().remove(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Errno> {
        self.world().sync_dir(path)
    }

    fn volume_bytes(&self, _path: &Path) -> Result<u64, Errno> {
        Ok(self.world().capacity_bytes())
    }

    fn is_direct(&self) -> bool {
        true
    }
}
