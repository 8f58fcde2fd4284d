//! The logs of the shards that a core serves, and their traffic with queue and transport.

use nsq_queue::QueueRecord;
use nsq_wal::{Log, Placed, Publish, Refused, TopicId};

use crate::core::records::to_record;

/// One shard's log, open.
pub struct OpenLog {
    /// The shard.
    pub shard: u16,
    /// Its log.
    pub log: Log,
}

/// Who wants to read what; comes back with the answer.
pub(super) struct FetchToken {
    pub(super) core: u16,
    /// Below 2^48, as the message ids of a shard.
    pub(super) seq: u64,
}

impl FetchToken {
    fn to_u64(&self) -> u64 {
        u64::from(self.core) << 48 | self.seq
    }

    pub(super) fn from_u64(token: u64) -> Self {
        Self { core: (token >> 48) as u16, seq: token & ((1 << 48) - 1) }
    }
}

pub(super) struct ShardLog {
    pub(super) log: Log,
    pub(super) number: u16,
    pub(super) full: bool,
    pub(super) failed: bool,
    /// Topic ids are never given twice within a log.
    next_topic: u32,
}

/// The logs of one core. Never crosses a thread.
pub(super) struct Logs {
    /// Those of the core's shards, in rising order.
    pub(super) shards: Vec<ShardLog>,
    cores: u16,
}

impl Logs {
    pub(super) fn new(logs: Vec<OpenLog>, cores: u16) -> Self {
        let shards = logs
            .into_iter()
            .map(|OpenLog { shard, log }| {
                let next_topic = log.state().next_topic_id().0;
                ShardLog { log, number: shard, full: false, failed: false, next_topic }
            })
            .collect();
        Self { shards, cores }
    }

    pub(super) fn shard(&mut self, shard: u16) -> &mut ShardLog {
        &mut self.shards[usize::from(shard / self.cores)]
    }

    /// Whether a publish would be refused at once.
    pub(super) fn refuses_publishes(&mut self, shard: u16) -> bool {
        let shard = self.shard(shard);
        shard.full || shard.failed
    }

    /// Whether so much waits for the disk that publishers should wait.
    pub(super) fn are_backlogged(&self) -> bool {
        self.shards.iter().any(|shard| !shard.failed && shard.log.is_busy())
    }

    /// The id of a new topic.
    pub(super) fn next_topic(&mut self, shard: u16) -> TopicId {
        let shard = self.shard(shard);
        shard.next_topic += 1;
        TopicId(shard.next_topic - 1)
    }

    /// Appends messages; see [`Log::publish`].
    pub(super) fn publish<'a>(
        &mut self,
        shard: u16,
        publish: Publish,
        bodies: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Placed, Refused> {
        self.shard(shard).log.publish(publish, bodies)
    }

    /// Appends a fact of the queue. Only a log that has failed or is closed refuses one. The first ends the process,
    /// and nobody who has had an answer depends on the fact; the second has nobody left who could cause one.
    pub(super) fn record(&mut self, shard: u16, topic: TopicId, record: QueueRecord) {
        let _ = self.shard(shard).log.record(&to_record(topic, record));
    }

    /// PendingRequests for [`Event::Recorded`] when everything appended so far is safe.
    pub(super) fn notify(&mut self, shard: u16, number: u64) {
        self.shard(shard).log.notify(number);
    }

    /// Reads back what `core` wants to deliver.
    pub(super) fn fetch(&mut self, shard: u16, topic: TopicId, seq: u64, core: u16) {
        self.shard(shard).log.fetch(topic, seq, FetchToken { core, seq }.to_u64());
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut Log)> {
        self.shards.iter_mut().map(|shard| (shard.number, &mut shard.log))
    }

    pub(super) fn close(&mut self, now: u64) {
        for shard in &mut self.shards {
            shard.log.close(now);
        }
    }

    pub(super) fn are_closed(&self) -> bool {
        self.shards.iter().all(|shard| shard.failed || shard.log.is_closed())
    }

    /// The last frame of each shard that was closed, for the mark of a clean stop.
    pub(super) fn last_frames(&self) -> Vec<(u16, u64)> {
        let closed = self.shards.iter().filter(|shard| shard.log.is_closed());
        closed.map(|shard| (shard.number, shard.log.last_frame_seq())).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<u64> {
        self.shards.iter().filter(|shard| !shard.failed).filter_map(|shard| shard.log.poll_timeout()).min()
    }
}
