//! Shards on several cores, a log that never fails unless told to, and a clock that moves when told to.
// Each test file uses its part.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use bytes::{BufMut, Bytes, BytesMut};
use nsq_queue::{
    Admin, Batch, Cause, ChannelKey, ChannelStats, Command, Config, ConsumerId, Input, Now, Output,
    PeerMessage, PublishError, QueueRecord, RestoredChannel, RestoredTopic, Shard, SubscribeError, Token,
    TopicKey, TopicStats, Waiter, format_message_id,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub const MS: u64 = 1_000_000;

/// Messages that one read of the log brings.
const RUN_COUNT: u64 = 8;

#[derive(Clone, Debug)]
pub struct Stored {
    pub id: u64,
    pub body: Vec<u8>,
    pub defer_ms: u32,
}

#[derive(Default)]
pub struct Log {
    pub core: u16,
    pub messages: Vec<Stored>,
    /// What the queue was told of.
    pub released: u64,
    /// Never to be read again.
    pub lost: Vec<(u64, u64)>,
    /// Reads fail at present.
    pub failing: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    pub consumer: ConsumerId,
    pub id: u64,
    pub attempts: u16,
    pub body: Vec<u8>,
    pub at_ns: u64,
}

#[derive(Clone, Debug)]
pub struct Fetch {
    pub topic: TopicKey,
    pub seq: u64,
    pub core: u16,
}

#[derive(Default)]
pub struct Seen {
    pub delivered: Vec<Delivery>,
    /// Outputs it took to deliver.
    pub deliver_count: usize,
    pub failed: Vec<(ConsumerId, Command, [u8; 16], Cause)>,
    pub subscribed: Vec<(ConsumerId, Result<(), SubscribeError>)>,
    pub closed: Vec<ConsumerId>,
    pub replies: Vec<(u64, u64, u64, Result<(), PublishError>)>,
    pub records: Vec<(TopicKey, QueueRecord)>,
    pub done: Vec<Token>,
    pub registrations: Vec<String>,
    pub fetches: VecDeque<Fetch>,
    pub fetch_count: usize,
    pub latencies: Vec<u64>,
}

pub struct World {
    pub now: Now,
    pub shards: Vec<Shard>,
    pub rings: BTreeMap<(u16, u16), VecDeque<PeerMessage>>,
    pub logs: BTreeMap<TopicKey, Log>,
    pub seen: Seen,
    next_id: u64,
    next_key: u64,
    next_consumer: u64,
    next_reply: u64,
}

pub fn config(core: u16) -> Config {
    Config {
        core,
        mem_queue_size: 10_000,
        cache_bytes_max: 1 << 20,
        message_timeout_max_ns: 900_000 * MS,
        channel_consumers_max: 0,
        latency: false,
        seed: 7,
    }
}

pub fn body(seq: u64) -> Vec<u8> {
    let mut body = format!("{seq}:").into_bytes();
    body.resize(body.len() + (seq * 7 % 23) as usize, b'.');
    body
}

pub fn delivery_form(into: &mut BytesMut, message: &Stored) {
    into.put_u32(30 + message.body.len() as u32);
    into.put_u32(2);
    into.put_i64(1_000);
    into.put_u16(1);
    into.put_slice(&format_message_id(message.id));
    into.put_slice(&message.body);
}

impl Log {
    /// `[from, to)` in batches as the log would give them: ids without gaps, a deferred message by itself.
    pub fn batches(&self, from: u64, to: u64) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut payloads: Vec<BytesMut> = Vec::new();
        for seq in from..to {
            let message = &self.messages[seq as usize];
            let follows = batches.last().is_some_and(|last| {
                last.defer_ms == 0
                    && message.defer_ms == 0
                    && last.first_id + u64::from(last.count) == message.id
            });
            if follows {
                batches.last_mut().unwrap().count += 1;
            } else {
                batches.push(Batch {
                    first_seq: seq,
                    first_id: message.id,
                    count: 1,
                    defer_ms: message.defer_ms,
                    payload: Bytes::new(),
                    cost_bytes: 0,
                });
                payloads.push(BytesMut::new());
            }
            delivery_form(payloads.last_mut().unwrap(), message);
        }
        for (batch, payload) in batches.iter_mut().zip(payloads) {
            batch.payload = payload.freeze();
            batch.cost_bytes = batch.payload.len() as u32;
            assert!(batch.is_well_formed());
        }
        batches
    }

    fn read(&self, seq: u64) -> (Vec<Batch>, Vec<(u64, u64)>) {
        if self.failing {
            return (Vec::new(), Vec::new());
        }
        if let Some(&lost) = self.lost.iter().find(|lost| (lost.0..lost.1).contains(&seq)) {
            return (Vec::new(), vec![lost]);
        }
        let from = seq / RUN_COUNT * RUN_COUNT;
        let to = (from + RUN_COUNT).min(self.released);
        let from = self.lost.iter().map(|lost| lost.1).filter(|&end| end <= seq).fold(from, u64::max);
        let to = self.lost.iter().map(|lost| lost.0).filter(|&start| start > seq).fold(to, u64::min);
        (self.batches(from, to), Vec::new())
    }
}

