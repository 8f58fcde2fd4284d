//! The logs of the shards that a core serves, and their traffic with queue and transport.

use std::any::Any;
use std::collections::VecDeque;

use nsq_queue::{Batch, ChannelId, Input, QueueRecord};
use nsq_wal::{Event, Io, IoDone, IoResult, IoTag, Log, Placed, Publish, ReadBuf, Record, Refused, TopicId};

use crate::core::engine::Engine;
use crate::core::topics::topic_key;
use crate::mesh::request::CoreHandle;
use crate::transport::{FrameMemory, IoBuf, ReadMemory, Transport};

/// The log's own tags stay below this; the shard is above.
const TAG_BITS: u32 = 48;

/// One shard's log, open.
pub struct OpenLog {
    /// The shard.
    pub shard: u16,
    /// Its log.
    pub log: Log,
}

/// Who wants to read what; comes back with the answer.
struct FetchToken {
    core: u16,
    /// Below 2^48, as the message ids of a shard.
    seq: u64,
}

impl FetchToken {
    fn to_u64(&self) -> u64 {
        u64::from(self.core) << 48 | self.seq
    }

    fn from_u64(token: u64) -> Self {
        Self { core: (token >> 48) as u16, seq: token & ((1 << 48) - 1) }
    }
}

/// The result of file work on a blocking thread.
#[derive(Debug)]
pub struct ColdDone {
    shard: u16,
    tag: IoTag,
    result: IoResult,
}

struct Shard {
    log: Log,
    number: u16,
    full: bool,
    failed: bool,
    /// Topic ids are never given twice within a log.
    next_topic: u32,
    /// Facts that the log was too busy to take. They keep their order, and publishers wait behind them, so that there
    /// are never more than one turn's.
    waiting: VecDeque<Record>,
}

impl Shard {
    fn record(&mut self, record: Record) {
        if !self.waiting.is_empty() || self.log.record(&record) == Err(Refused::Busy) {
            self.waiting.push_back(record);
        }
    }

    fn record_waiting(&mut self) {
        while let Some(record) = self.waiting.front() {
            if self.log.record(record) == Err(Refused::Busy) {
                return;
            }
            self.waiting.pop_front();
        }
    }
}

/// The logs of one core. Never crosses a thread.
pub(super) struct Logs {
    /// Those of the core's shards, in rising order.
    shards: Vec<Shard>,
    cores: u16,
}

impl Logs {
    pub(super) fn new(logs: Vec<OpenLog>, cores: u16) -> Self {
        let shards = logs
            .into_iter()
            .map(|OpenLog { shard, log }| {
                let next_topic = log.state().next_topic_id().0;
                Shard { log, number: shard, full: false, failed: false, next_topic, waiting: VecDeque::new() }
            })
            .collect();
        Self { shards, cores }
    }

    fn shard(&mut self, shard: u16) -> &mut Shard {
        &mut self.shards[usize::from(shard / self.cores)]
    }

    /// Whether a publish would be refused at once.
    pub(super) fn refuses_publishes(&mut self, shard: u16) -> bool {
        let shard = self.shard(shard);
        shard.full || shard.failed
    }

