//! The channels at home on this core: what their topics send, what their consumers say, what time brings.

use nsq_protocol::names::is_ephemeral;

use crate::batch::Batch;
use crate::channel::{Channel, Place, Waiting};
use crate::config::{Config, RESIDENT_DEFER_MS_MAX};
use crate::consumer::Consumer;
use crate::finished::Finished;
use crate::hash::IntMap;
use crate::ids::{ChannelKey, ConsumerId, TopicKey};
use crate::input::Now;
use crate::outbox::Outbox;
use crate::output::Output;
use crate::peer::{ChannelOpening, PeerMessage};
use crate::random::Random;
use crate::record::QueueRecord;
use crate::resident::{Cache, LocalTopic};
use crate::restored::RestoredMessage;
use crate::slab::Slab;
use crate::time::Wheel;
use crate::timer::Timer;
use std::collections::VecDeque;

mod commands;
mod fetched;
mod turn;

pub(crate) struct ChannelSide {
    config: Config,
    pub(crate) channels: Slab<Channel>,
    pub(crate) keys: IntMap<ChannelKey, u32>,
    pub(crate) locals: Slab<LocalTopic>,
    pub(crate) local_keys: IntMap<TopicKey, u32>,
    pub(crate) consumers: IntMap<ConsumerId, Consumer>,
    pub(crate) wheel: Wheel<Timer>,
    pub(crate) cache: Cache,
    /// Channels to be pumped at the end of the turn, next one first: those, and only those, whose `dirty` is set. One that
    /// was deleted may still be named.
    pub(crate) dirty: VecDeque<u32>,
    /// Channels whose finished messages are to be settled then: those whose `unsettled` is set.
    pub(crate) unsettled: Vec<u32>,
    /// Topics whose channels have settled since batches were last let go.
    settled: Vec<u32>,
    /// The broker stops: nothing is delivered any more.
    stopped: bool,
    random: Random,
}

const NS_PER_MS: u64 = 1_000_000;

impl ChannelSide {
    pub(crate) fn new(config: Config, now_ns: u64) -> ChannelSide {
        let random = Random::new(config.seed);
        ChannelSide {
            config,
            channels: Slab::new(),
            keys: IntMap::default(),
            locals: Slab::new(),
            local_keys: IntMap::default(),
            consumers: IntMap::default(),
            wheel: Wheel::new(now_ns),
            cache: Cache::new(),
            dirty: VecDeque::new(),
            unsettled: Vec::new(),
            settled: Vec::new(),
            stopped: false,
            random,
        }
    }

    // -- what topics send ------------------------------------------------------------------------------------------

    pub(crate) fn open(&mut self, now: Now, opening: ChannelOpening) {
        let ChannelOpening { topic, topic_name, topic_core, memory_only, channel, name, head, restored } =
            opening;
        let key = ChannelKey { topic, channel };
        let locals = &mut self.locals;
        let local = *self
            .local_keys
            .entry(topic)
            .or_insert_with(|| locals.insert(LocalTopic::new(topic, topic_core, memory_only)));
        let ephemeral = is_ephemeral(&name);
        let watermark = restored.as_ref().map_or(head, |restored| restored.watermark.min(head));
        let channel = Channel {
            key,
            name,
            topic_name,
            local,
            ephemeral,
            bounded: ephemeral || memory_only,
            paused: restored.as_ref().is_some_and(|restored| restored.paused),
            deserted: false,
            cursor: watermark,
            head,
            taken: Default::default(),
            taken_count: 0,
            requeued: VecDeque::new(),
            deferred: IntMap::default(),
            in_flight: IntMap::default(),
            finished: Finished::new(watermark),
            consumers: Vec::new(),
            ready: VecDeque::new(),
            place: Place::default(),
            ahead: None,
            overflow_from: None,
            dirty: false,
            unsettled: false,
            message_count: 0,
            requeue_count: 0,
            timeout_count: 0,
        };
        let index = self.channels.insert(channel);
        self.keys.insert(key, index);
        self.locals[local].channels.push(index);
        if let Some(restored) = restored {
            self.restore(now, index, &restored.finished, restored.requeued);
        }
    }

