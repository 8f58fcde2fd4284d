//! A disk in memory that behaves as badly as a real one may, from a seed.
//!
//! It keeps two images of every file, the one that reads see and the one that is durable, and a list of the
//! writes in between. [`FaultDisk::crash`] turns the first into what a power cut leaves: of each write that no
//! sync covered, every 512-byte sector is kept, lost or garbled; of the names changed since the last sync of
//! their directory, a prefix is kept. Operations can be made to fail by their number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, Entry, LogFile};
use crate::error::{ENOENT, Errno};
use crate::limits::BLOCK_BYTES;

/// What is written whole, and nothing more.
pub const SECTOR_BYTES: usize = 512;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails and does nothing.
    Error(Errno),
    /// The operation fails after half of a write was done; other operations do nothing.
    ErrorHalfDone(Errno),
    /// A write writes all but its last block; other operations succeed.
    Short,
}

/// When it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Number of the first operation that fails, counted from 0 since the plan was set.
    pub at: u64,
    /// True: every operation from there on. False: only that one.
    pub sticky: bool,
    /// How.
    pub fault: Fault,
}

/// Which operations a plan counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Read,
    Write,
    Sync,
    Name,
}

#[derive(Debug, Default)]
struct Inode {
    /// What reads see.
    current: Vec<u8>,
    /// What survives.
    durable: Vec<u8>,
    /// Answered writes that no sync covers: offset and length.
    dirty: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
}

#[derive(Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced: Vec<NameChange>,
    plan: Option<FaultPlan>,
    operation_count: u64,
    capacity_bytes: Option<u64>,
    crash_count: u64,
}

/// The disk. Clones share the world.
#[derive(Clone, Debug, Default)]
pub struct FaultDisk {
    world: Arc<Mutex<World>>,
}

/// A small generator for seeds; quality suffices for faults.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next 64 bits (splitmix64).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.draw() % end }
    }

    /// True `n` times out of 100.
    pub fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }
}

impl FaultDisk {
    /// An empty disk that works.
    pub fn new() -> FaultDisk {
        FaultDisk::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or clears what goes wrong, and restarts the count of operations.
    pub fn set_plan(&self, plan: Option<FaultPlan>) {
        let mut world = self.world();
        world.plan = plan;
        world.operation_count = 0;
    }

    /// Operations since the plan was set.
    pub fn operation_count(&self) -> u64 {
        self.world().operation_count
    }

    /// Sets the size of the disk: creating files beyond it is ENOSPC.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity_bytes = bytes;
    }

    /// Writes that were handed out but not answered when the power fails: `(path, offset, bytes)` reach the disk
    /// in part.
    pub fn half_write(&self, file: &dyn LogFile, offset: u64, bytes: &[u8], chance: &mut Chance) {
        let mut world = self.world();
        let Some(index) = world.inode_of(file) else { return };
        let inode = &mut world.inodes[index];
        let offset = offset as usize;
        for (i, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            let at = offset + i * SECTOR_BYTES;
            if at + sector.len() > inode.durable.len() {
                break;
            }
            match chance.below(5) {
                0..=1 => inode.durable[at..at + sector.len()].copy_from_slice(sector),
                2 => garble(&mut inode.durable[at..at + sector.len()], chance),
                _ => {}
            }
        }
    }

    /// The power fails and comes back.
    pub fn crash(&self, chance: &mut Chance) {
        let mut world = self.world();
        world.crash_count += 1;
        // A journal commits names in order: a prefix survives.
        let keep = chance.below(world.unsynced.len() as u64 + 1) as usize;
        let changes: Vec<NameChange> = world.unsynced.drain(..).take(keep).collect();
        for change in changes {
            apply_change(&mut world.durable_names, change);
        }
        world.names = world.durable_names.clone();
        for inode in &mut world.inodes {
            let style = chance.below(4);
            for (start, len) in std::mem::take(&mut inode.dirty) {
                for at in (start..start + len).step_by(SECTOR_BYTES) {
                    let end = (at + SECTOR_BYTES).min(start + len);
                    let fate = match style {
                        0 => 0,                // the cache was lucky
                        1 => 9,                // all lost
                        _ => chance.below(10), // anything
                    };
                    match fate {
                        0..=4 => inode.durable[at..end].copy_from_slice(&inode.current[at..end]),
                        5 => garble(&mut inode.durable[at..end], chance),
                        _ => {}
                    }
                }
            }
            inode.current = inode.durable.clone();
        }
        world.plan = None;
    }

