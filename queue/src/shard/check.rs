//! Every invariant of a shard, for tests: what `check` accepts, the rest of the code may rely on.

use super::Shard;
use crate::channel::Channel;
use crate::hash::IntMap;
use crate::ids::ConsumerId;
use crate::timer::Timer;

impl Shard {
    /// Walks everything and panics at the first thing that is not as it must be. Slow; for tests.
    pub fn check(&self) {
        self.topics.check();
        self.channels.wheel.check();
        self.channels.cache.check(&self.channels.locals);
        assert_eq!(self.channels.keys.len(), self.channels.channels.len());
        assert_eq!(self.channels.local_keys.len(), self.channels.locals.len());
        let mut in_flight: IntMap<ConsumerId, u64> = IntMap::default();
        for (index, channel) in self.channels.channels.iter() {
            assert_eq!(self.channels.keys[&channel.key], index);
            let local = &self.channels.locals[channel.local];
            assert_eq!(local.key, channel.key.topic);
            assert!(local.channels.contains(&index));
            self.check_channel(index, channel, &mut in_flight);
            self.check_consumers(index, channel);
        }
        for consumer in self.channels.consumers.values() {
            assert!(self.channels.channels[consumer.channel].consumers.contains(&consumer.id));
            assert_eq!(consumer.in_flight, in_flight.get(&consumer.id).copied().unwrap_or(0));
        }
    }

    /// Each message of the channel is in exactly one place.
    fn check_channel(&self, index: u32, channel: &Channel, in_flight: &mut IntMap<ConsumerId, u64>) {
        let (watermark, cursor, head) = (channel.finished.watermark(), channel.cursor, channel.head);
        assert!(watermark <= cursor);
        assert!(cursor <= head);
        let taken: u64 = channel.taken.iter().map(|range| range.end - range.start).sum();
        assert_eq!(taken, channel.taken_count);
        assert!(channel.taken.iter().all(|range| cursor < range.start && range.end <= head));

        let mut places: Vec<u64> = Vec::new();
        for (&id, &key) in &channel.in_flight {
            let Some(Timer::InFlight(message)) = self.channels.wheel.get(key) else {
                panic!("no timer for {id}")
            };
            assert_eq!((message.channel, message.id), (index, id));
            assert!(message.attempts > 0);
            *in_flight.entry(message.consumer).or_default() += 1;
            places.push(message.seq);
        }
        for (&seq, &key) in &channel.deferred {
            let Some(Timer::Deferred { channel, seq: timed, .. }) = self.channels.wheel.get(key) else {
                panic!("no timer for {seq}");
            };
            assert_eq!((*channel, *timed), (index, seq));
            places.push(seq);
        }
        places.extend(channel.requeued.iter().map(|waiting| waiting.seq));
        let exceptions = places.len();
        for seq in watermark..head {
            let waits = seq >= cursor && !channel.taken.contains(&seq);
            if channel.finished.contains(seq) {
                assert!(!waits, "{seq} is finished and waits");
                places.push(seq);
            } else if waits {
                places.push(seq);
            }
        }
        places.sort_unstable();
        assert_eq!(places, (watermark..head).collect::<Vec<u64>>(), "{exceptions} exceptions");
    }

    fn check_consumers(&self, index: u32, channel: &Channel) {
        for id in &channel.consumers {
            let consumer = &self.channels.consumers[id];
            assert_eq!(consumer.channel, index);
            let queued = channel.ready.iter().filter(|other| *other == id).count();
            assert_eq!(queued, usize::from(consumer.queued));
            assert!(consumer.queued || consumer.room() == 0);
        }
        assert!(channel.ready.len() <= channel.consumers.len());
        assert!(!channel.dirty || self.channels.dirty.contains(&index));
        assert!(!channel.unsettled || self.channels.unsettled.contains(&index));
    }
}
