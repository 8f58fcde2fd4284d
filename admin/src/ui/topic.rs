//! One topic.

use maud::{Markup, html};

use super::actions;
use super::channels;
use super::context::Context;
use super::part::chart::{Chart, Line};
use super::part::spark::{Kind, spark};
use super::part::table::{self, Column, Table};
use super::part::{badge, finding, number};
use super::shell::Page;
use super::topics::badges;
use super::view::View;
use crate::attention::Subject;
use crate::cluster::TopicStats;
use crate::cluster::latency::Percentile;
use crate::history::{Key, Metric, Range};
use crate::number as text;
use crate::poll::snapshot::{TopicFigures, TopicState};

/// Columns of the table of nodes.
pub const NODE_COLUMNS: [Column; 8] = [
    Column { key: "", title: "Node", about: "", number: false, priority: 1 },
    Column {
        key: "",
        title: "Depth",
        about: "messages that wait in the topic itself",
        number: true,
        priority: 1,
    },
    Column { key: "", title: "Memory + disk", about: "where they wait", number: true, priority: 2 },
    Column { key: "", title: "In/s", about: "published a second", number: true, priority: 1 },
    Column {
        key: "",
        title: "Messages",
        about: "published since the node was started",
        number: true,
        priority: 1,
    },
    Column {
        key: "",
        title: "Message size",
        about: "mean size in bytes since the node was started",
        number: true,
        priority: 2,
    },
    Column { key: "", title: "Channels", about: "", number: true, priority: 2 },
    Column { key: "", title: "Here only", about: "actions on this node alone", number: false, priority: 2 },
];

