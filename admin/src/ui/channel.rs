//! One channel.

use maud::{Markup, html};

use super::actions;
use super::channels::{badges, consumers};
use super::clients;
use super::context::Context;
use super::part::spark::{Kind, spark};
use super::part::table::{self, Column, Table};
use super::part::{badge, finding, number};
use super::shell::Page;
use super::topic::{charts, memory_and_disk, node_name, percentile, quantile_name, quantiles, trail};
use crate::attention::Subject;
use crate::cluster::ChannelStats;
use crate::history::{Key, Metric};
use crate::poll::snapshot::{ChannelFigures, ChannelState};

/// Columns of the table of nodes.
pub const NODE_COLUMNS: [Column; 9] = [
    Column { key: "", title: "Node", about: "", number: false, priority: 1 },
    Column { key: "", title: "Depth", about: "messages that wait", number: true, priority: 1 },
    Column { key: "", title: "Memory + disk", about: "where they wait", number: true, priority: 2 },
    Column { key: "", title: "In/s", about: "messages that come in a second", number: true, priority: 2 },
    Column {
        key: "",
        title: "In flight",
        about: "delivered and not yet answered",
        number: true,
        priority: 1,
    },
    Column { key: "", title: "Deferred", about: "wait until a time that was set", number: true, priority: 2 },
    Column {
        key: "",
        title: "Requeued",
        about: "given back by consumers, since the node was started",
        number: true,
        priority: 3,
    },
    Column {
        key: "",
        title: "Timed out",
        about: "not answered in time, since the node was started",
        number: true,
        priority: 3,
    },
    Column {
        key: "",
        title: "Messages",
        about: "came in since the node was started",
        number: true,
        priority: 3,
    },
];

/// What the nsqds said of the consumers of a channel, or why they did not.
pub type Live<'a> = Option<Result<&'a ChannelStats, &'a str>>;

