//! Random lives of topics and channels, on one core and on several, against a model that keeps one state per message.
//!
//! Rings between cores deliver in order for each pair and at any time otherwise; the log commits and reads when it likes;
//! the cache may be too small for anything. Every delivery must be allowed at its moment, every counter must be right after
//! every step, and in the end everything must have been delivered.
#![allow(clippy::unwrap_used)]

mod world;

use nsq_queue::{
    Admin, Cause, ChannelKey, Command, ConsumerId, Input, PeerMessage, SubscribeError, Token, TopicKey,
    format_message_id,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use world::{MS, World, body};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting { attempts: u16 },
    Deferred { due_ns: u64, attempts: u16 },
    InFlight { consumer: ConsumerId, deadline_ns: u64, delivered_at_ns: u64, attempts: u16 },
    Done,
}

struct Channel {
    key: ChannelKey,
    name: String,
    core: u16,
    /// What its core knows.
    open: bool,
    closed: bool,
    paused: bool,
    visible: u64,
    messages: BTreeMap<u64, State>,
    received: u64,
    requeues: u64,
    timeouts: u64,
    consumers: Vec<ConsumerId>,
}

struct Topic {
    key: TopicKey,
    name: String,
    core: u16,
    deleted: bool,
    paused: bool,
    next: u64,
    committed: u64,
    released: u64,
    delays: Vec<(u64, u32)>,
    /// Places in `Model::channels`, as far as the topic's core knows.
    channels: Vec<usize>,
}

struct Consumer {
    channel: usize,
    credit: u32,
    room_bytes: u64,
    closing: bool,
    timeout_ns: u64,
    in_flight: u64,
}

/// What a topic's core tells a channel's core.
#[derive(Clone, Debug)]
enum Told {
    Open(usize),
    Close(usize),
    Release { topic: TopicKey, upto: u64, delays: Vec<(u64, u32)> },
    Skip { topic: TopicKey, upto: u64 },
    Pause(usize, bool),
    Empty(usize),
}

struct Model {
    w: World,
    cores: u16,
    topics: Vec<Topic>,
    channels: Vec<Channel>,
    consumers: BTreeMap<ConsumerId, Consumer>,
    /// What lies in the rings, without what the model does not care for.
    told: BTreeMap<(u16, u16), VecDeque<Told>>,
    closed: Vec<ConsumerId>,
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const TIMEOUT_MAX_NS: u64 = 300 * MS;

#[derive(Clone, Debug)]
enum Step {
    Publish { topic: usize, count: u64, defer_ms: u32 },
    Commit { topic: usize, count: u64 },
    OpenChannel { topic: usize, name: usize, core: u16 },
    Admin { topic: usize, name: usize, kind: usize },
    Subscribe { channel: usize, timeout_ms: u64 },
    Credit { consumer: usize, credit: u32 },
    Writable { consumer: usize, room_bytes: u64 },
    Closing { consumer: usize },
    Leave { consumer: usize },
    Finish { consumer: usize, message: usize, stranger: bool },
    Requeue { consumer: usize, message: usize, delay_ms: u64 },
    Touch { consumer: usize, message: usize },
    Advance { ms: u64 },
    Timeout { core: u16 },
    Turn { core: u16, bytes_max: u64 },
    Carry { pair: usize, count: usize },
    AnswerFetch,
    FailReads { topic: usize, failing: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let n = || any::<usize>();
    let room = || prop_oneof![3 => Just(u64::MAX), 1 => Just(0_u64), 3 => 1..400_u64];
    let delay = || prop_oneof![3 => Just(0_u32), 1 => 1..200_u32];
    prop_oneof![
        8 => (n(), 1..12_u64, delay()).prop_map(|(topic, count, defer_ms)| Step::Publish { topic, count, defer_ms }),
        8 => (n(), 1..30_u64).prop_map(|(topic, count)| Step::Commit { topic, count }),
        3 => (n(), n(), 0..3_u16).prop_map(|(topic, name, core)| Step::OpenChannel { topic, name, core }),
        2 => (n(), n(), 0..40_usize).prop_map(|(topic, name, kind)| Step::Admin { topic, name, kind }),
        3 => (n(), 50..250_u64).prop_map(|(channel, timeout_ms)| Step::Subscribe { channel, timeout_ms }),
        4 => (n(), 0..12_u32).prop_map(|(consumer, credit)| Step::Credit { consumer, credit }),
        2 => (n(), room()).prop_map(|(consumer, room_bytes)| Step::Writable { consumer, room_bytes }),
        1 => n().prop_map(|consumer| Step::Leave { consumer }),
        1 => n().prop_map(|consumer| Step::Closing { consumer }),
        12 => (n(), n(), prop::bool::weighted(0.05))
            .prop_map(|(consumer, message, stranger)| Step::Finish { consumer, message, stranger }),
        4 => (n(), n(), delay()).prop_map(|(consumer, message, delay)| Step::Requeue {
            consumer, message, delay_ms: delay.into()
        }),
        2 => (n(), n()).prop_map(|(consumer, message)| Step::Touch { consumer, message }),
        4 => (1..90_u64).prop_map(|ms| Step::Advance { ms }),
        4 => (0..3_u16).prop_map(|core| Step::Timeout { core }),
        14 => (0..3_u16, room()).prop_map(|(core, bytes_max)| Step::Turn { core, bytes_max }),
        14 => (n(), 1..5_usize).prop_map(|(pair, count)| Step::Carry { pair, count }),
        6 => Just(Step::AnswerFetch),
        1 => (n(), prop::bool::weighted(0.3)).prop_map(|(topic, failing)| Step::FailReads { topic, failing }),
    ]
}

impl Model {
    fn new(cores: u16, cache_bytes_max: u64) -> Model {
        let w = World::new(cores, |config| {
            config.cache_bytes_max = cache_bytes_max;
            config.message_timeout_max_ns = TIMEOUT_MAX_NS;
        });
        let mut model = Model {
            w,
            cores,
            topics: Vec::new(),
            channels: Vec::new(),
            consumers: BTreeMap::new(),
            told: BTreeMap::new(),
            closed: Vec::new(),
        };
        model.open_topic("s", 0);
        model.open_topic("t", cores - 1);
        model
    }

