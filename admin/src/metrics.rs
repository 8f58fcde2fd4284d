//! What the daemon counts, and `/metrics`.

use nsq_exposition::{Counter, Histogram, Kind as Type, Page};
use nsq_protocol::limits::NSQ_VERSION;

use crate::action::OBJECT_WORDS;
use crate::app::App;
use crate::attention::{Finding, Level, RULES};
use crate::history::Key;
use crate::upstream::Kind;

/// Outcomes of an action.
pub const OUTCOMES: [&str; 3] = ["success", "partial", "failure"];

/// Why a request was refused before it reached its endpoint, or by its access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// From a page of another origin.
    CrossOrigin,
    /// For a host name that is not ours.
    Host,
    /// By somebody who is no admin.
    Forbidden,
    /// To `/config`, from another network.
    ConfigNetwork,
    /// With a body that is too large or too slow.
    Body,
}

const REFUSALS: [(&str, Refusal); 5] = [
    ("cross_origin", Refusal::CrossOrigin),
    ("host", Refusal::Host),
    ("forbidden", Refusal::Forbidden),
    ("config_network", Refusal::ConfigNetwork),
    ("body", Refusal::Body),
];

/// Everything that is counted here; requests to upstreams are counted by their client.
#[derive(Debug, Default)]
pub struct Metrics {
    answers: [Counter; 3],
    /// Time from a request to its answer.
    pub request_seconds: Histogram,
    refusals: [Counter; REFUSALS.len()],
    actions: [[Counter; OUTCOMES.len()]; OBJECT_WORDS.len()],
    /// Time that a whole poll took.
    pub poll_seconds: Histogram,
    /// Polls that took longer than their interval.
    pub polls_late: Counter,
}

impl Metrics {
    /// Counts an answer by its status.
    pub fn count_answer(&self, status: u16) {
        let class = match status {
            500.. => 2,
            400.. => 1,
            _ => 0,
        };
        self.answers[class].add_one();
    }

    /// Counts a refusal.
    pub fn count_refusal(&self, refusal: Refusal) {
        self.refusals[refusal as usize].add_one();
    }

    /// Counts an action of this word.
    pub fn count_action(&self, word: &str, outcome: usize) {
        if let Some(index) = OBJECT_WORDS.iter().position(|known| *known == word) {
            self.actions[index][outcome].add_one();
        }
    }
}

/// The whole page. What is made of the snapshot has figures of its tick.
pub fn render(app: &App) -> String {
    let mut page = Page::new("nsqadmin");
    page.metric("build_info", Type::Gauge, "Versions: the daemon's, and that of NSQ which it stands for.")
        .value(&[("version", env!("CARGO_PKG_VERSION")), ("nsq_version", NSQ_VERSION)], 1);
    render_requests(&mut page, &app.metrics);
    render_upstreams(&mut page, app);
    render_poll(&mut page, app);
    render_actions(&mut page, app);
    render_watch(&mut page, app);
    page.into_text()
}

fn render_requests(page: &mut Page, metrics: &Metrics) {
    page.metric("http_requests_total", Type::Counter, "HTTP requests by the class of their answer.");
    for (word, counter) in ["success", "refusal", "failure"].iter().zip(&metrics.answers) {
        page.value(&[("answer", word)], counter.get());
    }
    page.metric("http_request_seconds", Type::Histogram, "Time from a request to its answer.")
        .histogram(&[], &metrics.request_seconds);
    page.metric("refused_requests_total", Type::Counter, "Requests refused by the guards.");
    for (word, refusal) in REFUSALS {
        page.value(&[("reason", word)], metrics.refusals[refusal as usize].get());
    }
}

fn render_upstreams(page: &mut Page, app: &App) {
    let kinds = [Kind::Nsqd, Kind::Lookupd];
    page.metric("upstream_requests_total", Type::Counter, "Requests to nsqd and nsqlookupd.");
    for kind in kinds {
        for (outcome, count) in app.client.counts.of(kind).outcomes() {
            page.value(&[("kind", kind.word()), ("answer", outcome)], count);
        }
    }
    page.metric("upstream_seconds", Type::Histogram, "Time that those took, failures too.");
    for kind in kinds {
        page.histogram(&[("kind", kind.word())], &app.client.counts.of(kind).seconds);
    }
}

fn render_poll(page: &mut Page, app: &App) {
    let snapshot = app.snapshot();
    let count = |wanted: &dyn Fn(&crate::poll::snapshot::NodeState) -> bool| {
        snapshot.nodes.iter().filter(|node| wanted(node)).count()
    };
    page.metric("nodes", Type::Gauge, "nsqds by their state at the last tick.")
        .value(
            &[("state", "answering")],
            count(&|node| node.vanished_since_ms.is_none() && node.fault.is_none()),
        )
        .value(
            &[("state", "failing")],
            count(&|node| node.vanished_since_ms.is_none() && node.fault.is_some()),
        )
        .value(&[("state", "vanished")], count(&|node| node.vanished_since_ms.is_some()));
    page.metric("lookupds", Type::Gauge, "nsqlookupds by their state at the last tick.")
        .value(
            &[("state", "answering")],
            snapshot.lookupds.iter().filter(|lookupd| lookupd.fault.is_none()).count(),
        )
        .value(
            &[("state", "failing")],
            snapshot.lookupds.iter().filter(|lookupd| lookupd.fault.is_some()).count(),
        );
    page.metric("poll_seconds", Type::Histogram, "Time that a poll of the whole cluster took.")
        .histogram(&[], &app.metrics.poll_seconds);
    page.metric("polls_late_total", Type::Counter, "Polls that took longer than their interval.")
        .value(&[], app.metrics.polls_late.get());
    if snapshot.tick > 0 {
        let age_ms = crate::poll::clock::now_ms().saturating_sub(snapshot.at_ms).max(0);
        page.metric("snapshot_age_seconds", Type::Gauge, "Time since the last tick began.")
            .value(&[], age_ms as f64 / 1e3);
    }
}

fn render_actions(page: &mut Page, app: &App) {
    page.metric("actions_total", Type::Counter, "Actions by their outcome.");
    for (word, outcomes) in OBJECT_WORDS.iter().zip(&app.metrics.actions) {
        for (outcome, counter) in OUTCOMES.iter().zip(outcomes) {
            page.value(&[("action", word), ("outcome", outcome)], counter.get());
        }
    }
    page.metric("notifications_total", Type::Counter, "Notifications of actions by their outcome.");
    for (outcome, count) in app.notifier.outcomes() {
        page.value(&[("outcome", outcome)], count);
    }
}

fn render_watch(page: &mut Page, app: &App) {
    let verdict = app.watch.verdict();
    page.metric("attention_findings", Type::Gauge, "What needs attention, by rule and severity.");
    for rule in &RULES {
        for level in [Level::Critical, Level::Warning, Level::Notice] {
            let is_it = |finding: &&Finding| finding.rule == rule.name && finding.level == level;
            let count = verdict.findings.iter().filter(is_it).count();
            page.value(&[("rule", rule.name), ("severity", level.word())], count);
        }
    }
    let history = app.watch.history();
    page.metric("history_series", Type::Gauge, "Series with a history, by kind.");
    for (kind, count) in Key::KIND_NAMES.iter().zip(history.series()) {
        page.value(&[("kind", kind)], count);
    }
    page.metric("history_bytes", Type::Gauge, "Memory of the history.").value(&[], history.bytes());
    page.metric("history_refused_total", Type::Counter, "Series that found no room in it.")
        .value(&[], history.refused_total());
}
