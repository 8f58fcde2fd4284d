//! Findings as rows of a list.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::badge;
use super::number::{ago, foreign};
use super::spark::{Kind, spark};
use crate::attention::{Finding, Level, Subject};
use crate::history::{Metric, POINTS};
use crate::number;
use crate::ui::context::Context;

/// From this many on, findings of one rule and level become one row.
const FOLD_FROM: usize = 9;

/// Sentences on the page of one subject.
const SENTENCES_MAX: usize = 10;

/// Where one looks at a subject.
pub fn address(context: &Context<'_>, subject: &Subject) -> String {
    let links = &context.site.links;
    match subject {
        Subject::Admin => links.page("help"),
        Subject::Lookupds | Subject::Lookupd(_) => links.page("lookup"),
        Subject::Node(node) => links.node(node),
        Subject::Topic(topic) => links.topic(topic),
        Subject::Channel(topic, channel) => links.channel(topic, channel),
    }
}

fn name(subject: &Subject) -> Markup {
    html! { @match subject {
        Subject::Channel(topic, channel) => { (topic) span.slash { " / " } (channel) }
        other => { (foreign(&other.text())) }
    } }
}

/// Depth of the subject, where there is one.
fn line(context: &Context<'_>, subject: &Subject) -> Markup {
    let history = context.history;
    let key = match subject {
        Subject::Channel(topic, channel) => history.channel_key(topic, channel),
        Subject::Topic(topic) => history.topic_key(topic),
        Subject::Node(node) => history.node_key(node),
        _ => None,
    };
    let values = key.map(|key| history.values(key, Metric::Depth, context.view.range, POINTS));
    spark(&values.unwrap_or_default(), Kind::Depth)
}

fn row(context: &Context<'_>, finding: &Finding) -> Markup {
    let key = format!("{} {}", finding.rule, finding.subject.text());
    let at_ms = finding.since.saturating_mul(1_000);
    let cells = html! {
        td.lev { (badge::level(finding.level)) }
        th scope="row" { a href=(address(context, &finding.subject)) { (name(&finding.subject)) } }
        td.say { (foreign(&finding.sentence)) }
        td.since { (ago(context.now_ms, at_ms)) }
        td.p2 { (line(context, &finding.subject)) }
        td.p2 { a href={ (context.site.links.page("help")) "#" (finding.rule) } { (finding.rule) } }
    };
    super::table::row(&key, &cells)
}

/// Many of one rule in one row.
fn folded(context: &Context<'_>, rule: &'static str, many: &[&Finding]) -> Markup {
    let stake = many.iter().fold(0_u64, |sum, finding| sum.saturating_add(finding.stake));
    let since = many.iter().map(|finding| finding.since).min().unwrap_or(0);
    let (Some(first), links) = (many.first(), &context.site.links) else { return html! {} };
    let kind = first.subject.kind();
    let list = match first.subject {
        Subject::Channel(..) => links.page("channels"),
        Subject::Topic(_) => links.page("topics"),
        Subject::Node(_) => links.page("nodes"),
        _ => links.page("lookup"),
    };
    let address = format!("{list}?state={}", super::super::links::segment(rule));
    let cells = html! {
        td.lev { (badge::level(first.level)) }
        th scope="row" { a href=(address) { (number::plural(many.len() as u64, kind)) } }
        td.say { (rule) ": " (number::plural(stake, "message")) " in all; the worst is " (name(&first.subject)) ": " (foreign(&first.sentence)) }
        td.since { (ago(context.now_ms, since.saturating_mul(1_000))) }
        td.p2 {}
        td.p2 { a href={ (links.page("help")) "#" (rule) } { (rule) } }
    };
    super::table::row(&format!("{rule} *"), &cells)
}

fn table(caption: &str, rows: &[Markup]) -> Markup {
    html! {
        table.findings data-live-table="" {
            caption.hidden { (caption) }
            thead.hidden { tr {
                th scope="col" { "Level" } th scope="col" { "Of" } th scope="col" { "What" } th scope="col" { "For" }
                th.p2 scope="col" { "Depth" } th.p2 scope="col" { "Rule" }
            } }
            tbody { @for row in rows { (row) } }
        }
    }
}

/// Rows of one level; many of one rule are folded.
fn rows(context: &Context<'_>, findings: &[&Finding]) -> Vec<Markup> {
    let mut by_rule: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        by_rule.entry(finding.rule).or_default().push(finding);
    }
    let mut rows = Vec::new();
    for finding in findings {
        match by_rule.get(finding.rule) {
            Some(many) if many.len() >= FOLD_FROM => {
                rows.push(folded(context, finding.rule, many));
                by_rule.insert(finding.rule, Vec::new());
            }
            Some(few) if !few.is_empty() => rows.push(row(context, finding)),
            _ => {}
        }
    }
    rows
}

