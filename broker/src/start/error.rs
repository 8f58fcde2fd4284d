//! Every sentence with which the broker does not start, and every exit code.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nsq_wal::WalError;

use crate::transport::PreflightError;

/// Everything is fine.
pub(super) const EXIT_OK: u8 = 0;

/// It could not start.
pub(super) const EXIT_START: u8 = 1;

/// A log could not be written: EX_IOERR. A supervisor may start it again; what was acknowledged is on disk.
pub(super) const EXIT_IO: u8 = 74;

/// Why the broker did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory is not ours.
    Lock(LockError),
    /// A socket could not be bound.
    Listen {
        /// As configured.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// The kernel or its limits.
    Preflight(PreflightError),
    /// Less memory may be locked than is needed.
    LockedMemory {
        /// The limit, in bytes.
        limit: u64,
        /// What is needed, in bytes.
        needed: u64,
    },
    /// The data directory cannot be used as it is.
    Log(WalError),
    /// A core.
    Core(CoreError),
    /// Threads, pipes, signals.
    System(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Lock(error) => write!(f, "failed to lock data-path: {error}"),
            StartError::Listen { address, error } => {
                write!(f, "listen ({address}) failed - {}", errno_text(error))
            }
            StartError::Preflight(error) => write!(f, "{error}"),
            StartError::LockedMemory { limit, needed } => write!(
                f,
                "the limit of locked memory is {limit} bytes, and io_uring needs {needed}: raise it with \
                 `ulimit -l` or LimitMEMLOCK="
            ),
            StartError::Log(error) => write!(f, "{error}"),
            StartError::Core(error) => write!(f, "{error}"),
            StartError::System(what, error) => write!(f, "{what} - {}", errno_text(error)),
        }
    }
}

impl std::error::Error for StartError {}

/// Why a core could not start or go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum CoreError {
    /// Its logs.
    Log(WalError),
    /// Its executor, ring or sockets.
    System(&'static str, io::Error),
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoreError::Log(error) => write!(f, "failed to open the log - {error}"),
            CoreError::System(what, error) => write!(f, "{what} - {error}"),
        }
    }
}

impl std::error::Error for CoreError {}

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