/// The page; `live` is what the nsqds said just now, if they were asked, and `producers` are those who publish to it.
pub fn page(context: &Context<'_>, name: &str, live: Option<&TopicStats>, producers: Option<Markup>) -> Page {
    let links = &context.site.links;
    let title = name.to_owned();
    let Some(topic) = context.snapshot.topic(name) else {
        let body = html! {
            (trail(context, name, None))
            h1 { (number::foreign(name)) }
            p.empty { "No nsqd or nsqlookupd that answered knows this topic. It may be new: the next poll will tell. It can be created on the "
                a href=(links.page("lookup")) { "Lookup page" } "." }
        };
        return Page::missing(title, "topics", body);
    };
    let key = context.history.topic_key(name);
    let path = links.topic(name);
    let body = html! {
        (trail(context, name, None))
        div.head data-live="" {
            h1 { (topic.name) (badges(context, topic)) }
            (actions::buttons(context, &topic.name, topic.figures.paused, &path))
        }
        div data-live="" { (finding::sentences(context, &Subject::Topic(name.to_owned()))) }
        (summary(context, topic, key))
        (charts(context, key, &path))
        section aria-labelledby="nodes" {
            div.section-head { h2 #nodes { "Nodes" } }
            div data-live="" { (nodes(context, topic, live)) }
        }
        section aria-labelledby="channels" {
            div.section-head { h2 #channels { "Channels" } (create_channel(context, name)) }
            form.bulk #bulk method="post" action=(links.confirm()) data-bulk="" {
                input type="hidden" name="back" value=(path);
                span data-selected="" { "Selected rows:" }
                @for action in ["pause", "unpause", "empty", "delete"] {
                    button type="submit" name="action" value=(action) disabled[!context.may.act()] title=[context.may.reason()] { (super::bulk::word(action)) }
                }
            }
            (channels::of_topic(context, topic, &path))
        }
        @if let Some(producers) = producers {
            section aria-labelledby="producers" {
                div.section-head { h2 #producers { "Producers" } }
                div data-live="" { (producers) }
            }
        }
    };
    Page::live(title, "topics", body)
}

/// The way from the list to here.
pub fn trail(context: &Context<'_>, topic: &str, channel: Option<&str>) -> Markup {
    let links = &context.site.links;
    html! { nav.trail aria-label="Path" {
        a href=(links.page("topics")) { "Topics" } span.slash { " / " }
        @if channel.is_some() { a href=(links.topic(topic)) { (number::foreign(topic)) } span.slash { " /" } }
    } }
}

fn summary(context: &Context<'_>, topic: &TopicState, key: Option<Key>) -> Markup {
    let flow = context.flow(key);
    let sum = |of: fn(&crate::poll::snapshot::ChannelFigures) -> u64| {
        topic.channels.iter().fold(0_u64, |sum, channel| sum.saturating_add(of(&channel.figures)))
    };
    html! {
        dl.summary data-live="" {
            div { dt { "Depth" } dd { (number::count(topic.depth())) } }
            div { dt title="in the topic itself, not yet in its channels" { "In the topic" } dd { (number::count(topic.figures.depth)) } }
            div { dt { "In" } dd { (number::rate(flow.map(|flow| flow.incoming))) "/s" } }
            div { dt { "Out" } dd { (number::rate(flow.map(|flow| flow.outgoing))) "/s" } }
            div { dt { "Redo" } dd { (number::rate(flow.map(|flow| flow.redo))) "/s" } }
            div { dt { "In flight" } dd { (number::count(sum(|figures| figures.in_flight))) } }
            div { dt { "Deferred" } dd { (number::count(sum(|figures| figures.deferred))) } }
            div { dt { "Consumers" } dd { (number::count(sum(|figures| figures.client_count))) } }
            div { dt { "Messages" } dd { (number::count(topic.figures.message_count)) } }
        }
    }
}

/// The choice of the range of charts.
pub fn ranges(context: &Context<'_>, path: &str) -> Markup {
    let view = context.view;
    let span = |range: Range| {
        let seconds =
            context.snapshot.interval_ms.saturating_mul(range.ticks() * crate::history::POINTS as u64)
                / 1_000;
        if seconds == 0 { "–".to_owned() } else { text::duration(seconds) }
    };
    let to = |range: Range| view.with(path, |view: &mut View| view.range = range);
    html! { ul.chips.ranges {
        @for range in [Range::Short, Range::Long] {
            li { a href=(to(range)) aria-current=[(view.range == range).then_some("true")] { (span(range)) } }
        }
    } }
}

/// Depth, in and out, redo on one time axis.
pub fn charts(context: &Context<'_>, key: Option<Key>, path: &str) -> Markup {
    let line = |label, class, metric, rate| Line { label, class, values: context.values(key, metric), rate };
    let (range, snapshot) = (context.view.range, context.snapshot);
    let chart = |title, lines: &[Line]| {
        Chart { title, lines, range, interval_ms: snapshot.interval_ms, at_ms: snapshot.at_ms }.show()
    };
    html! {
        section.charts aria-label="History" {
            @if snapshot.interval_ms == 0 { p.empty { "There is no history: the poll is switched off." } }
            @else {
                (ranges(context, path))
                @if key.is_some_and(|key| !context.history.has_series(key)) && snapshot.tick > 1 {
                    p.empty { "No history: the bound of --history-memory is reached." }
                }
                div.chart-row data-live="" {
                    (chart("Depth", &[line("depth", "depth", Metric::Depth, false)]))
                    (chart("In and out", &[line("in", "in", Metric::In, true), line("out", "out", Metric::Out, true)]))
                    (chart("Redo", &[line("redo", "redo", Metric::Redo, true)]))
                }
            }
        }
    }
}

/// Heads of percentiles: those of the first node that has some.
pub fn quantiles<'a>(latencies: impl Iterator<Item = &'a crate::cluster::Latency>) -> Vec<f64> {
    latencies
        .filter_map(|latency| latency.percentiles.as_ref())
        .find(|percentiles| !percentiles.is_empty())
        .map(|percentiles| percentiles.iter().map(|one| one.quantile).collect())
        .unwrap_or_default()
}

/// `99.9th`.
pub fn quantile_name(quantile: f64) -> String {
    let percent = format!("{:.3}", quantile * 100.0);
    format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// A cell for a percentile.
pub fn percentile(of: Option<&Percentile>) -> Markup {
    html! { @match of {
        Some(one) => span title={ "least " (text::nanoseconds(one.min)) ", greatest " (text::nanoseconds(one.max)) } { (text::nanoseconds(one.average)) },
        None => (number::unknown()),
    } }
}

fn nodes(context: &Context<'_>, topic: &TopicState, live: Option<&TopicStats>) -> Markup {
    let links = &context.site.links;
    let live_of = |node: &str| live.and_then(|live| live.nodes.iter().flatten().find(|one| one.node == node));
    let quantiles = quantiles(
        live.iter().flat_map(|live| live.nodes.iter().flatten()).map(|one| &one.e2e_processing_latency),
    );
    let mut columns = NODE_COLUMNS.to_vec();
    let heads: Vec<String> = quantiles.iter().map(|quantile| quantile_name(*quantile)).collect();
    let last = columns.pop();
    let figures = |figures: &TopicFigures, key: Option<Key>, channels: usize| {
        html! {
            td.n.with-spark { (spark(&context.values(key, Metric::Depth), Kind::Depth)) (number::count(figures.depth)) }
            td.n.p2 { (memory_and_disk(figures.depth, figures.backend_depth)) }
            td.n.with-spark { (spark(&context.values(key, Metric::In), Kind::In)) (number::rate(context.flow(key).map(|flow| flow.incoming))) }
            td.n { (number::count(figures.message_count)) }
            td.n.p2 { @if let Some(bytes) = figures.message_bytes.checked_div(figures.message_count) { (number::count(bytes)) } @else { (number::unknown()) } }
            td.n.p2 { (channels) }
        }
    };
    let rows: Vec<Markup> = topic
        .nodes
        .iter()
        .filter_map(|(index, own)| Some((context.snapshot.nodes.get(*index as usize)?, index, own)))
        .map(|(node, index, own)| {
            let key = context.history.node_topic_key(&node.address, &topic.name);
            let channels =
                topic.channels.iter().filter(|channel| channel.nodes.iter().any(|(at, _)| at == index)).count();
            let object = format!("{}/{}", node.address, topic.name);
            let cells = html! {
                th scope="row" { (node_name(context, node))
                    @if own.paused { (badge::warn("paused", "")) }
                    @if node.tombstoned.contains(&topic.name) { (badge::plain("tombstoned", "hidden from consumers for a short while")) }
                }
                (figures(own, key, channels))
                @for quantile in &quantiles {
                    td.n.p3 { (percentile(live_of(&node.address).and_then(|one| one.e2e_processing_latency.percentiles.iter().flatten().find(|one| one.quantile == *quantile)))) }
                }
                td.p2 { form.inline method="post" action=(links.confirm()) {
                    input type="hidden" name="back" value=(links.topic(&topic.name));
                    input type="hidden" name="object" value=(object);
                    button type="submit" name="action" value="tombstone" disabled[!context.may.act()] title=(context.may.reason().unwrap_or("hide the topic on this node, then delete it there")) { "Tombstone" }
                } }
            };
            table::row(&node.address, &cells)
        })
        .collect();
    // The names of percentiles are only known now, and columns live as long as the program.
    let percentile_heads = html! { @for head in &heads { th.n.p3 scope="col" { (head) } } };
    let total = html! {
        th scope="row" { "All nodes" }
        (figures(&topic.figures, context.history.topic_key(&topic.name), topic.channels.len()))
        @for quantile in &quantiles {
            td.n.p3 { (percentile(live.and_then(|live| live.e2e_processing_latency.percentiles.iter().flatten().find(|one| one.quantile == *quantile)))) }
        }
        td.p2 {}
    };
    let table = Table {
        caption: "Nodes that have the topic",
        columns: &columns,
        checks: false,
        path: "",
        view: context.view,
        own_order: "",
    };
    let total = (rows.len() > 1).then_some(total);
    table.show_with_extra(&rows, total, &percentile_heads, last.as_ref(), "No nsqd has this topic: only nsqlookupds know it. Publishing to it, or creating it on an nsqd, brings it to life.")
}

/// A node's name as a link, with what is wrong with it.
pub fn node_name(context: &Context<'_>, node: &crate::poll::snapshot::NodeState) -> Markup {
    html! {
        a href=(context.site.links.node(&node.address)) { (number::foreign(&node.address)) }
        @if !node.hostname.is_empty() && !node.address.starts_with(&node.hostname) { " " span.muted { (number::foreign(&node.hostname)) } }
        @if let Some(fault) = &node.fault { (badge::warn(if node.is_carried() { "silent" } else { "unreachable" }, &number::foreign(&fault.text))) }
    }
}

/// `12 + 3,400`.
pub fn memory_and_disk(depth: u64, backend: u64) -> Markup {
    html! { (number::count(depth.saturating_sub(backend))) " + " (number::count(backend)) }
}

fn create_channel(context: &Context<'_>, topic: &str) -> Markup {
    let may = context.may.act();
    html! { form.inline method="post" action=(context.site.links.act()) {
        input type="hidden" name="back" value=(context.site.links.topic(topic));
        input type="hidden" name="topic" value=(topic);
        label { span.hidden { "Name of a new channel" } input type="text" name="channel" placeholder="New channel" required maxlength="64" pattern="[.a-zA-Z0-9_\\-]+(#ephemeral)?" disabled[!may]; }
        button type="submit" name="action" value="create" disabled[!may] title=[context.may.reason()] { "Create" }
    } }
}
