//! What the disk holds: files in two images, names in two images, and what lies in between.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::chance::Chance;
use super::judge::{Class, Fault, Judge, Operation};
use super::pages::Pages;
use super::{SECTOR_BYTES, Sync};
use crate::disk::Entry;
use crate::error::{EIO, EMFILE, ENOENT, ENOSPC, Errno};
use crate::limits::BLOCK_BYTES;

#[derive(Clone, Debug, Default)]
struct Inode {
    /// What reads see.
    current: Pages,
    /// What survives.
    durable: Pages,
    /// Answered writes that no sync covers.
    dirty: Vec<Dirty>,
    /// How many descriptors of the living process refer to it.
    open_count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Dirty {
    start: usize,
    len: usize,
    /// In the order of the answers.
    number: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
}

impl NameChange {
    fn is_in(&self, dir: &Path) -> bool {
        let (NameChange::Link(path, _) | NameChange::Unlink(path)) = self;
        path.parent() == Some(dir)
    }
}

#[derive(Debug, Default)]
pub(super) struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced: Vec<NameChange>,
    write_count: u64,
    judge: Option<Box<dyn Judge>>,
    operation_count: u64,
    /// Operations left before the process dies in the middle of its work.
    die_after: Option<u64>,
    dead: bool,
    capacity_bytes: Option<u64>,
    descriptors_max: Option<usize>,
    descriptor_count: usize,
    /// Grows with each end of a process: its files are closed.
    epoch: u64,
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
    pub(super) fn set_judge(&mut self, judge: Option<Box<dyn Judge>>) {
        self.judge = judge;
        self.operation_count = 0;
    }

    pub(super) fn operation_count(&self) -> u64 {
        self.operation_count
    }

    pub(super) fn set_die_after(&mut self, count: Option<u64>) {
        self.die_after = count;
        self.dead = false;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity_bytes = bytes;
    }

