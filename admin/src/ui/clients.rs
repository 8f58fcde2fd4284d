//! Consumers and producers: connections of others, whose texts are theirs.

use std::cmp::Ordering;
use std::sync::Arc;

use maud::{Markup, html};

use super::context::Context;
use super::part::badge;
use super::part::number::{self, foreign};
use super::part::table::{self, Column, Table};
use crate::cluster::ClientStats;
use crate::number as text;
use crate::upstream::nsqd::ProducerStats;

/// Columns of the table of consumers.
pub const COLUMNS: [Column; 11] = [
    Column { key: "client", title: "Client", about: "", number: false, priority: 1 },
    Column {
        key: "node",
        title: "Node",
        about: "the nsqd that it is connected to",
        number: false,
        priority: 2,
    },
    Column { key: "agent", title: "Agent", about: "library and version", number: false, priority: 3 },
    Column {
        key: "",
        title: "Attributes",
        about: "encryption, compression, sampling, identity, place",
        number: false,
        priority: 3,
    },
    Column {
        key: "inflight",
        title: "In flight / RDY",
        about: "messages it holds, of those it is ready for",
        number: true,
        priority: 1,
    },
    Column { key: "finished", title: "Finished", about: "since it connected", number: true, priority: 2 },
    Column { key: "requeued", title: "Requeued", about: "since it connected", number: true, priority: 2 },
    Column {
        key: "unanswered",
        title: "Unanswered",
        about: "given to it and neither finished nor requeued nor held: they timed out",
        number: true,
        priority: 1,
    },
    Column {
        key: "messages",
        title: "Messages",
        about: "given to it since it connected",
        number: true,
        priority: 2,
    },
    Column {
        key: "rate",
        title: "Mean/s",
        about: "finished a second since it connected",
        number: true,
        priority: 3,
    },
    Column { key: "connected", title: "Connected", about: "for how long", number: true, priority: 2 },
];

