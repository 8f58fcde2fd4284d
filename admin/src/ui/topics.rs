//! All topics.

use std::cmp::Ordering;
use std::collections::HashMap;

use maud::{Markup, html};

use super::bulk;
use super::context::Context;
use super::part::spark::{Kind, spark};
use super::part::table::{self, Column, Table};
use super::part::{badge, finding, number};
use super::shell::Page;
use crate::attention::{Finding, Subject};
use crate::history::{Flow, Key, Metric};
use crate::poll::snapshot::{ChannelState, TopicState};

/// The columns; the help page explains them.
pub const COLUMNS: [Column; 12] = [
    Column { key: "name", title: "Topic", about: "", number: false, priority: 1 },
    Column {
        key: "depth",
        title: "Depth",
        about: "messages that wait in the topic and in all its channels",
        number: true,
        priority: 1,
    },
    Column {
        key: "in",
        title: "In/s",
        about: "published a second, over all nodes",
        number: true,
        priority: 1,
    },
    Column {
        key: "out",
        title: "Out/s",
        about: "left its channels a second: finished, emptied or dropped",
        number: true,
        priority: 2,
    },
    Column {
        key: "redo",
        title: "Redo/s",
        about: "requeued or timed out a second, in all its channels",
        number: true,
        priority: 2,
    },
    Column {
        key: "worst",
        title: "Deepest channel",
        about: "the channel in which most wait",
        number: false,
        priority: 2,
    },
    Column { key: "channels", title: "Channels", about: "", number: true, priority: 3 },
    Column {
        key: "inflight",
        title: "In flight",
        about: "delivered and not yet answered",
        number: true,
        priority: 3,
    },
    Column {
        key: "deferred",
        title: "Deferred",
        about: "wait until a time that was set",
        number: true,
        priority: 3,
    },
    Column {
        key: "consumers",
        title: "Consumers",
        about: "connections that are subscribed to one of its channels",
        number: true,
        priority: 2,
    },
    Column { key: "nodes", title: "Nodes", about: "nsqds that have the topic", number: true, priority: 3 },
    Column {
        key: "finding",
        title: "Finding",
        about: "the worst that the rules found of the topic or one of its channels",
        number: false,
        priority: 1,
    },
];

/// A topic with its sums.
pub struct Row<'a> {
    /// The topic.
    pub topic: &'a TopicState,
    /// In the topic and all channels.
    pub depth: u64,
    flow: Option<Flow>,
    key: Option<Key>,
    in_flight: u64,
    deferred: u64,
    consumers: u64,
    deepest: Option<&'a ChannelState>,
    paused: bool,
    worst: Option<&'a Finding>,
}

/// All topics with their sums, by name.
pub fn rows<'a>(context: &'a Context<'_>) -> Vec<Row<'a>> {
    let mut worst: HashMap<&str, &Finding> = HashMap::new();
    for finding in &context.verdict.findings {
        if let Subject::Topic(topic) | Subject::Channel(topic, _) = &finding.subject {
            // They come the worst first.
            worst.entry(topic).or_insert(finding);
        }
    }
    let sum = |topic: &TopicState, of: fn(&ChannelState) -> u64| {
        topic.channels.iter().fold(0_u64, |sum, channel| sum.saturating_add(of(channel)))
    };
    context
        .snapshot
        .topics
        .iter()
        .map(|topic| {
            let key = context.history.topic_key(&topic.name);
            Row {
                topic,
                depth: topic.depth(),
                flow: context.flow(key),
                key,
                in_flight: sum(topic, |channel| channel.figures.in_flight),
                deferred: sum(topic, |channel| channel.figures.deferred),
                consumers: sum(topic, |channel| channel.figures.client_count),
                deepest: topic.channels.iter().max_by_key(|channel| channel.figures.depth),
                paused: topic.figures.paused || topic.channels.iter().any(|channel| channel.figures.paused),
                worst: worst.get(&*topic.name).copied(),
            }
        })
        .collect()
}

/// What a filter by state keeps.
fn is(row: &Row<'_>, state: &str) -> bool {
    let flow = row.flow.unwrap_or(Flow::ZERO);
    match state {
        "attention" => row.worst.is_some(),
        "growing" => row.worst.is_some_and(|finding| finding.rule == "growing"),
        "unconsumed" => row.consumers == 0 && row.depth > 0,
        "paused" => row.paused,
        "idle" => row.depth == 0 && flow.incoming == 0.0 && flow.outgoing == 0.0,
        rule if crate::attention::rule::find(rule).is_some() => {
            row.worst.is_some_and(|finding| finding.rule == rule)
        }
        _ => true,
    }
}

/// Compares unknown rates as less than any.
pub fn compare_rates(a: Option<f32>, b: Option<f32>) -> Ordering {
    a.unwrap_or(-1.0).total_cmp(&b.unwrap_or(-1.0))
}

