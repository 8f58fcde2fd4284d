//! The queue's book: one state per message that was ever delivered, per channel, fed with what each core's shard is
//! told and wants.

use std::collections::BTreeMap;

use nsq_queue::{
    Admin, Cause, ChannelId, ChannelKey, Command, ConsumerId, Input, Now, Output, PeerMessage, RawMessageId,
    TopicKey,
};

use crate::body;
use crate::book::log::LogBook;
use crate::book::wire::WireBook;
use crate::client::wire::{self, Frame};
use crate::fail;

/// The queue's wheel turns in steps of this.
const TICK_NS: u64 = 1_000_000;

/// `--max-msg-timeout` of the world.
pub const MESSAGE_TIMEOUT_MAX_NS: u64 = 900_000_000_000;

/// Where a message stands in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It may be delivered.
    Ready,
    /// A consumer has it until then.
    InFlight {
        /// Who: core and consumer.
        consumer: (u16, u64),
        /// Until when, monotonic ns.
        deadline_ns: u64,
        /// Since when.
        delivered_ns: u64,
    },
    /// It was given back with a delay.
    Deferred {
        /// Until when, monotonic ns.
        due_ns: u64,
    },
    /// Finished, then.
    Done(u64),
    /// It belonged to an earlier life: how often it was delivered is known up to this.
    Restored,
    /// It belonged to an earlier life that stopped cleanly: how often it was delivered is known.
    Counted,
}

/// A message of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub state: State,
    /// Deliveries so far.
    pub attempts: u16,
}

/// A channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its topic's name.
    pub topic: String,
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub core: u16,
    /// When it was made, monotonic ns: what is sent from then on is its own.
    pub created_ns: u64,
    /// When it, or its topic, was emptied last.
    pub emptied_ns: u64,
    /// By id.
    pub entries: BTreeMap<u64, Entry>,
    /// Its core has paused it.
    pub paused: bool,
    /// It was thought deleted and has come back: what was delivered before is not known any more.
    pub unsure: bool,
    /// A consumer wanted a sample only: what the others would have been is dropped.
    pub sampled: bool,
}

impl Channel {
    /// Whether it goes with its last consumer.
    pub fn is_ephemeral(&self) -> bool {
        self.name.ends_with("#ephemeral") || self.topic.ends_with("#ephemeral")
    }
}

#[derive(Clone, Copy, Debug)]
struct Consumer {
    channel: ChannelKey,
    credit: u32,
    in_flight: u32,
    timeout_ns: u64,
    closing: bool,
}

/// The book of all shards.
#[derive(Debug, Default)]
pub struct QueueBook {
    /// Topics that exist, with their names.
    pub topics: BTreeMap<TopicKey, String>,
    /// Channels that exist.
    pub channels: BTreeMap<ChannelKey, Channel>,
    consumers: BTreeMap<(u16, u64), Consumer>,
    /// The topic's core of each topic.
    pub homes: BTreeMap<TopicKey, u16>,
    /// Deliveries so far.
    pub delivered_count: u64,
    /// FINs that were taken.
    pub finished_count: u64,
}

impl QueueBook {
    /// A life has ended.
    pub fn end_life(&mut self, clean: bool) {
        self.consumers.clear();
        self.homes.clear();
        self.channels.retain(|_, channel| !channel.is_ephemeral());
        self.topics.retain(|_, name| !name.ends_with("#ephemeral"));
        for channel in self.channels.values_mut() {
            for entry in channel.entries.values_mut() {
                entry.state = match entry.state {
                    State::Done(at) => State::Done(at),
                    State::Restored => State::Restored,
                    _ if clean => State::Counted,
                    _ => State::Restored,
                };
            }
        }
    }

    /// Something is about to happen to a shard.
    pub fn on_input(&mut self, core: u16, now: Now, input: &Input) {
        match input {
            Input::TopicOpen { topic, name, .. } => {
                let ephemeral = name.ends_with("#ephemeral");
                if let Some((other, _)) =
                    self.topics.iter().find(|(key, known)| **known == **name && *key != topic)
                    && !ephemeral
                {
                    fail!("cat1", "topic {name} exists as {other:?} and is made as {topic:?}");
                }
                self.topics.insert(*topic, name.to_string());
                self.homes.insert(*topic, core);
            }
            Input::Subscribe { channel, consumer, message_timeout_ns, sample_rate, .. } => {
                if *sample_rate > 0
                    && let Some(channel) = self.channels.get_mut(channel)
                {
                    channel.sampled = true;
                }
                let consumer_of = Consumer {
                    channel: *channel,
                    credit: 0,
                    in_flight: 0,
                    timeout_ns: *message_timeout_ns,
                    closing: false,
                };
                self.consumers.insert((core, consumer.0), consumer_of);
            }
            Input::Closing { consumer } => {
                if let Some(consumer) = self.consumers.get_mut(&(core, consumer.0)) {
                    consumer.closing = true;
                }
            }
            Input::Leave { consumer } => {
                self.consumers.remove(&(core, consumer.0));
            }
            Input::Admin { topic, action, .. } => self.on_admin(core, now, *topic, action),
            Input::Peer { message, .. } => match message {
                PeerMessage::ChannelEmpty(key) => self.empty(*key, now.mono_ns),
                PeerMessage::ChannelClose(key) => self.close(*key),
                PeerMessage::ChannelPause { key, paused } => self.pause(*key, *paused),
                PeerMessage::Deserted(key) => self.close(*key),
                _ => {}
            },
            _ => {}
        }
    }

