//! All nsqds.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::context::Context;
use super::part::spark::{Kind, spark};
use super::part::table::{self, Column, Table};
use super::part::{badge, finding, number};
use super::shell::Page;
use super::topics::compare_rates;
use crate::attention::Subject;
use crate::history::{Flow, Metric};
use crate::number as text;
use crate::poll::snapshot::{NodeState, Snapshot};

/// The columns; the help page explains them.
pub const COLUMNS: [Column; 14] = [
    Column { key: "name", title: "Node", about: "", number: false, priority: 1 },
    Column {
        key: "state",
        title: "State",
        about: "whether it answers, and what it says of its health",
        number: false,
        priority: 1,
    },
    Column { key: "version", title: "Version", about: "", number: false, priority: 3 },
    Column { key: "up", title: "Up", about: "time since it was started", number: true, priority: 2 },
    Column { key: "in", title: "In/s", about: "published a second", number: true, priority: 1 },
    Column { key: "out", title: "Out/s", about: "left its channels a second", number: true, priority: 2 },
    Column {
        key: "depth",
        title: "Depth",
        about: "messages that wait in its topics and channels",
        number: true,
        priority: 1,
    },
    Column {
        key: "inflight",
        title: "In flight",
        about: "delivered and not yet answered",
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
        key: "producers",
        title: "Producers",
        about: "connections that publish",
        number: true,
        priority: 3,
    },
    Column { key: "topics", title: "Topics", about: "", number: true, priority: 2 },
    Column {
        key: "lookupds",
        title: "Listed by",
        about: "nsqlookupds that list it, of those there are",
        number: true,
        priority: 2,
    },
    Column { key: "place", title: "Region / zone", about: "", number: false, priority: 3 },
    Column {
        key: "answer",
        title: "Answer",
        about: "time that it took to answer the poll",
        number: true,
        priority: 3,
    },
];

/// Whether it answers, in one word, and whether that is bad.
fn state(node: &NodeState) -> (&'static str, bool) {
    if node.vanished_since_ms.is_some() {
        ("vanished", true)
    } else if node.fault.is_some() {
        (if node.is_carried() { "silent" } else { "unreachable" }, true)
    } else if node.health.is_empty() {
        ("not asked yet", false)
    } else if node.health == "OK" {
        ("ok", false)
    } else {
        ("unwell", true)
    }
}

/// The state with its reason.
pub fn state_cell(node: &NodeState) -> Markup {
    let (word, bad) = state(node);
    let reason = match &node.fault {
        Some(fault) => Some(fault.text.as_str()),
        None => Some(node.health.as_str()).filter(|health| *health != "OK"),
    };
    html! {
        @if bad { span.level.critical title=[reason.map(number::foreign)] { span aria-hidden="true" { "■" } " " (word) } }
        @else { (word) }
        @if word == "unwell" { " " (number::foreign(&node.health)) }
        @if node.out_of_date { (badge::plain("older", "another node runs a newer version")) }
    }
}

fn compare(context: &Context<'_>, a: &NodeState, b: &NodeState, key: &str) -> Ordering {
    let flow = |node: &NodeState| context.flow(context.history.node_key(&node.address));
    let rates = |of: fn(&Flow) -> f32| compare_rates(flow(a).as_ref().map(of), flow(b).as_ref().map(of));
    match key {
        "state" => state(a).cmp(&state(b)),
        "version" => a.version.cmp(&b.version),
        // The longest up was started first.
        "up" => b.start_time_s.cmp(&a.start_time_s),
        "in" => rates(|flow| flow.incoming),
        "out" => rates(|flow| flow.outgoing),
        "depth" => a.totals.depth.cmp(&b.totals.depth),
        "inflight" => a.totals.in_flight.cmp(&b.totals.in_flight),
        "consumers" => a.totals.client_count.cmp(&b.totals.client_count),
        "producers" => a.producers.cmp(&b.producers),
        "topics" => a.totals.topics.cmp(&b.totals.topics),
        "lookupds" => a.lookupds.len().cmp(&b.lookupds.len()),
        "place" => (&a.topology_region, &a.topology_zone).cmp(&(&b.topology_region, &b.topology_zone)),
        "answer" => a.answer_ms.cmp(&b.answer_ms),
        _ => a.address.cmp(&b.address),
    }
}

fn is(context: &Context<'_>, node: &NodeState, wanted: &str) -> bool {
    match wanted {
        "attention" => context.worst(&Subject::Node(node.address.to_string())).is_some(),
        "bad" => state(node).1,
        rule if crate::attention::rule::find(rule).is_some() => {
            context.verdict.findings.iter().any(|finding| {
                finding.rule == rule && finding.subject == Subject::Node(node.address.to_string())
            })
        }
        _ => true,
    }
}

