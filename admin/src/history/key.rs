//! What a series is about: the cluster, a node, a topic, a channel, or one of the latter two on one node.

use std::collections::HashMap;
use std::sync::Arc;

/// An interned name. Valid in the [`Names`] that gave it, until that forgets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

/// What a series is about. The order is that of worth: when memory is short, what is greater gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Sums over all nodes.
    Cluster,
    /// Sums over the topics of a node.
    Node(NameId),
    /// A topic over all nodes.
    Topic(NameId),
    /// A channel (topic, channel) over all nodes.
    Channel(NameId, NameId),
    /// A topic (node, topic) on one node.
    NodeTopic(NameId, NameId),
    /// A channel (node, topic, channel) on one node.
    NodeChannel(NameId, NameId, NameId),
}

/// How many kinds of [`Key`] there are.
pub const KINDS: usize = 6;

impl Key {
    /// Which kind it is, the most valued first.
    pub fn kind(self) -> usize {
        match self {
            Key::Cluster => 0,
            Key::Node(_) => 1,
            Key::Topic(_) => 2,
            Key::Channel(..) => 3,
            Key::NodeTopic(..) => 4,
            Key::NodeChannel(..) => 5,
        }
    }

    /// The names of the kinds, for metrics.
    pub const KIND_NAMES: [&'static str; KINDS] =
        ["cluster", "node", "topic", "channel", "node_topic", "node_channel"];

    /// The names that it holds.
    pub fn names(self) -> impl Iterator<Item = NameId> {
        let names = match self {
            Key::Cluster => [None, None, None],
            Key::Node(a) | Key::Topic(a) => [Some(a), None, None],
            Key::Channel(a, b) | Key::NodeTopic(a, b) => [Some(a), Some(b), None],
            Key::NodeChannel(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        names.into_iter().flatten()
    }
}

/// Names by number and back. Each name is held once, however many keys use it.
#[derive(Default)]
pub struct Names {
    ids: HashMap<Arc<str>, u32>,
    names: Vec<Option<(Arc<str>, u32)>>,
    free: Vec<u32>,
    bytes: usize,
}

/// What a name costs beside its own bytes: two table entries and the counts of its `Arc`.
const NAME_OVERHEAD_BYTES: usize = 80;

impl Names {
    /// The id of a name that is known.
    pub fn find(&self, name: &str) -> Option<NameId> {
        self.ids.get(name).copied().map(NameId)
    }

    /// The id of a name, which becomes known. Nobody holds it yet: see [`Names::hold`].
    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(&id) = self.ids.get(name) {
            return NameId(id);
        }
        let shared: Arc<str> = Arc::from(name);
        self.bytes += name.len() + NAME_OVERHEAD_BYTES;
        let id = if let Some(id) = self.free.pop() {
            self.names[id as usize] = Some((Arc::clone(&shared), 0));
            id
        } else {
            let id = u32::try_from(self.names.len())
                .expect("invariant: bounded memory holds fewer than 2^32 names");
            self.names.push(Some((Arc::clone(&shared), 0)));
            id
        };
        self.ids.insert(shared, id);
        NameId(id)
    }

    /// The text of a name.
    pub fn text(&self, id: NameId) -> &str {
        self.names.get(id.0 as usize).and_then(Option::as_ref).map_or("", |(name, _)| name)
    }

    /// A key begins to use its names.
    pub fn hold(&mut self, key: Key) {
        for name in key.names() {
            if let Some(Some((_, holders))) = self.names.get_mut(name.0 as usize) {
                *holders += 1;
            }
        }
    }

    /// A key is gone; a name that no other key uses is forgotten.
    pub fn release(&mut self, key: Key) {
        for name in key.names() {
            let Some(slot) = self.names.get_mut(name.0 as usize) else { continue };
            let Some((text, holders)) = slot else { continue };
            *holders -= 1;
            if *holders == 0 {
                self.bytes -= text.len() + NAME_OVERHEAD_BYTES;
                self.ids.remove(text);
                *slot = None;
                self.free.push(name.0);
            }
        }
    }

    /// Roughly the bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_forgotten_with_its_last_key() {
        let mut names = Names::default();
        let (topic, channel) = (names.intern("orders"), names.intern("billing"));
        names.hold(Key::Topic(topic));
        names.hold(Key::Channel(topic, channel));
        names.release(Key::Channel(topic, channel));
        assert_eq!(names.find("billing"), None);
        assert_eq!(names.text(topic), "orders");
        names.release(Key::Topic(topic));
        assert_eq!(names.bytes(), 0);
        assert_eq!(names.intern("other"), topic, "the number is used again");
    }

    #[test]
    fn a_key_with_the_same_name_twice_holds_it_twice() {
        let mut names = Names::default();
        let same = names.intern("same");
        names.hold(Key::Channel(same, same));
        names.release(Key::Channel(same, same));
        assert_eq!(names.find("same"), None);
    }
}
