//! The data directory belongs to one broker at a time.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nsq_wal::{DataDir, DataDirOptions, Disk};
use rustix::fs::{FlockOperation, flock};

use crate::config::Config;
use crate::start::error::{LockError, StartError};

/// A killed broker's ring can keep the directory locked until its last write has ended.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The lock on a data directory. It lasts as long as the value.
#[derive(Debug)]
pub struct DataPathLock {
    _directory: File,
}

/// Takes the exclusive lock on `path` without waiting for its owner to leave.
pub fn lock(path: &Path) -> Result<DataPathLock, LockError> {
    let directory = File::open(path).map_err(|error| LockError::Open(path.to_owned(), error))?;
    let mut tries = 1;
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(DataPathLock { _directory: directory }),
            Err(_) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(errno) => return Err(LockError::Locked(path.to_owned(), errno.into())),
        }
    }
}

/// Opens the data directory, or makes it with `shards` shards.
pub(super) fn open_data(disk: &Arc<dyn Disk>, config: &Config, shards: u16) -> Result<DataDir, StartError> {
    let mut entropy = [0; 32];
    let filled = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut entropy));
    filled.map_err(|error| StartError::System("/dev/urandom", error))?;
    let options = DataDirOptions { shard_count_if_new: shards, node_id: config.node_id, entropy };
    DataDir::open(disk, &config.data_path, &options).map_err(StartError::Log)
}

/// What the operator should know where NSQ's nsqd has left its queue: the new broker starts empty beside it.
pub(super) fn warning_of_nsqs_files(path: &Path) -> Option<String> {
    let is_nsqs = |name: &str| name == "nsqd.dat" || name.contains(".diskqueue.");
    let mut names =
        std::fs::read_dir(path).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let found = names.find(|name| is_nsqs(name))?;
    Some(format!(
        "{} holds files of NSQ's nsqd, such as {found}, and what is in them is not read: to keep those messages, drain \
         them with the old nsqd first",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_of_nsqs_nsqd_is_not_passed_over_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("superblock.a"), "").unwrap();
        assert_eq!(warning_of_nsqs_files(dir.path()), None);
        std::fs::write(dir.path().join("orders.diskqueue.000000.dat"), "").unwrap();
        let text = warning_of_nsqs_files(dir.path()).unwrap();
        assert!(text.contains("orders.diskqueue.000000.dat") && text.contains("not read"), "{text}");
    }

    #[test]
    fn a_second_broker_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let text = lock(dir.path()).unwrap_err().to_string();
        assert!(text.starts_with("cannot flock directory "), "{text}");
        assert!(text.contains("resource temporarily unavailable (possibly in use"), "{text}");
        drop(first);
        lock(dir.path()).unwrap();
    }

    #[test]
    fn a_missing_directory_is_named() {
        let text = lock(Path::new("/does/not/exist")).unwrap_err().to_string();
        assert_eq!(text, "open /does/not/exist: no such file or directory");
    }
}