    /// Takes over what the log knew of a channel that is otherwise one stretch from its watermark to its head.
    fn restore(&mut self, now: Now, index: u32, finished: &[(u64, u64)], requeued: Vec<RestoredMessage>) {
        let channel = &mut self.channels[index];
        let (from, head) = (channel.cursor, channel.head);
        let finished: Vec<(u64, u64)> = finished
            .iter()
            .map(|&(start, end)| (start.max(from), end.min(head)))
            .filter(|(start, end)| start < end)
            .collect();
        channel.finished = Finished::restored(from, &finished);
        for (start, end) in finished {
            for (start, end) in channel.untouched(start, end) {
                channel.take(start, end);
            }
        }
        for RestoredMessage { seq, attempts, due_at_ns } in requeued {
            // What is finished, or was named before, is not there to be taken.
            if channel.untouched(seq, seq + 1).is_empty() {
                continue;
            }
            channel.take(seq, seq + 1);
            let delay_ns = u64::try_from(due_at_ns.saturating_sub(now.wall_ns)).unwrap_or(0);
            if due_at_ns == 0 || delay_ns == 0 {
                channel.requeued.push_back(Waiting { seq, attempts });
            } else {
                let due = now.mono_ns.saturating_add(delay_ns);
                let key = self.wheel.insert(due, Timer::Deferred { channel: index, seq, attempts });
                channel.deferred.insert(seq, key);
            }
        }
    }

    pub(crate) fn close(&mut self, key: ChannelKey, out: &mut Outbox) {
        let Some(index) = self.keys.remove(&key) else { return };
        self.cancel_timers(index);
        let channel = self.channels.remove(index);
        for consumer in channel.consumers {
            self.consumers.remove(&consumer);
            out.push(Output::Close { consumer });
        }
        let local = &mut self.locals[channel.local];
        local.channels.retain(|&other| other != index);
        if !local.channels.is_empty() {
            // Perhaps only this channel still wanted some of what is in memory.
            return self.mark_settled(channel.local);
        }
        self.local_keys.remove(&key.topic);
        self.cache.drop_below(local, u64::MAX);
        let local = self.locals.remove(channel.local);
        for retry in local.fetching.into_iter().filter_map(|fetch| fetch.retry) {
            self.wheel.remove(retry);
        }
    }

    pub(crate) fn batch(&mut self, now: Now, topic: TopicKey, batch: Batch) {
        let Some(&local) = self.local_keys.get(&topic) else { return };
        // What is far off is read when its time has come.
        if batch.defer_ms <= RESIDENT_DEFER_MS_MAX || self.locals[local].memory_only {
            self.cache.insert(&mut self.locals, local, &batch);
        }
        let end = batch.end_seq();
        for place in 0..self.locals[local].channels.len() {
            let index = self.locals[local].channels[place];
            let channel = &mut self.channels[index];
            assert_eq!(channel.head, batch.first_seq, "a topic's messages come without gaps");
            let due = (batch.defer_ms > 0).then_some(batch.defer_ms);
            self.extend(now, index, end, due.map(|defer_ms| (batch.first_seq, defer_ms)));
        }
    }

    pub(crate) fn visible(&mut self, now: Now, topic: TopicKey, upto: u64, deferred: &[(u64, u32)]) {
        let Some(&local) = self.local_keys.get(&topic) else { return };
        for place in 0..self.locals[local].channels.len() {
            let index = self.locals[local].channels[place];
            self.extend(now, index, upto, deferred.iter().copied());
        }
    }

    /// Messages up to `upto` come into the channel, some of them with a delay that begins now.
    fn extend(&mut self, now: Now, index: u32, upto: u64, deferred: impl IntoIterator<Item = (u64, u32)>) {
        let channel = &mut self.channels[index];
        assert!(channel.head <= upto);
        if channel.bounded && channel.overflow_from.is_none() {
            channel.overflow_from = Some(channel.head);
        }
        channel.message_count += upto - channel.head;
        channel.head = upto;
        for (seq, defer_ms) in deferred {
            channel.take(seq, seq + 1);
            let due = now.mono_ns.saturating_add(u64::from(defer_ms) * NS_PER_MS);
            let key = self.wheel.insert(due, Timer::Deferred { channel: index, seq, attempts: 0 });
            channel.deferred.insert(seq, key);
        }
        self.mark_dirty(index);
    }