    fn on_admin(&mut self, core: u16, now: Now, topic: TopicKey, action: &Admin) {
        let named = |book: &QueueBook, name: &str| {
            let mut of_topic = book.channels.iter().filter(|(key, _)| key.topic == topic);
            of_topic.find(|(_, channel)| channel.name == name).map(|(key, channel)| (*key, channel.core))
        };
        match action {
            Admin::DeleteTopic => {
                self.topics.remove(&topic);
                // Channels of other cores hear of it later.
                let here: Vec<ChannelKey> = self
                    .channels
                    .iter()
                    .filter(|(key, channel)| key.topic == topic && channel.core == core)
                    .map(|(key, _)| *key)
                    .collect();
                here.into_iter().for_each(|key| self.close(key));
            }
            Admin::DeleteChannel(name) => {
                if let Some((key, home)) = named(self, name)
                    && home == core
                {
                    self.close(key);
                }
            }
            Admin::EmptyChannel(name) => {
                if let Some((key, home)) = named(self, name) {
                    // What is under way to its core is dropped too, or not: nobody can be sure of it.
                    if let Some(channel) = self.channels.get_mut(&key) {
                        channel.emptied_ns = now.mono_ns;
                    }
                    if home == core {
                        self.empty(key, now.mono_ns);
                    }
                }
            }
            Admin::EmptyTopic => {
                for (_, channel) in self.channels.iter_mut().filter(|(key, _)| key.topic == topic) {
                    channel.emptied_ns = now.mono_ns;
                }
            }
            Admin::PauseChannel(name) | Admin::UnpauseChannel(name) => {
                if let Some((key, home)) = named(self, name)
                    && home == core
                {
                    self.pause(key, matches!(action, Admin::PauseChannel(_)));
                }
            }
            Admin::PauseTopic | Admin::UnpauseTopic => {}
        }
    }

    fn close(&mut self, key: ChannelKey) {
        self.channels.remove(&key);
        self.consumers.retain(|_, consumer| consumer.channel != key);
    }

    fn pause(&mut self, key: ChannelKey, paused: bool) {
        if let Some(channel) = self.channels.get_mut(&key) {
            channel.paused = paused;
        }
    }

    fn empty(&mut self, key: ChannelKey, now_ns: u64) {
        let Some(channel) = self.channels.get_mut(&key) else { return };
        channel.emptied_ns = now_ns;
        for entry in channel.entries.values_mut() {
            // What an earlier life has delivered may wait in the topic again.
            if !matches!(entry.state, State::Restored | State::Counted) {
                entry.state = State::Done(now_ns);
            }
        }
        for consumer in self.consumers.values_mut().filter(|consumer| consumer.channel == key) {
            consumer.in_flight = 0;
        }
    }

    /// A channel was made or found, on its topic's core.
    #[allow(clippy::too_many_arguments, reason = "what there is to know of a channel")]
    pub fn on_channel(
        &mut self,
        _core: u16,
        topic: TopicKey,
        channel: ChannelId,
        home: u16,
        name: &str,
        restored: bool,
        now_ns: u64,
    ) {
        let key = ChannelKey { topic, channel };
        let topic_name = self.topics.get(&topic).cloned().unwrap_or_default();
        if let Some(known) = self.channels.get_mut(&key) {
            if known.name != name {
                fail!("cat1", "channel {key:?} is called {name} and was {}", known.name);
            }
            known.core = home;
            return;
        }
        let made = Channel {
            topic: topic_name,
            name: name.to_owned(),
            core: home,
            created_ns: now_ns,
            emptied_ns: 0,
            entries: BTreeMap::new(),
            paused: false,
            unsure: restored,
            sampled: false,
        };
        // One of that name that went by itself, with its last consumer.
        self.channels.retain(|known, channel| known.topic != topic || channel.name != name);
        self.channels.insert(key, made);
    }

