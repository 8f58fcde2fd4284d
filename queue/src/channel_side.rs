//! The channels at home on this core: what their topics send, what their consumers say, what time brings.

use crate::batch::Batch;
use crate::channel::{Channel, Place, Waiting};
use crate::config::{Config, FETCH_RETRY_NS, FINISHED_RANGES_MAX};
use crate::consumer::Consumer;
use crate::finished::Finished;
use crate::hash::IntMap;
use crate::ids::{ChannelKey, ConsumerId, RawMessageId, TopicKey, parse_message_id};
use crate::input::{Now, RestoredMessage};
use crate::outbox::Outbox;
use crate::output::{Cause, Command, Output, QueueRecord, SubscribeError};
use crate::peer::{ChannelOpening, PeerMessage};
use crate::pump::{Pump, Random};
use crate::resident::{Cache, LocalTopic};
use crate::slab::Slab;
use crate::time::{TimerKey, Wheel};
use std::collections::VecDeque;

pub(crate) struct ChannelSide {
    config: Config,
    pub(crate) channels: Slab<Channel>,
    pub(crate) keys: IntMap<ChannelKey, u32>,
    pub(crate) locals: Slab<LocalTopic>,
    pub(crate) local_keys: IntMap<TopicKey, u32>,
    pub(crate) consumers: IntMap<ConsumerId, Consumer>,
    pub(crate) wheel: Wheel<Timer>,
    pub(crate) cache: Cache,
    /// Channels to be pumped at the end of the turn: those, and only those, whose `dirty` is set. One that was deleted
    /// may still be named.
    pub(crate) dirty: Vec<u32>,
    /// Channels whose finished messages are to be settled then: those whose `unsettled` is set.
    pub(crate) unsettled: Vec<u32>,
    /// Topics whose channels have settled since batches were last let go.
    settled: Vec<u32>,
    /// The broker stops: nothing is delivered any more.
    stopped: bool,
    random: Random,
}

/// What waits for a moment.
pub(crate) enum Timer {
    InFlight(InFlight),
    Deferred { channel: u32, seq: u64, attempts: u16 },
    FetchAgain { local: u32, seq: u64 },
}

/// A message that a consumer has and has not answered for.
pub(crate) struct InFlight {
    pub(crate) channel: u32,
    pub(crate) consumer: ConsumerId,
    pub(crate) id: u64,
    pub(crate) seq: u64,
    pub(crate) attempts: u16,
    pub(crate) delivered_at_ns: u64,
    pub(crate) published_at_ns: i64,
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
            dirty: Vec::new(),
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
        let ephemeral = name.ends_with("#ephemeral");
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
        self.cache.insert(&mut self.locals, local, &batch);
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

    // -- what consumers say ----------------------------------------------------------------------------------------

    pub(crate) fn subscribe(
        &mut self,
        key: ChannelKey,
        id: ConsumerId,
        message_timeout_ns: u64,
        sample_rate: u8,
    ) -> Result<(), SubscribeError> {
        let index = *self.keys.get(&key).ok_or(SubscribeError::NoSuchChannel)?;
        let channel = &mut self.channels[index];
        if channel.deserted {
            return Err(SubscribeError::NoSuchChannel);
        }
        let limit = self.config.channel_consumers_max;
        if limit > 0 && channel.consumers.len() >= limit {
            return Err(SubscribeError::TooManyConsumers);
        }
        let before = self.consumers.insert(id, Consumer::new(id, index, message_timeout_ns, sample_rate));
        assert!(before.is_none(), "a consumer's id is used once");
        channel.consumers.push(id);
        Ok(())
    }

    pub(crate) fn credit(&mut self, id: ConsumerId, credit: u32) {
        if let Some(consumer) = self.consumers.get_mut(&id).filter(|consumer| !consumer.closing) {
            consumer.credit = credit;
            self.refresh(id);
        }
    }

