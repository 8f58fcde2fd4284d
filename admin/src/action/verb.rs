//! One thing to do, to one object.

use nsq_protocol::names::validate;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
    /// Have the nsqlookupds hide the node for the topic, and delete the topic there.
    Tombstone,
}

/// A verb and its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What to do.
    pub verb: Verb,
    /// Its topic.
    pub topic: String,
    /// The channel, if it is about one. Creating one creates its topic.
    pub channel: Option<String>,
    /// `host:http_port` of the only node to do it on. A tombstone must have one; for the others it is ours.
    pub node: Option<String>,
}

/// A name that is none. The text is NSQ's word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// That of the topic.
    Topic,
    /// That of the channel.
    Channel,
}

impl BadName {
    /// NSQ's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Topic => "INVALID_TOPIC",
            Self::Channel => "INVALID_CHANNEL",
        }
    }
}

/// The words of all actions, as notifications and metrics have them.
pub const OBJECT_WORDS: [&str; 11] = [
    "create_topic",
    "create_channel",
    "delete_topic",
    "delete_channel",
    "empty_topic",
    "empty_channel",
    "pause_topic",
    "pause_channel",
    "unpause_topic",
    "unpause_channel",
    "tombstone_topic_producer",
];

impl Verb {
    /// As it stands in requests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Empty => "empty",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Tombstone => "tombstone",
        }
    }

    /// The verb of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Create, Self::Delete, Self::Empty, Self::Pause, Self::Unpause, Self::Tombstone]
            .into_iter()
            .find(|verb| verb.word() == word)
    }
}

impl Action {
    /// About a topic.
    pub fn topic(verb: Verb, topic: impl Into<String>) -> Self {
        Self { verb, topic: topic.into(), channel: None, node: None }
    }

    /// About a channel.
    pub fn channel(verb: Verb, topic: impl Into<String>, channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), ..Self::topic(verb, topic) }
    }

    /// The same on one node only.
    #[must_use]
    pub fn on_node(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// The word of notifications and metrics.
    pub fn word(&self) -> &'static str {
        let [of_topic, of_channel] = match self.verb {
            Verb::Create => ["create_topic", "create_channel"],
            Verb::Delete => ["delete_topic", "delete_channel"],
            Verb::Empty => ["empty_topic", "empty_channel"],
            Verb::Pause => ["pause_topic", "pause_channel"],
            Verb::Unpause => ["unpause_topic", "unpause_channel"],
            Verb::Tombstone => ["tombstone_topic_producer"; 2],
        };
        if self.channel.is_some() { of_channel } else { of_topic }
    }

    /// Checks the names. NSQ does so when it creates, and lets `DELETE /api/topics/*` empty whole directories.
    ///
    /// # Errors
    ///
    /// For a name that nsqd would not take.
    pub fn check_names(&self) -> Result<(), BadName> {
        validate(self.topic.as_bytes()).ok_or(BadName::Topic)?;
        if let Some(channel) = &self.channel {
            validate(channel.as_bytes()).ok_or(BadName::Channel)?;
        }
        Ok(())
    }

    /// What nsqd and nsqlookupd are asked: `topic/pause` and the names.
    pub(super) fn request(&self) -> (String, Vec<(&str, &str)>) {
        let mut arguments = vec![("topic", self.topic.as_str())];
        let object = match &self.channel {
            Some(channel) => {
                arguments.push(("channel", channel));
                "channel"
            }
            None => "topic",
        };
        (format!("{object}/{}", self.verb.word()), arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_no_name() {
        assert_eq!(Action::topic(Verb::Delete, "*").check_names(), Err(BadName::Topic));
        assert_eq!(Action::channel(Verb::Delete, "t", "*").check_names(), Err(BadName::Channel));
        assert_eq!(Action::channel(Verb::Delete, "t#ephemeral", "c#ephemeral").check_names(), Ok(()));
    }

    #[test]
    fn every_word_is_known() {
        for verb in [Verb::Create, Verb::Delete, Verb::Empty, Verb::Pause, Verb::Unpause, Verb::Tombstone] {
            assert_eq!(Verb::from_word(verb.word()), Some(verb));
            for action in [Action::topic(verb, "t"), Action::channel(verb, "t", "c")] {
                assert!(OBJECT_WORDS.contains(&action.word()), "{action:?}");
            }
        }
    }
}
