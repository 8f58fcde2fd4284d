//! The disk of the operating system, blocking.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;
use rustix::io::ReadWriteFlags;

use super::{Disk, Entry, LogFile, ReadBuf};
use crate::error::{EIO, Errno};

/// Bytes of zeros written at once while a segment is prepared.
const ZERO_CHUNK_BYTES: usize = 128 * 1024;
const EINVAL: Errno = 22;

/// Files of a real directory, opened with O_DIRECT. Where that is refused (tmpfs), files are opened buffered, and
/// [`Disk::is_direct`] says so.
#[derive(Debug)]
pub struct StdDisk {
    direct: AtomicBool,
    /// Directories whose names were made durable before: kept open, so that a process that is out of descriptors
    /// can still do it.
    directories: Mutex<HashMap<PathBuf, Arc<File>>>,
}

impl StdDisk {
    /// A disk.
    #[allow(clippy::new_without_default, reason = "a disk is not a value with a default")]
    pub fn new() -> StdDisk {
        StdDisk { direct: AtomicBool::new(true), directories: Mutex::default() }
    }

    /// Random bytes for [`crate::DataDirOptions::entropy`].
    pub fn entropy() -> Result<[u8; 32], Errno> {
        use std::io::Read;
        let mut out = [0; 32];
        File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut out)).map_err(errno)?;
        Ok(out)
    }

    fn directory(&self, path: &Path) -> Result<Arc<File>, Errno> {
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = directories.get(path) {
            return Ok(known.clone());
        }
        let directory = Arc::new(File::open(path).map_err(errno)?);
        directories.insert(path.to_path_buf(), directory.clone());
        Ok(directory)
    }

    fn open_with(&self, path: &Path, create: bool) -> Result<File, Errno> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        if create {
            options.create(true).truncate(true);
        }
        if self.direct.load(Ordering::Relaxed) {
            options.custom_flags(OFlags::DIRECT.bits() as i32);
            match options.open(path) {
                Err(e) if errno_of(&e) == EINVAL => self.direct.store(false, Ordering::Relaxed),
                other => return other.map_err(errno),
            }
            options.custom_flags(0);
        }
        options.open(path).map_err(errno)
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().unwrap_or(EIO)
}

fn errno(error: std::io::Error) -> Errno {
    errno_of(&error)
}

impl Disk for StdDisk {
    fn create_dir(&self, path: &Path) -> Result<(), Errno> {
        if !path.is_dir() {
            DirBuilder::new().mode(0o700).create(path).map_err(errno)?;
            self.sync_parent(path)?;
        }
        self.directory(path).map(|_| ())
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Errno> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path).map_err(errno)? {
            let entry = entry.map_err(errno)?;
            let metadata = entry.metadata().map_err(errno)?;
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                entries.push(Entry { name, bytes: metadata.len() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn LogFile>, Errno> {
        let file = self.open_with(path, false)?;
        let metadata = file.metadata().map_err(errno)?;
        let (bytes, inode) = (metadata.len(), metadata.ino());
        Ok(Arc::new(StdFile { file, path: path.to_path_buf(), bytes, inode }))
    }

    fn create_zeroed(&self, path: &Path, bytes: u64) -> Result<Arc<dyn LogFile>, Errno> {
        let file = self.open_with(path, true)?;
        // The allocation first: it finds a full disk before megabytes are written, and keeps the extents together.
        // File systems without it allocate while the zeros are written.
        if let Err(e) = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)
            && crate::error::is_full(e.raw_os_error())
        {
            return Err(e.raw_os_error());
        }
        let zeros = ReadBuf::new(ZERO_CHUNK_BYTES);
        let mut offset = 0;
        while offset < bytes {
            let chunk = zeros.as_slice().len().min(usize::try_from(bytes - offset).unwrap_or(usize::MAX));
            file.write_all_at(&zeros.as_slice()[..chunk], offset).map_err(errno)?;
            offset += chunk as u64;
        }
        rustix::fs::fdatasync(&file).map_err(|e| e.raw_os_error())?;
        let inode = file.metadata().map_err(errno)?.ino();
        Ok(Arc::new(StdFile { file, path: path.to_path_buf(), bytes, inode }))
    }

    fn write_file(&self, path: &Path, content: &[u8]) -> Result<(), Errno> {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(errno)?;
        file.write_all(content).and_then(|()| file.sync_all()).map_err(errno)
    }

    fn inode_at(&self, path: &Path) -> Result<u64, Errno> {
        std::fs::symlink_metadata(path).map(|metadata| metadata.ino()).map_err(errno)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Errno> {
        std::fs::rename(from, to).map_err(errno)
    }

    fn remove(&self, path: &Path) -> Result<(), Errno> {
        std::fs::remove_file(path).map_err(errno)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Errno> {
        self.directory(path)?.sync_all().map_err(errno)
    }

    fn volume_bytes(&self, path: &Path) -> Result<u64, Errno> {
        let volume = rustix::fs::statvfs(path).map_err(|e| e.raw_os_error())?;
        let reserved = volume.f_bfree.saturating_sub(volume.f_bavail);
        Ok(volume.f_blocks.saturating_sub(reserved).saturating_mul(volume.f_frsize))
    }

    fn is_direct(&self) -> bool {
        self.direct.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct StdFile {
    file: File,
    path: PathBuf,
    bytes: u64,
    inode: u64,
}

impl LogFile for StdFile {
    fn raw_fd(&self) -> i32 {
        self.file.as_raw_fd()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn inode(&self) -> u64 {
        self.inode
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(errno_of(&e)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, buf: &[u8], dsync: bool) -> Result<usize, Errno> {
        let flags = if dsync { ReadWriteFlags::DSYNC } else { ReadWriteFlags::empty() };
        loop {
            match rustix::io::pwritev2(self.file.as_fd(), &[IoSlice::new(buf)], offset, flags) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map_err(|e| e.raw_os_error()),
            }
        }
    }

    fn sync_data(&self) -> Result<(), Errno> {
        rustix::fs::fdatasync(&self.file).map_err(|e| e.raw_os_error())
    }
}