    pub(crate) fn writable(&mut self, id: ConsumerId, writable: bool) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.writable = writable;
            self.refresh(id);
        }
    }

    pub(crate) fn closing(&mut self, id: ConsumerId) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.closing = true;
            consumer.credit = 0;
        }
    }

    pub(crate) fn leave(&mut self, id: ConsumerId, out: &mut Outbox) {
        let Some(consumer) = self.consumers.remove(&id) else { return };
        let channel = &mut self.channels[consumer.channel];
        channel.consumers.retain(|&other| other != id);
        if consumer.queued {
            channel.ready.retain(|&other| other != id);
        }
        if channel.ephemeral && channel.consumers.is_empty() && !channel.deserted {
            channel.deserted = true;
            out.send(self.locals[channel.local].core, PeerMessage::Deserted(channel.key));
        }
    }

    pub(crate) fn finish(&mut self, now: Now, id: ConsumerId, raw: &RawMessageId, out: &mut Outbox) {
        let message = match self.take_in_flight(id, raw) {
            Ok(message) => message,
            Err(cause) => return fail(id, Command::Finish, raw, cause, out),
        };
        let channel = &mut self.channels[message.channel];
        channel.finished.add(message.seq);
        if self.config.latency {
            let latency_ns = u64::try_from(now.wall_ns.saturating_sub(message.published_at_ns)).unwrap_or(0);
            out.push(Output::Latency { channel: channel.key, latency_ns });
        }
        if channel.finished.recent_len() >= FINISHED_RANGES_MAX {
            self.settle(message.channel, out);
        } else {
            self.mark_unsettled(message.channel);
        }
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.finish_count += 1;
        }
        self.refresh(id);
    }

    pub(crate) fn requeue(
        &mut self,
        now: Now,
        id: ConsumerId,
        raw: &RawMessageId,
        delay_ns: u64,
        out: &mut Outbox,
    ) {
        let InFlight { channel: index, seq, attempts, .. } = match self.take_in_flight(id, raw) {
            Ok(message) => message,
            Err(cause) => return fail(id, Command::Requeue, raw, cause, out),
        };
        let channel = &mut self.channels[index];
        channel.requeue_count += 1;
        let mut due_at_ns = 0;
        if delay_ns == 0 {
            channel.requeued.push_back(Waiting { seq, attempts });
            self.mark_dirty(index);
        } else {
            due_at_ns = now.wall_ns.saturating_add(i64::try_from(delay_ns).unwrap_or(i64::MAX));
            let due = now.mono_ns.saturating_add(delay_ns);
            let key = self.wheel.insert(due, Timer::Deferred { channel: index, seq, attempts });
            channel.deferred.insert(seq, key);
        }
        let channel = self.channels[index].key.channel;
        self.record(index, QueueRecord::Requeue { channel, seq, attempts, due_at_ns }, out);
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.requeue_count += 1;
        }
        self.refresh(id);
    }

    pub(crate) fn touch(&mut self, now: Now, id: ConsumerId, raw: &RawMessageId, out: &mut Outbox) {
        let (key, timeout_ns) = match self.find_in_flight(id, raw) {
            Ok(found) => found,
            Err(cause) => return fail(id, Command::Touch, raw, cause, out),
        };
        let Timer::InFlight(message) = self.wheel.payload(key) else { return };
        let latest = message.delivered_at_ns.saturating_add(self.config.message_timeout_max_ns);
        self.wheel.postpone(key, now.mono_ns.saturating_add(timeout_ns).min(latest));
    }

    /// The timer of a message that is in flight with this consumer, and how long the consumer may take over it.
    fn find_in_flight(&self, id: ConsumerId, raw: &RawMessageId) -> Result<(TimerKey, u64), Cause> {
        let consumer = self.consumers.get(&id).ok_or(Cause::NotInFlight)?;
        let message_id = parse_message_id(raw).ok_or(Cause::NotInFlight)?;
        let channel = &self.channels[consumer.channel];
        let key = *channel.in_flight.get(&message_id).ok_or(Cause::NotInFlight)?;
        match self.wheel.payload(key) {
            Timer::InFlight(message) if message.consumer == id => Ok((key, consumer.message_timeout_ns)),
            _ => Err(Cause::NotOwner),
        }
    }

    /// Takes a message out of flight for its owner.
    fn take_in_flight(&mut self, id: ConsumerId, raw: &RawMessageId) -> Result<InFlight, Cause> {
        let consumer = self.consumers.get_mut(&id).ok_or(Cause::NotInFlight)?;
        let message_id = parse_message_id(raw).ok_or(Cause::NotInFlight)?;
        let in_flight = &mut self.channels[consumer.channel].in_flight;
        let hashbrown::hash_map::EntryRef::Occupied(entry) = in_flight.entry_ref(&message_id) else {
            return Err(Cause::NotInFlight);
        };
        let key = *entry.get();
        if !matches!(self.wheel.payload(key), Timer::InFlight(message) if message.consumer == id) {
            return Err(Cause::NotOwner);
        }
        entry.remove();
        consumer.in_flight -= 1;
        match self.wheel.remove(key) {
            Timer::InFlight(message) => Ok(message),
            _ => unreachable!("invariant: looked at above"),
        }
    }

    // -- what was fetched ------------------------------------------------------------------------------------------

    pub(crate) fn loaded(
        &mut self,
        now: Now,
        topic: TopicKey,
        seq: u64,
        batches: Vec<Batch>,
        mut lost: Vec<(u64, u64)>,
    ) {
        let Some(&index) = self.local_keys.get(&topic) else { return };
        let mut answered = false;
        for batch in batches {
            let (first, end) = (batch.first_seq, batch.first_seq + u64::from(batch.count.max(1)));
            answered |= (first..end).contains(&seq);
            if batch.is_well_formed() {
                self.cache.insert(&mut self.locals, index, &batch);
                self.plan_ahead(index, first, end);
            } else {
                lost.push((first, end));
            }
        }
        for (from, to) in lost {
            answered |= (from..to).contains(&seq);
            for place in 0..self.locals[index].channels.len() {
                let channel = self.locals[index].channels[place];
                self.lose(channel, from, to);
            }
        }
        let fetching = &mut self.locals[index].fetching;
        match fetching.iter_mut().find(|fetch| fetch.seq == seq && fetch.retry.is_none()) {
            Some(fetch) if !answered => {
                let due = now.mono_ns.saturating_add(FETCH_RETRY_NS);
                fetch.retry = Some(self.wheel.insert(due, Timer::FetchAgain { local: index, seq }));
            }
            _ => fetching.retain(|fetch| fetch.seq != seq || fetch.retry.is_some()),
        }
        self.mark_topic_dirty(index);
    }

    /// Channels that are about to read `[from, to)` shall ask for what comes behind it when they are halfway through.
    fn plan_ahead(&mut self, local: u32, from: u64, to: u64) {
        for &index in &self.locals[local].channels {
            let channel = &mut self.channels[index];
            let reads = (from..to).contains(&channel.cursor);
            let follows = channel.cursor < from && channel.ahead.is_some_and(|(_, behind)| behind == from);
            if reads || follows {
                let start = channel.cursor.max(from);
                channel.ahead = Some((start + (to - start) / 2, to));
            }
        }
    }

    /// These messages can never be delivered: for the channel they are finished, but for those with a consumer.
    fn lose(&mut self, index: u32, from: u64, to: u64) {
        let channel = &mut self.channels[index];
        channel.discard(from, to);
        let finished = &mut channel.finished;
        channel.requeued.retain(|waiting| {
            let lost = (from..to).contains(&waiting.seq);
            if lost {
                finished.add(waiting.seq);
            }
            !lost
        });
        let wheel = &mut self.wheel;
        channel.deferred.retain(|&seq, &mut key| {
            let lost = (from..to).contains(&seq);
            if lost {
                wheel.remove(key);
                finished.add(seq);
            }
            !lost
        });
        self.mark_unsettled(index);
    }

    // -- what time brings ------------------------------------------------------------------------------------------

    pub(crate) fn expire(&mut self, now: Now) {
        while let Some(timer) = self.wheel.expire(now.mono_ns) {
            match timer {
                Timer::InFlight(message) => self.time_out(message),
                Timer::Deferred { channel: index, seq, attempts } => {
                    let channel = &mut self.channels[index];
                    channel.deferred.remove(&seq);
                    channel.requeued.push_back(Waiting { seq, attempts });
                    self.mark_dirty(index);
                }
                Timer::FetchAgain { local, seq } => {
                    self.locals[local].fetching.retain(|fetch| fetch.seq != seq);
                    self.mark_topic_dirty(local);
                }
            }
        }
    }

    fn time_out(&mut self, message: InFlight) {
        let InFlight { channel: index, consumer, id, seq, attempts, .. } = message;
        let channel = &mut self.channels[index];
        channel.in_flight.remove(&id);
        channel.timeout_count += 1;
        channel.requeued.push_back(Waiting { seq, attempts });
        if let Some(owner) = self.consumers.get_mut(&consumer) {
            owner.in_flight -= 1;
            self.refresh(consumer);
        }
        self.mark_dirty(index);
    }

    // -- the end of a turn -----------------------------------------------------------------------------------------

    /// Delivers, drops what overflows, and hands what is finished to the topics.
    pub(crate) fn end_turn(&mut self, now: Now, out: &mut Outbox) {
        while !self.stopped {
            let Some(index) = self.dirty.pop() else { break };
            if self.channels.get(index).is_some_and(|channel| channel.dirty) {
                self.pump(index, now, out);
            }
        }
        while let Some(index) = self.unsettled.pop() {
            if self.channels.get(index).is_some_and(|channel| channel.unsettled) {
                self.settle(index, out);
            }
        }
        self.let_go();
        self.cache.evict(&mut self.locals, self.config.cache_bytes_max);
    }

    fn pump(&mut self, index: u32, now: Now, out: &mut Outbox) {
        let channel = &mut self.channels[index];
        channel.dirty = false;
        let mut pump = Pump {
            index,
            local: &mut self.locals[channel.local],
            channel,
            consumers: &mut self.consumers,
            wheel: &mut self.wheel,
            random: &mut self.random,
            out,
            now_ns: now.mono_ns,
            may_read_ahead: self.cache.bytes() < self.config.cache_bytes_max,
        };
        pump.run();
        let channel = &mut self.channels[index];
        channel.drop_overflow(self.config.mem_queue_size);
        if channel.finished.recent_len() > 0 {
            self.mark_unsettled(index);
        }
    }

    /// Tells the topic what was finished.
    fn settle(&mut self, index: u32, out: &mut Outbox) {
        let channel = &mut self.channels[index];
        channel.unsettled = false;
        let ranges = channel.finished.settle();
        let (id, local) = (channel.key.channel, channel.local);
        if !ranges.is_empty() {
            self.record(index, QueueRecord::Finish { channel: id, ranges }, out);
        }
        self.mark_settled(local);
    }

    /// Lets go of batches that no channel here wants any more.
    fn let_go(&mut self) {
        while let Some(index) = self.settled.pop() {
            let Some(local) = self.locals.get_mut(index).filter(|local| local.settled) else { continue };
            local.settled = false;
            let watermarks = local.channels.iter().map(|&index| self.channels[index].finished.watermark());
            let watermark = watermarks.min().unwrap_or(0);
            self.cache.drop_below(local, watermark);
        }
    }

    /// Tells the log how often everything has been delivered that has not been finished, and delivers no more.
    pub(crate) fn stop(&mut self, out: &mut Outbox) {
        self.stopped = true;
        let indexes: Vec<u32> = self.channels.iter().map(|(index, _)| index).collect();
        for index in indexes {
            let channel = &self.channels[index];
            let mut waiting: Vec<Waiting> =
                channel.requeued.iter().filter(|waiting| waiting.attempts > 0).copied().collect();
            waiting.extend(channel.in_flight.values().filter_map(|&key| match self.wheel.payload(key) {
                Timer::InFlight(message) => Some(Waiting { seq: message.seq, attempts: message.attempts }),
                _ => None,
            }));
            waiting.sort_unstable_by_key(|waiting| waiting.seq);
            let channel = channel.key.channel;
            for Waiting { seq, attempts } in waiting {
                self.record(index, QueueRecord::Requeue { channel, seq, attempts, due_at_ns: 0 }, out);
            }
        }
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
            self.dirty.push(index);
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

fn fail(consumer: ConsumerId, command: Command, raw: &RawMessageId, cause: Cause, out: &mut Outbox) {
    out.push(Output::Failed { consumer, command, id: *raw, cause });
}
