//! The data directory: superblocks, and where things are in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, LogFile, ReadBuf};
use crate::error::{ENOENT, Errno, WalError};
use crate::format::Seed;
use crate::format::superblock::{Slot, Superblock};
use crate::limits::{BLOCK_BYTES, NODE_ID_MAX, SHARD_COUNT_MAX};

const SLOT_NAMES: [&str; 2] = ["superblock.a", "superblock.b"];

/// How to open a data directory.
#[derive(Clone, Debug)]
pub struct DataDirOptions {
    /// Shards of a new directory, 1 to 64. An old one keeps its count.
    pub shard_count_if_new: u16,
    /// Node id, 0 to 1023: noted in the superblock for the reader.
    pub node_id: u16,
    /// Random bytes for the uuid and the secret salt of a new directory.
    pub entropy: [u8; 32],
}

/// A data directory. One per process; the exclusive lock on it is the caller's business, and comes first.
///
/// Opening writes a new generation, and leaves the claim of a clean stop as it was: if a log refuses to open, the
/// next start must refuse as well. Once every log is open, [`DataDir::mark_running`] ends the claim.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    slots: [Arc<dyn LogFile>; 2],
    /// As on disk now.
    superblock: Superblock,
}

impl DataDir {
    /// Opens or formats `path`, which must exist. Blocking; some milliseconds.
    ///
    /// Errors: both superblocks unreadable although there are shards; a format or block size that is not ours;
    /// anything the disk says.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, options: &DataDirOptions) -> Result<DataDir, WalError> {
        if options.shard_count_if_new == 0 || options.shard_count_if_new > SHARD_COUNT_MAX {
            return Err(WalError::BadOption { field: "shard_count_if_new" });
        }
        if options.node_id > NODE_ID_MAX {
            return Err(WalError::BadOption { field: "node_id" });
        }
        let paths = SLOT_NAMES.map(|name| path.join(name));
        let found = [read_slot(&**disk, &paths[0])?, read_slot(&**disk, &paths[1])?];
        for (slot, slot_path) in found.iter().zip(&paths) {
            if let Slot::Foreign { field, found, wanted } = slot {
                let (path, found, wanted) = (slot_path.clone(), *found, *wanted);
                return Err(WalError::Unsupported { path, field, found, wanted });
            }
        }
        let newest = found.into_iter().filter_map(|slot| match slot {
            Slot::Valid(superblock) => Some(superblock),
            Slot::Foreign { .. } | Slot::Bad => None,
        });
        let mut superblock = match newest.max_by_key(|s| s.generation) {
            Some(superblock) => superblock,
            // Half a superblock and no shard: the first start was cut off before anything was promised.
            None if !has_shards(&**disk, path)? => fresh(options),
            None => return Err(WalError::SuperblocksLost { path: path.to_path_buf() }),
        };
        let slots = [open_slot(&**disk, &paths[0])?, open_slot(&**disk, &paths[1])?];
        disk.sync_dir(path).map_err(|errno| io("sync", path, errno))?;
        superblock.node_id = options.node_id;
        let path = path.to_path_buf();
        let mut dir = DataDir { path, slots, superblock };
        dir.write()?;
        Ok(dir)
    }

    /// Shards of the directory: they belong to the data, not to the machine.
    pub fn shard_count(&self) -> u16 {
        u16::try_from(self.superblock.last_frame_seq.len()).unwrap_or(SHARD_COUNT_MAX)
    }

    /// Identity of the log.
    pub fn uuid(&self) -> &[u8; 16] {
        &self.superblock.uuid
    }

    /// The secret behind the checksums of headers.
    pub fn salt(&self) -> &[u8; 16] {
        &self.superblock.salt
    }

    /// True if the last stop was clean and nothing has run since.
    pub fn was_clean(&self) -> bool {
        self.superblock.clean
    }

    /// Last frame of `shard` that a clean stop vouches for.
    pub fn last_frame_seq(&self, shard: u16) -> Option<u64> {
        let last = self.superblock.last_frame_seq.get(usize::from(shard));
        last.copied().filter(|_| self.superblock.clean)
    }

    /// Grows with every start: an epoch that no earlier start has used.
    pub fn generation(&self) -> u64 {
        self.superblock.generation
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Directory of a shard.
    pub fn shard_path(&self, shard: u16) -> PathBuf {
        self.path.join(format!("shard-{shard:02}"))
    }

    /// Where bytes go that were cut off or set aside.
    pub fn broken_path(&self) -> PathBuf {
        self.path.join("broken")
    }

    pub(crate) fn seed(&self) -> Seed {
        Seed::new(&self.superblock.salt, &self.superblock.uuid)
    }

    /// Reads the frames of this directory's logs as they are handed to the disk.
    #[cfg(any(test, feature = "fault"))]
    pub fn replay(&self, state: crate::State) -> crate::Replay {
        crate::Replay::new(self.seed(), state)
    }

    /// Ends the claim of a clean stop, durably. Call it when every log is open, before anything is acknowledged.
    /// (A start that forgets it loses nothing: frames behind the claim show that it is old.)
    pub fn mark_running(&mut self) -> Result<(), WalError> {
        if !self.superblock.clean {
            return Ok(());
        }
        self.superblock.clean = false;
        self.write()
    }

    /// Records a clean stop, durably. Call it once every log is closed, with [`crate::Log::last_frame_seq`] of
    /// each shard in order.
    pub fn mark_clean(&mut self, last_frame_seq: &[u64]) -> Result<(), WalError> {
        if last_frame_seq.len() != self.superblock.last_frame_seq.len() {
            return Err(WalError::BadOption { field: "last_frame_seq" });
        }
        self.superblock.clean = true;
        self.superblock.last_frame_seq = last_frame_seq.to_vec();
        self.write()
    }

    /// Writes the next generation into the slot that does not hold the current one.
    fn write(&mut self) -> Result<(), WalError> {
        self.superblock.generation += 1;
        let slot = &self.slots[usize::from(self.superblock.generation.is_multiple_of(2))];
        let mut buf = ReadBuf::new(BLOCK_BYTES);
        buf.as_mut_slice().copy_from_slice(&self.superblock.encode());
        match slot.write_at(0, buf.as_slice(), true) {
            Ok(BLOCK_BYTES) => Ok(()),
            Ok(_) => Err(WalError::ShortWrite { path: slot.path().to_path_buf(), offset: 0 }),
            Err(errno) => Err(io("write", slot.path(), errno)),
        }
    }
}

