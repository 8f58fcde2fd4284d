//! What the registry shows: the counts for `/metrics`, and the pieces that listings are made of.

use std::fmt::Write as _;

use nsq_protocol::json::push_string;

use super::registrant::Registrant;
use super::topic::Tombstone;
use super::{Registration, Registry};

/// What `/debug` shows for a tombstone that was never set: Go's zero time in nanoseconds since 1970, as it
/// overflows.
const NEVER_NS: i64 = -6_795_364_578_871_345_152;

/// Sizes of the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connected and identified.
    pub registrants: usize,
    /// Of them, those heard of within the inactive time-out.
    pub active: usize,
    /// Remembered from before the start, and not replaced yet.
    pub remembered: usize,
    /// Known topics.
    pub topics: usize,
    /// Known channels.
    pub channels: usize,
    /// Registrations for topics.
    pub topic_registrations: usize,
    /// Registrations for channels.
    pub channel_registrations: usize,
}

impl Registry {
    /// Walks the whole registry, without its names.
    pub fn counts(&self, now_ns: i64) -> Counts {
        let mut counts =
            Counts { topics: self.topics.len(), channels: self.channel_count, ..Counts::default() };
        for (_, registrant) in self.registrants.iter().filter(|(_, r)| !r.is_replaced()) {
            let connected = !registrant.is_remembered();
            let active = registrant.is_active(now_ns, self.lifetimes.inactive_ns);
            counts.registrants += usize::from(connected);
            counts.active += usize::from(connected && active);
            counts.remembered += usize::from(!connected);
        }
        for (_, topic) in self.topics.iter() {
            counts.topic_registrations += topic.registrants.len();
            counts.channel_registrations +=
                topic.channels().iter().map(|c| c.registrants.len()).sum::<usize>();
        }
        counts
    }
}

/// Writes the commas of a list.
#[derive(Debug, Default)]
pub(super) struct List {
    any: bool,
}

impl List {
    pub(super) fn next(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.any, true) {
            out.push(',');
        }
    }
}

pub(super) fn push_names<'a>(out: &mut String, names: impl Iterator<Item = &'a str>) {
    out.push('[');
    let mut list = List::default();
    for name in names {
        list.next(out);
        out.push('"');
        out.push_str(name);
        out.push('"');
    }
    out.push(']');
}

/// One key with its registrants; nothing where there are none.
pub(super) fn push_debug_entry<'a>(
    out: &mut String,
    keys: &mut List,
    key: Registration<'_>,
    registrants: impl Iterator<Item = (&'a Registrant, Option<Tombstone>)>,
) {
    let mut list = List::default();
    for (registrant, tombstone) in registrants {
        if !list.any {
            keys.next(out);
            out.push('"');
            // Writing to a String cannot fail, here and below.
            let _ = write!(out, "{}:{}:{}\":[", key.category.word(), key.key, key.subkey);
        }
        list.next(out);
        push_debug_registrant(out, registrant, tombstone);
    }
    if list.any {
        out.push(']');
    }
}

fn push_debug_registrant(out: &mut String, registrant: &Registrant, tombstone: Option<Tombstone>) {
    let announced = &registrant.announced;
    out.push_str("{\"broadcast_address\":");
    push_string(out, &announced.broadcast_address);
    out.push_str(",\"hostname\":");
    push_string(out, &announced.hostname);
    let _ = write!(out, ",\"http_port\":{},\"id\":", announced.http_port);
    push_string(out, &registrant.remote_address);
    let _ = write!(out, ",\"last_update\":{},\"tcp_port\":{}", registrant.last_seen_ns, announced.tcp_port);
    let since_ns = tombstone.map_or(NEVER_NS, |tombstone| tombstone.since_ns);
    let _ = write!(out, ",\"tombstoned\":{},\"tombstoned_at\":{since_ns}", tombstone.is_some());
    out.push_str(",\"topology_region\":");
    push_string(out, &announced.topology_region);
    out.push_str(",\"topology_zone\":");
    push_string(out, &announced.topology_zone);
    out.push_str(",\"version\":");
    push_string(out, &announced.version);
    if registrant.is_remembered() {
        out.push_str(",\"remembered\":true");
    }
    out.push('}');
}
