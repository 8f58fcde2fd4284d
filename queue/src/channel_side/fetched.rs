//! What the log read for channels that had run ahead of the cache, and what it could not read.

use super::ChannelSide;
use crate::batch::Batch;
use crate::config::FETCH_RETRY_NS;
use crate::ids::TopicKey;
use crate::input::Now;
use crate::timer::Timer;

impl ChannelSide {
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
            // What is still in memory is not lost, whatever became of it on disk.
            let mut at = from;
            while let Some((from, to)) = self.locals[index].next_gap(at, to) {
                at = to;
                for place in 0..self.locals[index].channels.len() {
                    let channel = self.locals[index].channels[place];
                    self.lose(channel, from, to);
                }
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
}
