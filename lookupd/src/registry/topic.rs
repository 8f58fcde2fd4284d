//! What is registered: topics, their channels, and who announces them.

use super::ids::IdSet;
use super::quota::Maker;

/// Hides one registrant of one topic from `/lookup`, so that consumers stay away while it is being deleted
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    /// Unix time at which it was set.
    pub(super) since_ns: i64,
    /// Unix time from which on it counts no longer.
    pub(super) until_ns: i64,
}

/// A known topic. Who is registered for one of its channels is registered for the topic as well.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Box<str>,
    pub(super) registrants: IdSet,
    /// Sorted by registrant. Mostly empty, which is why they do not stand beside the registrants.
    tombstones: Vec<(u32, Tombstone)>,
    /// Sorted by name.
    channels: Vec<Channel>,
    pub(super) maker: Maker,
}

/// A known channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: Box<str>,
    pub(super) registrants: IdSet,
    pub(super) maker: Maker,
}

impl Topic {
    pub(super) fn new(name: &str, maker: Maker) -> Self {
        Self {
            name: name.into(),
            registrants: IdSet::default(),
            tombstones: Vec::new(),
            channels: Vec::new(),
            maker,
        }
    }

    pub(super) fn channels(&self) -> &[Channel] {
        &self.channels
    }

    pub(super) fn channel_mut(&mut self, name: &str) -> Option<&mut Channel> {
        let place = self.place(name).ok()?;
        self.channels.get_mut(place)
    }

    pub(super) fn has_channel(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// The channel of that name; if it is new, it is made by `maker`.
    pub(super) fn open_channel(&mut self, name: &str, maker: Maker) -> &mut Channel {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(place) => {
                self.channels
                    .insert(place, Channel { name: name.into(), registrants: IdSet::default(), maker });
                place
            }
        };
        &mut self.channels[place]
    }

    pub(super) fn remove_channel(&mut self, name: &str) -> Option<Channel> {
        let place = self.place(name).ok()?;
        Some(self.channels.remove(place))
    }

    /// Takes a registrant out of all channels, calling `left` with each, and drops those which `ends` says end
    /// with it. The makers of those that were dropped.
    pub(super) fn leave_channels(
        &mut self,
        id: u32,
        mut left: impl FnMut(&str),
        ends: impl Fn(&Channel) -> bool,
    ) -> Vec<Maker> {
        let mut dropped = Vec::new();
        self.channels.retain_mut(|channel| {
            let was_there = channel.registrants.remove(id);
            if was_there {
                left(&channel.name);
            }
            let ends = was_there && ends(channel);
            if ends {
                dropped.push(channel.maker);
            }
            !ends
        });
        dropped
    }

    pub(super) fn tombstone(&self, id: u32) -> Option<Tombstone> {
        let place = self.tombstones.binary_search_by_key(&id, |(of, _)| *of).ok()?;
        self.tombstones.get(place).map(|(_, tombstone)| *tombstone)
    }

    /// Sets it, in place of an earlier one.
    pub(super) fn set_tombstone(&mut self, id: u32, tombstone: Tombstone) {
        match self.tombstones.binary_search_by_key(&id, |(of, _)| *of) {
            Ok(place) => self.tombstones[place].1 = tombstone,
            Err(place) => self.tombstones.insert(place, (id, tombstone)),
        }
    }

    pub(super) fn clear_tombstone(&mut self, id: u32) {
        if let Ok(place) = self.tombstones.binary_search_by_key(&id, |(of, _)| *of) {
            self.tombstones.remove(place);
        }
    }

    pub(super) fn is_tombstoned(&self, id: u32, now_ns: i64) -> bool {
        self.tombstone(id).is_some_and(|tombstone| now_ns < tombstone.until_ns)
    }

    #[cfg(test)]
    pub(super) fn tombstoned_ids(&self) -> impl Iterator<Item = u32> {
        self.tombstones.iter().map(|(id, _)| *id)
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.channels.binary_search_by(|channel| (*channel.name).cmp(name))
    }
}