    pub(crate) fn skip(&mut self, topic: TopicKey, upto: u64) {
        let Some(&local) = self.local_keys.get(&topic) else { return };
        for place in 0..self.locals[local].channels.len() {
            let index = self.locals[local].channels[place];
            let channel = &mut self.channels[index];
            let from = channel.head;
            if from < upto {
                channel.head = upto;
                channel.discard(from, upto);
                self.mark_unsettled(index);
            }
        }
    }

    pub(crate) fn pause(&mut self, key: ChannelKey, paused: bool, out: &mut Outbox) {
        let Some(&index) = self.keys.get(&key) else { return };
        let channel = &mut self.channels[index];
        if channel.paused != paused {
            channel.paused = paused;
            self.record(index, QueueRecord::ChannelPaused { channel: key.channel, paused }, out);
        }
        self.mark_dirty(index);
    }

    pub(crate) fn empty(&mut self, key: ChannelKey, out: &mut Outbox) {
        let Some(&index) = self.keys.get(&key) else { return };
        self.cancel_timers(index);
        let channel = &mut self.channels[index];
        channel.cursor = channel.head;
        channel.taken.clear();
        channel.taken_count = 0;
        channel.requeued.clear();
        channel.deferred.clear();
        channel.in_flight.clear();
        channel.finished.reset(channel.head);
        channel.ahead = None;
        let up_to = channel.head;
        for place in 0..self.channels[index].consumers.len() {
            let consumer = self.channels[index].consumers[place];
            if let Some(consumer) = self.consumers.get_mut(&consumer) {
                consumer.in_flight = 0;
            }
            self.refresh(consumer);
        }
        self.record(index, QueueRecord::ChannelEmptied { channel: key.channel, up_to }, out);
        // Settling lets go of batches that nobody wants any more.
        self.mark_unsettled(index);
    }

    // -- small things ----------------------------------------------------------------------------------------------

    fn record(&self, index: u32, record: QueueRecord, out: &mut Outbox) {
        let local = &self.locals[self.channels[index].local];
        if !local.memory_only {
            out.send(local.core, PeerMessage::Record { topic: local.key, record });
        }
    }

    /// A consumer may have got room for messages: then it stands in line.
    fn refresh(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.get_mut(&id) else { return };
        if consumer.room() == 0 {
            return;
        }
        let index = consumer.channel;
        if !consumer.queued {
            consumer.queued = true;
            self.channels[index].ready.push_back(id);
        }
        self.mark_dirty(index);
    }

    fn mark_dirty(&mut self, index: u32) {
        let channel = &mut self.channels[index];
        if !channel.dirty {
            channel.dirty = true;
            self.dirty.push_back(index);
        }
    }

    fn mark_topic_dirty(&mut self, local: u32) {
        // Whoever is pumped first gets the free reads; let that be another one each time.
        self.locals[local].channels.rotate_left(1);
        for place in 0..self.locals[local].channels.len() {
            self.mark_dirty(self.locals[local].channels[place]);
        }
    }

    fn mark_unsettled(&mut self, index: u32) {
        let channel = &mut self.channels[index];
        if !channel.unsettled {
            channel.unsettled = true;
            self.unsettled.push(index);
        }
    }

    fn mark_settled(&mut self, local: u32) {
        if !std::mem::replace(&mut self.locals[local].settled, true) {
            self.settled.push(local);
        }
    }

    /// Takes the channel's timers out of the wheel; its tables still name them.
    fn cancel_timers(&mut self, index: u32) {
        let channel = &self.channels[index];
        for &key in channel.deferred.values().chain(channel.in_flight.values()) {
            self.wheel.remove(key);
        }
    }
}