    /// The process dies, the machine lives: everything answered is still readable.
    pub fn kill(&self) {
        self.world().plan = None;
    }

    /// An independent copy of the disk as it is.
    pub fn fork(&self) -> FaultDisk {
        let world = self.world();
        let inodes = world
            .inodes
            .iter()
            .map(|i| Inode { current: i.current.clone(), durable: i.durable.clone(), dirty: i.dirty.clone() })
            .collect();
        let copy = World {
            inodes,
            names: world.names.clone(),
            durable_names: world.durable_names.clone(),
            unsynced: world.unsynced.clone(),
            ..World::default()
        };
        FaultDisk { world: Arc::new(Mutex::new(copy)) }
    }

    /// Content of a file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        world.names.get(path).map(|i| world.inodes[*i].current.clone())
    }

    /// Changes a file behind everybody's back, durably: rot.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        if let Some(index) = world.names.get(path).copied() {
            let inode = &mut world.inodes[index];
            change(&mut inode.current);
            inode.durable = inode.current.clone();
            inode.dirty.clear();
        }
    }

    /// Adds, replaces or (with `None`) removes a file, durably.
    pub fn set_file(&self, path: &Path, content: Option<Vec<u8>>) {
        let mut world = self.world();
        world.names.remove(path);
        world.durable_names.remove(path);
        if let Some(content) = content {
            let index = world.inodes.len();
            world.inodes.push(Inode { current: content.clone(), durable: content, dirty: Vec::new() });
            world.names.insert(path.to_path_buf(), index);
            world.durable_names.insert(path.to_path_buf(), index);
        }
    }

    /// Paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
    }
}

fn garble(sector: &mut [u8], chance: &mut Chance) {
    for byte in sector {
        *byte ^= chance.draw() as u8;
    }
}

fn apply_change(names: &mut BTreeMap<PathBuf, usize>, change: NameChange) {
    match change {
        NameChange::Link(path, inode) => {
            names.retain(|_, i| *i != inode);
            names.insert(path, inode);
        }
        NameChange::Unlink(path) => {
            names.remove(&path);
        }
    }
}

impl World {
    /// Counts an operation and says whether it fails.
    fn step(&mut self, class: Class) -> Option<Fault> {
        let number = self.operation_count;
        self.operation_count += 1;
        let plan = self.plan?;
        let hit = if plan.sticky { number >= plan.at } else { number == plan.at };
        (hit && (class == Class::Write || plan.fault != Fault::Short)).then_some(plan.fault)
    }

    fn fail(&mut self, class: Class) -> Result<(), Errno> {
        match self.step(class) {
            Some(Fault::Error(errno) | Fault::ErrorHalfDone(errno)) => Err(errno),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: NameChange) {
        apply_change(&mut self.names, change.clone());
        self.unsynced.push(change);
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|i| self.inodes[*i].current.len() as u64).sum()
    }

    fn create(&mut self, path: &Path, content: Vec<u8>) -> Result<usize, Errno> {
        let freed = self.names.get(path).map_or(0, |i| self.inodes[*i].current.len() as u64);
        if let Some(capacity) = self.capacity_bytes
            && self.used_bytes() - freed + content.len() as u64 > capacity
        {
            return Err(crate::error::ENOSPC);
        }
        let index = self.inodes.len();
        self.inodes.push(Inode { current: content.clone(), durable: content, dirty: Vec::new() });
        if self.names.contains_key(path) {
            self.change(NameChange::Unlink(path.to_path_buf()));
        }
        self.change(NameChange::Link(path.to_path_buf(), index));
        Ok(index)
    }

