//! What can go wrong, as small enums that keep errno, path and offset.

use std::fmt;
use std::path::PathBuf;

/// An error of the operating system, as its number.
pub type Errno = i32;

/// Input/output error.
#[cfg(any(feature = "std-disk", test, feature = "fault"))]
pub(crate) const EIO: Errno = 5;
/// No such file.
pub(crate) const ENOENT: Errno = 2;
/// The file system is read-only.
pub(crate) const EROFS: Errno = 30;
/// Something else has the name.
pub(crate) const EEXIST: Errno = 17;
/// A name that does not lead to the file any more.
pub(crate) const ESTALE: Errno = 116;
/// Interrupted.
pub(crate) const EINTR: Errno = 4;
/// Out of memory.
pub(crate) const ENOMEM: Errno = 12;
/// Table of open files is full.
pub(crate) const ENFILE: Errno = 23;
/// Too many open files.
pub(crate) const EMFILE: Errno = 24;
/// No space left.
pub(crate) const ENOSPC: Errno = 28;
/// Quota exceeded: treated as a full disk.
pub(crate) const EDQUOT: Errno = 122;
/// Try again.
pub(crate) const EAGAIN: Errno = 11;

/// True for errors that say nothing about the data: retried, never taken for damage.
pub fn may_pass(errno: Errno) -> bool {
    matches!(errno, EINTR | EAGAIN | ENOMEM | ENFILE | EMFILE)
}

/// True for errors that mean "no room", an ordinary state.
pub fn is_full(errno: Errno) -> bool {
    matches!(errno, ENOSPC | EDQUOT)
}

/// Why a log cannot be opened, or cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalError {
    /// An operation on the disk failed.
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Where in the file; 0 where it does not apply.
        offset: u64,
        /// The operating system's number.
        errno: Errno,
    },
    /// A write was short twice: the file is not what was prepared.
    ShortWrite {
        /// On which file.
        path: PathBuf,
        /// Where the missing bytes begin.
        offset: u64,
    },
    /// Acknowledged data is damaged, and recovery was told to refuse.
    Corrupt {
        /// In which file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// Row of the decision table.
        row: crate::row::Row,
        /// First frame that cannot be read.
        frame_seq: u64,
    },
    /// A segment that the log needs is not there.
    SegmentMissing {
        /// Its name.
        path: PathBuf,
    },
    /// Neither superblock is readable, yet there is data.
    SuperblocksLost {
        /// The data directory.
        path: PathBuf,
    },
    /// The directory was written by another version, or with other settings.
    Unsupported {
        /// Which file says so.
        path: PathBuf,
        /// Which field.
        field: &'static str,
        /// What the file says.
        found: u64,
        /// What this program can use.
        wanted: u64,
    },
    /// An option is out of its range.
    BadOption {
        /// Which one.
        field: &'static str,
    },
}

impl fmt::Display for WalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalError::Io { operation, path, offset, errno } => {
                write!(f, "{operation} of {} at {offset} failed: errno {errno}", path.display())
            }
            WalError::ShortWrite { path, offset } => {
                write!(f, "write to {} at {offset} was short twice", path.display())
            }
            WalError::Corrupt { path, offset, row, frame_seq } => write!(
                f,
                "{} is damaged at {offset} (frame {frame_seq}, row {row:?}: {}); \
                 start with --recover=quarantine to set the damage aside and go on",
                path.display(),
                row.meaning()
            ),
            WalError::SegmentMissing { path } => {
                write!(f, "{} is missing, but the log needs it", path.display())
            }
            WalError::SuperblocksLost { path } => {
                write!(f, "no readable superblock in {}, yet it holds data", path.display())
            }
            WalError::Unsupported { path, field, found, wanted } => {
                write!(
                    f,
                    "{}: {field} is {found}, this program uses {wanted}: it was written by another version; \
                     start that version or a later one",
                    path.display()
                )
            }
            WalError::BadOption { field } => write!(f, "option {field} is out of range"),
        }
    }
}

impl std::error::Error for WalError {}

/// Why an append was not taken. Nothing of it is in the log, not even in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The disk is full; records that finish messages are still taken.
    Full,
    /// An earlier failure of the disk; nothing is taken any more.
    Poisoned,
    /// The log is closing.
    Closed,
    /// A publish, although the log had said for long that it is busy: see [`crate::Log::is_busy`].
    Busy,
    /// The publish does not fit in a frame.
    TooLarge,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Full => "disk full",
            Refused::Poisoned => "log failed",
            Refused::Closed => "log closed",
            Refused::Busy => "log busy",
            Refused::TooLarge => "publish too large",
        })
    }
}

impl std::error::Error for Refused {}
