//! The directory: which nsqd announces which topic and channel. Pure: no IO, no clock; the time is an argument.
//!
//! NSQ keeps a map from (category, key, subkey) to a map of producers. Here a topic owns its channels, names
//! are stored once, and a registration is a four-byte id in a sorted list:
//!
//! ```text
//!   names ──► topic 7 "orders" ── registrants [3, 5, 9]    tombstones [(5, until)]
//!                                 channels "archive" [3, 9], "mail" [5]
//!   registrant 5 ── what it announced, last seen, its JSON members     topics [2, 7]
//! ```
//!
//! Both directions are kept: `/lookup` walks from the topic, `/nodes` and a disconnect from the registrant. Who
//! is registered for a channel is registered for its topic too, so a disconnect finds everything by the topics.
//!
//! Names outlive their registrants, because nsqd asks for the channels of a topic before it accepts its first
//! message. Only `#ephemeral` names go with their last registrant.

mod ids;
mod listing;
mod memory;
mod quota;
mod registrant;
mod topic;
mod view;

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use nsq_protocol::names::is_ephemeral;

use crate::limits::{CHANNELS_PER_TOPIC_MAX, NAMES_MAX, NAMES_PER_ADDRESS_MAX, TOPICS_PER_REGISTRANT_MAX};
use ids::Slab;
use quota::{Maker, Quotas};
use registrant::{Origin, Registrant};
use topic::{Tombstone, Topic};

pub use listing::{Cursor, Listing};
pub use memory::{Memory, MemoryError, Save};
pub use registrant::Announcement;
pub use view::Counts;

/// A connected nsqd, from [`Registry::identify`] to [`Registry::disconnect`]. Ids are given out again, so it must
/// not be kept any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrantId(u32);

/// What can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A connection as such; without key and subkey.
    Client,
    /// A topic; the key is its name.
    Topic,
    /// A channel; the key is the topic's name, the subkey the channel's.
    Channel,
}

/// What somebody is registered for, in NSQ's terms. `Display` is the form of its log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration<'a> {
    /// Of what kind.
    pub category: Category,
    /// Topic or empty.
    pub key: &'a str,
    /// Channel or empty.
    pub subkey: &'a str,
}

impl<'a> Registration<'a> {
    /// That of a topic.
    pub fn topic(topic: &'a str) -> Self {
        Self { category: Category::Topic, key: topic, subkey: "" }
    }

    /// That of a channel.
    pub fn channel(topic: &'a str, channel: &'a str) -> Self {
        Self { category: Category::Channel, key: topic, subkey: channel }
    }
}

impl Category {
    /// The word for it in logs and in `/debug`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Topic => "topic",
            Self::Channel => "channel",
        }
    }
}

impl fmt::Display for Registration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "category:{} key:{} subkey:{}", self.category.word(), self.key, self.subkey)
    }
}

/// A bound of the registry is reached; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Full {
    /// [`NAMES_MAX`]
    Names,
    /// [`NAMES_PER_ADDRESS_MAX`]
    NamesOfAddress,
    /// [`CHANNELS_PER_TOPIC_MAX`]
    ChannelsOfTopic,
    /// [`TOPICS_PER_REGISTRANT_MAX`]
    TopicsOfRegistrant,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names => write!(f, "more than {NAMES_MAX} topics and channels"),
            Self::NamesOfAddress => {
                write!(f, "more than {NAMES_PER_ADDRESS_MAX} topics and channels from one address")
            }
            Self::ChannelsOfTopic => write!(f, "more than {CHANNELS_PER_TOPIC_MAX} channels of one topic"),
            Self::TopicsOfRegistrant => {
                write!(f, "more than {TOPICS_PER_REGISTRANT_MAX} topics of one connection")
            }
        }
    }
}

/// What a REGISTER added; both false when it was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The registration for the topic is new.
    pub topic: bool,
    /// The registration for the channel is new.
    pub channel: bool,
}

/// How long signs count. Nanoseconds, as the flags give them: zero and less are possible.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Silence after which a registrant is hidden: `--inactive-producer-timeout`.
    pub inactive_ns: i64,
    /// How long a tombstone hides: `--tombstone-lifetime`.
    pub tombstone_ns: i64,
}