/// The list on the first page: what needs attention, then notices and what went, folded away.
pub fn list(context: &Context<'_>) -> Markup {
    let of = |level: Level| -> Vec<&Finding> {
        context.verdict.findings.iter().filter(|finding| finding.level == level).collect()
    };
    let (critical, warning, notice) = (of(Level::Critical), of(Level::Warning), of(Level::Notice));
    let mut urgent = rows(context, &critical);
    urgent.extend(rows(context, &warning));
    let cleared = &context.verdict.cleared;
    let (notices, gone) = (number::plural(notice.len() as u64, "notice"), cleared.len());
    html! {
        section.attention data-live="" aria-labelledby="attention" {
            @if !urgent.is_empty() {
                div.section-head {
                    h2 #attention { "Needs attention" }
                    p { (critical.len()) " critical · " (number::plural(warning.len() as u64, "warning")) " · " (notices) }
                }
                (table("What needs attention", &urgent))
            } @else { h2.hidden #attention { "Needs attention" } (all_well(context)) }
            div.folds {
                @if !notice.is_empty() {
                    details data-key="notices" { summary { (notices) } (table("Notices", &rows(context, &notice))) }
                }
                @if gone > 0 {
                    details data-key="cleared" {
                        summary { (gone) " cleared in the last 15 minutes" }
                        ul.cleared { @for one in cleared.iter().take(50) {
                            li data-key={ (one.finding.rule) " " (one.finding.subject.text()) } {
                                a href=(address(context, &one.finding.subject)) { (name(&one.finding.subject)) } " "
                                (foreign(&one.finding.sentence)) ", ended " (ago(context.now_ms, one.at.saturating_mul(1_000))) " ago"
                            }
                        } }
                    }
                }
                a href={ (context.site.links.page("help")) "#rules" } { "what is checked (" (crate::attention::RULES.len()) " rules)" }
            }
        }
    }
}

fn all_well(context: &Context<'_>) -> Markup {
    let totals = &context.snapshot.totals;
    let nodes = context.snapshot.nodes.len() as u64;
    html! { p.well {
        @if context.snapshot.tick == 0 { "Nothing is known yet: the first poll is under way." }
        @else if nodes == 0 {
            span.level.warning { span aria-hidden="true" { "▲" } " no nsqd" }
            @if context.snapshot.lookupds.is_empty() { " answers." } @else { " is listed by nsqlookupd yet." }
        } @else {
            span.level.ok { span aria-hidden="true" { "✓" } " Nothing needs attention" }
            ": " (number::plural(nodes, "node")) ", " (number::plural(context.snapshot.topics.len() as u64, "topic")) ", "
            (number::plural(totals.channels, "channel")) " checked " (ago(context.now_ms, context.snapshot.at_ms)) " ago."
        }
    } }
}

/// The findings of one subject as sentences, on its own page; on a topic's, those of its channels too.
pub fn sentences(context: &Context<'_>, subject: &Subject) -> Markup {
    let concerns = |of: &Subject| match (subject, of) {
        (Subject::Topic(topic), Subject::Channel(parent, _)) => topic == parent,
        _ => of == subject,
    };
    let own = context.verdict.findings.iter().filter(|finding| concerns(&finding.subject));
    let own: Vec<&Finding> = own.take(SENTENCES_MAX).collect();
    html! {
        @if !own.is_empty() {
            ul.sentences { @for finding in own { li data-key={ (finding.rule) " " (finding.subject.text()) } {
                (badge::level(finding.level)) " "
                @if let (Subject::Topic(_), Subject::Channel(_, channel)) = (subject, &finding.subject) {
                    a href=(address(context, &finding.subject)) { (foreign(channel)) } ": "
                }
                (foreign(&finding.sentence)) span.since { " · for " (ago(context.now_ms, finding.since.saturating_mul(1_000))) }
                " · " a href={ (context.site.links.page("help")) "#" (finding.rule) } { (finding.rule) }
            } } }
        }
    }
}

/// A word for the worst finding of a subject, for a cell.
pub fn chip(worst: Option<&Finding>) -> Markup {
    html! { @if let Some(finding) = worst {
        span class={ "level " (finding.level.word()) } title=(foreign(&finding.sentence)) {
            span aria-hidden="true" { (badge::shape(finding.level)) } span.word { " " (finding.rule) }
        }
    } }
}
