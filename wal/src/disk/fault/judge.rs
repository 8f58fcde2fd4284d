//! What goes wrong, and who decides it.

use std::fmt;
use std::path::Path;

use crate::error::Errno;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails and does nothing. A sync that fails so leaves the pages clean without having written
    /// them, as Linux does: the next sync succeeds without them.
    Error(Errno),
    /// As `Error`, but a failed sync keeps the pages dirty, so that the next one writes them.
    ErrorKept(Errno),
    /// The operation fails after half of a write, or of the zero-fill of a new file, was done.
    ErrorHalfDone(Errno),
    /// The operation is done, and reported as failed.
    ErrorDone(Errno),
    /// A write writes all but its last block, a read reads all but its last sector; others succeed.
    Short,
    /// A write or read ends after so many bytes, rounded down to blocks for a write and to sectors for a read.
    ShortTo(usize),
    /// A read brings other bytes than were written; others succeed.
    Garbled(u64),
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Reading a file.
    Read,
    /// Writing within a file.
    Write,
    /// `fdatasync`.
    Sync,
    /// Opening a file that may exist.
    Open,
    /// Creating a file, with its content.
    Create,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Making the names of a directory durable, or creating it.
    SyncDir,
    /// Listing a directory.
    List,
    /// Asking which file a name leads to.
    Stat,
}

/// An operation that is about to be done.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// What it does.
    pub class: Class,
    /// To which file or directory; for a rename, the new name.
    pub path: &'a Path,
    /// Where in the file; 0 where it does not apply.
    pub offset: u64,
    /// How many bytes; 0 where it does not apply.
    pub len: usize,
    /// How many operations came before it, since the judge was set.
    pub number: u64,
}

/// Decides about every operation of a disk.
pub trait Judge: Send + fmt::Debug {
    /// What goes wrong with `operation`, if anything.
    fn judge(&mut self, operation: &Operation<'_>) -> Option<Fault>;
}

/// One thing that goes wrong, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Number of the first operation that fails, counted from 0 since the plan was set.
    pub at: u64,
    /// True: every operation from there on. False: only that one.
    pub sticky: bool,
    /// How.
    pub fault: Fault,
}

impl Judge for FaultPlan {
    fn judge(&mut self, operation: &Operation<'_>) -> Option<Fault> {
        let hit = if self.sticky { operation.number >= self.at } else { operation.number == self.at };
        let fits = operation.class == Class::Write || self.fault != Fault::Short;
        (hit && fits).then_some(self.fault)
    }
}
