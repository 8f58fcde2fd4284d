//! Every sentence with which the broker does not start, and every exit code.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nsq_flags::errno_text;
use nsq_wal::WalError;
use rustix::io::Errno;

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
    /// A limit of this process is below what the configured cores and shards need.
    TooFewDescriptors {
        /// The limit.
        limit: u64,
        /// What is needed.
        needed: u64,
    },
    /// The threads of the cores cannot all be made.
    TooFewThreads {
        /// How many there are to be.
        needed: usize,
        /// Why one of them could not be made.
        error: io::Error,
    },
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
    /// A core has ended while it started, and has not said why.
    Silent,
    /// Threads, pipes, signals.
    System(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Lock(error) => write!(f, "failed to lock data-path: {error}"),
            StartError::Listen { address, error } => {
                write!(f, "listen ({address}) failed - {}{}", errno_text(error), Remedy::of(error))
            }
            StartError::Preflight(error) => write!(f, "{error}"),
            StartError::TooFewDescriptors { limit, needed } => {
                write!(f, "{limit} files may be open, and {needed} are needed{RAISE_DESCRIPTORS}")
            }
            StartError::TooFewThreads { needed, error } => {
                write!(f, "{needed} threads cannot be started - {}{RAISE_THREADS}", errno_text(error))
            }
            StartError::LockedMemory { limit, needed } => {
                write!(
                    f,
                    "{limit} bytes may be locked in memory, and io_uring needs {needed}{RAISE_LOCKED_MEMORY}"
                )
            }
            StartError::Log(error) => write!(f, "{error}{}", Remedy::of_log(error)),
            StartError::Core(error) => write!(f, "{error}"),
            StartError::Silent => f.write_str("a core ended while it started"),
            StartError::System(what, error) => {
                write!(f, "{what} - {}{}", errno_text(error), Remedy::of(error))
            }
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
            CoreError::Log(error) => write!(f, "failed to open the log - {error}{}", Remedy::of_log(error)),
            CoreError::System(what, error) => {
                write!(f, "{what} - {}{}", errno_text(error), Remedy::of(error))
            }
        }
    }
}

impl std::error::Error for CoreError {}

const RAISE_DESCRIPTORS: &str = ": raise `ulimit -n` (LimitNOFILE= in a systemd unit)";
/// Some kernels count the rings themselves, 0.8 MiB for each core.
const RAISE_LOCKED_MEMORY: &str =
    ": raise `ulimit -l` (LimitMEMLOCK= in a systemd unit) to 1 MiB for each core";
const RAISE_THREADS: &str = ": raise `ulimit -u` (TasksMax= in a systemd unit, --pids-limit of a container)";

/// What an operator can do about an error of the operating system: the end of its sentence, or nothing.
struct Remedy(&'static str);

impl Remedy {
    fn of(error: &io::Error) -> Self {
        Self::of_errno(Errno::from_io_error(error))
    }

    fn of_log(error: &WalError) -> Self {
        match error {
            WalError::Io { errno, .. } => Self::of_errno(Some(Errno::from_raw_os_error(*errno))),
            _ => Self(""),
        }
    }

    fn of_errno(errno: Option<Errno>) -> Self {
        Self(match errno {
            Some(Errno::MFILE | Errno::NFILE) => RAISE_DESCRIPTORS,
            Some(Errno::NOMEM) => RAISE_LOCKED_MEMORY,
            _ => "",
        })
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_limit_causes_names_the_limit() {
        let errno = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        let descriptors = StartError::System("socketpair", errno(Errno::MFILE)).to_string();
        assert_eq!(
            descriptors,
            "socketpair - too many open files: raise `ulimit -n` (LimitNOFILE= in a systemd unit)"
        );
        let log = WalError::Io {
            operation: "open",
            path: "x".into(),
            offset: 0,
            errno: Errno::MFILE.raw_os_error(),
        };
        assert!(CoreError::Log(log).to_string().contains("`ulimit -n`"));
        assert!(CoreError::System("x", errno(Errno::NOMEM)).to_string().contains("`ulimit -l`"));
        assert_eq!(CoreError::System("x", errno(Errno::IO)).to_string(), "x - input/output error");
    }
}
