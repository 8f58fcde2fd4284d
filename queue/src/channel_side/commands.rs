//! What consumers say: subscriptions, credit, FIN, REQ and TOUCH.

use super::ChannelSide;
use crate::channel::Waiting;
use crate::config::FINISHED_RANGES_MAX;
use crate::consumer::Consumer;
use crate::ids::{ChannelKey, ConsumerId, RawMessageId, parse_message_id};
use crate::input::Now;
use crate::outbox::Outbox;
use crate::output::{Cause, Output, SubscribeError};
use crate::peer::PeerMessage;
use crate::record::QueueRecord;
use crate::time::TimerKey;
use crate::timer::{InFlight, Timer};

impl ChannelSide {
    pub(crate) fn subscribe(
        &mut self,
        key: ChannelKey,
        id: ConsumerId,
        message_timeout_ns: u64,
        sample_rate: u8,
        room_bytes: u64,
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
        let consumer = Consumer::new(id, index, message_timeout_ns, sample_rate, room_bytes);
        let before = self.consumers.insert(id, consumer);
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

    pub(crate) fn writable(&mut self, id: ConsumerId, room_bytes: u64) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.room_bytes = room_bytes;
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

    pub(crate) fn finish(
        &mut self,
        now: Now,
        id: ConsumerId,
        raw: &RawMessageId,
        out: &mut Outbox,
    ) -> Result<(), Cause> {
        let message = self.take_in_flight(id, raw)?;
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
        Ok(())
    }

    pub(crate) fn requeue(
        &mut self,
        now: Now,
        id: ConsumerId,
        raw: &RawMessageId,
        delay_ns: u64,
        out: &mut Outbox,
    ) -> Result<(), Cause> {
        let InFlight { channel: index, seq, attempts, .. } = self.take_in_flight(id, raw)?;
        let attempts = if planted!(AttemptsForgotten) { 0 } else { attempts };
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
        Ok(())
    }

    pub(crate) fn touch(&mut self, now: Now, id: ConsumerId, raw: &RawMessageId) -> Result<(), Cause> {
        let (key, timeout_ns) = self.find_in_flight(id, raw)?;
        let Timer::InFlight(message) = self.wheel.payload(key) else { return Ok(()) };
        let latest = message.delivered_at_ns.saturating_add(self.config.message_timeout_max_ns);
        self.wheel.postpone(key, now.mono_ns.saturating_add(timeout_ns).min(latest));
        Ok(())
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
}
