//! The data directory belongs to one broker at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use rustix::fs::{FlockOperation, flock};

/// A killed broker's ring can keep the directory locked until its last write has ended.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The lock on a data directory. It lasts as long as the value.
#[derive(Debug)]
pub struct DataPathLock {
    _directory: File,
}

/// Why a data directory could not be locked. The texts are those that NSQ's operators know.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// It could not be opened.
    Open(PathBuf, io::Error),
    /// Somebody else has it.
    Locked(PathBuf, io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Open(path, error) => {
                write!(f, "open {}: {}", path.display(), errno_text(error))
            }
            LockError::Locked(path, error) => write!(
                f,
                "cannot flock directory {} - {} (possibly in use by another instance of nsqd)",
                path.display(),
                errno_text(error)
            ),
        }
    }
}

impl std::error::Error for LockError {}

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

/// The operating system's sentence without Rust's `(os error N)`, in lower case as C and Go programs print it.
pub fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
