//! Delivery: messages that are ready go to consumers that are.
//!
//! Ready consumers take turns. Each turn brings a consumer its share of what is there, as consecutive messages, so that a
//! backlog goes out in large slices and a trickle goes round. A share ends at the consumer's credit, at its part of what is
//! there, or with the message that uses up its room in bytes, whichever comes first.

use crate::channel::{Channel, Place, Waiting};
use crate::config::FETCHES_MAX;
use crate::consumer::Consumer;
use crate::hash::IntMap;
use crate::ids::ConsumerId;
use crate::outbox::Outbox;
use crate::output::Output;
use crate::peer::PeerMessage;
use crate::random::Random;
use crate::resident::{Fetching, LocalTopic};
use crate::time::Wheel;
use crate::timer::{InFlight, Timer};

/// One channel and all that its delivery touches.
pub(crate) struct Pump<'a> {
    pub(crate) index: u32,
    pub(crate) channel: &'a mut Channel,
    pub(crate) local: &'a mut LocalTopic,
    pub(crate) consumers: &'a mut IntMap<ConsumerId, Consumer>,
    pub(crate) wheel: &'a mut Wheel<Timer>,
    pub(crate) random: &'a mut Random,
    pub(crate) out: &'a mut Outbox,
    pub(crate) now_ns: u64,
    /// The cache has room for what would be read ahead.
    pub(crate) may_read_ahead: bool,
    /// Bytes that may be dealt in one go, to whomever. The message that uses them up is dealt.
    pub(crate) bytes_max: u64,
    /// Bytes dealt so far.
    pub(crate) dealt: u64,
}

