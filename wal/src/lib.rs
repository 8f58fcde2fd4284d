//! The write-ahead log of one shard.
//!
//! # Contract
//!
//! A [`Log`] belongs to one core and is a state machine: [`Log::publish`] and [`Log::record`] append,
//! [`Log::turn`] commits, [`Log::poll_io`] says what to do to the disk, [`Log::handle_io`] takes the answer, and
//! [`Log::poll_event`] tells what became durable. It has no thread, no clock and no IO of its own, but for
//! [`Log::open`], which blocks at boot and goes through the [`Disk`] trait.
//!
//! What a [`Event::Released`] promises is the durability of the log:
//!
//! | level | a released message |
//! |---|---|
//! | [`Durability::Sync`] | is on the disk: the data-synchronous write of its frame, and of every frame before it, has succeeded |
//! | [`Durability::Write`] | is in the kernel's and the device's hands, as is every frame before it; synced within `sync_interval_ns` |
//! | [`Durability::Async`] | is in the log's memory; written and synced within `sync_interval_ns` or `sync_messages_max` |
//!
//! After a failed write or sync the log is poisoned: nothing is released any more, nothing is tried again, and
//! the process should stop. A full disk is not a failure: publishes are refused, everything else goes on.
//!
//! # Where things are
//!
//! `format/` has the bytes, `state/` what they mean, `log/` the appender, `recovery/` the decision table, `disk/`
//! the seam to the disk, its faulty twin, and the only unsafe code.

#![deny(unsafe_code)]

/// Marks an arm that the simulation has to reach.
macro_rules! reach {
    ($mark:literal) => {
        #[cfg(feature = "planted")]
        nsq_planted::reach($mark);
    };
}

/// Whether this fault is planted: only ever in the simulation.
macro_rules! planted {
    ($fault:ident) => {{
        #[cfg(feature = "planted")]
        let planted = nsq_planted::is_on(nsq_planted::Fault::$fault);
        #[cfg(not(feature = "planted"))]
        let planted = false;
        planted
    }};
}

mod data_dir;
pub mod disk;
mod error;
pub mod format;
pub mod limits;
mod log;
pub mod recovery;
#[cfg(any(test, feature = "fault"))]
mod replay;
mod row;
mod state;

pub use self::data_dir::{DataDir, DataDirOptions};
#[cfg(feature = "std-disk")]
pub use self::disk::StdDisk;
pub use self::disk::{ColdJob, Disk, Entry, FrameSlice, Io, IoDone, IoResult, IoTag, LogFile, ReadBuf};
pub use self::error::{Errno, Refused, WalError, is_full, may_pass};
pub use self::format::record::Record;
pub use self::log::{
    Batch, Durability, Event, Log, LogOptions, LogStats, LostMessages, Placed, Publish, ReadFailure, Recover,
    Unread,
};
pub use self::recovery::{Lost, RecoveryReport, Verdict};
#[cfg(any(test, feature = "fault"))]
pub use self::replay::{Fact, Replay, SeenFrame};
pub use self::row::Row;
pub use self::state::{ChannelState, Pending, Requeued, Run, SegmentState, State, TopicState};

/// A topic of a shard. The caller assigns ids; the log records them. Never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u32);

/// A channel of a topic. The caller assigns ids; the log records them. Never used twice in a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u32);
