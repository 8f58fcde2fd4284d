//! What was done, by whom, and how it went: the last actions of this run.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::actor::{Actor, Source};
use super::execute::Outcome;
use super::verb::Action;
use crate::limits::AUDIT_ENTRIES_MAX;

/// Failed steps that an entry keeps.
const FAILED_STEPS_MAX: usize = 10;

/// One action.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Unix milliseconds of its beginning.
    pub at_ms: i64,
    /// How long it took.
    pub took: Duration,
    /// The user of the access list.
    pub user: Option<String>,
    /// The user of basic authentication, which nobody checked.
    pub basic_user: Option<String>,
    /// The peer, `ip:port`.
    pub remote: String,
    /// API or page.
    pub source: Source,
    /// As in notifications: `pause_topic`.
    pub word: &'static str,
    #[allow(missing_docs)]
    pub topic: String,
    #[allow(missing_docs)]
    pub channel: Option<String>,
    /// The only node that it was about.
    pub node: Option<String>,
    /// `success`, `partial` or `failure`.
    pub outcome: &'static str,
    /// Upstreams that were told.
    pub steps: usize,
    /// The first of those that failed, `host:port` and why.
    pub failed: Vec<(String, String)>,
    /// Why it stopped before its end, if it did.
    pub failure: Option<String>,
}

impl Entry {
    pub(super) fn new(actor: &Actor, action: &Action, outcome: &Outcome, at_ms: i64, took: Duration) -> Self {
        let failed = outcome.steps.iter().filter_map(|step| Some((step.target.clone(), step.error.clone()?)));
        Self {
            at_ms,
            took,
            user: actor.user.clone(),
            basic_user: actor.basic_user.clone(),
            remote: actor.remote.to_string(),
            source: actor.source,
            word: action.word(),
            topic: action.topic.clone(),
            channel: action.channel.clone(),
            node: action.node.clone(),
            outcome: outcome.word(),
            steps: outcome.steps.len(),
            failed: failed.take(FAILED_STEPS_MAX).collect(),
            failure: outcome.failure.as_ref().map(ToString::to_string),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} topic={}", self.word, self.topic)?;
        for (name, value) in [("channel", &self.channel), ("node", &self.node)] {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        let name = self.user.as_deref().or(self.basic_user.as_deref()).unwrap_or("-");
        write!(f, " user={name} remote={} outcome={}", self.remote, self.outcome)?;
        write!(f, " upstreams={} failed={}", self.steps, self.failed.len())
    }
}

/// The last [`AUDIT_ENTRIES_MAX`] actions.
#[derive(Debug, Default)]
pub struct Audit {
    entries: VecDeque<Entry>,
    /// All of this run.
    pub count: u64,
}

impl Audit {
    /// Adds one; the oldest makes room.
    pub fn push(&mut self, entry: Entry) {
        if self.entries.len() == AUDIT_ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.count += 1;
    }

    /// The newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Verb;

    #[test]
    fn the_oldest_makes_room() {
        let headers = axum::http::HeaderMap::new();
        let actor = Actor::new(&headers, "127.0.0.1:1".parse().unwrap(), "/", None, Source::Page);
        let mut audit = Audit::default();
        for index in 0..AUDIT_ENTRIES_MAX + 5 {
            let action = Action::topic(Verb::Pause, format!("t{index}"));
            audit.push(Entry::new(&actor, &action, &Outcome::default(), 0, Duration::ZERO));
        }
        assert_eq!(audit.newest_first().count(), AUDIT_ENTRIES_MAX);
        assert_eq!(audit.newest_first().next().unwrap().topic, format!("t{}", AUDIT_ENTRIES_MAX + 4));
        assert_eq!(audit.newest_first().last().unwrap().topic, "t5");
        assert_eq!(audit.count, AUDIT_ENTRIES_MAX as u64 + 5);
    }
}