impl Pump<'_> {
    /// Delivers until nothing is ready, nobody is ready, what is ready must be fetched first, or the turn has dealt
    /// enough. True if it stopped for the last of these.
    pub(crate) fn run(&mut self) -> bool {
        let mut enough = false;
        // Consumers that have not had their turn in this round.
        let mut round = 0;
        while !self.channel.paused {
            let depth = self.channel.depth();
            if depth == 0 || self.channel.ready.is_empty() {
                break;
            }
            if self.dealt >= self.bytes_max {
                enough = true;
                break;
            }
            if round == 0 {
                round = self.channel.ready.len() as u64;
            }
            let Some(id) = self.channel.ready.pop_front() else { break };
            let share = (depth / round).max(1);
            round -= 1;
            let Some(consumer) = self.consumers.get_mut(&id) else { continue };
            let room = consumer.room();
            if room == 0 {
                consumer.queued = false;
                continue;
            }
            let mut deal = Deal {
                consumer: id,
                sample_rate: consumer.sample_rate,
                left: share.min(room),
                bytes: 0,
                bytes_max: consumer.room_bytes.min(self.bytes_max - self.dealt),
            };
            let deadline_ns = self.now_ns.saturating_add(consumer.message_timeout_ns);
            let delivered = self.deal(&mut deal, deadline_ns);
            self.dealt += deal.bytes;
            let stuck = delivered == 0 && self.channel.depth() == depth;
            let consumer = self.consumers.get_mut(&id).expect("invariant: nobody left meanwhile");
            consumer.in_flight += delivered;
            consumer.room_bytes = consumer.room_bytes.saturating_sub(deal.bytes);
            consumer.message_count += delivered;
            match consumer.room() {
                0 => consumer.queued = false,
                _ if stuck => self.channel.ready.push_front(id),
                _ => self.channel.ready.push_back(id),
            }
            if stuck {
                break;
            }
        }
        self.read_ahead();
        enough
    }

    /// Gives one consumer its share. Returns how many messages it got.
    fn deal(&mut self, deal: &mut Deal, deadline_ns: u64) -> u64 {
        let share = deal.left;
        self.deal_requeued(deal, deadline_ns);
        self.deal_first(deal, deadline_ns);
        share - deal.left
    }

    fn deal_requeued(&mut self, deal: &mut Deal, deadline_ns: u64) {
        while deal.goes_on() {
            let Some(&Waiting { seq, attempts }) = self.channel.requeued.front() else { return };
            let Some(place) = self.local.find(seq) else {
                if self.local.memory_only {
                    // Memory-only batches stay until they are finished; without its bytes a message cannot be.
                    self.channel.requeued.pop_front();
                    self.channel.finished.add(seq);
                    continue;
                }
                return self.fetch(seq);
            };
            self.channel.requeued.pop_front();
            if self.random.drops(deal.sample_rate) {
                self.channel.finished.add(seq);
                continue;
            }
            let offset = self.local.offset_of(place, seq);
            let batch = self.local.batch(place);
            let message = batch.payload.slice(offset..batch.end_of(offset));
            let (id, published_at_ns) = (batch.id_of(seq), batch.published_at_ns(offset));
            deal.took(message.len());
            let attempts = attempts.saturating_add(1);
            let consumer = deal.consumer;
            self.put_in_flight(
                InFlight {
                    channel: self.index,
                    consumer,
                    id,
                    seq,
                    attempts,
                    delivered_at_ns: self.now_ns,
                    published_at_ns,
                },
                deadline_ns,
            );
            self.out.push(match attempts {
                1 => Output::Deliver { consumer, payload: message, count: 1 },
                _ => Output::Redeliver { consumer, message, attempts },
            });
        }
    }

    fn deal_first(&mut self, deal: &mut Deal, deadline_ns: u64) {
        while deal.goes_on() {
            let cursor = self.channel.cursor;
            if cursor == self.channel.head {
                return;
            }
            match self.local.find(cursor) {
                Some(place) => self.deal_batch(deal, place, deadline_ns),
                None if self.local.memory_only => self.channel.discard(cursor, cursor + 1),
                None => return self.fetch(cursor),
            }
        }
    }

    /// Deals from one batch, beginning at the cursor: one slice, unless sampling cuts it.
    fn deal_batch(&mut self, deal: &mut Deal, place: usize, deadline_ns: u64) {
        let mut seq = self.channel.cursor;
        let known = self.channel.place;
        let batch_first = self.local.batch(place).first_seq;
        let mut offset = match known.seq == seq && known.batch_first == batch_first {
            true => known.offset,
            false => self.local.offset_of(place, seq),
        };
        let batch = self.local.batch(place).clone();
        let end = batch.end_seq().min(self.channel.run_end());
        let (mut start, mut count) = (offset, 0_u32);
        while seq < end && deal.goes_on() {
            let next = batch.end_of(offset);
            if self.random.drops(deal.sample_rate) {
                self.channel.finished.add(seq);
                self.slice(deal.consumer, &batch.payload, start..offset, count);
                (start, count) = (next, 0);
            } else {
                self.put_in_flight(
                    InFlight {
                        channel: self.index,
                        consumer: deal.consumer,
                        id: batch.id_of(seq),
                        seq,
                        attempts: 1,
                        delivered_at_ns: self.now_ns,
                        published_at_ns: batch.published_at_ns(offset),
                    },
                    deadline_ns,
                );
                deal.took(next - offset);
                count += 1;
            }
            seq += 1;
            offset = next;
        }
        self.slice(deal.consumer, &batch.payload, start..offset, count);
        self.channel.cursor = seq;
        self.channel.place = Place { batch_first, seq, offset };
        self.channel.step_over_taken();
    }

    fn slice(
        &mut self,
        consumer: ConsumerId,
        payload: &bytes::Bytes,
        range: std::ops::Range<usize>,
        count: u32,
    ) {
        if count > 0 {
            self.out.push(Output::Deliver { consumer, payload: payload.slice(range), count });
        }
    }

    fn put_in_flight(&mut self, message: InFlight, deadline_ns: u64) {
        let id = message.id;
        let key = self.wheel.insert(deadline_ns, Timer::InFlight(message));
        let before = self.channel.in_flight.insert(id, key);
        debug_assert!(before.is_none(), "a message is in flight once");
    }

    /// Asks for a message that is not in memory, unless that was done already.
    fn fetch(&mut self, seq: u64) {
        let fetching = &mut self.local.fetching;
        if fetching.len() < FETCHES_MAX && !fetching.iter().any(|fetch| fetch.seq == seq) {
            fetching.push(Fetching { seq, retry: None });
            self.out.send(self.local.core, PeerMessage::Fetch { topic: self.local.key, seq });
        }
    }

    /// Half of what was fetched is gone: time to ask for what comes behind it.
    fn read_ahead(&mut self) {
        let Some((_, from)) = self.channel.ahead.filter(|&(at, _)| at <= self.channel.cursor) else { return };
        self.channel.ahead = None;
        if self.may_read_ahead && from < self.channel.head && self.local.find(from).is_none() {
            self.fetch(from);
        }
    }
}

/// What one consumer may get now.
struct Deal {
    consumer: ConsumerId,
    sample_rate: u8,
    /// Messages.
    left: u64,
    /// Dealt so far.
    bytes: u64,
    /// With the message that reaches this it has enough.
    bytes_max: u64,
}

impl Deal {
    fn goes_on(&self) -> bool {
        self.left > 0 && self.bytes < self.bytes_max
    }

    fn took(&mut self, bytes: usize) {
        self.left -= 1;
        self.bytes += bytes as u64;
    }
}
