//! What time brings, and what is done once per turn: deliveries, overflow, records, memory.

use super::ChannelSide;
use crate::channel::Waiting;
use crate::input::Now;
use crate::outbox::Outbox;
use crate::pump::Pump;
use crate::record::QueueRecord;
use crate::timer::{InFlight, Timer};

impl ChannelSide {
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

    /// Delivers, drops what overflows, and hands what is finished to the topics. Returns the bytes dealt.
    pub(crate) fn end_turn(&mut self, now: Now, bytes_max: u64, out: &mut Outbox) -> u64 {
        let mut dealt = 0;
        while !self.stopped && dealt < bytes_max {
            let Some(index) = self.dirty.pop_front() else { break };
            if self.channels.get(index).is_some_and(|channel| channel.dirty) {
                dealt += self.pump(index, now, bytes_max - dealt, out);
            }
        }
        while let Some(index) = self.unsettled.pop() {
            if self.channels.get(index).is_some_and(|channel| channel.unsettled) {
                self.settle(index, out);
            }
        }
        self.let_go();
        self.cache.evict(&mut self.locals, self.config.cache_bytes_max);
        self.cache.copy_out(&mut self.locals, now.mono_ns);
        dealt
    }

    /// Whether channels are to be pumped that the last turn did not get to.
    pub(crate) fn has_more_to_deal(&self) -> bool {
        !self.stopped && !self.dirty.is_empty()
    }

    /// Returns the bytes dealt.
    fn pump(&mut self, index: u32, now: Now, bytes_max: u64, out: &mut Outbox) -> u64 {
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
            bytes_max,
            dealt: 0,
        };
        let enough = pump.run();
        let dealt = pump.dealt;
        if enough {
            self.mark_dirty(index); // Behind those that had nothing in this turn.
        }
        let channel = &mut self.channels[index];
        channel.drop_overflow(self.config.mem_queue_size);
        if channel.finished.recent_len() > 0 {
            self.mark_unsettled(index);
        }
        dealt
    }

    /// Tells the topic what was finished.
    pub(super) fn settle(&mut self, index: u32, out: &mut Outbox) {
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
}
