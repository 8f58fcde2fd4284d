//! All channels, flat: the operator's table.

use std::cmp::Ordering;
use std::collections::HashMap;

use maud::{Markup, html};

use super::bulk;
use super::context::Context;
use super::part::spark::{Kind, spark};
use super::part::table::{self, Column, Table};
use super::part::{badge, finding, number};
use super::shell::Page;
use super::topics::compare_rates;
use crate::attention::trend::{SAMPLES, Trend};
use crate::attention::{Finding, Subject};
use crate::history::{Flow, Key, Metric, Range};
use crate::number as text;
use crate::poll::snapshot::{ChannelState, TopicState};

/// The columns; the help page explains them.
pub const COLUMNS: [Column; 13] = [
    Column { key: "name", title: "Topic / channel", about: "", number: false, priority: 1 },
    Column { key: "depth", title: "Depth", about: "messages that wait", number: true, priority: 1 },
    Column {
        key: "trend",
        title: "Trend",
        about: "where the depth is going, over 30 samples",
        number: true,
        priority: 2,
    },
    Column {
        key: "in",
        title: "In/s",
        about: "messages that come into the channel a second",
        number: true,
        priority: 2,
    },
    Column {
        key: "out",
        title: "Out/s",
        about: "left the channel a second: finished, emptied or dropped",
        number: true,
        priority: 1,
    },
    Column {
        key: "redo",
        title: "Redo",
        about: "of what was delivered, the share that was requeued or timed out",
        number: true,
        priority: 2,
    },
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
        priority: 3,
    },
    Column {
        key: "timedout",
        title: "Timed out/min",
        about: "not answered in time, a minute",
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
    Column {
        key: "oldest",
        title: "Oldest",
        about: "age of the oldest message that waits, where the nsqd tells it",
        number: true,
        priority: 3,
    },
    Column { key: "nodes", title: "Nodes", about: "nsqds that have the channel", number: true, priority: 3 },
    Column {
        key: "finding",
        title: "Finding",
        about: "the worst that the rules found of it",
        number: false,
        priority: 1,
    },
];

struct Row<'a> {
    topic: &'a TopicState,
    channel: &'a ChannelState,
    key: Option<Key>,
    flow: Option<Flow>,
    trend: Option<f32>,
    worst: Option<&'a Finding>,
}

impl Row<'_> {
    fn redo_share(&self) -> Option<f32> {
        let flow = self.flow?;
        let all = flow.outgoing + flow.redo;
        Some(if all > 0.0 { flow.redo / all } else { 0.0 })
    }

    fn name(&self) -> (&str, &str) {
        (&self.topic.name, &self.channel.name)
    }
}

/// Change of depth a second, over the last five minutes at 10 s.
fn trend(context: &Context<'_>, key: Option<Key>) -> Option<f32> {
    let depths = context.history.values(key?, Metric::Depth, Range::Short, SAMPLES);
    let trend = Trend::of(&depths)?;
    let seconds = context.snapshot.interval_ms as f32 / 1_000.0 * (SAMPLES as f32 - 3.0);
    Some((trend.now - trend.before) / seconds.max(0.001))
}

fn rows<'a>(context: &'a Context<'_>, of: Option<&'a TopicState>) -> Vec<Row<'a>> {
    let worst: HashMap<&Subject, &Finding> =
        context.verdict.findings.iter().rev().map(|finding| (&finding.subject, finding)).collect();
    let topics = of.map_or_else(|| context.snapshot.topics.iter().collect(), |topic| vec![topic]);
    topics
        .into_iter()
        .flat_map(|topic| topic.channels.iter().map(move |channel| (topic, channel)))
        .map(|(topic, channel)| {
            let key = context.history.channel_key(&topic.name, &channel.name);
            let subject = Subject::Channel(topic.name.to_string(), channel.name.to_string());
            let flow = context.flow(key);
            Row { topic, channel, key, flow, trend: trend(context, key), worst: worst.get(&subject).copied() }
        })
        .collect()
}

