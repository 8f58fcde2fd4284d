//! What every page is made from.

use super::links::Links;
use super::view::View;
use crate::attention::{Finding, Policy, Subject, Verdict};
use crate::history::{Flow, History, Key, Metric, POINTS};
use crate::poll::Snapshot;

/// What does not change between requests.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Addresses.
    pub links: Links,
    /// Names the cluster in header and title; empty if not set.
    pub cluster_name: String,
    /// nsqadmin's own version.
    pub version: String,
    /// Other clusters' nsqadmins: name and address.
    pub peers: Vec<(String, String)>,
    /// Whether nsqds are configured instead of nsqlookupds.
    pub direct: bool,
}

/// Whether this reader may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum May {
    /// Yes.
    Act,
    /// No, and why.
    Read(&'static str),
}

impl May {
    /// Whether controls work.
    pub fn act(&self) -> bool {
        *self == May::Act
    }

    /// Why they do not.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            May::Act => None,
            May::Read(reason) => Some(reason),
        }
    }
}

/// One request for a page.
pub struct Context<'a> {
    /// What does not change.
    pub site: &'a Site,
    /// The last tick.
    pub snapshot: &'a Snapshot,
    /// Rates and series up to it.
    pub history: &'a History,
    /// What the rules say of it.
    pub verdict: &'a Verdict,
    /// Their numbers.
    pub policy: &'a Policy,
    /// What was asked for.
    pub view: &'a View,
    /// Unix milliseconds.
    pub now_ms: i64,
    /// Who asks.
    pub may: May,
}

impl Context<'_> {
    /// The last values of a series; empty without one.
    pub fn values(&self, key: Option<Key>, metric: Metric) -> Vec<f32> {
        key.map(|key| self.history.values(key, metric, self.view.range, POINTS)).unwrap_or_default()
    }

    /// The rates of a key.
    pub fn flow(&self, key: Option<Key>) -> Option<Flow> {
        key.and_then(|key| self.history.flow(key))
    }

    /// The worst finding of a subject.
    pub fn worst(&self, subject: &Subject) -> Option<&Finding> {
        self.verdict.findings.iter().find(|finding| finding.subject == *subject)
    }
}
