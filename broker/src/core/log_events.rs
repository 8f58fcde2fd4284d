//! The logs' traffic with queue and transport.

use std::any::Any;

use nsq_queue::Input;
use nsq_wal::{ColdJob, Event, Io, IoDone, IoTag, ReadBuf};

use crate::core::engine::Engine;
use crate::core::keys::{is_memory, shard_of, topic_key};
use crate::core::logs::{ColdDone, FetchToken};
use crate::core::records::to_batch;
use crate::mesh::handle::CoreHandle;
use crate::transport::{FrameMemory, IoBuf, ReadMemory, Transport};

/// The log's own tags stay below this; the shard is above.
const TAG_BITS: u32 = 48;

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
            Event::Recorded { token } => self.answer_pending(token),
            Event::Loaded { token, topic, batches, lost } => {
                let topic = topic_key(shard.number, topic);
                let batches = batches.into_iter().map(to_batch).collect();
                let FetchToken { core, seq } = FetchToken::from_u64(token);
                self.queue.handle(self.now, Input::Loaded { topic, core, seq, batches, lost });
            }
            Event::ReadFailed(failure) => {
                nsq_flags::error!("DISKQUEUE: shard {} - {failure}; its messages wait", shard.number);
            }
            Event::Lost(lost) => nsq_flags::error!("DISKQUEUE: shard {} - {lost}", shard.number),
            Event::Full(full) => {
                shard.full = full;
                let error = full.then(|| "disk full: publishes are refused until space is free".to_owned());
                match &error {
                    Some(text) => nsq_flags::error!("DISKQUEUE: shard {} - {text}", shard.number),
                    None => nsq_flags::info!("DISKQUEUE: shard {} - space again", shard.number),
                }
                self.process.set_health_error(error);
            }
            Event::Poisoned(error) => {
                shard.failed = true;
                nsq_flags::fatal!("DISKQUEUE: shard {} - {error}", shard.number);
                self.process.set_health_error(Some(error.to_string()));
                self.refuse_unreleased(index);
                self.process.fail();
            }
        }
    }

    /// The log will never release what it holds: every publish that waits for it is refused.
    fn refuse_unreleased(&mut self, index: usize) {
        let number = self.logs.shards[index].number;
        for topic in self.queue.topic_stats(None) {
            let topic = topic.topic;
            if shard_of(topic) == number && !is_memory(topic) {
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
                        // Commits wait for a name, and deliveries for what is read back. Everything else has time, and
                        // is under way so often that the loop would hardly wait in its ring any more.
                        let waited_for = matches!(job, ColdJob::Rename { .. } | ColdJob::Open { .. });
                        let prompt = waited_for.then(|| handle.work_outside());
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