    fn open_topic(&mut self, name: &str, core: u16) {
        let key = self.w.topic_on(core, name, false, None);
        self.topics.push(Topic {
            key,
            name: name.into(),
            core,
            deleted: false,
            paused: false,
            next: 0,
            committed: 0,
            released: 0,
            delays: Vec::new(),
            channels: Vec::new(),
        });
    }

    fn live_topic(&self, pick: usize) -> usize {
        let live: Vec<usize> = (0..self.topics.len()).filter(|&index| !self.topics[index].deleted).collect();
        live[pick % live.len()]
    }

    // -- the topic's side ------------------------------------------------------------------------------------------

    fn tell(&mut self, from: u16, to: u16, told: Told) {
        match from == to {
            true => self.hear(to, told),
            false => self.told.entry((from, to)).or_default().push_back(told),
        }
    }

    fn tell_all(&mut self, topic: usize, told: Told) {
        let mut cores: Vec<u16> =
            self.topics[topic].channels.iter().map(|&c| self.channels[c].core).collect();
        cores.sort_unstable();
        cores.dedup();
        for core in cores {
            self.tell(self.topics[topic].core, core, told.clone());
        }
    }

    fn release(&mut self, topic: usize) {
        let t = &mut self.topics[topic];
        if t.paused || t.channels.is_empty() || t.released == t.committed {
            return;
        }
        t.released = t.committed;
        let (key, upto, delays) = (t.key, t.committed, std::mem::take(&mut t.delays));
        self.tell_all(topic, Told::Release { topic: key, upto, delays });
    }

    fn commit(&mut self, topic: usize, count: u64) {
        let t = &self.topics[topic];
        let upto = (t.committed + count).min(t.next);
        let batches = self.w.logs[&t.key].batches(t.committed, upto);
        self.w.commit(t.key, upto);
        for batch in batches {
            let t = &mut self.topics[topic];
            t.committed = batch.first_seq + u64::from(batch.count);
            if batch.defer_ms > 0 {
                t.delays.push((batch.first_seq, batch.defer_ms));
            }
            self.release(topic);
        }
    }

