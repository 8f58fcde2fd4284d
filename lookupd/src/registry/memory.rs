//! The registry over a restart: what is saved, how it comes back, and how remembered registrants give way to
//! the living.
//!
//! A remembered registrant is listed like a connected one. It goes when
//!
//! - the same nsqd (same broadcast address and ports) connects: from each topic as that connection registers for
//!   it, from the rest at its first PING, which nsqd sends after it has announced everything;
//! - it stays away for the inactive time-out.
//!
//! Ages are saved, not times: the time that nsqlookupd was down does not count, since nobody could have spoken
//! to it.

use std::fmt;

use nsq_protocol::names::is_valid;
use serde::{Deserialize, Serialize};

use super::registrant::{Announcement, Origin, Registrant};
use super::topic::{Tombstone, Topic};
use super::{Full, RegistrantId, Registry};

/// All that is worth remembering, in the form of the state file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    registrants: Vec<SavedRegistrant>,
    topics: Vec<SavedTopic>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedRegistrant {
    remote_address: String,
    broadcast_address: String,
    hostname: String,
    tcp_port: i64,
    http_port: i64,
    version: String,
    topology_zone: String,
    topology_region: String,
    silence_ns: i64,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedTopic {
    name: String,
    /// Places in the list of registrants.
    registrants: Vec<u32>,
    /// Registrant, age, and what is left to live.
    tombstones: Vec<(u32, i64, i64)>,
    channels: Vec<(String, Vec<u32>)>,
}

/// Why a memory cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryError {
    /// A name is none.
    Name,
    /// A registration belongs to no registrant of the list.
    Registrant,
    /// It is larger than the registry may grow.
    Full(Full),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("a topic or channel name in it is not valid"),
            Self::Registrant => f.write_str("a registration in it belongs to nobody"),
            Self::Full(full) => write!(f, "it holds {full}"),
        }
    }
}