fn compare(a: &Row<'_>, b: &Row<'_>, key: &str) -> Ordering {
    let flow = |of: fn(&Flow) -> f32| compare_rates(a.flow.as_ref().map(of), b.flow.as_ref().map(of));
    let deepest = |row: &Row<'_>| row.deepest.map_or(0, |channel| channel.figures.depth);
    let level = |row: &Row<'_>| row.worst.map(|finding| std::cmp::Reverse(finding.level));
    match key {
        "depth" => a.depth.cmp(&b.depth),
        "in" => flow(|flow| flow.incoming),
        "out" => flow(|flow| flow.outgoing),
        "redo" => flow(|flow| flow.redo),
        "worst" => deepest(a).cmp(&deepest(b)),
        "channels" => a.topic.channels.len().cmp(&b.topic.channels.len()),
        "inflight" => a.in_flight.cmp(&b.in_flight),
        "deferred" => a.deferred.cmp(&b.deferred),
        "consumers" => a.consumers.cmp(&b.consumers),
        "nodes" => a.topic.nodes.len().cmp(&b.topic.nodes.len()),
        "finding" => level(a).cmp(&level(b)),
        _ => Ordering::Equal,
    }
}

/// The page.
pub fn page(context: &Context<'_>) -> Page {
    let (view, path) = (context.view, context.site.links.page("topics"));
    let all = rows(context);
    let found: Vec<Row<'_>> = all.into_iter().filter(|row| view.finds(&[&row.topic.name])).collect();
    let states = [
        ("", "all"),
        ("attention", "needs attention"),
        ("growing", "growing"),
        ("unconsumed", "no consumers"),
        ("paused", "paused"),
        ("idle", "idle"),
    ]
    .map(|(key, title)| (key, title, found.iter().filter(|row| is(row, key)).count()));
    let mut kept: Vec<Row<'_>> = found.into_iter().filter(|row| is(row, &view.state)).collect();
    let (key, descending) = view.order("name", &Table::sort_keys(&COLUMNS));
    kept.sort_by(|a, b| {
        let order = compare(a, b, key);
        let order = if descending { order.reverse() } else { order };
        let by_name = a.topic.name.cmp(&b.topic.name);
        order.then(if key == "name" && descending { by_name.reverse() } else { by_name })
    });
    let (shown, number, pages) = view.cut(&kept);
    let body = html! {
        h1 { "Topics" }
        (table::filter(view, &path, "Filter topics", &states))
        (bulk::bar(context, bulk::Of::Topics))
        div data-live="" {
            (table(context, shown, &path, true))
            (table::pager(view, &path, shown.len(), kept.len(), "topic", number, pages))
        }
    };
    Page::live("Topics", "topics", body)
}

/// The table of some topics.
pub fn table(context: &Context<'_>, rows: &[Row<'_>], path: &str, checks: bool) -> Markup {
    let markup: Vec<Markup> = rows.iter().map(|row| one(context, row, checks)).collect();
    let own_order = if checks { "name" } else { "-depth" };
    let table = Table { caption: "Topics", columns: &COLUMNS, checks, path, view: context.view, own_order };
    let empty = if context.snapshot.tick == 0 {
        "Nothing is known yet: the first poll is under way."
    } else if context.view.q.is_empty() && context.view.state.is_empty() {
        "No topics yet. A topic is created when a producer first publishes to it, or on the Lookup page."
    } else {
        "No topic matches."
    };
    table.show(&markup, empty)
}

fn one(context: &Context<'_>, row: &Row<'_>, checks: bool) -> Markup {
    let (topic, links) = (row.topic, &context.site.links);
    let flow = row.flow;
    let cells = html! {
        @if checks { (table::check(&topic.name, context.may.act())) }
        th scope="row" { a href=(links.topic(&topic.name)) { (topic.name) } (badges(context, topic)) }
        td.n.with-spark { (spark(&context.values(row.key, Metric::Depth), Kind::Depth)) (number::count(row.depth)) }
        td.n.with-spark { (spark(&context.values(row.key, Metric::In), Kind::In)) (number::rate(flow.map(|flow| flow.incoming))) }
        td.n.p2 { (number::rate(flow.map(|flow| flow.outgoing))) }
        td.n.p2 { (number::rate(flow.map(|flow| flow.redo))) }
        td.p2 { @if let Some(channel) = row.deepest.filter(|channel| channel.figures.depth > 0) {
            a href=(links.channel(&topic.name, &channel.name)) { (channel.name) } " " span.muted { (number::count(channel.figures.depth)) }
        } }
        td.n.p3 { (number::count(topic.channels.len() as u64)) }
        td.n.p3 { (number::count(row.in_flight)) }
        td.n.p3 { (number::count(row.deferred)) }
        td.n.p2 { (number::count(row.consumers)) }
        td.n.p3 { (number::count(topic.nodes.len() as u64)) }
        td { (finding::chip(row.worst)) }
    };
    table::row(&topic.name, &cells)
}

/// What is special about a topic.
pub fn badges(context: &Context<'_>, topic: &TopicState) -> Markup {
    let tombstoned =
        context.snapshot.nodes.iter().filter(|node| node.tombstoned.contains(&topic.name)).count();
    html! {
        @if topic.figures.paused { (badge::warn("paused", "messages stay in the topic")) }
        @if topic.nodes.is_empty() { (badge::plain("no node", "only nsqlookupds know it")) }
        @else if topic.channels.is_empty() { (badge::plain("no channels", "messages stay in the topic until there is one")) }
        @if topic.name.ends_with("#ephemeral") { (badge::plain("ephemeral", "goes with its last channel")) }
        @if tombstoned > 0 { (badge::plain("tombstoned", "hidden from consumers on a node for a short while")) }
    }
}
