//! What the registry shows: answers as JSON, written straight from its tables, and the counts for `/metrics`.
//!
//! Topic and channel names need no escaping: all their characters are plain in JSON.

use std::fmt::Write as _;

use nsq_protocol::json::push_string;

use super::registrant::Registrant;
use super::topic::{Tombstone, Topic};
use super::{Category, Registration, Registry};

/// What `/debug` shows for a tombstone that was never set: Go's zero time in nanoseconds since 1970, as it
/// overflows.
const NEVER_NS: i64 = -6_795_364_578_871_345_152;

/// Bytes of an answer for one registrant, roughly.
const MEMBERS_SIZE: usize = 256;

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

/// How far a `/debug` answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DebugCursor {
    stage: Stage,
    any: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Start,
    Topics {
        next: u32,
    },
    End,
}

impl Registry {
    /// `/lookup`: appends the channels of a topic and its registrants that are neither inactive nor tombstoned.
    /// Whether the topic is known; if not, nothing is appended.
    pub fn push_lookup(&self, out: &mut String, topic: &str, now_ns: i64) -> bool {
        let Some(topic_id) = self.find(topic) else { return false };
        let topic = self.topics.at(topic_id);
        out.reserve(64 + topic.registrants.len() * MEMBERS_SIZE + topic.channels().len() * 16);
        out.push_str("{\"channels\":");
        push_names(out, topic.channels().iter().map(|channel| &*channel.name));
        out.push_str(",\"producers\":[");
        let mut list = List::default();
        for id in topic.registrants.iter() {
            let registrant = self.registrants.at(id);
            if registrant.is_active(now_ns, self.lifetimes.inactive_ns) && !topic.is_tombstoned(id, now_ns) {
                list.next(out);
                out.push_str(&registrant.members);
                out.push('}');
            }
        }
        out.push_str("]}");
        true
    }

    /// `/topics`
    pub fn push_topics(&self, out: &mut String) {
        out.reserve(16 + self.topics.len() * 24);
        out.push_str("{\"topics\":");
        push_names(out, self.topics.iter().map(|(_, topic)| &*topic.name));
        out.push('}');
    }

    /// `/channels`: those of a topic, none where it is unknown.
    pub fn push_channels(&self, out: &mut String, topic: &str) {
        let channels = self.find(topic).map_or(&[][..], |id| self.topics.at(id).channels());
        out.push_str("{\"channels\":");
        push_names(out, channels.iter().map(|channel| &*channel.name));
        out.push('}');
    }

    /// `/nodes`: the active registrants, each with its topics and, in the same order, whether it is tombstoned
    /// there.
    pub fn push_nodes(&self, out: &mut String, now_ns: i64) {
        out.reserve(16 + self.registrants.len() * 2 * MEMBERS_SIZE);
        out.push_str("{\"producers\":[");
        let mut list = List::default();
        for (id, registrant) in self.registrants.iter() {
            if registrant.is_active(now_ns, self.lifetimes.inactive_ns) && !registrant.is_replaced() {
                list.next(out);
                self.push_node(out, id, registrant, now_ns);
            }
        }
        out.push_str("]}");
    }

    fn push_node(&self, out: &mut String, id: u32, registrant: &Registrant, now_ns: i64) {
        out.push_str(&registrant.members);
        out.push_str(",\"tombstones\":[");
        let mut list = List::default();
        let topics = || registrant.topics.iter().map(|id| self.topics.at(id));
        for topic in topics() {
            list.next(out);
            out.push_str(if topic.is_tombstoned(id, now_ns) { "true" } else { "false" });
        }
        out.push_str("],\"topics\":");
        push_names(out, topics().map(|topic| &*topic.name));
        out.push('}');
    }

    /// `/debug`, in pieces, since it repeats every registrant for each of its registrations: appends until
    /// `size` bytes are exceeded, and says where to go on; `None` at the end. The registry may change between
    /// pieces; then the answer shows some of the change.
    pub fn push_debug(&self, out: &mut String, mut cursor: DebugCursor, size: usize) -> Option<DebugCursor> {
        loop {
            cursor.stage = match cursor.stage {
                Stage::Start => {
                    out.push('{');
                    let key = Registration { category: Category::Client, key: "", subkey: "" };
                    let all = self.registrants.iter().map(|(_, registrant)| (registrant, None));
                    push_debug_entry(out, &mut cursor.any, key, all);
                    Stage::Topics { next: 0 }
                }
                Stage::Topics { next } => match self.topics.next_from(next) {
                    Some((id, topic)) => {
                        self.push_debug_topic(out, &mut cursor.any, topic);
                        Stage::Topics { next: id + 1 }
                    }
                    None => {
                        out.push('}');
                        Stage::End
                    }
                },
                Stage::End => return None,
            };
            if out.len() > size {
                return Some(cursor);
            }
        }
    }

    fn push_debug_topic(&self, out: &mut String, any: &mut bool, topic: &Topic) {
        let with_tombstones =
            topic.registrants.iter().map(|id| (self.registrants.at(id), topic.tombstone(id)));
        push_debug_entry(out, any, Registration::topic(&topic.name), with_tombstones);
        for channel in topic.channels() {
            let all = channel.registrants.iter().map(|id| (self.registrants.at(id), None));
            push_debug_entry(out, any, Registration::channel(&topic.name, &channel.name), all);
        }
    }

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
#[derive(Default)]
struct List {
    any: bool,
}

impl List {
    fn next(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.any, true) {
            out.push(',');
        }
    }
}

fn push_names<'a>(out: &mut String, names: impl Iterator<Item = &'a str>) {
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
fn push_debug_entry<'a>(
    out: &mut String,
    any: &mut bool,
    key: Registration<'_>,
    registrants: impl Iterator<Item = (&'a Registrant, Option<Tombstone>)>,
) {
    let mut list = List::default();
    for (registrant, tombstone) in registrants {
        if !list.any {
            out.push_str(if std::mem::replace(any, true) { ",\"" } else { "\"" });
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
