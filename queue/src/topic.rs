//! One topic, as its home core sees it: sequence numbers, who waits, what channels have been given.

use crate::batch::Batch;
use crate::ids::{ChannelId, TopicKey};
use crate::outbox::Outbox;
use crate::output::{Output, PublishError};
use crate::peer::PeerMessage;
use crate::record::QueueRecord;
use crate::restored::RestoredTopic;
use crate::waiters::{Answer, Waiters};
use std::collections::VecDeque;
use std::sync::Arc;

/// `released_seq ≤ committed_seq ≤ next_seq`, always.
///
/// ```text
///      given to channels         waits in the topic          in the log's hands
/// ───────────────────────┤├──────────────────────────┤├──────────────────────────┤
///                   released_seq               committed_seq                 next_seq
/// ```
pub(crate) struct Topic {
    pub(crate) key: TopicKey,
    pub(crate) name: Arc<str>,
    pub(crate) memory_only: bool,
    pub(crate) paused: bool,
    pub(crate) gated: bool,
    pub(crate) next_seq: u64,
    pub(crate) committed_seq: u64,
    pub(crate) released_seq: u64,
    pub(crate) next_channel: u32,
    /// In the order they were made.
    pub(crate) channels: Vec<TopicChannel>,
    /// The cores of `channels`, each once, rising.
    pub(crate) cores: Vec<u16>,
    pub(crate) waiters: Waiters,
    /// Delays, in milliseconds, of messages in `[released_seq, committed_seq)`: they begin when the message reaches a
    /// channel. Grows with deferred messages only, and those are exceptions wherever they wait.
    pub(crate) deferred: VecDeque<(u64, u32)>,
    /// Memory-only: the messages themselves that wait in the topic, `mem_queue_size` at most.
    pub(crate) kept: VecDeque<Batch>,
    pub(crate) kept_count: u64,
    pub(crate) message_count: u64,
    pub(crate) message_bytes: u64,
}

pub(crate) struct TopicChannel {
    pub(crate) id: ChannelId,
    pub(crate) name: Arc<str>,
    pub(crate) core: u16,
}

impl Topic {
    pub(crate) fn new(key: TopicKey, name: Arc<str>, memory_only: bool, gated: bool) -> Topic {
        Topic {
            key,
            name,
            memory_only,
            paused: false,
            gated,
            next_seq: 0,
            committed_seq: 0,
            released_seq: 0,
            next_channel: 0,
            channels: Vec::new(),
            cores: Vec::new(),
            waiters: Waiters::default(),
            deferred: VecDeque::new(),
            kept: VecDeque::new(),
            kept_count: 0,
            message_count: 0,
            message_bytes: 0,
        }
    }

    /// Takes over what the log knew. What a topic without a pause and with channels had, its channels had: that is
    /// settled when the first of them is restored.
    pub(crate) fn restore(&mut self, restored: RestoredTopic) {
        self.paused = restored.paused;
        self.next_seq = restored.next_seq;
        self.next_channel = restored.next_channel;
        self.committed_seq = restored.next_seq;
        self.released_seq = restored.floor.min(restored.next_seq);
        let floor = self.released_seq;
        self.deferred = restored.deferred.into_iter().filter(|&(seq, _)| seq >= floor).collect();
    }

    /// Messages that wait in the topic.
    pub(crate) fn depth(&self) -> u64 {
        if self.memory_only { self.kept_count } else { self.committed_seq - self.released_seq }
    }