fn is(row: &Row<'_>, state: &str) -> bool {
    let figures = &row.channel.figures;
    match state {
        "attention" => row.worst.is_some(),
        "growing" => row.trend.is_some_and(|trend| trend > 0.0) && figures.depth > 0,
        "unconsumed" => figures.client_count == 0 && !figures.clients_unknown && figures.depth > 0,
        "paused" => figures.paused,
        "redo" => row.flow.is_some_and(|flow| flow.redo > 0.0),
        "idle" => {
            figures.depth == 0 && row.flow.is_some_and(|flow| flow.incoming == 0.0 && flow.outgoing == 0.0)
        }
        rule if crate::attention::rule::find(rule).is_some() => {
            row.worst.is_some_and(|finding| finding.rule == rule)
        }
        _ => true,
    }
}

fn compare(a: &Row<'_>, b: &Row<'_>, key: &str) -> Ordering {
    let flow = |of: fn(&Flow) -> f32| compare_rates(a.flow.as_ref().map(of), b.flow.as_ref().map(of));
    let (x, y) = (&a.channel.figures, &b.channel.figures);
    let level = |row: &Row<'_>| row.worst.map(|finding| std::cmp::Reverse(finding.level));
    match key {
        "depth" => x.depth.cmp(&y.depth),
        "trend" => a.trend.unwrap_or(f32::MIN).total_cmp(&b.trend.unwrap_or(f32::MIN)),
        "in" => flow(|flow| flow.incoming),
        "out" => flow(|flow| flow.outgoing),
        "redo" => compare_rates(a.redo_share(), b.redo_share()),
        "inflight" => x.in_flight.cmp(&y.in_flight),
        "deferred" => x.deferred.cmp(&y.deferred),
        "timedout" => flow(|flow| flow.timed_out),
        "consumers" => x.client_count.cmp(&y.client_count),
        "oldest" => x.oldest_ms.cmp(&y.oldest_ms),
        "nodes" => a.channel.nodes.len().cmp(&b.channel.nodes.len()),
        "finding" => level(a).cmp(&level(b)),
        _ => a.name().cmp(&b.name()),
    }
}

/// The page.
pub fn page(context: &Context<'_>) -> Page {
    let (view, path) = (context.view, context.site.links.page("channels"));
    let found: Vec<Row<'_>> = rows(context, None)
        .into_iter()
        .filter(|row| view.finds(&[&row.topic.name, &row.channel.name]))
        .collect();
    let states = [
        ("", "all"),
        ("attention", "needs attention"),
        ("growing", "growing"),
        ("unconsumed", "no consumers"),
        ("paused", "paused"),
        ("redo", "redelivering"),
        ("idle", "idle"),
    ]
    .map(|(key, title)| (key, title, found.iter().filter(|row| is(row, key)).count()));
    let kept: Vec<Row<'_>> = found.into_iter().filter(|row| is(row, &view.state)).collect();
    let body = html! {
        h1 { "Channels" }
        (table::filter(view, &path, "Filter channels", &states))
        (bulk::bar(context, bulk::Of::Channels))
        (list(context, kept, &path, true))
    };
    Page::live("Channels", "channels", body)
}

/// The channels of one topic.
pub fn of_topic(context: &Context<'_>, topic: &TopicState, path: &str) -> Markup {
    list(context, rows(context, Some(topic)), path, false)
}