fn io(operation: &'static str, path: &Path, errno: Errno) -> WalError {
    WalError::Io { operation, path: path.to_path_buf(), offset: 0, errno }
}

fn fresh(options: &DataDirOptions) -> Superblock {
    let (uuid, salt) = options.entropy.split_at(16);
    Superblock {
        uuid: uuid.try_into().unwrap_or_default(),
        salt: salt.try_into().unwrap_or_default(),
        generation: 0,
        node_id: options.node_id,
        clean: false,
        last_frame_seq: vec![0; usize::from(options.shard_count_if_new)],
    }
}

fn read_slot(disk: &dyn Disk, path: &Path) -> Result<Slot, WalError> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(ENOENT) => return Ok(Slot::Bad),
        Err(errno) => return Err(io("open", path, errno)),
    };
    let mut buf = ReadBuf::new(BLOCK_BYTES);
    let len = file.read_at(0, buf.as_mut_slice()).map_err(|errno| io("read", path, errno))?;
    Ok(Superblock::decode(buf.as_slice().get(..len).unwrap_or_default()))
}

/// Opens a slot for writing; a missing or short one is made anew.
fn open_slot(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn LogFile>, WalError> {
    match disk.open(path) {
        Ok(file) if file.bytes() >= BLOCK_BYTES as u64 => Ok(file),
        Ok(_) | Err(ENOENT) => {
            disk.create_zeroed(path, BLOCK_BYTES as u64).map_err(|errno| io("create", path, errno))
        }
        Err(errno) => Err(io("open", path, errno)),
    }
}

/// True if a shard of the directory has files.
fn has_shards(disk: &dyn Disk, path: &Path) -> Result<bool, WalError> {
    for shard in 0..SHARD_COUNT_MAX {
        let shard_path = path.join(format!("shard-{shard:02}"));
        match disk.list(&shard_path) {
            Ok(entries) if entries.is_empty() => {}
            Ok(_) => return Ok(true),
            Err(ENOENT) => {}
            Err(errno) => return Err(io("list", &shard_path, errno)),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fault::FaultDisk;

    fn options() -> DataDirOptions {
        DataDirOptions { shard_count_if_new: 4, node_id: 7, entropy: [9; 32] }
    }

    fn open(disk: &FaultDisk) -> Result<DataDir, WalError> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        DataDir::open(&disk, Path::new("/d"), &options())
    }

    #[test]
    fn a_clean_stop_is_believed_until_something_runs() {
        let disk = FaultDisk::new();
        let mut dir = open(&disk).unwrap();
        assert!(!dir.was_clean());
        assert_eq!(dir.shard_count(), 4);
        dir.mark_clean(&[1, 2, 3, 4]).unwrap();
        assert!(open(&disk).unwrap().was_clean());
        let mut dir = open(&disk).unwrap();
        assert_eq!(dir.last_frame_seq(2), Some(3));
        dir.mark_running().unwrap();
        assert_eq!(dir.last_frame_seq(2), None);
        assert!(!open(&disk).unwrap().was_clean());
    }

    #[test]
    fn one_bad_slot_is_what_a_crash_leaves_and_two_are_refused() {
        let disk = FaultDisk::new();
        let uuid = *open(&disk).unwrap().uuid();
        open(&disk).unwrap();
        disk.damage(Path::new("/d/superblock.a"), |bytes| bytes[20] ^= 1);
        assert_eq!(open(&disk).unwrap().uuid(), &uuid);
        disk.set_file(Path::new("/d/shard-00/wal-1.seg"), Some(vec![0; 4096]));
        for name in SLOT_NAMES {
            disk.damage(&Path::new("/d").join(name), |bytes| bytes[20] ^= 1);
        }
        assert!(matches!(open(&disk), Err(WalError::SuperblocksLost { .. })));
    }

    #[test]
    fn a_first_start_that_was_cut_off_starts_over() {
        let disk = FaultDisk::new();
        disk.set_file(Path::new("/d/superblock.a"), Some(vec![1; 100]));
        assert_eq!(open(&disk).unwrap().shard_count(), 4);
    }

    #[test]
    fn the_count_of_shards_belongs_to_the_data() {
        let disk = FaultDisk::new();
        open(&disk).unwrap();
        let other = DataDirOptions { shard_count_if_new: 9, ..options() };
        let disk: Arc<dyn Disk> = Arc::new(disk);
        assert_eq!(DataDir::open(&disk, Path::new("/d"), &other).unwrap().shard_count(), 4);
    }
}