    /// A log has brought a channel back.
    pub fn came_back(&mut self, key: ChannelKey, topic: &str, name: &str, paused: bool, now_ns: u64) {
        self.topics.entry(key.topic).or_insert_with(|| topic.to_owned());
        self.channels.entry(key).or_insert_with(|| Channel {
            topic: topic.to_owned(),
            name: name.to_owned(),
            core: 0,
            created_ns: now_ns,
            emptied_ns: 0,
            entries: BTreeMap::new(),
            paused,
            unsure: true,
            sampled: false,
        });
    }

    /// RDY.
    pub fn on_credit(&mut self, core: u16, consumer: ConsumerId, credit: u32) {
        if let Some(consumer) = self.consumers.get_mut(&(core, consumer.0))
            && !consumer.closing
        {
            consumer.credit = credit;
        }
    }

    /// What is overdue is ready again.
    pub fn on_timeout(&mut self, core: u16, now: Now) {
        for channel in self.channels.values_mut().filter(|channel| channel.core == core) {
            for entry in channel.entries.values_mut() {
                match entry.state {
                    State::InFlight { consumer, deadline_ns, .. } if is_over(deadline_ns, now.mono_ns) => {
                        entry.state = State::Ready;
                        if let Some(consumer) = self.consumers.get_mut(&consumer) {
                            consumer.in_flight = consumer.in_flight.saturating_sub(1);
                        }
                    }
                    State::Deferred { due_ns } if is_over(due_ns, now.mono_ns) => entry.state = State::Ready,
                    _ => {}
                }
            }
        }
    }

    /// FIN, REQ or TOUCH was carried out, or not.
    #[allow(clippy::too_many_arguments, reason = "what there is to know of a command")]
    pub fn on_command(
        &mut self,
        core: u16,
        now: Now,
        consumer: ConsumerId,
        command: Command,
        id: &RawMessageId,
        delay_ns: u64,
        result: Result<(), Cause>,
    ) {
        let owner = (core, consumer.0);
        let Some(known) = self.consumers.get_mut(&owner) else {
            if result.is_ok() {
                fail!("del4", "{command:?} by a consumer that is not there was carried out");
            }
            return;
        };
        let id = std::str::from_utf8(id).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let channel = self.channels.get_mut(&known.channel);
        let entry = id.and_then(|id| channel.and_then(|channel| channel.entries.get_mut(&id)));
        let Some(entry) = entry else {
            if result.is_ok() {
                fail!("del4", "{command:?} of {id:x?}, which was never delivered, was carried out");
            }
            return;
        };
        match (entry.state, result) {
            (State::InFlight { consumer, delivered_ns, .. }, Ok(())) if consumer == owner => match command {
                Command::Finish => {
                    entry.state = State::Done(now.mono_ns);
                    known.in_flight = known.in_flight.saturating_sub(1);
                    self.finished_count += 1;
                }
                Command::Requeue => {
                    entry.state = match delay_ns {
                        0 => State::Ready,
                        _ => State::Deferred { due_ns: now.mono_ns + delay_ns },
                    };
                    known.in_flight = known.in_flight.saturating_sub(1);
                }
                Command::Touch => {
                    let deadline_ns =
                        (now.mono_ns + known.timeout_ns).min(delivered_ns + MESSAGE_TIMEOUT_MAX_NS);
                    entry.state = State::InFlight { consumer, deadline_ns, delivered_ns };
                }
            },
            (state, Ok(())) => {
                fail!("del4", "{command:?} of {id:x?} by {owner:?} was carried out, and it is {state:?}")
            }
            (State::InFlight { consumer, deadline_ns, .. }, Err(cause))
                if consumer == owner && deadline_ns > now.mono_ns =>
            {
                fail!("del4", "{command:?} of {id:x?} was refused ({cause:?}), and {owner:?} has it");
            }
            (_, Err(_)) => {}
        }
    }