impl World {
    pub fn new(cores: u16, adjust: impl Fn(&mut Config)) -> World {
        let now = Now { mono_ns: 5_000 * MS, wall_ns: 1_000_000 * MS as i64 };
        let shards = (0..cores).map(|core| {
            let mut config = config(core);
            adjust(&mut config);
            Shard::new(config, now)
        });
        World {
            now,
            shards: shards.collect(),
            rings: BTreeMap::new(),
            logs: BTreeMap::new(),
            seen: Seen::default(),
            next_id: 0x1000,
            next_key: 1,
            next_consumer: 1,
            next_reply: 0,
        }
    }

    pub fn one() -> World {
        World::new(1, |_| {})
    }

    // -- what happens ----------------------------------------------------------------------------------------------

    pub fn input(&mut self, core: u16, input: Input) {
        self.shards[core as usize].handle(self.now, input);
        self.collect(core);
    }

    pub fn topic_on(
        &mut self,
        core: u16,
        name: &str,
        gated: bool,
        restored: Option<RestoredTopic>,
    ) -> TopicKey {
        let topic = TopicKey(self.next_key);
        self.next_key += 1;
        self.logs.insert(topic, Log { core, ..Log::default() });
        let memory_only = name.ends_with("#ephemeral");
        self.input(core, Input::TopicOpen { topic, name: name.into(), memory_only, gated, restored });
        topic
    }

    pub fn topic(&mut self, name: &str) -> TopicKey {
        self.topic_on(0, name, false, None)
    }

    pub fn channel_on(
        &mut self,
        topic: TopicKey,
        name: &str,
        core: u16,
        restored: Option<RestoredChannel>,
    ) -> Option<(ChannelKey, u16)> {
        let home = self.home(topic);
        let name: Arc<str> = name.into();
        let found = self.shards[home as usize].channel_open(self.now, topic, name, core, restored, None);
        self.collect(home);
        found.map(|(channel, core)| (ChannelKey { topic, channel }, core))
    }

    pub fn channel(&mut self, topic: TopicKey, name: &str) -> ChannelKey {
        let key = self.channel_on(topic, name, 0, None).unwrap().0;
        self.settle();
        key
    }

    pub fn home(&self, topic: TopicKey) -> u16 {
        self.logs[&topic].core
    }

    /// Gives messages to the log, without telling the queue that they are there.
    pub fn begin_publish(
        &mut self,
        topic: TopicKey,
        bodies: &[&[u8]],
        defer_ms: u32,
    ) -> Result<u64, PublishError> {
        let home = self.home(topic);
        let waiter = Waiter { origin: 0, connection: 1, reply: self.next_reply };
        let first = self.shards[home as usize].publish(topic, bodies.len() as u32, waiter)?;
        self.next_reply += 1;
        let log = self.logs.get_mut(&topic).unwrap();
        assert_eq!(first, log.messages.len() as u64);
        for body in bodies {
            log.messages.push(Stored { id: self.next_id, body: body.to_vec(), defer_ms });
            self.next_id += 1;
        }
        Ok(first)
    }

    /// The log tells the queue what it has up to `upto`.
    pub fn commit(&mut self, topic: TopicKey, upto: u64) {
        let log = self.logs.get_mut(&topic).unwrap();
        let from = std::mem::replace(&mut log.released, upto);
        let core = log.core;
        for batch in log.batches(from, upto) {
            self.input(core, Input::Appended { topic, batch });
        }
    }

    pub fn publish_deferred(&mut self, topic: TopicKey, bodies: &[&[u8]], defer_ms: u32) -> u64 {
        let first = self.begin_publish(topic, bodies, defer_ms).unwrap();
        self.commit(topic, first + bodies.len() as u64);
        self.settle();
        first
    }

    pub fn publish(&mut self, topic: TopicKey, bodies: &[&[u8]]) -> u64 {
        self.publish_deferred(topic, bodies, 0)
    }