    pub(crate) fn forwards(&self) -> bool {
        !self.paused && !self.gated && !self.channels.is_empty()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&TopicChannel> {
        self.channels.iter().find(|channel| *channel.name == *name)
    }

    pub(crate) fn add_channel(&mut self, channel: TopicChannel) {
        if let Err(place) = self.cores.binary_search(&channel.core) {
            self.cores.insert(place, channel.core);
        }
        let place = self.channels.partition_point(|other| other.id < channel.id);
        self.channels.insert(place, channel);
    }

    /// Its place, for what comes with every turn of every channel.
    pub(crate) fn place_of(&self, id: ChannelId) -> Option<usize> {
        self.channels.binary_search_by_key(&id, |channel| channel.id).ok()
    }

    pub(crate) fn remove_channel(&mut self, id: ChannelId) -> Option<TopicChannel> {
        let index = self.place_of(id)?;
        let channel = self.channels.remove(index);
        if !self.channels.iter().any(|other| other.core == channel.core) {
            self.cores.retain(|&core| core != channel.core);
        }
        Some(channel)
    }

    /// The log has these messages now: whoever waited for them gets an answer, and channels get them unless they must wait.
    pub(crate) fn appended(&mut self, batch: Batch, mem_queue_size: u64, out: &mut Outbox) {
        assert_eq!(batch.first_seq, self.committed_seq, "the log releases a topic's messages in order");
        assert!(batch.count > 0);
        let end = batch.end_seq();
        assert!(end <= self.next_seq, "the log releases what was published");
        self.message_count += u64::from(batch.count);
        self.message_bytes += batch.body_bytes();
        self.committed_seq = end;
        while let Some(answer) = self.waiters.pop_below(end) {
            out.push(reply(answer, Ok(())));
        }
        if self.forwards() {
            // Whatever had to wait was forwarded when waiting ended, so this batch is next.
            assert_eq!(batch.first_seq, self.released_seq);
            self.released_seq = end;
            self.to_channels(out, |topic| PeerMessage::Batch { topic, batch: batch.clone() });
        } else if self.memory_only {
            self.keep(batch, mem_queue_size);
        } else if batch.defer_ms > 0 {
            self.deferred.push_back((batch.first_seq, batch.defer_ms));
        }
    }

    /// Keeps as much of the batch as there is room for. What overflows is dropped, though its publisher has its OK: that
    /// is what a memory-only topic is.
    fn keep(&mut self, batch: Batch, mem_queue_size: u64) {
        let room = mem_queue_size.saturating_sub(self.kept_count).min(u64::from(batch.count));
        if room > 0 {
            self.kept_count += room;
            self.kept.push_back(batch.part(batch.first_seq, batch.first_seq + room));
        }
    }

    /// Gives the channels what had to wait, if nothing stands in the way any more.
    pub(crate) fn release(&mut self, out: &mut Outbox) {
        if !self.forwards() || self.released_seq == self.committed_seq {
            return;
        }
        let upto = self.committed_seq;
        self.released_seq = upto;
        if self.memory_only {
            while let Some(batch) = self.kept.pop_front() {
                // What was dropped between two batches is no channel's.
                let from = batch.first_seq;
                self.to_channels(out, |topic| PeerMessage::Skip { topic, upto: from });
                self.to_channels(out, |topic| PeerMessage::Batch { topic, batch: batch.clone() });
            }
            self.kept_count = 0;
            self.to_channels(out, |topic| PeerMessage::Skip { topic, upto });
            return;
        }
        let deferred: Arc<[(u64, u32)]> = self.deferred.drain(..).collect();
        self.to_channels(out, |topic| PeerMessage::Visible { topic, upto, deferred: deferred.clone() });
    }

    /// Drops what waits in the topic; returns it, if anything did.
    pub(crate) fn empty(&mut self, out: &mut Outbox) -> Option<(u64, u64)> {
        let (from, to) = (self.released_seq, self.committed_seq);
        self.kept.clear();
        self.kept_count = 0;
        self.deferred.clear();
        if from == to {
            return None;
        }
        self.released_seq = to;
        self.to_channels(out, |topic| PeerMessage::Skip { topic, upto: to });
        Some((from, to))
    }

    /// Tells everybody who waits for a message at or above `from` that it will not be.
    pub(crate) fn fail_waiters(&mut self, from: u64, error: PublishError, out: &mut Outbox) {
        let mut answers: Vec<Answer> = std::iter::from_fn(|| self.waiters.pop_from(from)).collect();
        // A connection's replies leave in the order of its publishes.
        answers.reverse();
        answers.into_iter().for_each(|answer| out.push(reply(answer, Err(error))));
    }

    fn to_channels(&self, out: &mut Outbox, message: impl Fn(TopicKey) -> PeerMessage) {
        for &core in &self.cores {
            out.send(core, message(self.key));
        }
    }

    pub(crate) fn record(&self, record: QueueRecord, out: &mut Outbox) {
        if !self.memory_only {
            out.push(Output::Record { topic: self.key, record });
        }
    }

    pub(crate) fn check(&self) {
        assert!(self.released_seq <= self.committed_seq);
        assert!(self.committed_seq <= self.next_seq);
        if self.forwards() {
            assert_eq!(self.released_seq, self.committed_seq, "nothing stands in the way of forwarding");
        }
        self.waiters.check(self.committed_seq, self.next_seq);
        assert_eq!(self.kept_count, self.kept.iter().map(|batch| u64::from(batch.count)).sum::<u64>());
        assert!(self.memory_only || self.kept.is_empty());
        assert!(self.deferred.iter().all(|&(seq, _)| (self.released_seq..self.committed_seq).contains(&seq)));
        assert!(self.deferred.iter().is_sorted());
        for channel in &self.channels {
            assert!(self.cores.binary_search(&channel.core).is_ok());
            assert!(channel.id.0 < self.next_channel);
        }
        assert!(self.cores.iter().all(|core| self.channels.iter().any(|channel| channel.core == *core)));
    }
}

fn reply(answer: Answer, result: Result<(), PublishError>) -> Output {
    let Answer { origin, connection, first_reply, count } = answer;
    Output::Reply { origin, connection, first_reply, count, result }
}
