//! The logs' traffic with queue and transport.

use nsq_queue::Input;
use nsq_wal::{Event, IoResult, IoTag};

use crate::core::engine::Engine;
use crate::core::keys::{is_memory, shard_of, topic_key};
use crate::core::logs::FetchToken;
use crate::core::records::to_batch;
use crate::transport::Transport;

/// The log's own tags stay below this; the shard is above.
const TAG_BITS: u32 = 48;

impl Engine {
    /// Lets the logs seal what was appended, and gives the queue what they have released. True if anything was.
    pub(super) fn turn_logs(&mut self) -> bool {
        let mut progress = false;
        for index in 0..self.logs.shards.len() {
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
                reach!("core.log.full");
                shard.full = full;
                let error = full.then(|| "disk full: publishes are refused until space is free".to_owned());
                match &error {
                    Some(text) => nsq_flags::error!("DISKQUEUE: shard {} - {text}", shard.number),
                    None => nsq_flags::info!("DISKQUEUE: shard {} - space again", shard.number),
                }
                self.process.set_health_error(shard.number, error);
            }
            Event::Poisoned(error) => {
                shard.failed = true;
                nsq_flags::fatal!("DISKQUEUE: shard {} - {error}", shard.number);
                self.process.set_health_error(shard.number, Some(error.to_string()));
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

    /// Hands the logs' wishes to the transport.
    pub(super) fn submit_log_io<T: Transport>(&mut self, transport: &mut T) {
        for shard in &mut self.logs.shards {
            while let Some(io) = shard.log.poll_io() {
                let tag = u64::from(shard.number) << TAG_BITS | io.tag().0;
                transport.submit(tag, io);
            }
        }
    }

    /// An operation of a log has ended.
    pub(super) fn on_io(&mut self, tag: u64, result: IoResult) {
        let shard = (tag >> TAG_BITS) as u16;
        let tag = IoTag(tag & ((1 << TAG_BITS) - 1));
        let now = self.now.mono_ns;
        self.logs.shard(shard).log.handle_io(now, tag, result);
    }
}
