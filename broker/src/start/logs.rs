//! The logs at start and stop, over any disk.

use std::sync::Arc;

use nsq_flags::{info, warn};
use nsq_wal::{DataDir, Disk, Log, LogOptions, WalError};

use crate::config::{Config, Durability, Recover};
use crate::core::OpenLog;

/// Sizes of files are multiples of it.
const BLOCK_BYTES: u64 = nsq_wal::limits::BLOCK_BYTES as u64;

/// The last frame of each of a core's shards, when it has stopped.
pub type LastFrames = Vec<(u16, u64)>;

/// Why the next start will not find a clean stop. What was acknowledged is on disk all the same.
#[derive(Debug)]
pub enum NotClean {
    /// Not every log could be closed.
    NotClosed,
    /// It could not be recorded.
    Log(WalError),
}

/// Opens, and recovers, the logs of a core's shards.
pub fn open_logs(
    disk: &Arc<dyn Disk>,
    data: &DataDir,
    options: impl IntoIterator<Item = LogOptions>,
    now_ns: u64,
) -> Result<Vec<OpenLog>, WalError> {
    let mut logs = Vec::new();
    // Where the size cannot be asked for, it is not small.
    let volume_bytes = disk.volume_bytes(data.path()).unwrap_or(u64::MAX);
    let share_bytes = volume_bytes / u64::from(data.shard_count().max(1));
    for options in options {
        let options = options.fit(share_bytes);
        let shard = options.shard;
        let (log, report) = Log::open(disk.clone(), data, options, now_ns)?;
        if report.damage.is_empty() {
            info!("DISKQUEUE: {report}");
        } else {
            warn!("DISKQUEUE: {report}");
        }
        logs.push(OpenLog { shard, log });
    }
    Ok(logs)
}

/// How the log of a shard works, by the configuration.
pub fn log_options(config: &Config, shard: u16) -> LogOptions {
    let defaults = LogOptions::new(shard, config.node_id);
    // NSQ's option says how large a file may be. Ours stay between a size that is quick to prepare and one that is
    // quick to recover.
    let segment_bytes_max =
        config.segment_bytes_max.clamp(defaults.segment_bytes_first, defaults.segment_bytes_max);
    LogOptions {
        durability: match config.durability {
            Durability::Sync => nsq_wal::Durability::Sync,
            Durability::Write => nsq_wal::Durability::Write,
            Durability::Async => nsq_wal::Durability::Async,
        },
        sync_interval_ns: config.sync_interval_ns_max,
        sync_messages_max: config.sync_messages_max,
        segment_bytes_max: segment_bytes_max / BLOCK_BYTES * BLOCK_BYTES,
        recover: match config.recover {
            Recover::Refuse => nsq_wal::Recover::Refuse,
            Recover::Quarantine => nsq_wal::Recover::Quarantine,
        },
        ..defaults
    }
}

/// Records a clean stop, if every log was closed.
pub fn mark_clean(data: &mut DataDir, mut last_frames: LastFrames) -> Result<(), NotClean> {
    last_frames.sort_unstable();
    let last_frames: Vec<u64> = last_frames.into_iter().map(|(_, frame)| frame).collect();
    if last_frames.len() != usize::from(data.shard_count()) {
        return Err(NotClean::NotClosed);
    }
    data.mark_clean(&last_frames).map_err(NotClean::Log)
}
