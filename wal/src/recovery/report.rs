//! What recovery has to say.

use std::fmt;
use std::path::PathBuf;

use crate::TopicId;
use crate::error::Errno;
use crate::row::Row;

/// Where and how the log of a shard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Row of the decision table.
    pub row: Row,
    /// Number of the segment; 0 if there is none.
    pub segment: u64,
    /// Where in the segment.
    pub offset: u64,
    /// The frame that was expected there.
    pub frame_seq: u64,
}

/// Messages that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Consecutive messages of a topic.
    Messages {
        /// The topic.
        topic: TopicId,
        /// First sequence.
        from: u64,
        /// End of the sequences.
        to: u64,
        /// Id of the first, if it is known.
        first_id: Option<u64>,
    },
    /// Frames of which not even the records can be read.
    Frames {
        /// First frame.
        from: u64,
        /// End of the frames.
        to: u64,
    },
}

/// How the recovery of a shard went. Its `Display` is the line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Which shard.
    pub shard: u16,
    /// The last stop was clean, and the log agrees.
    pub was_clean: bool,
    /// Where and how the log ended.
    pub verdict: Verdict,
    /// Segments that hold something.
    pub segment_count: u64,
    /// Frames replayed behind the checkpoint.
    pub frame_count: u64,
    /// Bytes of a tail that were cut off.
    pub cut_bytes: u64,
    /// A tail could not be copied aside before it was cut off, and why.
    pub tail_not_copied: Option<Errno>,
    /// Damage that was set aside or lived with: rows E to K, in order.
    pub damage: Vec<Verdict>,
    /// What is gone. Empty unless `damage` is not.
    pub lost: Vec<Lost>,
    /// Files written or moved for a person to look at.
    pub set_aside: Vec<PathBuf>,
    /// The superblock claimed a clean stop, and the log goes on behind it: the slot is old.
    pub clean_claim_was_stale: bool,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = &self.verdict;
        write!(
            f,
            "shard {:02}: {} after frame {} (row {:?}, segment {}, offset {}), {} segments, {} frames replayed",
            self.shard,
            v.row.meaning(),
            v.frame_seq.saturating_sub(1),
            v.row,
            v.segment,
            v.offset,
            self.segment_count,
            self.frame_count
        )?;
        if self.cut_bytes > 0 {
            write!(f, ", {} bytes of a tail set aside", self.cut_bytes)?;
        }
        if let Some(errno) = self.tail_not_copied {
            write!(f, ", a tail was not set aside: errno {errno}")?;
        }
        for damage in &self.damage {
            write!(
                f,
                "; row {:?}: {} at segment {} offset {}",
                damage.row,
                damage.row.meaning(),
                damage.segment,
                damage.offset
            )?;
        }
        if !self.lost.is_empty() {
            write!(f, "; lost: {:?}", self.lost)?;
        }
        Ok(())
    }
}