    /// Whether so much waits for the disk that publishers should wait.
    pub(super) fn are_backlogged(&self) -> bool {
        self.shards.iter().any(|shard| !shard.failed && (shard.log.is_busy() || !shard.waiting.is_empty()))
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

    /// Appends a fact of the queue. A log that has failed ends the process, and what it refuses is lost with it:
    /// nobody who has had an answer depends on it.
    pub(super) fn record(&mut self, shard: u16, topic: TopicId, record: QueueRecord) {
        self.shard(shard).record(to_record(topic, record));
    }

    /// Asks for [`Event::Recorded`] when everything appended so far is safe.
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

impl Engine {
    /// Lets the logs seal what was appended, and gives the queue what they have released. True if anything was.
    pub(super) fn turn_logs(&mut self) -> bool {
        let mut progress = false;
        for index in 0..self.logs.shards.len() {
            self.logs.shards[index].record_waiting();
            self.logs.shards[index].log.turn(self.now.mono_ns);
            while let Some(event) = self.logs.shards[index].log.poll_event() {
                progress = true;
                self.on_log_event(index, event);
            }
        }
        progress
    }

    fn on_log_event(&mut self, index: usize, event: Event) {
        let shard = &mut self.logs.shards[index];
        match event {
            Event::Released(batch) => {
                let topic = topic_key(shard.number, batch.topic);
                self.queue.handle(self.now, Input::Appended { topic, batch: to_batch(batch) });
            }
            Event::Recorded { token } => self.answer_ask(token),
            Event::Loaded { token, topic, batches, lost } => {
                let topic = topic_key(shard.number, topic);
                let batches = batches.into_iter().map(to_batch).collect();
                let FetchToken { core, seq } = FetchToken::from_u64(token);
                self.queue.handle(self.now, Input::Loaded { topic, core, seq, batches, lost });
            }
            Event::Full(full) => {
                shard.full = full;
                let error = full.then(|| "disk full: publishes are refused until space is free".to_owned());
                match &error {
                    Some(text) => nsq_flags::error!("DISKQUEUE: shard {} - {text}", shard.number),
                    None => nsq_flags::info!("DISKQUEUE: shard {} - space again", shard.number),
                }
                self.shared.set_health_error(error);
            }
            Event::Poisoned(error) => {
                shard.failed = true;
                nsq_flags::fatal!("DISKQUEUE: shard {} - {error}", shard.number);
                self.shared.set_health_error(Some(error.to_string()));
                self.refuse_unreleased(index);
                self.shared.fail();
            }
        }
    }

    /// The log will never release what it holds: every publish that waits for it is refused.
    fn refuse_unreleased(&mut self, index: usize) {
        let number = self.logs.shards[index].number;
        for topic in self.queue.topic_stats(None) {
            let topic = topic.topic;
            if super::topics::shard_of(topic) == number && !super::topics::is_memory(topic) {
                self.queue.handle(self.now, Input::AppendFailed { topic, from_seq: 0 });
            }
        }
    }

    /// Hands the logs' wishes to the transport, and those that may block to a thread that may.
    pub fn submit_log_io<T: Transport>(&mut self, transport: &mut T, handle: &CoreHandle) {
        for shard in &mut self.logs.shards {
            while let Some(io) = shard.log.poll_io() {
                let number = shard.number;
                let tag = u64::from(number) << TAG_BITS | io.tag().0;
                match io {
                    Io::Write { file, offset, buf, dsync, .. } => {
                        let fd = file.raw_fd();
                        transport.write_file(
                            tag,
                            fd,
                            offset,
                            Box::new(FrameMemory { frame: buf, file }),
                            dsync,
                        );
                    }
                    Io::Read { file, offset, buf, .. } => {
                        let fd = file.raw_fd();
                        transport.read_file(tag, fd, offset, Box::new(ReadMemory { buffer: buf, file }));
                    }
                    Io::Sync { file, .. } => transport.sync_file(tag, file.raw_fd()),
                    Io::Cold { tag, job } => {
                        let disk = self.disk.clone();
                        let handle = handle.clone();
                        let prompt = handle.work_outside();
                        glommio::spawn_local(async move {
                            let _prompt = prompt;
                            let result = glommio::executor().spawn_blocking(move || disk.run(&job)).await;
                            handle.cold_done(ColdDone { shard: number, tag, result });
                        })
                        .detach();
                    }
                }
            }
        }
    }

    /// An operation of a log has ended.
    pub fn on_file_done(&mut self, tag: u64, result: Result<usize, i32>, memory: Option<IoBuf>) {
        let done = result.map(|count| match memory.map(downcast) {
            None => IoDone::Synced,
            Some(None) => IoDone::Written(count),
            Some(Some(buf)) => IoDone::Read { buf, len: count },
        });
        let shard = (tag >> TAG_BITS) as u16;
        let tag = IoTag(tag & ((1 << TAG_BITS) - 1));
        let now = self.now.mono_ns;
        self.logs.shard(shard).log.handle_io(now, tag, done);
    }

    /// Blocking file work has ended.
    pub(super) fn on_cold_done(&mut self, done: ColdDone) {
        let now = self.now.mono_ns;
        self.logs.shard(done.shard).log.handle_io(now, done.tag, done.result);
    }
}

/// The buffer of a read; `None` for that of a write.
fn downcast(memory: IoBuf) -> Option<ReadBuf> {
    let any: Box<dyn Any> = memory;
    any.downcast::<ReadMemory>().ok().map(|memory| memory.buffer)
}

fn to_batch(batch: nsq_wal::Batch) -> Batch {
    Batch {
        first_seq: batch.first_seq,
        first_id: batch.first_id,
        count: batch.count,
        defer_ms: batch.defer_ms,
        payload: batch.payload,
        cost_bytes: batch.cost_bytes,
    }
}

fn to_record(topic: TopicId, record: QueueRecord) -> Record {
    let id = |channel: ChannelId| nsq_wal::ChannelId(channel.0);
    match record {
        QueueRecord::TopicCreated { name } => Record::TopicCreated { topic, name: name.to_string() },
        QueueRecord::TopicDeleted => Record::TopicDeleted { topic },
        QueueRecord::TopicPaused { paused, floor } => Record::TopicPaused { topic, paused, floor },
        QueueRecord::TopicEmptied { from, to } => Record::TopicEmptied { topic, from, to },
        QueueRecord::ChannelCreated { channel, name, from } => {
            Record::ChannelCreated { topic, channel: id(channel), name: name.to_string(), from }
        }
        QueueRecord::ChannelDeleted { channel, floor } => {
            Record::ChannelDeleted { topic, channel: id(channel), floor }
        }
        QueueRecord::ChannelPaused { channel, paused } => {
            Record::ChannelPaused { topic, channel: id(channel), paused }
        }
        QueueRecord::ChannelEmptied { channel, up_to } => {
            Record::ChannelEmptied { topic, channel: id(channel), up_to }
        }
        QueueRecord::Finish { channel, ranges } => Record::Finish { topic, channel: id(channel), ranges },
        QueueRecord::Requeue { channel, seq, attempts, due_at_ns } => {
            Record::Requeue { topic, channel: id(channel), seq, attempts, due_at_ns }
        }
    }
}
