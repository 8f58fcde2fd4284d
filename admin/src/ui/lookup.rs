//! nsqlookupds, what they disagree about, what nobody has any more, and the form that creates.

use maud::{Markup, html};

use super::context::Context;
use super::part::number;
use super::part::table::{self, Column, Table};
use super::shell::Page;
use crate::number as text;
use crate::poll::snapshot::{LookupdState, TopicState};

/// Columns of the table of nsqlookupds.
pub const COLUMNS: [Column; 6] = [
    Column { key: "", title: "nsqlookupd", about: "", number: false, priority: 1 },
    Column { key: "", title: "State", about: "whether it answers", number: false, priority: 1 },
    Column { key: "", title: "Version", about: "", number: false, priority: 2 },
    Column { key: "", title: "Nodes", about: "nsqds that it lists", number: true, priority: 1 },
    Column { key: "", title: "Topics", about: "topics that it lists", number: true, priority: 1 },
    Column { key: "", title: "Answer", about: "time that it took to answer", number: true, priority: 2 },
];

/// Rows of the table of disagreement.
const DISPUTED_MAX: usize = 100;

/// The page.
pub fn page(context: &Context<'_>) -> Page {
    let snapshot = context.snapshot;
    let body = html! {
        h1 { "Lookup" }
        @if context.site.direct {
            p.remark { "No nsqlookupd is configured: nsqadmin asks the nsqds that it was given. What is created here is created on each of them." }
        } @else {
            div data-live="" {
                @let rows: Vec<Markup> = snapshot.lookupds.iter().map(|lookupd| one(context, lookupd)).collect();
                (Table { caption: "nsqlookupds", columns: &COLUMNS, checks: false, path: "", view: context.view, own_order: "" }
                    .show(&rows, "No nsqlookupd is configured at the moment."))
            }
            div data-live="" { (disagreement(context)) }
            section aria-labelledby="inactive" {
                div.section-head { h2 #inactive { "Inactive topics" } }
                div data-live="" { (inactive(context)) }
            }
            div data-live="" { (tombstones(context)) }
        }
        section aria-labelledby="create" {
            div.section-head { h2 #create { "Create" } }
            (create(context))
        }
    };
    Page::live("Lookup", "lookup", body)
}

fn one(context: &Context<'_>, lookupd: &LookupdState) -> Markup {
    let cells = html! {
        th scope="row" { (number::foreign(&lookupd.address)) }
        td { @match &lookupd.fault {
            Some(fault) => { span.level.critical { span aria-hidden="true" { "■" } " " (number::foreign(&fault.text)) } " since " (number::ago(context.now_ms, fault.since_ms)) },
            None => @if lookupd.answered_at_ms.is_some() { "ok" } @else { "not asked yet" },
        } }
        td.p2 { (number::foreign(&lookupd.version)) }
        td.n { (number::count(lookupd.nodes.len() as u64)) }
        td.n { (number::count(lookupd.topics.len() as u64)) }
        td.n.p2 { @if lookupd.answered_at_ms.is_some() { (text::exact(lookupd.answer_ms)) " ms" } @else { (number::unknown()) } }
    };
    table::row(&lookupd.address, &cells)
}

/// Nodes that not all nsqlookupds list, and topics for which they do not agree about a node.
fn disagreement(context: &Context<'_>) -> Markup {
    let snapshot = context.snapshot;
    let answering: Vec<&LookupdState> = snapshot
        .lookupds
        .iter()
        .filter(|lookupd| lookupd.fault.is_none() && lookupd.answered_at_ms.is_some())
        .collect();
    if answering.len() < 2 {
        return html! {};
    }
    let mut rows: Vec<(String, Vec<bool>)> = Vec::new();
    for node in &snapshot.nodes {
        let lists: Vec<_> = answering
            .iter()
            .map(|lookupd| {
                lookupd.nodes.iter().find(|(name, _)| *name == node.address).map(|(_, topics)| topics)
            })
            .collect();
        if lists.iter().any(Option::is_none) {
            if lists.iter().any(Option::is_some) {
                rows.push((node.address.to_string(), lists.iter().map(Option::is_some).collect()));
            }
            continue;
        }
        let lists: Vec<std::collections::BTreeSet<&str>> =
            lists.into_iter().flatten().map(|topics| topics.iter().map(|topic| &**topic).collect()).collect();
        let all: std::collections::BTreeSet<&str> = lists.iter().flatten().copied().collect();
        for topic in all {
            let seen: Vec<bool> = lists.iter().map(|list| list.contains(topic)).collect();
            if seen.contains(&false) && !node.tombstoned.iter().any(|hidden| **hidden == *topic) {
                rows.push((format!("{topic} on {}", node.address), seen));
            }
        }
    }
    html! { @if !rows.is_empty() {
        section aria-labelledby="disagree" {
            div.section-head { h2 #disagree { "They disagree" } p { "Consumers that ask one of them find less than consumers that ask another." } }
            div.scroll tabindex="0" role="region" aria-label="What the nsqlookupds disagree about" { table {
                thead { tr { th scope="col" { "Node or topic" } @for lookupd in &answering { th scope="col" { (number::foreign(&lookupd.address)) } } } }
                tbody { @for (what, seen) in rows.iter().take(DISPUTED_MAX) {
                    (table::row(what, &html! { th scope="row" { (number::foreign(what)) } @for seen in seen { td { (if *seen { "✓" } else { "–" }) } } }))
                } }
            } }
            @if rows.len() > DISPUTED_MAX { p.remark { "And " (text::exact((rows.len() - DISPUTED_MAX) as u64)) " more." } }
        }
    } }
}

/// Topics that nsqlookupds know and no nsqd has.
fn inactive(context: &Context<'_>) -> Markup {
    let snapshot = context.snapshot;
    let failed = snapshot.lookupds.iter().any(|lookupd| lookupd.fault.is_some());
    let silent = snapshot.nodes.iter().any(|node| node.fault.is_some());
    let topics: Vec<&TopicState> = snapshot.topics.iter().filter(|topic| topic.nodes.is_empty()).collect();
    let may = context.may.act() && !failed && !silent;
    let reason = if failed {
        "not while an nsqlookupd does not answer: the topic may be in use"
    } else if silent {
        "not while a node does not answer: it may have the topic"
    } else {
        context.may.reason().unwrap_or("")
    };
    html! {
        @if topics.is_empty() { p.empty { "Every topic that the nsqlookupds know is on some nsqd." } }
        @else {
            p.remark { "The nsqlookupds know these topics, and no nsqd has them: names that were created ahead, or left behind by nodes that are gone." }
            table { thead { tr { th scope="col" { "Topic" } th scope="col" { span.hidden { "Delete" } } } } tbody { @for topic in topics.iter().take(200) {
                (table::row(&topic.name, &html! {
                    th scope="row" { a href=(context.site.links.topic(&topic.name)) { (topic.name) } }
                    td { form.inline method="post" action=(context.site.links.confirm()) {
                        input type="hidden" name="back" value=(context.site.links.page("lookup"));
                        input type="hidden" name="object" value=(topic.name);
                        button type="submit" name="action" value="delete" disabled[!may] title=[Some(reason).filter(|reason| !reason.is_empty())] aria-label={ "Delete " (topic.name) } { "Delete…" }
                    } }
                }))
            } } }
            @if topics.len() > 200 { p.remark { "And " (text::exact((topics.len() - 200) as u64)) " more." } }
        }
    }
}

fn tombstones(context: &Context<'_>) -> Markup {
    let hidden: Vec<(&str, &str)> = context
        .snapshot
        .nodes
        .iter()
        .flat_map(|node| node.tombstoned.iter().map(|topic| (&**topic, &*node.address)))
        .collect();
    html! { @if !hidden.is_empty() {
        section aria-labelledby="tombstones" {
            div.section-head { h2 #tombstones { "Tombstones" } p { "Topics that consumers do not find on a node for 45 s after it lost them." } }
            ul.plain { @for (topic, node) in hidden.iter().take(100) {
                li data-key={ (topic) " " (node) } { a href=(context.site.links.topic(topic)) { (topic) } " on " a href=(context.site.links.node(node)) { (number::foreign(node)) } }
            } }
        }
    } }
}

fn create(context: &Context<'_>) -> Markup {
    let may = context.may.act();
    html! {
        p.remark { "A topic is created by its first message and a channel by its first consumer. Creating them ahead keeps the first messages for a channel whose consumers come later." }
        form.create method="post" action=(context.site.links.act()) {
            input type="hidden" name="back" value=(context.site.links.page("lookup"));
            label { "Topic " input type="text" name="topic" required maxlength="64" pattern="[.a-zA-Z0-9_\\-]+(#ephemeral)?" title="letters, digits, . _ -, and #ephemeral at the end" disabled[!may]; }
            label { "Channel, if wanted " input type="text" name="channel" maxlength="64" pattern="[.a-zA-Z0-9_\\-]+(#ephemeral)?" title="letters, digits, . _ -, and #ephemeral at the end" disabled[!may]; }
            button type="submit" name="action" value="create" disabled[!may] title=[context.may.reason()] { "Create" }
        }
    }
}
