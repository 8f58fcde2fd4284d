//! The seam to the disk.
//!
//! The log never does IO while it runs: it describes what it wants as [`Io`], and the owner answers each with an
//! [`IoResult`] under the same tag, in any order. The contract is the same for every implementation:
//!
//! - The buffer of a write does not change, and lives, until the write is answered.
//! - The answer carries the count; a short count is answered as such, not as an error.
//! - A sync covers the writes that were answered before it was *handed out*, nothing else.
//! - A write with `dsync` is durable when it is answered, and says nothing about other writes.
//!
//! [`Disk`] is the blocking half, for boot and for cold jobs.

mod arena;
#[cfg(any(test, feature = "fault"))]
pub mod fault;
#[cfg(feature = "std-disk")]
mod std_disk;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::arena::{Arena, ArenaPool, UnsealedFrame};
pub use self::arena::{FrameSlice, ReadBuf};
#[cfg(feature = "std-disk")]
pub use self::std_disk::StdDisk;
use crate::error::{EEXIST, ENOENT, ESTALE, Errno};

/// Names one operation until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IoTag(pub u64);

/// An open file of the log.
pub trait LogFile: Send + Sync + fmt::Debug {
    /// The descriptor, for an io_uring; negative if there is none (a file in memory).
    fn raw_fd(&self) -> i32;
    /// The path it was opened under; it may have been renamed since.
    fn path(&self) -> &Path;
    /// Size in bytes when it was opened or prepared; segments never change theirs.
    fn bytes(&self) -> u64;
    /// Its number within the file system, which no renaming changes.
    fn inode(&self) -> u64;
    /// Reads; short only at the end of the file. Buffer, offset and length are block-aligned.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno>;
    /// Writes; may be short. Buffer, offset and length are block-aligned.
    fn write_at(&self, offset: u64, buf: &[u8], dsync: bool) -> Result<usize, Errno>;
    /// Makes all answered writes durable (`fdatasync`).
    fn sync_data(&self) -> Result<(), Errno>;
}

/// A file in a directory listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A disk: blocking operations on names. Everything that takes long is a [`ColdJob`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a directory if it is missing, and makes its name durable.
    fn create_dir(&self, path: &Path) -> Result<(), Errno>;
    /// The files (not directories) of a directory, in order of name.
    fn list(&self, path: &Path) -> Result<Vec<Entry>, Errno>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> Result<Arc<dyn LogFile>, Errno>;
    /// Creates (or replaces) a file of `bytes` zeros, written and synced: no later write within has metadata to
    /// commit. The name is not durable yet.
    fn create_zeroed(&self, path: &Path, bytes: u64) -> Result<Arc<dyn LogFile>, Errno>;
    /// Creates or replaces a small file with this content, synced. The name is not durable yet.
    fn write_file(&self, path: &Path, content: &[u8]) -> Result<(), Errno>;
    /// The inode that `path` names now.
    fn inode_at(&self, path: &Path) -> Result<u64, Errno>;
    /// Renames, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Errno>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<(), Errno>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> Result<(), Errno>;
    /// Size of the volume that `path` is on, as far as this process may use it, in bytes.
    fn volume_bytes(&self, path: &Path) -> Result<u64, Errno>;
    /// True if files are written past the page cache. Where this is refused (tmpfs), no durability level means
    /// anything, and the operator should be told.
    fn is_direct(&self) -> bool;

    /// Runs a cold job to its end.
    fn run(&self, job: &ColdJob) -> IoResult {
        match job {
            ColdJob::Prepare { temporary, path, bytes } => {
                let file = self.create_zeroed(temporary, *bytes);
                let file = file.and_then(|file| {
                    self.rename(temporary, path)?;
                    self.sync_parent(path)?;
                    Ok(file)
                });
                if file.is_err() {
                    // What a full disk leaves behind must not keep it full.
                    let _ = self.remove(temporary);
                }
                file.map(IoDone::File)
            }
            ColdJob::Rename { from, to } => {
                self.rename(from, to)?;
                self.sync_parent(to)?;
                Ok(IoDone::Synced)
            }
            ColdJob::Name { from, to, inode } => {
                match self.inode_at(to) {
                    // An earlier attempt has come this far.
                    Ok(there) if there == *inode => {}
                    Ok(_) => return Err(EEXIST),
                    Err(ENOENT) if self.inode_at(from)? == *inode => self.rename(from, to)?,
                    Err(ENOENT) => return Err(ESTALE),
                    Err(errno) => return Err(errno),
                }
                if planted!(RollNotSynced) {
                    return Ok(IoDone::Synced);
                }
                self.sync_parent(to)?;
                Ok(IoDone::Synced)
            }
            ColdJob::Remove { path } => {
                match self.remove(path) {
                    // Gone is gone: an earlier attempt may have come this far.
                    Ok(()) | Err(ENOENT) => self.sync_parent(path)?,
                    Err(errno) => return Err(errno),
                }
                Ok(IoDone::Synced)
            }
            ColdJob::Retire { keep, remove } => {
                let gone_is_gone = |result: Result<(), Errno>| match result {
                    // An earlier attempt may have come this far.
                    Err(ENOENT) => Ok(()),
                    other => other,
                };
                for (from, to) in keep {
                    gone_is_gone(self.rename(from, to))?;
                }
                for path in remove {
                    gone_is_gone(self.remove(path))?;
                }
                if let Some(path) = keep.first().map(|(from, _)| from).or_else(|| remove.first()) {
                    self.sync_parent(path)?;
                }
                let mut files = Vec::new();
                for (_, to) in keep {
                    match self.open(to) {
                        Err(ENOENT) => {}
                        file => files.push(file?),
                    }
                }
                Ok(IoDone::Files(files))
            }
            ColdJob::Open { path } => self.open(path).map(IoDone::File),
        }
    }

    /// Makes the name of `path` durable.
    fn sync_parent(&self, path: &Path) -> Result<(), Errno> {
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
}