fn positive(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn connected_s(client: &ClientStats) -> u64 {
    positive(client.connected_ns / 1_000_000_000)
}

fn unanswered(client: &ClientStats) -> u64 {
    let answered = positive(client.finish_count)
        .saturating_add(positive(client.requeue_count))
        .saturating_add(positive(client.in_flight_count));
    positive(client.message_count).saturating_sub(answered)
}

fn rate(client: &ClientStats) -> Option<f32> {
    let seconds = connected_s(client);
    (seconds > 0).then(|| positive(client.finish_count) as f32 / seconds as f32)
}

fn compare(a: &ClientStats, b: &ClientStats, key: &str) -> Ordering {
    match key {
        "node" => a.node.cmp(&b.node),
        "agent" => a.user_agent.cmp(&b.user_agent),
        "inflight" => a.in_flight_count.cmp(&b.in_flight_count),
        "finished" => a.finish_count.cmp(&b.finish_count),
        "requeued" => a.requeue_count.cmp(&b.requeue_count),
        "unanswered" => unanswered(a).cmp(&unanswered(b)),
        "messages" => a.message_count.cmp(&b.message_count),
        "rate" => super::topics::compare_rates(rate(a), rate(b)),
        "connected" => a.connected_ns.cmp(&b.connected_ns),
        _ => a.hostname.cmp(&b.hostname),
    }
}

/// Consumers of one channel: filtered, sorted and cut into pages on the server.
pub fn consumers(context: &Context<'_>, clients: &[Arc<ClientStats>], path: &str) -> Markup {
    let view = context.view;
    let mut kept: Vec<&ClientStats> = clients
        .iter()
        .map(|client| &**client)
        .filter(|client| {
            view.finds(&[
                &client.hostname,
                &client.client_id,
                &client.remote_address,
                &client.user_agent,
                &client.node,
            ])
        })
        .collect();
    let (key, descending) = view.order("client", &Table::sort_keys(&COLUMNS));
    kept.sort_by(|a, b| {
        let order = compare(a, b, key);
        let order = if descending { order.reverse() } else { order };
        order.then_with(|| (&a.node, &a.remote_address).cmp(&(&b.node, &b.remote_address)))
    });
    let (shown, page, pages) = view.cut(&kept);
    let rows: Vec<Markup> = shown.iter().map(|client| one(context, client)).collect();
    let table =
        Table { caption: "Consumers", columns: &COLUMNS, checks: false, path, view, own_order: "client" };
    let empty = if clients.is_empty() { "No consumers are connected." } else { "No consumer matches." };
    html! {
        @if clients.len() > 10 || !view.q.is_empty() { (table::filter(view, path, "Filter consumers", &[])) }
        div data-live="" {
            (table.show(&rows, empty))
            @if pages > 1 { (table::pager(view, path, shown.len(), kept.len(), "consumer", page, pages)) }
        }
    }
}

/// Host and port of a client, its id where that says more.
fn name(client: &ClientStats) -> Markup {
    let port = client.remote_address.rsplit_once(':').map_or("", |(_, port)| port);
    let host =
        if client.hostname.is_empty() { client.remote_address.as_str() } else { client.hostname.as_str() };
    let short = host.split('.').next().unwrap_or_default();
    let id = client.client_id.as_str();
    let says_more = !id.is_empty() && !id.eq_ignore_ascii_case(host) && !id.eq_ignore_ascii_case(short);
    html! {
        span title=(foreign(&client.remote_address)) { (foreign(host)) @if !client.hostname.is_empty() && !port.is_empty() { ":" (foreign(port)) } }
        @if says_more { " " span.muted { "[" (foreign(id)) "]" } }
    }
}

fn attributes(client: &ClientStats) -> Markup {
    let identity = if client.auth_identity.is_empty() {
        "authorized".to_owned()
    } else {
        foreign(&client.auth_identity)
    };
    let url = client.auth_identity_url.as_str();
    html! {
        @if client.sample_rate > 0 { (badge::plain(&format!("sampled {} %", client.sample_rate), "takes a share of the messages only")) }
        @if client.tls {
            (badge::plain("TLS", &foreign(&format!("{} {} {}{}", client.tls_version, client.cipher_suite, client.tls_negotiated_protocol,
                if client.tls_negotiated_protocol_is_mutual { ", mutual" } else { "" }))))
        }
        @if client.deflate { (badge::plain("deflate", "")) }
        @if client.snappy { (badge::plain("snappy", "")) }
        @if client.authed {
            @if url.starts_with("https://") || url.starts_with("http://") { a.badge href=(url) rel="noreferrer" { (identity) } }
            @else { (badge::plain(&identity, "identity")) }
        }
        @if !client.topology_region.is_empty() { (badge::plain(&foreign(&client.topology_region), "region")) }
        @if !client.topology_zone.is_empty() { (badge::plain(&foreign(&client.topology_zone), "zone")) }
    }
}

fn one(context: &Context<'_>, client: &ClientStats) -> Markup {
    let (held, ready) = (positive(client.in_flight_count), positive(client.ready_count));
    let lost = unanswered(client);
    let cells = html! {
        th scope="row" { (name(client)) }
        td.p2 { a href=(context.site.links.node(&client.node)) { (foreign(&client.node)) } }
        td.p3 { (foreign(&client.user_agent)) }
        td.p3 { (attributes(client)) }
        td.n { (number::count(held)) " / " (number::count(ready)) (bar(held, ready)) }
        td.n.p2 { (number::count(positive(client.finish_count))) }
        td.n.p2 { (number::count(positive(client.requeue_count))) }
        td.n { @if lost > 0 { b.warning { (number::count(lost)) } } @else { "0" } }
        td.n.p2 { (number::count(positive(client.message_count))) }
        td.n.p3 { (number::rate(rate(client))) }
        td.n.p2 { (text::duration(connected_s(client))) }
    };
    table::row(&format!("{} {} {}", client.node, client.remote_address, client.connect_ts), &cells)
}

/// How much of its RDY a consumer uses.
fn bar(held: u64, ready: u64) -> Markup {
    let share = if ready == 0 { 0.0 } else { (held as f64 / ready as f64).min(1.0) };
    let width = (share * 40.0).round();
    html! { svg.bar.full[ready > 0 && held >= ready] viewBox="0 0 40 6" width="40" height="6" aria-hidden="true" {
        rect.ground x="0" y="0" width="40" height="6" {} rect.fill x="0" y="0" width=(width) height="6" {}
    } }
}

/// Columns of the table of producers.
pub const PRODUCER_COLUMNS: [Column; 6] = [
    Column { key: "", title: "Producer", about: "", number: false, priority: 1 },
    Column { key: "", title: "Node", about: "the nsqd that it is connected to", number: false, priority: 2 },
    Column { key: "", title: "Agent", about: "library and version", number: false, priority: 3 },
    Column {
        key: "",
        title: "Messages",
        about: "published to the topic since it connected",
        number: true,
        priority: 1,
    },
    Column {
        key: "",
        title: "Mean/s",
        about: "published to the topic a second since it connected",
        number: true,
        priority: 2,
    },
    Column { key: "", title: "Connected", about: "for how long", number: true, priority: 2 },
];

/// Producers that are shown.
const PRODUCERS_MAX: usize = 200;

/// Who publishes to a topic over TCP; who does so over HTTP leaves no connection to see.
pub fn producers(context: &Context<'_>, topic: &str, producers: &[ProducerStats]) -> Markup {
    let count = |producer: &ProducerStats| {
        producer
            .pub_counts
            .iter()
            .filter(|of| of.topic == topic)
            .fold(0_u64, |sum, of| sum.saturating_add(positive(of.count)))
    };
    let mut sorted: Vec<(u64, &ProducerStats)> =
        producers.iter().map(|producer| (count(producer), producer)).collect();
    sorted.sort_by(|(a, x), (b, y)| {
        b.cmp(a).then_with(|| (&x.node, &x.remote_address).cmp(&(&y.node, &y.remote_address)))
    });
    let rows: Vec<Markup> = sorted
        .iter()
        .take(PRODUCERS_MAX)
        .map(|(count, producer)| {
            let seconds = positive((context.now_ms / 1_000).saturating_sub(producer.connect_ts));
            let rate = (seconds > 0).then(|| *count as f32 / seconds as f32);
            let host = if producer.hostname.is_empty() { &producer.remote_address } else { &producer.hostname };
            let cells = html! {
                th scope="row" { span title=(foreign(&producer.remote_address)) { (foreign(host)) }
                    @if !producer.client_id.is_empty() && producer.client_id != producer.hostname { " " span.muted { "[" (foreign(&producer.client_id)) "]" } }
                    @if producer.tls { (badge::plain("TLS", "")) } }
                td.p2 { a href=(context.site.links.node(&producer.node)) { (foreign(&producer.node)) } }
                td.p3 { (foreign(&producer.user_agent)) }
                td.n { (number::count(*count)) }
                td.n.p2 { (number::rate(rate)) }
                td.n.p2 { (text::duration(seconds)) }
            };
            table::row(&format!("{} {} {}", producer.node, producer.remote_address, producer.connect_ts), &cells)
        })
        .collect();
    let table = Table {
        caption: "Producers",
        columns: &PRODUCER_COLUMNS,
        checks: false,
        path: "",
        view: context.view,
        own_order: "",
    };
    html! {
        (table.show(&rows, "No connection that is open has published to this topic. Who publishes over HTTP does not show here."))
        @if sorted.len() > PRODUCERS_MAX { p.remark { "And " (text::exact((sorted.len() - PRODUCERS_MAX) as u64)) " more." } }
    }
}