    fn open_channel(&mut self, topic: usize, name: &str, core: u16) {
        let (key, home) = (self.topics[topic].key, self.topics[topic].core);
        let known = self.topics[topic].channels.iter().copied().find(|&c| self.channels[c].name == name);
        let (channel, at) = self.w.channel_on(key, name, core % self.cores, None).unwrap();
        if let Some(known) = known {
            assert_eq!((self.channels[known].key, self.channels[known].core), (channel, at));
            return;
        }
        let released = self.topics[topic].released;
        self.channels.push(Channel {
            key: channel,
            name: name.into(),
            core: at,
            open: false,
            closed: false,
            paused: false,
            visible: released,
            messages: BTreeMap::new(),
            received: 0,
            requeues: 0,
            timeouts: 0,
            consumers: Vec::new(),
        });
        let index = self.channels.len() - 1;
        self.topics[topic].channels.push(index);
        self.tell(home, at, Told::Open(index));
        self.release(topic);
    }

    fn admin(&mut self, topic: usize, name: &str, kind: usize) {
        let action = match kind {
            0 => Admin::DeleteTopic,
            1..=4 => Admin::DeleteChannel(name.into()),
            5..=8 => Admin::EmptyChannel(name.into()),
            9..=12 => Admin::EmptyTopic,
            13..=17 => Admin::PauseTopic,
            18..=26 => Admin::UnpauseTopic,
            27..=30 => Admin::PauseChannel(name.into()),
            _ => Admin::UnpauseChannel(name.into()),
        };
        let (key, home) = (self.topics[topic].key, self.topics[topic].core);
        self.w.input(home, Input::Admin { topic: key, action: action.clone(), token: Some(Token(1)) });
        let named = self.topics[topic].channels.iter().copied().find(|&c| self.channels[c].name == name);
        match (action, named) {
            (Admin::PauseTopic, _) => self.topics[topic].paused = true,
            (Admin::UnpauseTopic, _) => {
                self.topics[topic].paused = false;
                self.release(topic);
            }
            (Admin::EmptyTopic, _) => {
                let t = &mut self.topics[topic];
                t.delays.clear();
                if t.released < t.committed {
                    t.released = t.committed;
                    let upto = t.committed;
                    self.tell_all(topic, Told::Skip { topic: key, upto });
                }
            }
            (Admin::DeleteTopic, _) => {
                for channel in std::mem::take(&mut self.topics[topic].channels) {
                    self.tell(home, self.channels[channel].core, Told::Close(channel));
                }
                self.topics[topic].deleted = true;
                let name = self.topics[topic].name.clone();
                self.open_topic(&name, home);
            }
            (Admin::DeleteChannel(_), Some(channel)) => {
                self.topics[topic].channels.retain(|&other| other != channel);
                self.tell(home, self.channels[channel].core, Told::Close(channel));
            }
            (Admin::EmptyChannel(_), Some(c)) => self.tell(home, self.channels[c].core, Told::Empty(c)),
            (Admin::PauseChannel(_), Some(c)) => self.tell(home, self.channels[c].core, Told::Pause(c, true)),
            (Admin::UnpauseChannel(_), Some(c)) => {
                self.tell(home, self.channels[c].core, Told::Pause(c, false))
            }
            _ => {}
        }
    }

    // -- the channel's side ----------------------------------------------------------------------------------------

    fn hear(&mut self, core: u16, told: Told) {
        let now = self.w.now.mono_ns;
        match told {
            Told::Open(channel) => self.channels[channel].open = true,
            Told::Close(channel) => {
                self.channels[channel].closed = true;
                self.channels[channel].messages.clear();
                for consumer in std::mem::take(&mut self.channels[channel].consumers) {
                    self.consumers.remove(&consumer);
                    self.closed.push(consumer);
                }
            }
            Told::Release { topic, upto, delays } => {
                for channel in self.channels_at(core, topic) {
                    for seq in channel.visible..upto {
                        let delay = delays.iter().find(|delay| delay.0 == seq);
                        let state = delay.map_or(State::Waiting { attempts: 0 }, |&(_, ms)| {
                            State::Deferred { due_ns: now + u64::from(ms) * MS, attempts: 0 }
                        });
                        channel.messages.insert(seq, state);
                    }
                    channel.received += upto - channel.visible;
                    channel.visible = upto;
                }
            }
            Told::Skip { topic, upto } => {
                for channel in self.channels_at(core, topic) {
                    (channel.visible..upto).for_each(|seq| {
                        channel.messages.insert(seq, State::Done);
                    });
                    channel.visible = upto;
                }
            }
            Told::Pause(channel, paused) => self.channels[channel].paused = paused,
            Told::Empty(channel) => {
                let channel = &mut self.channels[channel];
                channel.messages.values_mut().for_each(|state| *state = State::Done);
                for consumer in &channel.consumers {
                    self.consumers.get_mut(consumer).unwrap().in_flight = 0;
                }
            }
        }
    }

