//! `/api/attention`: what is wrong, for monitors. Sentences are for people and may change; rules, subjects and figures
//! are for programs.

use std::collections::BTreeMap;

use nsq_http::{ApiError, Query, Reply};
use serde::Serialize;

use super::answer::value;
use super::visit::Visit;
use crate::app::App;
use crate::attention::{Finding, Level};

/// Findings of one answer; the worst come first.
const FINDINGS_MAX: usize = 1_000;

#[derive(Serialize)]
struct Attention<'a> {
    /// 0 before the first poll: nothing is known then.
    tick: u64,
    /// Unix milliseconds of the tick.
    at_ms: i64,
    nodes: usize,
    nodes_answering: usize,
    findings: Vec<One<'a>>,
    /// Findings beyond the bound of this answer.
    findings_left_out: usize,
    /// What went in the last 15 minutes.
    cleared: Vec<Cleared<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    rule: &'static str,
    severity: &'static str,
    kind: &'static str,
    subject: String,
    /// Unix seconds.
    since: i64,
    /// Messages at stake.
    stake: u64,
    figures: BTreeMap<&'a str, f64>,
}

#[derive(Serialize)]
struct Cleared<'a> {
    #[serde(flatten)]
    finding: One<'a>,
    /// Unix seconds.
    cleared_at: i64,
}

pub(super) fn show(app: &App, visit: &Visit) -> Reply {
    let Ok(query) = Query::parse(visit.query().as_bytes()) else {
        return ApiError::bad_request("INVALID_REQUEST").into();
    };
    let least = match query.get("min") {
        None => Level::Notice,
        Some(_) => match Level::parse(&query.text("min")) {
            Some(level) => level,
            None => return ApiError::bad_request("INVALID_ARG_MIN").into(),
        },
    };
    let (snapshot, verdict) = (app.snapshot(), app.watch.verdict());
    let (nodes_answering, nodes) = snapshot.coverage();
    let is_meant = |finding: &&Finding| finding.level <= least;
    let count = verdict.findings.iter().filter(is_meant).count();
    let cleared = verdict.cleared.iter().filter(|cleared| cleared.finding.level <= least);
    value(&Attention {
        tick: snapshot.tick,
        at_ms: snapshot.at_ms,
        nodes,
        nodes_answering,
        findings: verdict.findings.iter().filter(is_meant).take(FINDINGS_MAX).map(one).collect(),
        findings_left_out: count.saturating_sub(FINDINGS_MAX),
        cleared: cleared
            .take(FINDINGS_MAX)
            .map(|cleared| Cleared { finding: one(&cleared.finding), cleared_at: cleared.at })
            .collect(),
    })
}

fn one(finding: &Finding) -> One<'_> {
    One {
        rule: finding.rule,
        severity: finding.level.word(),
        kind: finding.subject.kind(),
        subject: finding.subject.text(),
        since: finding.since,
        stake: finding.stake,
        figures: finding.figures.iter().filter(|(_, number)| number.is_finite()).copied().collect(),
    }
}