impl From<Full> for MemoryError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// A [`Memory`] in the making, and how far it is.
#[derive(Debug, Default)]
pub struct Save {
    stage: SaveStage,
    places: Vec<(u32, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SaveStage {
    #[default]
    Start,
    Registrants {
        next: u32,
    },
    Topics {
        next: u32,
        is_first: bool,
    },
    End,
}

impl Save {
    /// Whether all of it has been made.
    pub fn is_at_end(&self) -> bool {
        self.stage == SaveStage::End
    }
}

fn push_entry(out: &mut String, is_first: bool, entry: &impl Serialize) {
    if !is_first {
        out.push(',');
    }
    out.push_str(
        &serde_json::to_string(entry).expect("invariant: texts and numbers can be written to memory"),
    );
}

impl Registry {
    /// Appends the next piece of a [`Memory`] in JSON: until `size` bytes are exceeded or the end is reached, but one
    /// topic at least. The registry may change between two pieces. What is saved of a topic is what it was at its
    /// turn, for those registrants that were there at theirs and still are.
    pub fn push_memory(&self, out: &mut String, save: &mut Save, now_ns: i64, size: usize) {
        while save.stage != SaveStage::End && out.len() <= size {
            save.stage = match save.stage {
                SaveStage::Start => {
                    out.push_str("{\"registrants\":[");
                    SaveStage::Registrants { next: 0 }
                }
                SaveStage::Registrants { next } => match self.registrants.next_from(next) {
                    Some((id, registrant)) => {
                        // What is replaced is saved as its successor.
                        if !registrant.is_replaced() {
                            push_entry(out, save.places.is_empty(), &saved(registrant, now_ns));
                            save.places.push((id, registrant.serial));
                        }
                        SaveStage::Registrants { next: id + 1 }
                    }
                    None => {
                        out.push_str("],\"topics\":[");
                        SaveStage::Topics { next: 0, is_first: true }
                    }
                },
                SaveStage::Topics { next, is_first } => match self.topics.next_from(next) {
                    Some((id, topic)) => {
                        push_entry(out, is_first, &self.saved_topic(topic, &save.places, now_ns));
                        SaveStage::Topics { next: id + 1, is_first: false }
                    }
                    None => {
                        out.push_str("]}");
                        SaveStage::End
                    }
                },
                SaveStage::End => SaveStage::End,
            };
        }
    }

    /// `places` are ids and serial numbers by their place in the list, and rise with it.
    fn saved_topic(&self, topic: &Topic, places: &[(u32, u64)], now_ns: i64) -> SavedTopic {
        let place = |id: u32| {
            let place = places.binary_search_by_key(&id, |(id, _)| *id).ok()?;
            (self.registrants.at(id).serial == places[place].1).then_some(place as u32)
        };
        let tombstone = |id| Some((place(id)?, topic.tombstone(id)?));
        SavedTopic {
            name: topic.name.to_string(),
            registrants: topic.registrants.iter().filter_map(place).collect(),
            tombstones: topic
                .registrants
                .iter()
                .filter_map(tombstone)
                .map(|(id, t)| (id, now_ns.saturating_sub(t.since_ns), t.until_ns.saturating_sub(now_ns)))
                .collect(),
            channels: topic
                .channels()
                .iter()
                .map(|c| (c.name.to_string(), c.registrants.iter().filter_map(place).collect()))
                .collect(),
        }
    }

    /// An empty directory that remembers what [`Registry::memory`] gave.
    ///
    /// # Errors
    ///
    /// Where the memory contradicts itself or is too large.
    pub fn from_memory(
        lifetimes: super::Lifetimes,
        memory: Memory,
        now_ns: i64,
    ) -> Result<Self, MemoryError> {
        let mut registry = Self::new(lifetimes);
        let ids: Vec<RegistrantId> =
            memory.registrants.into_iter().map(|saved| registry.remember(saved, now_ns)).collect();
        let id = |place: u32| ids.get(place as usize).copied().ok_or(MemoryError::Registrant);
        for topic in memory.topics {
            checked(&topic.name)?;
            registry.create_topic(&topic.name)?;
            for place in topic.registrants {
                registry.register(id(place)?, &topic.name, None)?;
            }
            for (channel, places) in topic.channels {
                registry.create_channel(&topic.name, checked(&channel)?)?;
                for place in places {
                    registry.register(id(place)?, &topic.name, Some(&channel))?;
                }
            }
            for (place, age_ns, left_ns) in topic.tombstones {
                let tombstone = Tombstone {
                    since_ns: now_ns.saturating_sub(age_ns),
                    until_ns: now_ns.saturating_add(left_ns),
                };
                registry.set_tombstone(&topic.name, id(place)?, tombstone)?;
            }
        }
        Ok(registry)
    }

    /// Forgets the remembered registrants that have stayed away for the inactive time-out. How many.
    pub fn forget_absent(&mut self, now_ns: i64) -> usize {
        if self.remembered_count == 0 {
            return 0;
        }
        let inactive_ns = self.lifetimes.inactive_ns;
        let is_absent = |r: &Registrant| r.is_remembered() && !r.is_active(now_ns, inactive_ns);
        let absent: Vec<u32> =
            self.registrants.iter().filter(|(_, r)| is_absent(r)).map(|(id, _)| id).collect();
        absent.iter().for_each(|&id| self.drop_registrant(id, |_| ()));
        absent.len()
    }

    /// Marks the remembered registrant that is connected again. Should the saved registry have had several
    /// connections of that nsqd, the others go.
    pub(super) fn replace_remembered(&mut self, announced: &Announcement) -> Option<u32> {
        if self.remembered_count == 0 {
            return None;
        }
        let is_it = |r: &Registrant| {
            r.origin == Origin::Remembered { replaced: false } && r.announced.is_same_node(announced)
        };
        let twins: Vec<u32> = self.registrants.iter().filter(|(_, r)| is_it(r)).map(|(id, _)| id).collect();
        let (&twin, others) = twins.split_first()?;
        others.iter().for_each(|&id| self.drop_registrant(id, |_| ()));
        self.registrants.at_mut(twin).origin = Origin::Remembered { replaced: true };
        Some(twin)
    }

    /// Ends the remembered registrations for a topic that `id` has registered for itself.
    pub(super) fn leave_to_successor(&mut self, id: u32, topic_id: u32) {
        let Origin::Connected { twin: Some(twin) } = self.registrants.at(id).origin else { return };
        let Some(remembered) = self.registrants.get_mut(twin).filter(|r| r.is_replaced()) else { return };
        if remembered.topics.remove(topic_id) {
            self.leave_topic(twin, topic_id, |_| ());
            self.revision += 1;
        }
    }

    /// Drops what `id` has replaced.
    pub(super) fn forget_twin(&mut self, id: u32) {
        let Some(registrant) = self.registrants.get_mut(id) else { return };
        let Origin::Connected { twin: twin @ Some(_) } = &mut registrant.origin else { return };
        let Some(twin) = twin.take() else { return };
        if self.registrants.get(twin).is_some_and(Registrant::is_replaced) {
            self.drop_registrant(twin, |_| ());
        }
    }

    fn remember(&mut self, saved: SavedRegistrant, now_ns: i64) -> RegistrantId {
        let announced = Announcement {
            broadcast_address: saved.broadcast_address,
            hostname: saved.hostname,
            tcp_port: saved.tcp_port,
            http_port: saved.http_port,
            version: saved.version,
            topology_zone: saved.topology_zone,
            topology_region: saved.topology_region,
        };
        let last_seen_ns = now_ns.saturating_sub(saved.silence_ns);
        let origin = Origin::Remembered { replaced: false };
        self.remembered_count += 1;
        let serial = self.next_serial();
        let registrant = Registrant::new(announced, &saved.remote_address, last_seen_ns, origin, serial);
        RegistrantId(self.registrants.insert(registrant))
    }

    fn set_tombstone(
        &mut self,
        topic: &str,
        id: RegistrantId,
        tombstone: Tombstone,
    ) -> Result<(), MemoryError> {
        let topic_id = self.find(topic).ok_or(MemoryError::Name)?;
        let topic = self.topics.at_mut(topic_id);
        if !topic.registrants.contains(id.0) {
            return Err(MemoryError::Registrant);
        }
        topic.set_tombstone(id.0, tombstone);
        Ok(())
    }
}

fn checked(name: &str) -> Result<&str, MemoryError> {
    if is_valid(name.as_bytes()) { Ok(name) } else { Err(MemoryError::Name) }
}

fn saved(registrant: &Registrant, now_ns: i64) -> SavedRegistrant {
    let announced = &registrant.announced;
    SavedRegistrant {
        remote_address: registrant.remote_address.to_string(),
        broadcast_address: announced.broadcast_address.clone(),
        hostname: announced.hostname.clone(),
        tcp_port: announced.tcp_port,
        http_port: announced.http_port,
        version: announced.version.clone(),
        topology_zone: announced.topology_zone.clone(),
        topology_region: announced.topology_region.clone(),
        silence_ns: now_ns.saturating_sub(registrant.last_seen_ns).max(0),
    }
}
