//! The first page: what is wrong, and where most waits.

use maud::{Markup, html};

use super::context::Context;
use super::part::spark::{Kind, spark};
use super::part::{finding, number};
use super::shell::Page;
use super::topics;
use crate::history::{Key, Metric};

/// Topics on the first page.
const DEEPEST: usize = 25;

/// The first page.
pub fn page(context: &Context<'_>) -> Page {
    let mut rows = topics::rows(context);
    rows.sort_by(|a, b| b.depth.cmp(&a.depth).then_with(|| a.topic.name.cmp(&b.topic.name)));
    let all = rows.len();
    rows.truncate(DEEPEST);
    let links = &context.site.links;
    let body = html! {
        h1.hidden { "Overview" }
        (finding::list(context))
        (totals(context))
        section aria-labelledby="deepest" {
            div.section-head {
                h2 #deepest { "Deepest topics" }
                p { @if all > DEEPEST { (DEEPEST) " of " } a href=(links.page("topics")) { (crate::number::plural(all as u64, "topic")) } }
            }
            div data-live="" { (topics::table(context, &rows, &links.page("topics"), false)) }
        }
    };
    Page::live("", "overview", body)
}

/// Sums over the cluster in one row.
fn totals(context: &Context<'_>) -> Markup {
    let flow = context.flow(Some(Key::Cluster));
    let totals = &context.snapshot.totals;
    let line = |metric, kind| spark(&context.values(Some(Key::Cluster), metric), kind);
    let producers: Option<u64> =
        context.snapshot.nodes.iter().filter_map(|node| node.producers).reduce(u64::saturating_add);
    html! {
        section.totals data-live="" aria-label="The whole cluster" {
            dl {
                div { dt { "In" } dd { b { (number::rate(flow.map(|flow| flow.incoming))) } "/s" (line(Metric::In, Kind::In)) } }
                div { dt { "Out" } dd { b { (number::rate(flow.map(|flow| flow.outgoing))) } "/s" (line(Metric::Out, Kind::Out)) } }
                div { dt { "Redo" } dd { b { (number::rate(flow.map(|flow| flow.redo))) } "/s" (line(Metric::Redo, Kind::Redo)) } }
                div { dt { "Depth" } dd { b { (number::count(totals.depth)) } (line(Metric::Depth, Kind::Depth)) } }
                div { dt { "In flight" } dd { b { (number::count(totals.in_flight)) } (line(Metric::InFlight, Kind::Depth)) } }
                div { dt { "Deferred" } dd { b { (number::count(totals.deferred)) } (line(Metric::Deferred, Kind::Depth)) } }
                div { dt { "Consumers" } dd { b { (number::count(totals.client_count)) } (line(Metric::Consumers, Kind::Depth)) } }
                div { dt { "Producers" } dd { b { @match producers { Some(count) => (number::count(count)), None => (number::unknown()) } }
                    (line(Metric::Producers, Kind::Depth)) } }
            }
        }
    }
}