fn list(context: &Context<'_>, mut rows: Vec<Row<'_>>, path: &str, flat: bool) -> Markup {
    let view = context.view;
    let own_order = if flat { "-depth" } else { "name" };
    let (key, descending) = view.order(own_order, &Table::sort_keys(&COLUMNS));
    rows.sort_by(|a, b| {
        let order = compare(a, b, key);
        (if descending { order.reverse() } else { order }).then_with(|| a.name().cmp(&b.name()))
    });
    let (shown, page, pages) = view.cut(&rows);
    // Only some nsqds tell it; a column of dashes would push others out.
    let oldest = rows.iter().any(|row| row.channel.figures.oldest_ms.is_some());
    let columns: Vec<Column> =
        COLUMNS.into_iter().filter(|column| oldest || column.key != "oldest").collect();
    let markup: Vec<Markup> = shown.iter().map(|row| one(context, row, flat, oldest)).collect();
    let table = Table { caption: "Channels", columns: &columns, checks: true, path, view, own_order };
    let empty = match (flat, view.q.is_empty() && view.state.is_empty()) {
        (false, _) => "No channels: messages stay in the topic until there is one.",
        (true, true) => "No channels yet. A channel is created when a consumer first subscribes to it.",
        (true, false) => "No channel matches.",
    };
    html! {
        div data-live="" {
            (table.show(&markup, empty))
            @if flat || pages > 1 { (table::pager(view, path, shown.len(), rows.len(), "channel", page, pages)) }
        }
    }
}

fn one(context: &Context<'_>, row: &Row<'_>, flat: bool, oldest: bool) -> Markup {
    let (topic, channel, links) = (row.topic, row.channel, &context.site.links);
    let (figures, flow) = (&channel.figures, row.flow);
    let object = format!("{}/{}", topic.name, channel.name);
    let cells = html! {
        (table::check(&object, context.may.act()))
        th scope="row" {
            @if flat { a.quiet href=(links.topic(&topic.name)) { (topic.name) } span.slash { " / " } }
            a href=(links.channel(&topic.name, &channel.name)) { (channel.name) }
            (badges(channel))
        }
        td.n.with-spark { (spark(&context.values(row.key, Metric::Depth), Kind::Depth)) (number::count(figures.depth)) }
        td.n.p2 { (trend_cell(row.trend, figures.depth)) }
        td.n.p2 { (number::rate(flow.map(|flow| flow.incoming))) }
        td.n.with-spark { (spark(&context.values(row.key, Metric::Out), Kind::Out)) (number::rate(flow.map(|flow| flow.outgoing))) }
        td.n.p2 { @match row.redo_share() { Some(share) => (text::percent(share)), None => (number::unknown()) } }
        td.n.p2 { (number::count(figures.in_flight)) }
        td.n.p3 { (number::count(figures.deferred)) }
        td.n.p3 { (number::rate(flow.map(|flow| flow.timed_out * 60.0))) }
        td.n.p2 { (consumers(figures.client_count, figures.clients_unknown)) }
        @if oldest { td.n.p3 { @match figures.oldest_ms { Some(ms) => (text::duration(ms / 1_000)), None => (number::unknown()) } } }
        td.n.p3 { (number::count(channel.nodes.len() as u64)) }
        td { (finding::chip(row.worst)) }
    };
    table::row(&object, &cells)
}

/// How many consume, if the nsqd tells.
pub fn consumers(count: u64, unknown: bool) -> Markup {
    html! { @if unknown { (number::unknown()) } @else { (number::count(count)) } }
}

fn trend_cell(trend: Option<f32>, depth: u64) -> Markup {
    html! { @match trend {
        None => (number::unknown()),
        Some(trend) if trend.abs() < 0.05 => { "level" },
        Some(trend) if trend > 0.0 => { "+" (text::rate(trend)) "/s" },
        Some(trend) => {
            @let left = depth as f32 / -trend;
            span title={ "empty in " (text::duration(left as u64)) " if it goes on" } { "−" (text::rate(-trend)) "/s" }
        },
    } }
}

/// What is special about a channel.
pub fn badges(channel: &ChannelState) -> Markup {
    html! {
        @if channel.figures.paused { (badge::warn("paused", "consumers get nothing")) }
        @if channel.name.ends_with("#ephemeral") { (badge::plain("ephemeral", "goes with its last consumer")) }
    }
}
