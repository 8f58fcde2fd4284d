//! One nsqd.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::context::Context;
use super::nodes::{state_cell, up};
use super::part::spark::{Kind, spark};
use super::part::table::{self, Column, Table};
use super::part::{badge, finding, number};
use super::shell::Page;
use super::topic::charts;
use super::topics::compare_rates;
use crate::attention::Subject;
use crate::history::{Key, Metric};
use crate::number as text;
use crate::poll::snapshot::{ChannelFigures, NodeState, TopicFigures};

/// The columns; the help page explains them.
pub const COLUMNS: [Column; 9] = [
    Column { key: "name", title: "Topic / channel", about: "", number: false, priority: 1 },
    Column {
        key: "depth",
        title: "Depth",
        about: "messages that wait; of a topic, in itself",
        number: true,
        priority: 1,
    },
    Column { key: "", title: "Memory + disk", about: "where they wait", number: true, priority: 2 },
    Column { key: "in", title: "In/s", about: "messages that come in a second", number: true, priority: 1 },
    Column {
        key: "inflight",
        title: "In flight",
        about: "delivered and not yet answered",
        number: true,
        priority: 2,
    },
    Column {
        key: "deferred",
        title: "Deferred",
        about: "wait until a time that was set",
        number: true,
        priority: 2,
    },
    Column {
        key: "requeued",
        title: "Requeued",
        about: "since the node was started",
        number: true,
        priority: 3,
    },
    Column {
        key: "timedout",
        title: "Timed out",
        about: "since the node was started",
        number: true,
        priority: 3,
    },
    Column {
        key: "consumers",
        title: "Consumers",
        about: "connections that are subscribed",
        number: true,
        priority: 2,
    },
];

struct Row<'a> {
    topic: &'a str,
    own: TopicFigures,
    /// A channel of the topic; none for the topic's own row.
    channel: Option<(&'a str, ChannelFigures)>,
    key: Option<Key>,
}

impl Row<'_> {
    fn depth(&self) -> u64 {
        self.channel.map_or(self.own.depth, |(_, figures)| figures.depth)
    }
}