    pub(super) fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes.unwrap_or(u64::MAX)
    }

    pub(super) fn set_descriptors_max(&mut self, count: Option<usize>) {
        self.descriptors_max = count;
    }

    pub(super) fn descriptor_count(&self) -> usize {
        self.descriptor_count
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Counts an operation and says what goes wrong with it.
    fn step(&mut self, class: Class, path: &Path, offset: u64, len: usize) -> Result<Option<Fault>, Errno> {
        if self.dead {
            return Err(EIO);
        }
        if let Some(left) = &mut self.die_after {
            if *left == 0 {
                self.dead = true;
                return Err(EIO);
            }
            *left -= 1;
        }
        let number = self.operation_count;
        self.operation_count += 1;
        let operation = Operation { class, path, offset, len, number };
        Ok(self.judge.as_mut().and_then(|judge| judge.judge(&operation)))
    }

    /// As `step`, for an operation that is done or not.
    fn admit(&mut self, class: Class, path: &Path) -> Result<Option<Errno>, Errno> {
        match self.step(class, path, 0, 0)? {
            Some(Fault::Error(errno) | Fault::ErrorKept(errno) | Fault::ErrorHalfDone(errno)) => Err(errno),
            Some(Fault::ErrorDone(errno)) => Ok(Some(errno)),
            Some(Fault::Short | Fault::ShortTo(_) | Fault::Garbled(_)) | None => Ok(None),
        }
    }

    /// A descriptor for a short while.
    fn spare_descriptor(&self) -> Result<(), Errno> {
        if self.descriptors_max.is_some_and(|max| self.descriptor_count >= max) {
            Err(EMFILE)
        } else {
            Ok(())
        }
    }

    pub(super) fn take_descriptor(&mut self) -> Result<(), Errno> {
        self.spare_descriptor()?;
        self.descriptor_count += 1;
        Ok(())
    }

    pub(super) fn give_back_descriptor(&mut self) {
        self.descriptor_count = self.descriptor_count.saturating_sub(1);
    }

    pub(super) fn close(&mut self, inode: usize, epoch: u64) {
        if epoch == self.epoch {
            self.give_back_descriptor();
            let inode = &mut self.inodes[inode];
            inode.open_count = inode.open_count.saturating_sub(1);
        }
    }

    /// Bytes of every file that has a name or is open.
    pub(super) fn used_bytes(&self) -> u64 {
        let named: std::collections::BTreeSet<usize> = self.names.values().copied().collect();
        let used =
            self.inodes.iter().enumerate().filter(|(i, inode)| inode.open_count > 0 || named.contains(i));
        used.map(|(_, inode)| inode.current.len() as u64).sum()
    }

    fn change(&mut self, change: NameChange) {
        apply_change(&mut self.names, change.clone());
        self.unsynced.push(change);
    }

    fn bring_in(&mut self, content: Pages) -> usize {
        self.inodes.push(Inode { durable: content.clone(), current: content, ..Inode::default() });
        self.inodes.len() - 1
    }

    fn open_inode(&mut self, inode: usize) -> usize {
        self.descriptor_count += 1;
        self.inodes[inode].open_count += 1;
        inode
    }

    pub(super) fn inode_bytes(&self, inode: usize) -> u64 {
        self.inodes[inode].current.len() as u64
    }

    // -- names -----------------------------------------------------------------------------------------------------

    pub(super) fn create_dir(&mut self, path: &Path) -> Result<(), Errno> {
        self.admit(Class::SyncDir, path)?.map_or(Ok(()), Err)
    }

    pub(super) fn list(&mut self, path: &Path) -> Result<Vec<Entry>, Errno> {
        self.admit(Class::List, path)?.map_or(Ok(()), Err)?;
        self.spare_descriptor()?;
        let of_dir = self.names.iter().filter(|(name, _)| name.parent() == Some(path));
        let entries = of_dir.filter_map(|(name, inode)| {
            let name = name.file_name()?.to_str()?.to_owned();
            Some(Entry { name, bytes: self.inode_bytes(*inode) })
        });
        Ok(entries.collect())
    }

    pub(super) fn open(&mut self, path: &Path) -> Result<usize, Errno> {
        self.admit(Class::Open, path)?.map_or(Ok(()), Err)?;
        self.spare_descriptor()?;
        let inode = *self.names.get(path).ok_or(ENOENT)?;
        Ok(self.open_inode(inode))
    }

    /// Looks a name up; it takes no descriptor.
    pub(super) fn inode_at(&mut self, path: &Path) -> Result<u64, Errno> {
        self.admit(Class::Stat, path)?.map_or(Ok(()), Err)?;
        self.names.get(path).map(|inode| *inode as u64).ok_or(ENOENT)
    }

    /// Creates a file; with `open`, it stays open.
    pub(super) fn create(&mut self, path: &Path, content: Pages, open: bool) -> Result<usize, Errno> {
        let fault = self.step(Class::Create, path, 0, content.len())?;
        if let Some(Fault::Error(errno) | Fault::ErrorKept(errno)) = fault {
            return Err(errno);
        }
        self.spare_descriptor()?;
        let freed = self.names.get(path).copied().filter(|inode| self.inodes[*inode].open_count == 0);
        let freed = freed.map_or(0, |inode| self.inode_bytes(inode));
        let room = self.capacity_bytes.map(|capacity| capacity.saturating_sub(self.used_bytes() - freed));
        let (content, errno) = match (fault, room) {
            (Some(Fault::ErrorHalfDone(errno)), _) => (Pages::zeroed(content.len() / 2), Some(errno)),
            (Some(Fault::ErrorDone(errno)), _) => (content, Some(errno)),
            // What fits is taken: the caller has to clean up behind itself.
            (_, Some(room)) if (content.len() as u64) > room => {
                let part = room as usize / BLOCK_BYTES * BLOCK_BYTES;
                (Pages::zeroed(part), Some(ENOSPC))
            }
            _ => (content, None),
        };
        let inode = self.bring_in(content);
        if self.names.contains_key(path) {
            self.change(NameChange::Unlink(path.to_path_buf()));
        }
        self.change(NameChange::Link(path.to_path_buf(), inode));
        match errno {
            Some(errno) => Err(errno),
            None if open => Ok(self.open_inode(inode)),
            None => Ok(inode),
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Errno> {
        let reported = self.admit(Class::Rename, to)?;
        let inode = *self.names.get(from).ok_or(ENOENT)?;
        self.change(NameChange::Link(to.to_path_buf(), inode));
        reported.map_or(Ok(()), Err)
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<(), Errno> {
        let reported = self.admit(Class::Remove, path)?;
        if !self.names.contains_key(path) {
            return Err(ENOENT);
        }
        self.change(NameChange::Unlink(path.to_path_buf()));
        reported.map_or(Ok(()), Err)
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> Result<(), Errno> {
        let reported = self.admit(Class::SyncDir, path)?;
        self.spare_descriptor()?;
        let (synced, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unsynced).into_iter().partition(|change| change.is_in(path));
        self.unsynced = rest;
        synced.into_iter().for_each(|change| apply_change(&mut self.durable_names, change));
        reported.map_or(Ok(()), Err)
    }

    // -- content ---------------------------------------------------------------------------------------------------

    pub(super) fn read(
        &mut self,
        inode: usize,
        path: &Path,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, Errno> {
        let fault = self.step(Class::Read, path, offset, buf.len())?;
        let current = &self.inodes[inode].current;
        let start = (offset as usize).min(current.len());
        let mut len = buf.len().min(current.len() - start);
        let sectors = |bytes: usize| bytes / SECTOR_BYTES * SECTOR_BYTES;
        match fault {
            Some(
                Fault::Error(errno)
                | Fault::ErrorKept(errno)
                | Fault::ErrorHalfDone(errno)
                | Fault::ErrorDone(errno),
            ) => return Err(errno),
            Some(Fault::Short) => len = sectors(len.saturating_sub(1)),
            Some(Fault::ShortTo(bytes)) => len = len.min(sectors(bytes)),
            Some(Fault::Garbled(_)) | None => {}
        }
        current.read(start, &mut buf[..len]);
        if let Some(Fault::Garbled(seed)) = fault {
            let mut chance = Chance::new(seed);
            let at = sectors(chance.below(len as u64) as usize);
            let end = (at + SECTOR_BYTES).min(len);
            chance.garble(&mut buf[at..end]);
        }
        Ok(len)
    }

    pub(super) fn write(
        &mut self,
        inode: usize,
        path: &Path,
        offset: u64,
        buf: &[u8],
        dsync: bool,
    ) -> Result<usize, Errno> {
        let fault = self.step(Class::Write, path, offset, buf.len())?;
        let start = offset as usize;
        let blocks = |bytes: usize| bytes / BLOCK_BYTES * BLOCK_BYTES;
        let (len, errno) = match fault {
            Some(Fault::Error(errno) | Fault::ErrorKept(errno)) => return Err(errno),
            Some(Fault::ErrorHalfDone(errno)) => (buf.len() / 2, Some(errno)),
            Some(Fault::ErrorDone(errno)) => (buf.len(), Some(errno)),
            Some(Fault::Short) => (buf.len() - BLOCK_BYTES, None),
            Some(Fault::ShortTo(bytes)) => (blocks(bytes.min(buf.len())), None),
            Some(Fault::Garbled(_)) | None => (buf.len(), None),
        };
        let number = self.write_count;
        self.write_count += 1;
        let inode = &mut self.inodes[inode];
        assert!(start + buf.len() <= inode.current.len(), "a segment never grows");
        inode.current.write(start, &buf[..len]);
        if let Some(errno) = errno {
            inode.dirty.push(Dirty { start, len, number });
            return Err(errno);
        }
        if dsync {
            inode.durable.write(start, &buf[..len]);
        } else if len > 0 {
            inode.dirty.push(Dirty { start, len, number });
        }
        Ok(len)
    }

    pub(super) fn begin_sync(&self, inode: usize) -> Sync {
        Sync { inode, before: self.write_count }
    }

    pub(super) fn end_sync(&mut self, sync: &Sync, path: &Path) -> Result<(), Errno> {
        let fault = self.step(Class::Sync, path, 0, 0)?;
        let inode = &mut self.inodes[sync.inode];
        let (covered, rest): (Vec<Dirty>, Vec<Dirty>) =
            inode.dirty.iter().partition(|dirty| dirty.number < sync.before);
        match fault {
            Some(Fault::ErrorKept(errno)) => return Err(errno),
            Some(Fault::Error(errno) | Fault::ErrorHalfDone(errno)) => {
                inode.dirty = rest;
                return Err(errno);
            }
            _ => {}
        }
        inode.dirty = rest;
        for Dirty { start, len, .. } in covered {
            inode.durable.copy_from(&inode.current, start, len);
        }
        if let Some(Fault::ErrorDone(errno)) = fault { Err(errno) } else { Ok(()) }
    }

    // -- ends ------------------------------------------------------------------------------------------------------

    /// The process ends: its descriptors are closed, whatever was to happen to it is over.
    pub(super) fn end_process(&mut self) {
        self.epoch += 1;
        self.descriptor_count = 0;
        self.inodes.iter_mut().for_each(|inode| inode.open_count = 0);
        self.judge = None;
        self.die_after = None;
        self.dead = false;
    }

    pub(super) fn crash(&mut self, chance: &mut Chance) {
        self.end_process();
        // A journal commits names in order: a prefix survives.
        let keep = chance.below(self.unsynced.len() as u64 + 1) as usize;
        let changes: Vec<NameChange> = self.unsynced.drain(..).take(keep).collect();
        for change in changes {
            apply_change(&mut self.durable_names, change);
        }
        self.names = self.durable_names.clone();
        for inode in &mut self.inodes {
            let style = chance.below(4);
            for Dirty { start, len, .. } in std::mem::take(&mut inode.dirty) {
                for at in (start..start + len).step_by(SECTOR_BYTES) {
                    let size = (start + len - at).min(SECTOR_BYTES);
                    let fate = match style {
                        0 => 0,                // the cache was lucky
                        1 => 9,                // all lost
                        _ => chance.below(10), // anything
                    };
                    match fate {
                        0..=4 => inode.durable.copy_from(&inode.current, at, size),
                        5 => garble(&mut inode.durable, at, size, chance),
                        _ => {}
                    }
                }
            }
            inode.current = inode.durable.clone();
        }
    }

    pub(super) fn half_write(&mut self, inode: usize, offset: u64, bytes: &[u8], chance: &mut Chance) {
        let Some(inode) = self.inodes.get_mut(inode) else { return };
        for (i, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            let at = offset as usize + i * SECTOR_BYTES;
            if at + sector.len() > inode.durable.len() {
                break;
            }
            match chance.below(5) {
                0..=1 => inode.durable.write(at, sector),
                2 => garble(&mut inode.durable, at, sector.len(), chance),
                _ => {}
            }
        }
    }

    pub(super) fn fork(&self) -> World {
        let mut copy = World {
            inodes: self.inodes.clone(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            unsynced: self.unsynced.clone(),
            write_count: self.write_count,
            ..World::default()
        };
        copy.inodes.iter_mut().for_each(|inode| inode.open_count = 0);
        copy
    }

    // -- from outside ----------------------------------------------------------------------------------------------

    pub(super) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.names.get(path).map(|inode| self.inodes[*inode].current.to_bytes())
    }

    pub(super) fn damage(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let Some(inode) = self.names.get(path).copied() else { return };
        let inode = &mut self.inodes[inode];
        let mut bytes = inode.current.to_bytes();
        change(&mut bytes);
        inode.current = Pages::from_bytes(&bytes);
        inode.durable = inode.current.clone();
        inode.dirty.clear();
    }

    pub(super) fn set_file(&mut self, path: &Path, content: Option<Vec<u8>>) {
        self.names.remove(path);
        self.durable_names.remove(path);
        if let Some(content) = content {
            let inode = self.bring_in(Pages::from_bytes(&content));
            self.names.insert(path.to_path_buf(), inode);
            self.durable_names.insert(path.to_path_buf(), inode);
        }
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.names.keys().cloned().collect()
    }
}

fn garble(pages: &mut Pages, at: usize, len: usize, chance: &mut Chance) {
    let mut bytes = vec![0; len];
    pages.read(at, &mut bytes);
    chance.garble(&mut bytes);
    pages.write(at, &bytes);
}
