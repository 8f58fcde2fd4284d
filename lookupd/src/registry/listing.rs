//! Answers that list what the registry holds, as JSON, written straight from its tables in pieces: as a whole some of
//! them would be tens of megabytes, and making them would hold up everybody.
//!
//! The registry may change between two pieces; then the answer shows some of the change. What is there all the time is
//! listed exactly once. One producer of `/nodes` is always in one piece, since its two lists belong together.
//!
//! Topic and channel names need no escaping: all their characters are plain in JSON.

use super::view::{List, push_debug_entry, push_names};
use super::{Category, Registrant, Registration, Registry, Topic};

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// `/topics`
    Topics,
    /// `/channels`: those of a topic, none where it is unknown.
    Channels(Box<str>),
    /// `/lookup`: the channels of a topic, and its registrants that are neither inactive nor tombstoned.
    Lookup(Box<str>),
    /// `/nodes`: the active registrants, each with its topics and, in the same order, whether it is tombstoned there.
    Nodes,
    /// `/debug`: every registration.
    Debug,
}

/// A listing, and how far it has come.
#[derive(Debug)]
pub struct Cursor {
    listing: Listing,
    stage: Stage,
    /// For the commas of the present list.
    list: List,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Topics {
        next: u32,
    },
    Channels {
        after: Option<Box<str>>,
    },
    Producers {
        next: u32,
    },
    Nodes {
        next: u32,
    },
    DebugTopics {
        next: u32,
    },
    /// Nothing is left but this.
    Tail(&'static str),
    End,
}

impl Cursor {
    /// At the beginning.
    pub fn new(listing: Listing) -> Self {
        Self { listing, stage: Stage::Start, list: List::default() }
    }

    /// Whether everything has been listed.
    pub fn is_at_end(&self) -> bool {
        self.stage == Stage::End
    }

    fn topic<'a>(&self, registry: &'a Registry) -> Option<&'a Topic> {
        match &self.listing {
            Listing::Channels(topic) | Listing::Lookup(topic) => {
                registry.find(topic).map(|id| registry.topics.at(id))
            }
            Listing::Topics | Listing::Nodes | Listing::Debug => None,
        }
    }
}

impl Registry {
    /// Whether it is known.
    pub fn knows_topic(&self, topic: &str) -> bool {
        self.find(topic).is_some()
    }

    /// Appends the next piece of a listing: until `size` bytes are exceeded or the end is reached.
    pub fn push_piece(&self, out: &mut String, cursor: &mut Cursor, now_ns: i64, size: usize) {
        while !cursor.is_at_end() && out.len() <= size {
            cursor.stage = match std::mem::replace(&mut cursor.stage, Stage::End) {
                Stage::Start => self.push_start(out, cursor),
                Stage::Topics { next } => match self.topics.next_from(next) {
                    Some((id, topic)) => {
                        cursor.list.next(out);
                        push_name(out, &topic.name);
                        Stage::Topics { next: id + 1 }
                    }
                    None => Stage::Tail("]}"),
                },
                Stage::Channels { after } => self.push_channels(out, cursor, after, size),
                Stage::Producers { next } => self.push_producers(out, cursor, next, now_ns, size),
                Stage::Nodes { next } => match self.registrants.next_from(next) {
                    Some((id, registrant)) => {
                        self.push_node(out, &mut cursor.list, id, registrant, now_ns);
                        Stage::Nodes { next: id + 1 }
                    }
                    None => Stage::Tail("]}"),
                },
                Stage::DebugTopics { next } => match self.topics.next_from(next) {
                    Some((id, topic)) => {
                        self.push_debug_topic(out, &mut cursor.list, topic);
                        Stage::DebugTopics { next: id + 1 }
                    }
                    None => Stage::Tail("}"),
                },
                Stage::Tail(text) => {
                    out.push_str(text);
                    Stage::End
                }
                Stage::End => Stage::End,
            };
        }
    }

    fn push_start(&self, out: &mut String, cursor: &mut Cursor) -> Stage {
        let (head, stage) = match &cursor.listing {
            Listing::Topics => ("{\"topics\":[", Stage::Topics { next: 0 }),
            Listing::Channels(_) | Listing::Lookup(_) => ("{\"channels\":[", Stage::Channels { after: None }),
            Listing::Nodes => ("{\"producers\":[", Stage::Nodes { next: 0 }),
            Listing::Debug => ("{", Stage::DebugTopics { next: 0 }),
        };
        out.push_str(head);
        if cursor.listing == Listing::Debug {
            let key = Registration { category: Category::Client, key: "", subkey: "" };
            let all = self.registrants.iter().map(|(_, registrant)| (registrant, None));
            push_debug_entry(out, &mut cursor.list, key, all);
        }
        stage
    }

    fn push_channels(
        &self,
        out: &mut String,
        cursor: &mut Cursor,
        after: Option<Box<str>>,
        size: usize,
    ) -> Stage {
        let channels = cursor.topic(self).map_or(&[][..], Topic::channels);
        let start = after.map_or(0, |after| channels.partition_point(|channel| channel.name <= after));
        for channel in &channels[start..] {
            cursor.list.next(out);
            push_name(out, &channel.name);
            if out.len() > size {
                return Stage::Channels { after: Some(channel.name.clone()) };
            }
        }
        if !matches!(cursor.listing, Listing::Lookup(_)) {
            return Stage::Tail("]}");
        }
        out.push_str("],\"producers\":[");
        cursor.list = List::default();
        Stage::Producers { next: 0 }
    }

    fn push_producers(
        &self,
        out: &mut String,
        cursor: &mut Cursor,
        next: u32,
        now_ns: i64,
        size: usize,
    ) -> Stage {
        let Some(topic) = cursor.topic(self) else { return Stage::Tail("]}") };
        for id in topic.registrants.iter_from(next) {
            let registrant = self.registrants.at(id);
            if registrant.is_active(now_ns, self.lifetimes.inactive_ns) && !topic.is_tombstoned(id, now_ns) {
                cursor.list.next(out);
                out.push_str(&registrant.members);
                out.push('}');
            }
            if out.len() > size {
                return Stage::Producers { next: id + 1 };
            }
        }
        Stage::Tail("]}")
    }

    fn push_node(&self, out: &mut String, list: &mut List, id: u32, registrant: &Registrant, now_ns: i64) {
        if !registrant.is_active(now_ns, self.lifetimes.inactive_ns) || registrant.is_replaced() {
            return;
        }
        list.next(out);
        out.push_str(&registrant.members);
        out.push_str(",\"tombstones\":[");
        let mut tombstones = List::default();
        let topics = || registrant.topics.iter().map(|id| self.topics.at(id));
        for topic in topics() {
            tombstones.next(out);
            out.push_str(if topic.is_tombstoned(id, now_ns) { "true" } else { "false" });
        }
        out.push_str("],\"topics\":");
        push_names(out, topics().map(|topic| &*topic.name));
        out.push('}');
    }

    fn push_debug_topic(&self, out: &mut String, list: &mut List, topic: &Topic) {
        let with_tombstones =
            topic.registrants.iter().map(|id| (self.registrants.at(id), topic.tombstone(id)));
        push_debug_entry(out, list, Registration::topic(&topic.name), with_tombstones);
        for channel in topic.channels() {
            let all = channel.registrants.iter().map(|id| (self.registrants.at(id), None));
            push_debug_entry(out, list, Registration::channel(&topic.name, &channel.name), all);
        }
    }
}

fn push_name(out: &mut String, name: &str) {
    out.push('"');
    out.push_str(name);
    out.push('"');
}