    fn channels_at(&mut self, core: u16, topic: TopicKey) -> impl Iterator<Item = &mut Channel> {
        self.channels
            .iter_mut()
            .filter(move |c| c.open && !c.closed && c.core == core && c.key.topic == topic)
    }

    fn carry(&mut self, from: u16, to: u16) -> bool {
        let Some(message) = self.w.carry(from, to) else { return false };
        let told = matches!(
            message,
            PeerMessage::ChannelOpen(_)
                | PeerMessage::ChannelClose(_)
                | PeerMessage::Batch { .. }
                | PeerMessage::Visible { .. }
                | PeerMessage::Skip { .. }
                | PeerMessage::ChannelPause { .. }
                | PeerMessage::ChannelEmpty(_)
        );
        self.w.input(to, Input::Peer { from, message });
        if told {
            let told = self.told.get_mut(&(from, to)).unwrap().pop_front().unwrap();
            self.hear(to, told);
        }
        true
    }

    fn timeout(&mut self, core: u16) {
        self.w.shards[core as usize].handle_timeout(self.w.now);
        let now = self.w.now.mono_ns;
        for channel in self.channels.iter_mut().filter(|channel| channel.core == core) {
            for state in channel.messages.values_mut() {
                match *state {
                    State::Deferred { due_ns, attempts } if due_ns <= now => {
                        *state = State::Waiting { attempts }
                    }
                    State::InFlight { consumer, deadline_ns, attempts, .. } if deadline_ns <= now => {
                        *state = State::Waiting { attempts };
                        channel.timeouts += 1;
                        if let Some(consumer) = self.consumers.get_mut(&consumer) {
                            consumer.in_flight -= 1;
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    // -- consumers -------------------------------------------------------------------------------------------------

    fn subscribe(&mut self, channel: usize, timeout_ms: u64) -> Option<ConsumerId> {
        let Channel { key, core, open, closed, .. } = self.channels[channel];
        let consumer = self.w.begin_subscribe(core, key, timeout_ms, 0);
        let expected = if open && !closed { Ok(()) } else { Err(SubscribeError::NoSuchChannel) };
        assert_eq!(self.w.seen.subscribed.pop(), Some((consumer, expected)));
        expected.ok()?;
        self.channels[channel].consumers.push(consumer);
        let timeout_ns = timeout_ms * MS;
        let entry =
            Consumer { channel, credit: 0, room_bytes: u64::MAX, closing: false, timeout_ns, in_flight: 0 };
        self.consumers.insert(consumer, entry);
        Some(consumer)
    }

    fn pick_consumer(&self, pick: usize) -> Option<ConsumerId> {
        self.consumers.keys().nth(pick % self.consumers.len().max(1)).copied()
    }

    fn core_of(&self, consumer: ConsumerId) -> u16 {
        self.channels[self.consumers[&consumer].channel].core
    }

    /// A message for a command: mostly one that the consumer has.
    fn pick_message(&self, consumer: ConsumerId, pick: usize, stranger: bool) -> Option<u64> {
        let channel = &self.channels[self.consumers[&consumer].channel];
        let own =
            |state: &State| matches!(state, State::InFlight { consumer: owner, .. } if *owner == consumer);
        let seqs = channel.messages.iter().filter(|(_, state)| stranger || own(state)).map(|(&seq, _)| seq);
        let seqs: Vec<u64> = seqs.collect();
        (!seqs.is_empty()).then(|| seqs[pick % seqs.len()])
    }

    fn command(&mut self, consumer: ConsumerId, seq: u64, command: Command, delay_ns: u64) {
        let (core, channel) = (self.core_of(consumer), self.consumers[&consumer].channel);
        let channel = &mut self.channels[channel];
        let id = format_message_id(self.w.logs[&channel.key.topic].messages[seq as usize].id);
        let input = match command {
            Command::Finish => Input::Finish { consumer, id },
            Command::Requeue => Input::Requeue { consumer, id, delay_ns },
            Command::Touch => Input::Touch { consumer, id },
        };
        self.w.input(core, input);
        let now = self.w.now.mono_ns;
        let state = channel.messages.get_mut(&seq).unwrap();
        let cause = match state {
            State::InFlight { consumer: owner, .. } if *owner != consumer => Some(Cause::NotOwner),
            State::InFlight { .. } => None,
            _ => Some(Cause::NotInFlight),
        };
        if let Some(cause) = cause {
            assert_eq!(self.w.seen.failed.pop(), Some((consumer, command, id, cause)));
        }
        assert_eq!(self.w.seen.failed, []);
        let entry = self.consumers.get_mut(&consumer).unwrap();
        let State::InFlight { deadline_ns, delivered_at_ns, attempts, .. } = state else { return };
        if cause.is_some() {
            return;
        }
        match command {
            Command::Touch => {
                *deadline_ns = (now + entry.timeout_ns).min(*delivered_at_ns + TIMEOUT_MAX_NS);
                return;
            }
            Command::Finish => *state = State::Done,
            Command::Requeue => {
                channel.requeues += 1;
                let attempts = *attempts;
                *state = match delay_ns {
                    0 => State::Waiting { attempts },
                    _ => State::Deferred { due_ns: now + delay_ns, attempts },
                };
            }
        }
        entry.in_flight -= 1;
    }

    /// What was delivered was allowed to be.
    fn receive(&mut self) {
        for delivery in self.w.delivered() {
            let consumer = self.consumers.get_mut(&delivery.consumer).expect("a consumer that is there");
            let channel = &mut self.channels[consumer.channel];
            let log = &self.w.logs[&channel.key.topic];
            let seq = log.messages.binary_search_by_key(&delivery.id, |message| message.id).unwrap() as u64;
            assert_eq!(delivery.body, log.messages[seq as usize].body);
            assert!(!channel.paused, "a paused channel delivers nothing");
            assert!(!consumer.closing && consumer.in_flight < u64::from(consumer.credit));
            assert!(consumer.room_bytes > 0, "a consumer without room gets nothing");
            consumer.room_bytes = consumer.room_bytes.saturating_sub(World::bytes_of(&delivery));
            let state = channel.messages.get_mut(&seq).expect("a message of this channel");
            let State::Waiting { attempts } = *state else { panic!("{seq} is {state:?} and was delivered") };
            assert_eq!(delivery.attempts, attempts + 1);
            consumer.in_flight += 1;
            *state = State::InFlight {
                consumer: delivery.consumer,
                deadline_ns: delivery.at_ns + consumer.timeout_ns,
                delivered_at_ns: delivery.at_ns,
                attempts: delivery.attempts,
            };
        }
        assert_eq!(std::mem::take(&mut self.w.seen.closed), std::mem::take(&mut self.closed));
    }

    /// A turn deals what it was allowed and the rest of one message, and stops only when that is used up.
    fn turn(&mut self, core: u16, bytes_max: u64) {
        let dealt = self.w.turn_within(core, bytes_max);
        let sizes: Vec<u64> = self.w.seen.delivered.iter().map(World::bytes_of).collect();
        assert_eq!(dealt, sizes.iter().sum::<u64>());
        let last = sizes.last().copied().unwrap_or(0);
        assert!(dealt <= bytes_max || dealt - last < bytes_max, "{dealt} bytes of {bytes_max}");
        let more = self.w.shards[core as usize].has_more_to_deal();
        assert!(!more || dealt >= bytes_max, "a turn that could go on has stopped");
    }

    // -- the whole -------------------------------------------------------------------------------------------------

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Publish { topic, count, defer_ms } => {
                let topic = self.live_topic(topic);
                let t = &mut self.topics[topic];
                let count = if defer_ms > 0 { 1 } else { count };
                let bodies: Vec<Vec<u8>> = (t.next..t.next + count).map(body).collect();
                let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
                assert_eq!(self.w.begin_publish(t.key, &bodies, defer_ms), Ok(t.next));
                t.next += count;
            }
            Step::Commit { topic, count } => self.commit(self.live_topic(topic), count),
            Step::OpenChannel { topic, name, core } => {
                self.open_channel(self.live_topic(topic), NAMES[name % NAMES.len()], core);
            }
            Step::Admin { topic, name, kind } => {
                self.admin(self.live_topic(topic), NAMES[name % NAMES.len()], kind);
            }
            Step::Subscribe { channel, timeout_ms } if !self.channels.is_empty() => {
                self.subscribe(channel % self.channels.len(), timeout_ms);
            }
            Step::Advance { ms } => self.w.clock_forward(ms),
            Step::Timeout { core } => self.timeout(core % self.cores),
            Step::Turn { core, bytes_max } => self.turn(core % self.cores, bytes_max),
            Step::Carry { pair, count } => {
                let pairs: Vec<(u16, u16)> = self.w.rings.keys().copied().collect();
                if !pairs.is_empty() {
                    let (from, to) = pairs[pair % pairs.len()];
                    (0..count).for_each(|_| {
                        self.carry(from, to);
                    });
                }
            }
            Step::AnswerFetch => {
                self.w.answer_fetch();
            }
            Step::FailReads { topic, failing } => {
                let topic = self.topics[self.live_topic(topic)].key;
                self.w.logs.get_mut(&topic).unwrap().failing = failing;
            }
            _ => self.run_consumer(step),
        }
        self.receive();
    }

    fn run_consumer(&mut self, step: &Step) {
        let (Step::Credit { consumer, .. }
        | Step::Writable { consumer, .. }
        | Step::Closing { consumer }
        | Step::Leave { consumer }
        | Step::Finish { consumer, .. }
        | Step::Requeue { consumer, .. }
        | Step::Touch { consumer, .. }) = *step
        else {
            return;
        };
        let Some(consumer) = self.pick_consumer(consumer) else { return };
        let core = self.core_of(consumer);
        let entry = self.consumers.get_mut(&consumer).unwrap();
        match *step {
            Step::Credit { credit, .. } => {
                entry.credit = if entry.closing { 0 } else { credit };
                self.w.input(core, Input::Credit { consumer, credit });
            }
            Step::Writable { room_bytes, .. } => {
                entry.room_bytes = room_bytes;
                self.w.input(core, Input::Writable { consumer, room_bytes });
            }
            Step::Closing { .. } => {
                (entry.closing, entry.credit) = (true, 0);
                self.w.input(core, Input::Closing { consumer });
            }
            Step::Leave { .. } => {
                let channel = entry.channel;
                self.channels[channel].consumers.retain(|&other| other != consumer);
                self.consumers.remove(&consumer);
                self.w.input(core, Input::Leave { consumer });
            }
            Step::Finish { message, stranger, .. } => {
                if let Some(seq) = self.pick_message(consumer, message, stranger) {
                    self.command(consumer, seq, Command::Finish, 0);
                }
            }
            Step::Requeue { message, delay_ms, .. } => {
                if let Some(seq) = self.pick_message(consumer, message, delay_ms % 16 == 15) {
                    self.command(consumer, seq, Command::Requeue, delay_ms * MS);
                }
            }
            Step::Touch { message, .. } => {
                if let Some(seq) = self.pick_message(consumer, message, message % 16 == 0) {
                    self.command(consumer, seq, Command::Touch, 0);
                }
            }
            _ => {}
        }
    }

    /// Every counter is what the model says.
    fn compare(&self) {
        self.w.shards.iter().for_each(|shard| shard.check());
        for topic in self.topics.iter().filter(|topic| !topic.deleted) {
            let stats = self.w.topic_stats(&topic.name);
            assert_eq!(
                (stats.message_count, stats.depth),
                (topic.committed, topic.committed - topic.released)
            );
            assert_eq!(stats.paused, topic.paused);
        }
        let stats = self.w.shards.iter().flat_map(|shard| shard.channel_stats(None, None, true));
        let stats: BTreeMap<ChannelKey, _> = stats.map(|stats| (stats.channel, stats)).collect();
        let open = self.channels.iter().filter(|channel| channel.open && !channel.closed);
        assert_eq!(stats.len(), open.clone().count());
        for channel in open {
            let stats = &stats[&channel.key];
            let count =
                |wanted: fn(&State) -> bool| channel.messages.values().filter(|s| wanted(s)).count() as u64;
            assert_eq!(stats.depth, count(|state| matches!(state, State::Waiting { .. })));
            assert_eq!(stats.deferred_count, count(|state| matches!(state, State::Deferred { .. })));
            assert_eq!(stats.in_flight_count, count(|state| matches!(state, State::InFlight { .. })));
            assert_eq!(stats.message_count, channel.received);
            assert_eq!(stats.requeue_count, channel.requeues);
            assert_eq!(stats.timeout_count, channel.timeouts);
            assert_eq!(stats.paused, channel.paused);
            for consumer in &stats.consumers {
                assert_eq!(consumer.in_flight_count, self.consumers[&consumer.consumer].in_flight);
            }
        }
    }

    /// Turns, rings and reads until nothing moves.
    fn settle(&mut self) {
        loop {
            (0..self.cores).for_each(|core| self.run(&Step::Turn { core, bytes_max: u64::MAX }));
            let pairs: Vec<(u16, u16)> = self.w.rings.keys().copied().collect();
            let mut moved = false;
            for (from, to) in pairs {
                while self.carry(from, to) {
                    moved = true;
                    self.receive();
                }
            }
            while self.w.answer_fetch() {
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    /// With nothing in the way any more, every message reaches a consumer, and nothing is left in memory.
    fn finish(&mut self) {
        self.w.logs.values_mut().for_each(|log| log.failing = false);
        for topic in 0..self.topics.len() {
            if !self.topics[topic].deleted {
                self.commit(topic, u64::MAX / 2);
                self.admin(topic, "", 18);
                NAMES.iter().for_each(|name| self.admin(topic, name, 31));
            }
        }
        self.settle();
        let open: Vec<usize> = (0..self.channels.len()).filter(|&c| !self.channels[c].closed).collect();
        for &channel in &open {
            let consumer = self.subscribe(channel, 10_000).unwrap();
            self.consumers.get_mut(&consumer).unwrap().credit = 7;
            self.w.input(self.core_of(consumer), Input::Credit { consumer, credit: 7 });
        }
        for _ in 0..10_000 {
            self.settle();
            let mut finished = 0;
            for &channel in &open {
                let held = self.channels[channel].messages.iter().filter_map(|(&seq, state)| match state {
                    State::InFlight { consumer, .. } if self.consumers.contains_key(consumer) => {
                        Some((*consumer, seq))
                    }
                    _ => None,
                });
                let held: Vec<(ConsumerId, u64)> = held.collect();
                finished += held.len();
                held.into_iter().for_each(|(consumer, seq)| self.command(consumer, seq, Command::Finish, 0));
            }
            let done = |channel: &usize| {
                self.channels[*channel].messages.values().all(|state| *state == State::Done)
            };
            if open.iter().all(done) {
                // A read that had failed is not asked for again once its time has come.
                self.w.clock_forward(1_000);
                (0..self.cores).for_each(|core| self.timeout(core));
                self.settle();
                self.compare();
                return self.nothing_is_left();
            }
            if finished == 0 {
                self.w.clock_forward(50);
                (0..self.cores).for_each(|core| self.timeout(core));
            }
        }
        panic!(
            "messages are left: {:?}",
            open.iter().map(|&c| &self.channels[c].messages).collect::<Vec<_>>()
        );
    }

    fn nothing_is_left(&self) {
        assert_eq!(self.w.cache_count(), 0, "what is finished stays in memory");
        for shard in &self.w.shards {
            assert_eq!(shard.poll_timeout(), None, "somebody waits for nothing");
        }
    }
}

fn live(cores: u16, cache_bytes_max: u64, steps: &[Step]) {
    let mut model = Model::new(cores, cache_bytes_max);
    for step in steps {
        model.run(step);
        model.compare();
    }
    model.finish();
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn one_core_does_what_the_model_does(steps in steps()) {
        live(1, 1 << 20, &steps);
    }

    #[test]
    fn two_cores_do_what_the_model_does(steps in steps()) {
        live(2, 1 << 20, &steps);
    }

    #[test]
    fn three_cores_do_what_the_model_does(steps in steps()) {
        live(3, 1 << 20, &steps);
    }

    #[test]
    fn a_cache_that_is_too_small_loses_nothing(steps in steps(), cores in 1..4_u16, cache in 0..1_500_u64) {
        live(cores, cache, &steps);
    }
}