    /// Publishes `count` messages, each with the body that belongs to its sequence number, in one batch.
    pub fn publish_count(&mut self, topic: TopicKey, count: u64) {
        let from = self.logs[&topic].messages.len() as u64;
        let bodies: Vec<Vec<u8>> = (from..from + count).map(body).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        self.publish(topic, &bodies);
    }

    pub fn begin_subscribe(
        &mut self,
        core: u16,
        channel: ChannelKey,
        timeout_ms: u64,
        rate: u8,
    ) -> ConsumerId {
        let consumer = ConsumerId(self.next_consumer);
        self.next_consumer += 1;
        let message_timeout_ns = timeout_ms * MS;
        let room_bytes = u64::MAX;
        let subscribe =
            Input::Subscribe { channel, consumer, message_timeout_ns, sample_rate: rate, room_bytes };
        self.input(core, subscribe);
        consumer
    }

    pub fn consumer(&mut self, channel: ChannelKey, credit: u32) -> ConsumerId {
        let consumer = self.begin_subscribe(0, channel, 60_000, 0);
        assert_eq!(self.seen.subscribed.pop(), Some((consumer, Ok(()))));
        self.credit(consumer, credit);
        consumer
    }

    pub fn credit(&mut self, consumer: ConsumerId, credit: u32) {
        self.input(0, Input::Credit { consumer, credit });
        self.settle();
    }

    pub fn finish(&mut self, consumer: ConsumerId, id: u64) {
        self.input(0, Input::Finish { consumer, id: format_message_id(id) });
        self.settle();
    }

    pub fn requeue(&mut self, consumer: ConsumerId, id: u64, delay_ms: u64) {
        self.input(0, Input::Requeue { consumer, id: format_message_id(id), delay_ns: delay_ms * MS });
        self.settle();
    }

    pub fn touch(&mut self, consumer: ConsumerId, id: u64) {
        self.input(0, Input::Touch { consumer, id: format_message_id(id) });
        self.settle();
    }

    pub fn leave(&mut self, consumer: ConsumerId) {
        self.input(0, Input::Leave { consumer });
        self.settle();
    }

    pub fn admin(&mut self, topic: TopicKey, action: Admin) {
        let token = Token(self.next_reply);
        self.next_reply += 1;
        self.input(self.home(topic), Input::Admin { topic, action, token: Some(token) });
        self.settle();
        assert_eq!(self.seen.done.pop(), Some(token));
    }

    pub fn clock_forward(&mut self, ms: u64) {
        self.now.mono_ns += ms * MS;
        self.now.wall_ns += (ms * MS) as i64;
    }

    /// Time passes, and every shard is told so.
    pub fn wait(&mut self, ms: u64) {
        self.clock_forward(ms);
        for core in 0..self.shards.len() {
            self.shards[core].handle_timeout(self.now);
        }
        self.settle();
    }

    // -- what the broker would do ----------------------------------------------------------------------------------

    pub fn turn(&mut self, core: u16) {
        self.turn_within(core, u64::MAX);
    }

    /// A turn that deals no more than so many bytes; returns how many it has dealt.
    pub fn turn_within(&mut self, core: u16, bytes_max: u64) -> u64 {
        let dealt = self.shards[core as usize].end_turn(self.now, bytes_max);
        self.collect(core);
        self.shards[core as usize].check();
        dealt
    }

    pub fn carry(&mut self, from: u16, to: u16) -> Option<PeerMessage> {
        self.rings.get_mut(&(from, to))?.pop_front()
    }

    pub fn answer_fetch(&mut self) -> bool {
        let Some(Fetch { topic, seq, core }) = self.seen.fetches.pop_front() else { return false };
        let (batches, lost) = self.logs[&topic].read(seq);
        self.input(self.home(topic), Input::Loaded { topic, core, seq, batches, lost });
        true
    }