/// The page.
pub fn page(context: &Context<'_>, topic: &str, name: &str, live: Live<'_>) -> Page {
    let links = &context.site.links;
    let title = format!("{topic} / {name}");
    let Some(channel) = context.snapshot.topic(topic).and_then(|topic| topic.channel(name)) else {
        let body = html! {
            (trail(context, topic, Some(name)))
            h1 { (number::foreign(name)) }
            p.empty { "No nsqd that answered has this channel. It may be new: the next poll will tell. The topic is "
                a href=(links.topic(topic)) { (number::foreign(topic)) } "." }
        };
        return Page::missing(title, "channels", body);
    };
    let key = context.history.channel_key(topic, name);
    let path = links.channel(topic, name);
    let object = format!("{topic}/{name}");
    let stats = live.and_then(Result::ok);
    let body = html! {
        (trail(context, topic, Some(name)))
        div.head data-live="" {
            h1 { (channel.name) (badges(channel)) }
            (actions::buttons(context, &object, channel.figures.paused, &path))
        }
        div data-live="" { (finding::sentences(context, &Subject::Channel(topic.to_owned(), name.to_owned()))) }
        (summary(context, channel, key))
        (charts(context, key, &path))
        section aria-labelledby="nodes" {
            div.section-head { h2 #nodes { "Nodes" } }
            div data-live="" { (nodes(context, topic, channel, stats)) }
        }
        section aria-labelledby="consumers" {
            div.section-head { h2 #consumers { "Consumers" } }
            @match live {
                Some(Ok(stats)) => (clients::consumers(context, stats.clients.as_deref().unwrap_or_default(), &path)),
                Some(Err(error)) => p.empty { "The consumers are not known: " (number::foreign(error)) },
                None => p.empty { "The consumers were not asked for." },
            }
        }
    };
    Page::live(title, "channels", body)
}

fn summary(context: &Context<'_>, channel: &ChannelState, key: Option<Key>) -> Markup {
    let (flow, figures) = (context.flow(key), &channel.figures);
    html! {
        dl.summary data-live="" {
            div { dt { "Depth" } dd { (number::count(figures.depth)) } }
            div { dt { "In" } dd { (number::rate(flow.map(|flow| flow.incoming))) "/s" } }
            div { dt { "Out" } dd { (number::rate(flow.map(|flow| flow.outgoing))) "/s" } }
            div { dt { "Redo" } dd { (number::rate(flow.map(|flow| flow.redo))) "/s" } }
            div { dt { "In flight" } dd { (number::count(figures.in_flight)) } }
            div { dt { "Deferred" } dd { (number::count(figures.deferred)) } }
            div { dt { "Consumers" } dd { (consumers(figures.client_count, figures.clients_unknown)) } }
            div { dt { "Requeued" } dd { (number::count(figures.requeue_count)) } }
            div { dt { "Timed out" } dd { (number::count(figures.timeout_count)) } }
            div { dt { "Messages" } dd { (number::count(figures.message_count)) } }
        }
    }
}

fn nodes(context: &Context<'_>, topic: &str, channel: &ChannelState, live: Option<&ChannelStats>) -> Markup {
    let live_of = |node: &str| live.and_then(|live| live.nodes.iter().flatten().find(|one| one.node == node));
    let quantiles = quantiles(
        live.iter().flat_map(|live| live.nodes.iter().flatten()).map(|one| &one.e2e_processing_latency),
    );
    let has_delivery = live.is_some_and(|live| live.delivery.all > 0);
    let figures = |figures: &ChannelFigures, key: Option<Key>| {
        html! {
            td.n.with-spark { (spark(&context.values(key, Metric::Depth), Kind::Depth)) (number::count(figures.depth)) }
            td.n.p2 { (memory_and_disk(figures.depth, figures.backend_depth)) }
            td.n.p2.with-spark { (spark(&context.values(key, Metric::In), Kind::In)) (number::rate(context.flow(key).map(|flow| flow.incoming))) }
            td.n { (number::count(figures.in_flight)) }
            td.n.p2 { (number::count(figures.deferred)) }
            td.n.p3 { (number::count(figures.requeue_count)) }
            td.n.p3 { (number::count(figures.timeout_count)) }
            td.n.p3 { (number::count(figures.message_count)) }
        }
    };
    let extra = |stats: Option<&ChannelStats>| {
        html! {
            @if has_delivery { td.p2 { @if let Some(stats) = stats { (delivery(&stats.delivery)) } } }
            @for quantile in &quantiles {
                td.n.p3 { (percentile(stats.and_then(|one| one.e2e_processing_latency.percentiles.iter().flatten().find(|one| one.quantile == *quantile)))) }
            }
        }
    };
    let rows: Vec<Markup> = channel
        .nodes
        .iter()
        .filter_map(|(index, own)| Some((context.snapshot.nodes.get(*index as usize)?, own)))
        .map(|(node, own)| {
            let key = context.history.node_channel_key(&node.address, topic, &channel.name);
            let cells = html! {
                th scope="row" { (node_name(context, node)) @if own.paused { (badge::warn("paused", "")) } }
                (figures(own, key))
                (extra(live_of(&node.address)))
                td.n { (consumers(own.client_count, own.clients_unknown)) }
            };
            table::row(&node.address, &cells)
        })
        .collect();
    let heads = html! {
        @if has_delivery { th.p2 scope="col" title="share of deliveries within the zone, within the region, elsewhere" { "Delivery" } }
        @for quantile in &quantiles { th.n.p3 scope="col" { (quantile_name(*quantile)) } }
    };
    let last = Column {
        key: "",
        title: "Consumers",
        about: "connections that are subscribed",
        number: true,
        priority: 1,
    };
    let total = html! {
        th scope="row" { "All nodes" } (figures(&channel.figures, context.history.channel_key(topic, &channel.name))) (extra(live))
        td.n { (consumers(channel.figures.client_count, channel.figures.clients_unknown)) }
    };
    let table = Table {
        caption: "Nodes that have the channel",
        columns: &NODE_COLUMNS,
        checks: false,
        path: "",
        view: context.view,
        own_order: "",
    };
    table.show_with_extra(
        &rows,
        (rows.len() > 1).then_some(total),
        &heads,
        Some(&last),
        "No nsqd has this channel.",
    )
}

/// Shares of deliveries by distance, as a bar with its figures in the title.
fn delivery(delivery: &crate::cluster::channel::Delivery) -> Markup {
    let all = delivery.all.max(1) as f64;
    let share = |part: i64| (part.max(0) as f64 / all).min(1.0);
    let (zone, region, global) =
        (share(delivery.zone_local), share(delivery.region_local), share(delivery.global));
    let title = format!(
        "zone {:.2} %, region {:.2} %, elsewhere {:.2} %",
        zone * 100.0,
        region * 100.0,
        global * 100.0
    );
    html! {
        svg.share viewBox="0 0 100 8" width="100" height="8" role="img" aria-label=(title) {
            title { (title) }
            rect.zone x="0" y="0" width=(zone * 100.0) height="8" {}
            rect.region x=(zone * 100.0) y="0" width=(region * 100.0) height="8" {}
            rect.global x=((zone + region) * 100.0) y="0" width=(global * 100.0) height="8" {}
        }
    }
}
