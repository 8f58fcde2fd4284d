//! What the pages mean: rules with their numbers, keys, columns, API.

use maud::{Markup, html};

use super::context::Context;
use super::part::table::Column;
use super::shell::Page;
use crate::attention::thresholds::KNOBS;
use crate::attention::{RULES, Thresholds};
use crate::number as text;

const KEYS: [(&str, &str); 13] = [
    ("/", "search"),
    ("?", "this page"),
    ("g o", "overview"),
    ("g c", "channels"),
    ("g t", "topics"),
    ("g n", "nodes"),
    ("g l", "lookup"),
    ("j, k", "next row, row before"),
    ("Enter", "open the row"),
    ("x", "select the row"),
    ("s", "sort again, after rows were held in place"),
    ("p", "pause and go on"),
    (".", "ask now"),
];

/// The page.
pub fn page(context: &Context<'_>) -> Page {
    let links = &context.site.links;
    let tables: [(&str, &[Column]); 5] = [
        ("Topics", &super::topics::COLUMNS),
        ("Channels", &super::channels::COLUMNS),
        ("Nodes", &super::nodes::COLUMNS),
        ("Node", &super::node::COLUMNS),
        ("Consumers", &super::clients::COLUMNS),
    ];
    let body = html! {
        h1 { "Help" }
        section.help {
            h2 #figures { "Where figures come from" }
            p { "nsqadmin asks every nsqd for its statistics every " (text::duration(context.snapshot.interval_ms / 1_000)) " and keeps what it needs in memory; pages show the last such tick, and say how old it is. "
                "Consumers of a channel are asked for when their page is looked at. Rates are differences of counters of one node, divided by the time between its two answers; a node that was started anew leaves a gap." }
            p { "“Out” is what left a channel: finished by a consumer, emptied, or dropped. “Redo” is what came back: requeued by a consumer, or not answered in time." }
        }
        section.help {
            h2 #rules { "What is checked" }
            p { "Each rule is looked at in every tick. A finding appears when its condition has held for the time given, and goes when it was false for three ticks. A rule that cannot tell abstains. "
                "The numbers are keys of " code { "[attention]" } " in the configuration file; " code { "[[attention.override]]" } " changes or mutes them for what a pattern matches." }
            div.scroll tabindex="0" role="region" aria-label="Rules" { table.rules {
                thead { tr { th.n scope="col" { "#" } th scope="col" { "Rule" } th scope="col" { "Condition" } th scope="col" { "Numbers" } th.n scope="col" { "For" } th.n scope="col" { "Looked at" } th.n scope="col" { "Found" } } }
                tbody { @for (index, rule) in RULES.iter().enumerate() { (one(context, index, rule)) } }
            } }
        }
        section.help {
            h2 #keys { "Keys" }
            p #keys-switch hidden { label { input type="checkbox"; " Single keys are on" } }
            dl.keys { @for (key, what) in KEYS { div { dt { kbd { (key) } } dd { (what) } } } }
        }
        section.help {
            h2 #columns { "Columns" }
            @for (title, columns) in tables {
                h3 { (title) }
                dl.columns { @for column in columns.iter().filter(|column| !column.about.is_empty()) { div { dt { (column.title) } dd { (column.about) } } } }
            }
        }
        section.help {
            h2 #api { "For programs" }
            p { "NSQ's API stands under " code { (links.api("")) } ". Findings: " a href=(links.api("attention")) { code { (links.api("attention")) "?min=warning" } } ". "
                "Prometheus: " a href=(links.page("metrics")) { code { (links.page("metrics")) } } ". Probes: " a href=(links.page("ping")) { code { (links.page("ping")) } } "." }
        }
    };
    Page::still("Help", "help", body)
}

fn one(context: &Context<'_>, index: usize, rule: &crate::attention::rule::Rule) -> Markup {
    let thresholds: &Thresholds = &context.policy.thresholds;
    let fared = context.verdict.fared.get(index).copied().unwrap_or_default();
    let hold = (rule.hold_s)(thresholds);
    html! {
        tr id=(rule.name) {
            td.n { (rule.number) }
            th scope="row" { (rule.name) }
            td.say { (rule.about) }
            td.say { @for (index, key) in rule.knobs.iter().enumerate() {
                @let about = KNOBS.iter().find(|knob| knob.key == *key).map_or("", |knob| knob.about);
                @if index > 0 { ", " }
                span title=(about) { code { (key) } " = " (thresholds.get(key).unwrap_or_default()) }
            } }
            td.n { @if hold > 0.0 { (text::duration(hold as u64)) } @else { "–" } }
            td.n { (text::count(fared.looked_at as u64)) @if fared.abstained > 0 { " (" (text::count(fared.abstained as u64)) " unknown)" } }
            td.n { (text::count(fared.found as u64)) }
        }
    }
}