    /// Turns, rings and reads until nothing moves any more.
    pub fn settle(&mut self) {
        loop {
            (0..self.shards.len()).for_each(|core| self.turn(core as u16));
            let pairs: Vec<(u16, u16)> = self.rings.keys().copied().collect();
            let mut moved = false;
            for (from, to) in pairs {
                while let Some(message) = self.carry(from, to) {
                    self.input(to, Input::Peer { from, message });
                    moved = true;
                }
            }
            while self.answer_fetch() {
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    fn collect(&mut self, core: u16) {
        while let Some(output) = self.shards[core as usize].poll_output() {
            self.output(core, output);
        }
    }

    fn output(&mut self, core: u16, output: Output) {
        let seen = &mut self.seen;
        match output {
            Output::Deliver { consumer, payload, count } => {
                let before = seen.delivered.len();
                self.decode(consumer, &payload, None);
                assert_eq!(self.seen.delivered.len() - before, count as usize);
            }
            Output::Redeliver { consumer, message, attempts } => {
                self.decode(consumer, &message, Some(attempts))
            }
            Output::Failed { consumer, command, id, cause } => {
                seen.failed.push((consumer, command, id, cause))
            }
            Output::Subscribed { consumer, result } => seen.subscribed.push((consumer, result)),
            Output::Close { consumer } => seen.closed.push(consumer),
            Output::Reply { origin, connection, first_reply, count, result } => {
                assert_eq!(origin, 0);
                seen.replies.push((connection, first_reply, count, result));
            }
            Output::Record { topic, record } => {
                assert_eq!(self.logs[&topic].core, core);
                seen.records.push((topic, record));
            }
            Output::Fetch { topic, seq, core } => {
                seen.fetch_count += 1;
                seen.fetches.push_back(Fetch { topic, seq, core });
            }
            Output::Peer { core: to, message } => {
                assert_ne!(core, to);
                self.rings.entry((core, to)).or_default().push_back(message);
            }
            Output::AdminDone { token } => seen.done.push(token),
            Output::Registered { topic_name, channel, .. } => {
                let channel = channel.map_or(String::new(), |(_, name)| format!("/{name}"));
                seen.registrations.push(format!("+{topic_name}{channel}"));
            }
            Output::Unregistered { topic_name, channel, .. } => {
                let channel = channel.map_or(String::new(), |(_, name)| format!("/{name}"));
                seen.registrations.push(format!("-{topic_name}{channel}"));
            }
            Output::Latency { latency_ns, .. } => seen.latencies.push(latency_ns),
        }
    }

    fn decode(&mut self, consumer: ConsumerId, payload: &[u8], patched: Option<u16>) {
        self.seen.deliver_count += 1;
        let mut rest = payload;
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let (message, behind) = rest.split_at(4 + size);
            let attempts = u16::from_be_bytes(message[16..18].try_into().unwrap());
            assert_eq!(attempts, 1);
            let id = nsq_queue::parse_message_id(message[18..34].try_into().unwrap()).unwrap();
            let attempts = patched.unwrap_or(attempts);
            let body = message[34..].to_vec();
            self.seen.delivered.push(Delivery { consumer, id, attempts, body, at_ns: self.now.mono_ns });
            rest = behind;
        }
    }

    // -- what people see -------------------------------------------------------------------------------------------

    /// Deliveries since the last time somebody looked.
    pub fn delivered(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.seen.delivered)
    }

    /// The bodies of these, as text, with the attempts if it is not the first.
    pub fn texts(&mut self) -> Vec<String> {
        let text = |delivery: Delivery| {
            let body = String::from_utf8(delivery.body).unwrap();
            if delivery.attempts == 1 { body } else { format!("{body} ({})", delivery.attempts) }
        };
        self.delivered().into_iter().map(text).collect()
    }

    /// The size of a delivery on the wire.
    pub fn bytes_of(delivery: &Delivery) -> u64 {
        34 + delivery.body.len() as u64
    }

    pub fn one_delivered(&mut self) -> Delivery {
        let delivered = self.delivered();
        assert_eq!(delivered.len(), 1, "{delivered:?}");
        delivered.into_iter().next().unwrap()
    }

    pub fn records(&mut self) -> Vec<QueueRecord> {
        std::mem::take(&mut self.seen.records).into_iter().map(|(_, record)| record).collect()
    }

    pub fn channel_stats(&self, name: &str) -> ChannelStats {
        let all = self.shards.iter().flat_map(|shard| shard.channel_stats(None, Some(name), true));
        let all: Vec<ChannelStats> = all.collect();
        assert_eq!(all.len(), 1, "channels called {name}");
        all.into_iter().next().unwrap()
    }

    /// Depth, in flight, deferred, messages.
    pub fn counts(&self, name: &str) -> [u64; 4] {
        let stats = self.channel_stats(name);
        [stats.depth, stats.in_flight_count, stats.deferred_count, stats.message_count]
    }

    pub fn topic_stats(&self, name: &str) -> TopicStats {
        let all = self.shards.iter().flat_map(|shard| shard.topic_stats(Some(name)));
        let all: Vec<TopicStats> = all.collect();
        assert_eq!(all.len(), 1, "topics called {name}");
        all.into_iter().next().unwrap()
    }
}

impl World {
    pub fn topic_stats_all(&self) -> Vec<TopicStats> {
        self.shards.iter().flat_map(|shard| shard.topic_stats(None)).collect()
    }

    pub fn cache_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.cache_stats().batch_count).sum()
    }
}