/// Work on files that may take long: not for the thread of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColdJob {
    /// Create a zero-filled file, durable under `path`. Answered with [`IoDone::File`].
    Prepare {
        /// Name until it is complete.
        temporary: PathBuf,
        /// Name afterwards.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Rename durably. Answered with [`IoDone::Synced`].
    Rename {
        /// Old name.
        from: PathBuf,
        /// New name.
        to: PathBuf,
    },
    /// Give a file that is open its name, durably: never a second one, never another file's. The name may be given
    /// already. Answered with [`IoDone::Synced`].
    Name {
        /// Old name.
        from: PathBuf,
        /// New name.
        to: PathBuf,
        /// The file: see [`LogFile::inode`].
        inode: u64,
    },
    /// Remove durably; it may be gone already. Answered with [`IoDone::Synced`].
    Remove {
        /// Which.
        path: PathBuf,
    },
    /// Rename some files and remove others, all in one directory, durably; they may be gone already. Answered with
    /// [`IoDone::Files`]: those that were renamed.
    Retire {
        /// Old and new names.
        keep: Vec<(PathBuf, PathBuf)>,
        /// What goes.
        remove: Vec<PathBuf>,
    },
    /// Open for reading. Answered with [`IoDone::File`].
    Open {
        /// Which.
        path: PathBuf,
    },
}

/// What the log wants done.
#[derive(Debug)]
pub enum Io {
    /// Write all of `buf`. Answered with [`IoDone::Written`].
    Write {
        /// To be given back.
        tag: IoTag,
        /// Where to.
        file: Arc<dyn LogFile>,
        /// Where in the file; block-aligned.
        offset: u64,
        /// What; block-aligned in address and length.
        buf: FrameSlice,
        /// Durable when answered (`RWF_DSYNC`).
        dsync: bool,
    },
    /// `fdatasync`. Answered with [`IoDone::Synced`].
    Sync {
        /// To be given back.
        tag: IoTag,
        /// Which file.
        file: Arc<dyn LogFile>,
    },
    /// Read `buf.len()` bytes. Answered with [`IoDone::Read`].
    Read {
        /// To be given back.
        tag: IoTag,
        /// Where from.
        file: Arc<dyn LogFile>,
        /// Where in the file; block-aligned.
        offset: u64,
        /// Where to; block-aligned. Comes back with the answer.
        buf: ReadBuf,
    },
    /// Run on a thread that may block, with [`Disk::run`], and answer with its result.
    Cold {
        /// To be given back.
        tag: IoTag,
        /// What to do.
        job: ColdJob,
    },
}

/// An answer.
#[derive(Debug)]
pub enum IoDone {
    /// Bytes written; fewer than asked is a short write.
    Written(usize),
    /// Durable.
    Synced,
    /// Bytes read, and the buffer.
    Read {
        /// The buffer of the request.
        buf: ReadBuf,
        /// How many bytes of it are valid.
        len: usize,
    },
    /// The file of a cold job.
    File(Arc<dyn LogFile>),
    /// The files of a cold job.
    Files(Vec<Arc<dyn LogFile>>),
}

/// An answer, or the operating system's error number.
pub type IoResult = Result<IoDone, Errno>;

impl Io {
    /// Its tag.
    pub fn tag(&self) -> IoTag {
        match self {
            Io::Write { tag, .. } | Io::Sync { tag, .. } | Io::Read { tag, .. } | Io::Cold { tag, .. } => {
                *tag
            }
        }
    }

    /// Does it now, blocking: for tests and tools.
    pub fn run(self, disk: &dyn Disk) -> (IoTag, IoResult) {
        let tag = self.tag();
        let result = match self {
            Io::Write { file, offset, buf, dsync, .. } => {
                file.write_at(offset, buf.as_slice(), dsync).map(IoDone::Written)
            }
            Io::Sync { file, .. } => file.sync_data().map(|()| IoDone::Synced),
            Io::Read { file, offset, mut buf, .. } => {
                file.read_at(offset, buf.as_mut_slice()).map(|len| IoDone::Read { buf, len })
            }
            Io::Cold { job, .. } => disk.run(&job),
        };
        (tag, result)
    }
}