/// The page.
pub fn page(context: &Context<'_>) -> Page {
    let (view, path, snapshot) = (context.view, context.site.links.page("nodes"), context.snapshot);
    let found: Vec<&NodeState> =
        snapshot.nodes.iter().filter(|node| view.finds(&[&node.address, &node.hostname])).collect();
    let states = [("", "all"), ("attention", "needs attention"), ("bad", "not answering")]
        .map(|(key, title)| (key, title, found.iter().filter(|node| is(context, node, key)).count()));
    let mut kept: Vec<&NodeState> = found.into_iter().filter(|node| is(context, node, &view.state)).collect();
    let (key, descending) = view.order("name", &Table::sort_keys(&COLUMNS));
    kept.sort_by(|a, b| {
        let order = compare(context, a, b, key);
        (if descending { order.reverse() } else { order }).then_with(|| a.address.cmp(&b.address))
    });
    let (shown, number, pages) = view.cut(&kept);
    // A column of nothing would push others out.
    let placed =
        snapshot.nodes.iter().any(|node| !node.topology_region.is_empty() || !node.topology_zone.is_empty());
    let columns: Vec<Column> = COLUMNS.into_iter().filter(|column| placed || column.key != "place").collect();
    let rows: Vec<Markup> = shown.iter().map(|node| one(context, node, placed)).collect();
    let table =
        Table { caption: "Nodes", columns: &columns, checks: false, path: &path, view, own_order: "name" };
    let empty = match (snapshot.tick, view.q.is_empty() && view.state.is_empty()) {
        (0, _) => "Nothing is known yet: the first poll is under way.",
        (_, true) => "No nsqd is listed by any nsqlookupd.",
        (_, false) => "No node matches.",
    };
    let body = html! {
        h1 { "Nodes" }
        (table::filter(view, &path, "Filter nodes", &states))
        div data-live="" {
            (table.show(&rows, empty))
            (table::pager(view, &path, shown.len(), kept.len(), "node", number, pages))
        }
    };
    Page::live("Nodes", "nodes", body)
}

/// Time since the node was started.
pub fn up(snapshot: &Snapshot, node: &NodeState) -> Markup {
    html! { @if node.start_time_s > 0 { (number::ago(snapshot.at_ms, node.start_time_s.saturating_mul(1_000))) } @else { (number::unknown()) } }
}

fn one(context: &Context<'_>, node: &NodeState, placed: bool) -> Markup {
    let (links, snapshot) = (&context.site.links, context.snapshot);
    let key = context.history.node_key(&node.address);
    let flow = context.flow(key).filter(|_| node.counted);
    let by: Vec<String> = node
        .lookupds
        .iter()
        .filter_map(|&index| snapshot.lookupds.get(usize::from(index)))
        .map(|lookupd| number::foreign(&lookupd.address))
        .collect();
    let place = [node.topology_region.as_str(), node.topology_zone.as_str()];
    let cells = html! {
        th scope="row" {
            a href=(links.node(&node.address)) { (number::foreign(&node.address)) }
            @if !node.hostname.is_empty() { " " span.muted { (number::foreign(&node.hostname)) } }
            (finding::chip(context.worst(&Subject::Node(node.address.to_string()))))
        }
        td { (state_cell(node)) }
        td.p3 { (number::foreign(&node.version)) @if !node.server.is_empty() { " " span.muted { (number::foreign(&node.server)) } } }
        td.n.p2 { (up(snapshot, node)) }
        td.n.with-spark { (spark(&context.values(key, Metric::In), Kind::In)) (number::rate(flow.map(|flow| flow.incoming))) }
        td.n.p2 { (number::rate(flow.map(|flow| flow.outgoing))) }
        td.n.with-spark { (spark(&context.values(key, Metric::Depth), Kind::Depth)) (number::count(node.totals.depth)) }
        td.n.p3 { (number::count(node.totals.in_flight)) }
        td.n.p2 { (number::count(node.totals.client_count)) }
        td.n.p3 { @match node.producers { Some(count) => (number::count(count)), None => (number::unknown()) } }
        td.n.p2 { (number::count(node.totals.topics)) }
        td.n.p2 { @if snapshot.lookupds.is_empty() { "–" } @else { span title=(by.join(", ")) { (by.len()) " of " (snapshot.lookupds.len()) } } }
        @if placed { td.p3 { (number::foreign(&place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" / "))) } }
        td.n.p3 { @if node.answered_at_ms.is_some() { (text::exact(node.answer_ms)) " ms" } @else { (number::unknown()) } }
    };
    table::row(&node.address, &cells)
}
