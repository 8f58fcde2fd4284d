//! What a rule found.

/// How bad it is; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Messages are lost, stuck or about to be.
    Critical,
    /// Somebody should look today.
    Warning,
    /// Good to know.
    Notice,
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Level::Critical => "critical",
            Level::Warning => "warning",
            Level::Notice => "notice",
        }
    }

    /// The level of that name.
    pub fn parse(word: &str) -> Option<Level> {
        [Level::Critical, Level::Warning, Level::Notice].into_iter().find(|level| level.word() == word)
    }
}

/// What it was found of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// nsqadmin itself.
    Admin,
    /// All nsqlookupds together.
    Lookupds,
    /// One nsqlookupd, by address.
    Lookupd(String),
    /// An nsqd, `host:port`.
    Node(String),
    /// A topic.
    Topic(String),
    /// A channel: topic and name.
    Channel(String, String),
}

impl Subject {
    /// The text that patterns are held against, and that the API shows.
    pub fn text(&self) -> String {
        match self {
            Subject::Admin => "nsqadmin".to_owned(),
            Subject::Lookupds => "nsqlookupd".to_owned(),
            Subject::Lookupd(name) | Subject::Node(name) | Subject::Topic(name) => name.clone(),
            Subject::Channel(topic, channel) => format!("{topic}/{channel}"),
        }
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Subject::Admin => "nsqadmin",
            Subject::Lookupds | Subject::Lookupd(_) => "nsqlookupd",
            Subject::Node(_) => "node",
            Subject::Topic(_) => "topic",
            Subject::Channel(..) => "channel",
        }
    }
}

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// How bad.
    pub level: Level,
    /// Of what.
    pub subject: Subject,
    /// Since when the condition holds, Unix seconds.
    pub since: i64,
    /// Messages at stake.
    pub stake: u64,
    /// Share by which it grew; makes the stake heavier.
    pub growth: f32,
    /// The figures of the sentence, for programs.
    pub figures: Vec<(&'static str, f64)>,
    /// One sentence for people. May hold texts of others: to be escaped.
    pub sentence: String,
}

impl Finding {
    /// What lists are sorted by: level, then messages at stake × (1 + growth), then age.
    pub fn weight(&self) -> (Level, std::cmp::Reverse<u64>, i64) {
        let stake = self.stake as f64 * f64::from(1.0 + self.growth.max(0.0));
        (self.level, std::cmp::Reverse(stake as u64), self.since)
    }
}

/// A finding that went in the last minutes.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleared {
    /// As it was when it was last true.
    pub finding: Finding,
    /// When it went, Unix seconds.
    pub at: i64,
}