    fn inode_of(&self, file: &dyn LogFile) -> Option<usize> {
        // Files in memory carry their inode as a negative descriptor.
        usize::try_from(-1 - i64::from(file.raw_fd())).ok().filter(|i| *i < self.inodes.len())
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, _path: &Path) -> Result<(), Errno> {
        self.world().fail(Class::Name)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Errno> {
        let mut world = self.world();
        world.fail(Class::Read)?;
        let mut entries = Vec::new();
        for (name, inode) in &world.names {
            if name.parent() == Some(path)
                && let Some(name) = name.file_name().and_then(|n| n.to_str())
            {
                let bytes = world.inodes[*inode].current.len() as u64;
                entries.push(Entry { name: name.to_owned(), bytes });
            }
        }
        Ok(entries)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn LogFile>, Errno> {
        let mut world = self.world();
        world.fail(Class::Name)?;
        let inode = *world.names.get(path).ok_or(ENOENT)?;
        let bytes = world.inodes[inode].current.len() as u64;
        let epoch = world.crash_count;
        Ok(Arc::new(FaultFile { disk: self.clone(), inode, path: path.to_path_buf(), bytes, epoch }))
    }

    fn create_zeroed(&self, path: &Path, bytes: u64) -> Result<Arc<dyn LogFile>, Errno> {
        let mut world = self.world();
        world.fail(Class::Name)?;
        let inode = world.create(path, vec![0; bytes as usize])?;
        let epoch = world.crash_count;
        Ok(Arc::new(FaultFile { disk: self.clone(), inode, path: path.to_path_buf(), bytes, epoch }))
    }

    fn write_file(&self, path: &Path, content: &[u8]) -> Result<(), Errno> {
        let mut world = self.world();
        world.fail(Class::Name)?;
        world.create(path, content.to_vec()).map(|_| ())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Errno> {
        let mut world = self.world();
        world.fail(Class::Name)?;
        let inode = *world.names.get(from).ok_or(ENOENT)?;
        world.change(NameChange::Link(to.to_path_buf(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), Errno> {
        let mut world = self.world();
        world.fail(Class::Name)?;
        if !world.names.contains_key(path) {
            return Err(ENOENT);
        }
        world.change(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Errno> {
        let mut world = self.world();
        world.fail(Class::Sync)?;
        let of_dir = |change: &NameChange| match change {
            NameChange::Link(p, _) | NameChange::Unlink(p) => p.parent() == Some(path),
        };
        let (synced, rest) = std::mem::take(&mut world.unsynced).into_iter().partition(of_dir);
        world.unsynced = rest;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            apply_change(&mut world.durable_names, change);
        }
        Ok(())
    }

    fn is_direct(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct FaultFile {
    disk: FaultDisk,
    inode: usize,
    path: PathBuf,
    bytes: u64,
    epoch: u64,
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

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        assert_aligned(offset, buf.as_ptr(), buf.len());
        let mut world = self.disk.world();
        world.fail(Class::Read)?;
        let current = &world.inodes[self.inode].current;
        let start = (offset as usize).min(current.len());
        let end = (start + buf.len()).min(current.len());
        buf[..end - start].copy_from_slice(&current[start..end]);
        Ok(end - start)
    }

    fn write_at(&self, offset: u64, buf: &[u8], dsync: bool) -> Result<usize, Errno> {
        assert_aligned(offset, buf.as_ptr(), buf.len());
        let mut world = self.disk.world();
        assert_eq!(world.crash_count, self.epoch, "a file outlived its crash");
        let fault = world.step(Class::Write);
        let inode = &mut world.inodes[self.inode];
        let start = offset as usize;
        assert!(start + buf.len() <= inode.current.len(), "a segment never grows");
        let len = match fault {
            Some(Fault::Error(errno)) => return Err(errno),
            Some(Fault::ErrorHalfDone(_)) => buf.len() / 2,
            Some(Fault::Short) => buf.len() - BLOCK_BYTES,
            None => buf.len(),
        };
        inode.current[start..start + len].copy_from_slice(&buf[..len]);
        if let Some(Fault::ErrorHalfDone(errno)) = fault {
            inode.dirty.push((start, len));
            return Err(errno);
        }
        if dsync {
            inode.durable[start..start + len].copy_from_slice(&buf[..len]);
        } else if len > 0 {
            inode.dirty.push((start, len));
        }
        Ok(len)
    }

    fn sync_data(&self) -> Result<(), Errno> {
        let mut world = self.disk.world();
        if let Err(errno) = world.fail(Class::Sync) {
            // As Linux does: the pages count as clean now, and the next sync succeeds without them.
            world.inodes[self.inode].dirty.clear();
            return Err(errno);
        }
        let inode = &mut world.inodes[self.inode];
        for (start, len) in std::mem::take(&mut inode.dirty) {
            inode.durable[start..start + len].copy_from_slice(&inode.current[start..start + len]);
        }
        Ok(())
    }
}