/// The directory. All times are Unix times in nanoseconds; names must have been validated, except where a method
/// only looks them up.
#[derive(Debug)]
pub struct Registry {
    lifetimes: Lifetimes,
    registrants: Slab<Registrant>,
    topics: Slab<Topic>,
    /// Ids of topics by name.
    names: HashTable<u32>,
    hasher: RandomState,
    channel_count: usize,
    quotas: Quotas,
    remembered_count: usize,
    revision: u64,
    serial: u64,
}

impl Registry {
    /// An empty directory.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self {
            lifetimes,
            registrants: Slab::default(),
            topics: Slab::default(),
            names: HashTable::new(),
            hasher: RandomState::new(),
            channel_count: 0,
            quotas: Quotas::default(),
            remembered_count: 0,
            revision: 0,
            serial: 0,
        }
    }

    /// Changes with every change that is worth saving; PING is none.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A new connection has introduced itself. `remote_address` is its `ip:port`.
    pub fn identify(&mut self, announced: Announcement, remote_address: &str, now_ns: i64) -> RegistrantId {
        let twin = self.replace_remembered(&announced);
        let origin = Origin::Connected { twin };
        self.revision += 1;
        let serial = self.next_serial();
        RegistrantId(self.registrants.insert(Registrant::new(
            announced,
            remote_address,
            now_ns,
            origin,
            serial,
        )))
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A sign of life. Returns how long the registrant was silent before, in nanoseconds.
    pub fn ping(&mut self, id: RegistrantId, now_ns: i64) -> i64 {
        // nsqd sends its first PING after it has announced everything.
        self.forget_twin(id.0);
        let Some(registrant) = self.registrants.get_mut(id.0) else { return 0 };
        let silence_ns = now_ns.saturating_sub(registrant.last_seen_ns);
        registrant.last_seen_ns = now_ns;
        silence_ns
    }

    /// Registers for a topic, or for a channel and by that for its topic. An existing registration stays as it
    /// is, tombstone included.
    ///
    /// # Errors
    ///
    /// Where a bound is reached.
    pub fn register(
        &mut self,
        id: RegistrantId,
        topic: &str,
        channel: Option<&str>,
    ) -> Result<Registered, Full> {
        let Some(registrant) = self.registrants.get(id.0) else { return Ok(Registered::default()) };
        let known = self.find(topic);
        if registrant.topics.len() >= TOPICS_PER_REGISTRANT_MAX
            && !known.is_some_and(|t| registrant.topics.contains(t))
        {
            return Err(Full::TopicsOfRegistrant);
        }
        // What is remembered was admitted before.
        let address: Option<Box<str>> = (!registrant.is_remembered()).then(|| registrant.address().into());
        let address = address.as_deref();
        self.check_room(known, channel, address)?;
        let topic_id = self.open_topic(topic, address);
        let mut added = Registered::default();
        if let Some(channel) = channel {
            added.channel = self.open_channel(topic_id, channel, address).registrants.insert(id.0);
        }
        added.topic = self.topics.at_mut(topic_id).registrants.insert(id.0);
        self.registrants.at_mut(id.0).topics.insert(topic_id);
        self.leave_to_successor(id.0, topic_id);
        self.revision += u64::from(added.topic || added.channel);
        Ok(added)
    }

    /// Ends the registration for a channel; the one for its topic stays. Whether there was one.
    pub fn unregister_channel(&mut self, id: RegistrantId, topic: &str, channel: &str) -> bool {
        let Some(topic_id) = self.find(topic) else { return false };
        let Some(known) = self.topics.at_mut(topic_id).channel_mut(channel) else { return false };
        let removed = known.registrants.remove(id.0);
        let ends = known.registrants.is_empty() && is_ephemeral(channel);
        if ends {
            self.remove_channel(topic_id, channel);
        }
        self.revision += u64::from(removed || ends);
        removed
    }

    /// Ends the registrations for a topic and all its channels, calling `ended` with each.
    pub fn unregister_topic(&mut self, id: RegistrantId, topic: &str, ended: impl FnMut(Registration<'_>)) {
        let Some(topic_id) = self.find(topic) else { return };
        let known = self.topics.at(topic_id);
        // Who is in one of the channels is in the topic too, so this is all that a bystander can do, and it takes no
        // search through the channels.
        if !known.registrants.contains(id.0) {
            if known.registrants.is_empty() && is_ephemeral(topic) {
                self.drop_topic(topic_id);
            }
            return;
        }
        self.revision += 1;
        self.leave_topic(id.0, topic_id, ended);
        if let Some(registrant) = self.registrants.get_mut(id.0) {
            registrant.topics.remove(topic_id);
        }
    }

    /// The connection is gone, and with it all its registrations; `ended` is called with each.
    pub fn disconnect(&mut self, id: RegistrantId, ended: impl FnMut(Registration<'_>)) {
        self.forget_twin(id.0);
        self.drop_registrant(id.0, ended);
    }

    /// Makes a topic known. Whether it is new.
    ///
    /// # Errors
    ///
    /// Where a bound is reached.
    pub fn create_topic(&mut self, topic: &str) -> Result<bool, Full> {
        let known = self.find(topic);
        self.check_room(known, None, None)?;
        self.open_topic(topic, None);
        Ok(known.is_none())
    }

    /// Makes a channel and its topic known.
    ///
    /// # Errors
    ///
    /// Where a bound is reached.
    pub fn create_channel(&mut self, topic: &str, channel: &str) -> Result<(), Full> {
        self.check_room(self.find(topic), Some(channel), None)?;
        let topic_id = self.open_topic(topic, None);
        self.open_channel(topic_id, channel, None);
        Ok(())
    }

    /// Forgets a topic with its channels, tombstones and registrations, calling `ended` with each name.
    /// Connections stay; their next REGISTER brings the topic back.
    pub fn delete_topic(&mut self, topic: &str, mut ended: impl FnMut(Registration<'_>)) {
        let Some(topic_id) = self.find(topic) else { return };
        let known = self.topics.at(topic_id);
        known.channels().iter().for_each(|channel| ended(Registration::channel(topic, &channel.name)));
        ended(Registration::topic(topic));
        for id in known.registrants.iter() {
            self.registrants.at_mut(id).topics.remove(topic_id);
        }
        self.drop_topic(topic_id);
    }

    /// Forgets a channel with its registrations. Whether it was known.
    pub fn delete_channel(&mut self, topic: &str, channel: &str) -> bool {
        let Some(topic_id) = self.find(topic) else { return false };
        let removed = self.remove_channel(topic_id, channel);
        self.revision += u64::from(removed);
        removed
    }

    /// Hides all registrants of the topic that announce `node` (`broadcast_address:http_port`) for the lifetime of
    /// a tombstone, from `now_ns` on. How many there are.
    pub fn set_tombstones(&mut self, topic: &str, node: &str, now_ns: i64) -> usize {
        let Some(topic_id) = self.find(topic) else { return 0 };
        let until_ns = now_ns.saturating_add(self.lifetimes.tombstone_ns);
        let topic = self.topics.at_mut(topic_id);
        let is_meant = |id: &u32| self.registrants.at(*id).announced.is_node(node);
        let meant: Vec<u32> = topic.registrants.iter().filter(is_meant).collect();
        meant.iter().for_each(|&id| topic.set_tombstone(id, Tombstone { since_ns: now_ns, until_ns }));
        self.revision += u64::from(!meant.is_empty());
        meant.len()
    }

    fn find(&self, topic: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(topic);
        self.names.find(hash, |&id| *self.topics.at(id).name == *topic).copied()
    }

    /// Whether the names that are new would fit, and are not too many of that peer's address.
    fn check_room(
        &self,
        known: Option<u32>,
        channel: Option<&str>,
        address: Option<&str>,
    ) -> Result<(), Full> {
        let topic = known.map(|id| self.topics.at(id));
        let new_channel = channel.is_some_and(|channel| !topic.is_some_and(|t| t.has_channel(channel)));
        let new_names = usize::from(topic.is_none()) + usize::from(new_channel);
        if self.topics.len() + self.channel_count + new_names > NAMES_MAX {
            return Err(Full::Names);
        }
        if new_names > 0 && address.is_some_and(|address| !self.quotas.has_room(address, new_names)) {
            return Err(Full::NamesOfAddress);
        }
        if new_channel && topic.is_some_and(|t| t.channels().len() >= CHANNELS_PER_TOPIC_MAX) {
            return Err(Full::ChannelsOfTopic);
        }
        Ok(())
    }

    /// The topic of that name; if it is new, it is made, by the peer of that address or by nobody.
    fn open_topic(&mut self, name: &str, address: Option<&str>) -> u32 {
        if let Some(id) = self.find(name) {
            return id;
        }
        let maker = self.maker(address);
        let id = self.topics.insert(Topic::new(name, maker));
        let (topics, hasher) = (&self.topics, &self.hasher);
        self.names.insert_unique(hasher.hash_one(name), id, |&id| hasher.hash_one(&*topics.at(id).name));
        self.revision += 1;
        id
    }

    fn open_channel(&mut self, topic_id: u32, name: &str, address: Option<&str>) -> &mut topic::Channel {
        let is_new = !self.topics.at(topic_id).has_channel(name);
        let maker = if is_new { self.maker(address) } else { Maker::NOBODY };
        self.channel_count += usize::from(is_new);
        self.revision += u64::from(is_new);
        self.topics.at_mut(topic_id).open_channel(name, maker)
    }

    fn maker(&mut self, address: Option<&str>) -> Maker {
        address.map_or(Maker::NOBODY, |address| self.quotas.charge(address))
    }

    fn remove_channel(&mut self, topic_id: u32, channel: &str) -> bool {
        let Some(removed) = self.topics.at_mut(topic_id).remove_channel(channel) else { return false };
        self.quotas.release(removed.maker);
        self.channel_count -= 1;
        true
    }

    /// Takes a registrant out of a topic and its channels, and drops the ephemeral names this leaves without
    /// anybody. The registrant's own list of topics is the caller's.
    fn leave_topic(&mut self, id: u32, topic_id: u32, mut ended: impl FnMut(Registration<'_>)) {
        let topic = self.topics.at_mut(topic_id);
        let name = topic.name.clone();
        let dropped = topic.leave_channels(
            id,
            |channel| ended(Registration::channel(&name, channel)),
            |channel| channel.registrants.is_empty() && is_ephemeral(&channel.name),
        );
        self.channel_count -= dropped.len();
        dropped.into_iter().for_each(|maker| self.quotas.release(maker));
        topic.clear_tombstone(id);
        if topic.registrants.remove(id) {
            ended(Registration::topic(&name));
        }
        if topic.registrants.is_empty() && is_ephemeral(&name) {
            self.drop_topic(topic_id);
        }
    }

    /// Removes a topic that no registrant lists any more.
    fn drop_topic(&mut self, topic_id: u32) {
        let hash = self.hasher.hash_one(&*self.topics.at(topic_id).name);
        if let Ok(entry) = self.names.find_entry(hash, |&id| id == topic_id) {
            entry.remove();
        }
        if let Some(topic) = self.topics.remove(topic_id) {
            self.channel_count -= topic.channels().len();
            self.quotas.release(topic.maker);
            topic.channels().iter().for_each(|channel| self.quotas.release(channel.maker));
        }
        self.revision += 1;
    }

    fn drop_registrant(&mut self, id: u32, mut ended: impl FnMut(Registration<'_>)) {
        let Some(registrant) = self.registrants.get_mut(id) else { return };
        let topics = std::mem::take(&mut registrant.topics);
        for topic_id in topics.iter() {
            self.leave_topic(id, topic_id, &mut ended);
        }
        if self.registrants.remove(id).is_some_and(|registrant| registrant.is_remembered()) {
            self.remembered_count -= 1;
        }
        self.revision += 1;
    }
}

#[cfg(test)]
mod check;
#[cfg(test)]
mod tests;