    /// The queue wants something.
    pub fn on_output(
        &mut self,
        core: u16,
        now: Now,
        output: &Output,
        wire: &mut WireBook,
        log: &LogBook,
        life: u32,
    ) {
        match output {
            Output::Deliver { consumer, payload, count } => {
                let mut rest: &[u8] = payload;
                let mut seen = 0;
                while !rest.is_empty() {
                    let size = self.deliver(core, now, *consumer, rest, None, wire, log, life);
                    rest = &rest[size..];
                    seen += 1;
                }
                if seen != *count {
                    fail!("del8", "{seen} messages were dealt as {count}");
                }
            }
            Output::Redeliver { consumer, message, attempts } => {
                self.deliver(core, now, *consumer, message, Some(*attempts), wire, log, life);
            }
            Output::Subscribed { consumer, result: Err(_) } => {
                self.consumers.remove(&(core, consumer.0));
            }
            Output::Close { consumer } => {
                self.consumers.remove(&(core, consumer.0));
            }
            // Also without an operator: the last channel of an ephemeral topic is gone.
            Output::Unregistered { topic, channel: None, .. } => {
                self.topics.remove(topic);
            }
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what there is to know of a delivery")]
    fn deliver(
        &mut self,
        core: u16,
        now: Now,
        consumer: ConsumerId,
        bytes: &[u8],
        attempts: Option<u16>,
        wire: &mut WireBook,
        log: &LogBook,
        life: u32,
    ) -> usize {
        let Ok(Some((Frame::Message(message), size))) = wire::decode(bytes) else {
            fail!("del1", "what was dealt is no message");
        };
        self.delivered_count += 1;
        let owner = (core, consumer.0);
        let Some(known) = self.consumers.get_mut(&owner) else {
            fail!("del3", "{:x} was dealt to {owner:?}, who is no consumer", message.id);
        };
        let Some(channel) = self.channels.get_mut(&known.channel) else {
            fail!("del3", "{:x} was dealt by {:?}, which is gone", message.id, known.channel);
        };
        let Some(identity) = body::identify(&message.body) else {
            fail!("del1", "{:x} was dealt with a body that nobody has sent", message.id);
        };
        let sent = wire.messages.get(&identity.number).copied();
        let Some(sent) = sent.filter(|sent| channel.topic.starts_with(&format!("t{}", sent.topic))) else {
            fail!("del1", "{:x} of topic {} was dealt by {}", message.id, identity.topic, channel.topic);
        };
        if let Some(number) = log.by_id.get(&message.id)
            && *number != identity.number
        {
            fail!("del1", "{:x} is {number:x}, and was dealt as {:x}", message.id, identity.number);
        }
        if channel.paused {
            fail!("del3", "{:x} was dealt by channel {}, which is paused", message.id, channel.name);
        }
        if known.in_flight >= known.credit || known.closing {
            fail!(
                "del3",
                "{:x} was dealt to {owner:?}, who has {} of {} (closing: {})",
                message.id,
                known.in_flight,
                known.credit,
                known.closing
            );
        }
        let attempts = attempts.unwrap_or(message.attempts);
        let entry = channel.entries.get(&message.id).copied();
        let due_ns = sent.sent_ns + sent.defer_ms * 1_000_000;
        if entry.is_none() && sent.life == life && now.mono_ns < due_ns {
            fail!("time1", "{:x} was dealt {} ns early", message.id, due_ns - now.mono_ns);
        }
        match entry {
            None if attempts != 1 && !(channel.unsure && sent.life != life) => {
                fail!("del6", "{:x} was dealt for the first time as attempt {attempts}", message.id)
            }
            Some(Entry { state: State::Restored, attempts: before })
                if attempts < 1 || attempts > before.saturating_add(1) =>
            {
                fail!(
                    "del6",
                    "{:x} was dealt as attempt {attempts} behind {before} of earlier lives",
                    message.id
                )
            }
            None | Some(Entry { state: State::Restored, .. }) => {}
            Some(Entry { state: State::Counted, attempts: before })
                if attempts != before.saturating_add(1) =>
            {
                fail!(
                    "del6",
                    "{:x} was dealt as attempt {attempts} behind {before} of earlier lives",
                    message.id
                )
            }
            Some(Entry { state, attempts: before }) => {
                match state {
                    State::Done(at) => fail!("del5", "{:x} was dealt, and was finished at {at}", message.id),
                    State::InFlight { consumer, deadline_ns, .. } if deadline_ns > now.mono_ns => fail!(
                        "del4",
                        "{:x} was dealt to {owner:?}, and {consumer:?} has it for {} ns more",
                        message.id,
                        deadline_ns - now.mono_ns
                    ),
                    State::Deferred { due_ns } if due_ns > now.mono_ns => {
                        fail!("time1", "{:x} was dealt {} ns early", message.id, due_ns - now.mono_ns)
                    }
                    _ => {}
                }
                if attempts != before.saturating_add(1) {
                    fail!("del6", "{:x} was dealt as attempt {attempts} behind attempt {before}", message.id);
                }
            }
        }
        known.in_flight += 1;
        let deadline_ns = now.mono_ns + known.timeout_ns;
        let state = State::InFlight { consumer: owner, deadline_ns, delivered_ns: now.mono_ns };
        channel.entries.insert(message.id, Entry { state, attempts });
        if let Some(pipe) = wire.slots.get(&owner) {
            let pipe = *pipe;
            wire.connection(pipe).dealt.push_back((message.id, attempts));
        }
        size
    }
}

/// Whether the queue's wheel has turned past a moment.
fn is_over(at_ns: u64, now_ns: u64) -> bool {
    at_ns.div_ceil(TICK_NS) <= now_ns / TICK_NS
}
