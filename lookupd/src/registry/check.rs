//! Everything that must hold between the tables of the registry.

use super::registrant::Origin;
use super::topic::Topic;
use super::{Registry, quota};

impl Registry {
    /// Walks all invariants.
    ///
    /// # Panics
    ///
    /// Where one is broken.
    pub(crate) fn check(&self) {
        assert_eq!(self.names.len(), self.topics.len());
        let channels: usize = self.topics.iter().map(|(_, topic)| topic.channels().len()).sum();
        assert_eq!(self.channel_count, channels);
        let remembered = self.registrants.iter().filter(|(_, r)| r.is_remembered()).count();
        assert_eq!(self.remembered_count, remembered);
        let is_made = |maker: quota::Maker| usize::from(maker.is_somebody());
        let made = |topic: &Topic| {
            is_made(topic.maker)
                + topic.channels().iter().map(|channel| is_made(channel.maker)).sum::<usize>()
        };
        assert_eq!(self.quotas.total(), self.topics.iter().map(|(_, topic)| made(topic)).sum::<usize>());
        self.check_topics();
        self.check_registrants();
    }

    fn check_topics(&self) {
        for (topic_id, topic) in self.topics.iter() {
            assert_eq!(self.find(&topic.name), Some(topic_id));
            for id in topic.registrants.iter() {
                assert!(self.registrants.at(id).topics.contains(topic_id), "the registrant knows its topic");
            }
            assert!(topic.tombstoned_ids().all(|id| topic.registrants.contains(id)));
            assert!(topic.channels().is_sorted_by(|a, b| a.name < b.name));
            for channel in topic.channels() {
                assert!(channel.registrants.iter().all(|id| topic.registrants.contains(id)));
            }
        }
    }

    fn check_registrants(&self) {
        for (id, registrant) in self.registrants.iter() {
            for topic_id in registrant.topics.iter() {
                assert!(self.topics.at(topic_id).registrants.contains(id), "the topic knows its registrant");
            }
            if let Origin::Connected { twin: Some(twin) } = registrant.origin {
                let is_gone_or_replaced = self.registrants.get(twin).is_none_or(|t| {
                    // An id that was given out again belongs to somebody connected.
                    t.is_replaced() || !t.is_remembered()
                });
                assert!(is_gone_or_replaced);
            }
        }
    }
}