/// The page.
pub fn page(context: &Context<'_>, address: &str) -> Page {
    let (snapshot, links) = (context.snapshot, &context.site.links);
    let Some((index, node)) =
        snapshot.node_index(address).and_then(|index| Some((index, snapshot.nodes.get(index)?)))
    else {
        let body = html! {
            (trail(context))
            h1 { (number::foreign(address)) }
            p.empty { "No such node: no nsqlookupd lists it, and none did within the last hour." }
        };
        return Page::missing(address, "nodes", body);
    };
    let key = context.history.node_key(address);
    let path = links.node(address);
    let body = html! {
        (trail(context))
        div.head data-live="" { h1 { (number::foreign(address)) @if !node.hostname.is_empty() { " " span.muted { (number::foreign(&node.hostname)) } } } }
        div data-live="" {
            (finding::sentences(context, &Subject::Node(address.to_owned())))
            (can_go(node))
        }
        (summary(context, node, key))
        (charts(context, key, &path))
        section aria-labelledby="topics" {
            div.section-head { h2 #topics { "Topics and channels" } }
            (topics(context, index, node, &path))
        }
    };
    Page::live(address, "nodes", body)
}

fn trail(context: &Context<'_>) -> Markup {
    html! { nav.trail aria-label="Path" { a href=(context.site.links.page("nodes")) { "Nodes" } span.slash { " /" } } }
}

/// Whether one may stop it: nsq#1021.
fn can_go(node: &NodeState) -> Markup {
    let stake = node.stake();
    html! { @if node.answered_at_ms.is_some() && node.fault.is_none() {
        p.remark {
            @if stake == 0 { "Holds no messages: depth, in flight and deferred are 0. "
                @if node.totals.client_count == 0 && node.producers.unwrap_or(0) == 0 { "Nobody is connected: it can be taken down." } @else { "It can be taken down once nobody publishes to it." } }
            @else { "Holds " (text::plural(stake, "message")) ": " (number::count(node.totals.depth)) " waiting, " (number::count(node.totals.in_flight)) " in flight, " (number::count(node.totals.deferred)) " deferred." }
        }
    } }
}

fn summary(context: &Context<'_>, node: &NodeState, key: Option<Key>) -> Markup {
    let flow = context.flow(key).filter(|_| node.counted);
    let totals = &node.totals;
    let place: Vec<&str> = [node.topology_region.as_str(), node.topology_zone.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    html! {
        dl.summary data-live="" {
            div { dt { "State" } dd { (state_cell(node)) } }
            div { dt { "Up" } dd { (up(context.snapshot, node)) } }
            div { dt { "Version" } dd { (number::foreign(&node.version)) @if !node.server.is_empty() { " " span.muted { (number::foreign(&node.server)) } } } }
            div { dt { "TCP" } dd { (node.tcp_port) } }
            @if !place.is_empty() { div { dt { "Region / zone" } dd { (number::foreign(&place.join(" / "))) } } }
            div { dt { "In" } dd { (number::rate(flow.map(|flow| flow.incoming))) "/s" } }
            div { dt { "Out" } dd { (number::rate(flow.map(|flow| flow.outgoing))) "/s" } }
            div { dt { "Depth" } dd { (number::count(totals.depth)) } }
            div { dt { "In flight" } dd { (number::count(totals.in_flight)) } }
            div { dt { "Consumers" } dd { (number::count(totals.client_count)) } }
            div { dt { "Producers" } dd { @match node.producers { Some(count) => (number::count(count)), None => (number::unknown()) } } }
            div { dt { "Messages" } dd { (number::count(totals.message_count)) } }
            @if !context.snapshot.lookupds.is_empty() {
                div { dt { "Listed by" } dd { (node.lookupds.len()) " of " (context.snapshot.lookupds.len()) " nsqlookupds" } }
            }
            @if let (Some(at), true) = (node.answered_at_ms, node.fault.is_some()) { div { dt { "Figures of" } dd { (number::ago(context.now_ms, at)) " ago" } } }
        }
    }
}

fn rows<'a>(context: &'a Context<'_>, index: usize, node: &NodeState) -> Vec<Row<'a>> {
    let here = |at: u32| at as usize == index;
    let mut rows = Vec::new();
    for topic in &context.snapshot.topics {
        let Some((_, own)) = topic.nodes.iter().find(|(at, _)| here(*at)) else { continue };
        let key = context.history.node_topic_key(&node.address, &topic.name);
        rows.push(Row { topic: &topic.name, own: *own, channel: None, key });
        for channel in &topic.channels {
            if let Some((_, figures)) = channel.nodes.iter().find(|(at, _)| here(*at)) {
                let key = context.history.node_channel_key(&node.address, &topic.name, &channel.name);
                rows.push(Row {
                    topic: &topic.name,
                    own: *own,
                    channel: Some((&channel.name, *figures)),
                    key,
                });
            }
        }
    }
    rows
}

fn compare(context: &Context<'_>, a: &Row<'_>, b: &Row<'_>, key: &str) -> Ordering {
    let of = |row: &Row<'_>, of: fn(&ChannelFigures) -> u64| {
        row.channel.as_ref().map_or(0, |(_, figures)| of(figures))
    };
    let numbers = |number: fn(&ChannelFigures) -> u64| of(a, number).cmp(&of(b, number));
    let rate = |row: &Row<'_>| context.flow(row.key).map(|flow| flow.incoming);
    match key {
        "depth" => a.depth().cmp(&b.depth()),
        "in" => compare_rates(rate(a), rate(b)),
        "inflight" => numbers(|figures| figures.in_flight),
        "deferred" => numbers(|figures| figures.deferred),
        "requeued" => numbers(|figures| figures.requeue_count),
        "timedout" => numbers(|figures| figures.timeout_count),
        "consumers" => numbers(|figures| figures.client_count),
        _ => Ordering::Equal,
    }
}

fn topics(context: &Context<'_>, index: usize, node: &NodeState, path: &str) -> Markup {
    let view = context.view;
    let mut kept: Vec<Row<'_>> = rows(context, index, node)
        .into_iter()
        .filter(|row| view.finds(&[row.topic, row.channel.map_or("", |(name, _)| name)]))
        .collect();
    let (key, descending) = view.order("name", &Table::sort_keys(&COLUMNS));
    if key != "name" {
        kept.sort_by(|a, b| {
            let order = compare(context, a, b, key);
            if descending { order.reverse() } else { order }
        });
    }
    let (shown, page, pages) = view.cut(&kept);
    let markup: Vec<Markup> = shown.iter().map(|row| one(context, node, row, key == "name")).collect();
    let table = Table {
        caption: "Topics and channels of the node",
        columns: &COLUMNS,
        checks: false,
        path,
        view,
        own_order: "name",
    };
    html! {
        (table::filter(view, path, "Filter topics and channels", &[]))
        div data-live="" {
            (table.show(&markup, if view.q.is_empty() { "This node has no topics." } else { "Nothing matches." }))
            @if pages > 1 { (table::pager(view, path, shown.len(), kept.len(), "row", page, pages)) }
        }
    }
}

fn one(context: &Context<'_>, node: &NodeState, row: &Row<'_>, tree: bool) -> Markup {
    let links = &context.site.links;
    let flow = context.flow(row.key).filter(|_| node.counted);
    let (depth, backend, paused) =
        row.channel.map_or((row.own.depth, row.own.backend_depth, row.own.paused), |(_, figures)| {
            (figures.depth, figures.backend_depth, figures.paused)
        });
    let key = row.channel.map_or_else(|| row.topic.to_owned(), |(name, _)| format!("{}/{name}", row.topic));
    let cells = html! {
        th scope="row" class=[(tree && row.channel.is_some()).then_some("sub")] {
            @match row.channel {
                Some((name, _)) => { @if !tree { a.quiet href=(links.topic(row.topic)) { (row.topic) } span.slash { " / " } } a href=(links.channel(row.topic, name)) { (name) } },
                None => { a href=(links.topic(row.topic)) { (row.topic) } @if node.tombstoned.iter().any(|topic| **topic == *row.topic) { (badge::plain("tombstoned", "")) } },
            }
            @if paused { (badge::warn("paused", "")) }
        }
        td.n.with-spark { (spark(&context.values(row.key, Metric::Depth), Kind::Depth)) (number::count(depth)) }
        td.n.p2 { (super::topic::memory_and_disk(depth, backend)) }
        td.n.with-spark { (spark(&context.values(row.key, Metric::In), Kind::In)) (number::rate(flow.map(|flow| flow.incoming))) }
        @match row.channel {
            Some((_, figures)) => {
                td.n.p2 { (number::count(figures.in_flight)) } td.n.p2 { (number::count(figures.deferred)) }
                td.n.p3 { (number::count(figures.requeue_count)) } td.n.p3 { (number::count(figures.timeout_count)) }
                td.n.p2 { (super::channels::consumers(figures.client_count, figures.clients_unknown)) }
            },
            None => { td.p2 {} td.p2 {} td.p3 {} td.p3 {} td.p2 {} },
        }
    };
    table::row(&key, &cells)
}
