//! What surrounds every page.

use maud::{Markup, html};

use super::assets::Assets;
use super::context::Context;
use super::part::number::{ago, clock, foreign};
use super::part::raw;
use crate::attention::Level;
use crate::number;

/// A page before it is dressed.
pub struct Page {
    /// For the window and the first heading of the outline.
    pub title: String,
    /// Which entry of the navigation it belongs to.
    pub here: &'static str,
    /// Its content.
    pub body: Markup,
    /// Whether it is asked again at every tick.
    pub live: bool,
    /// What the answer's status is.
    pub status: u16,
}

impl Page {
    /// A page that follows the ticks.
    pub fn live(title: impl Into<String>, here: &'static str, body: Markup) -> Self {
        Page { title: title.into(), here, body, live: true, status: 200 }
    }

    /// A page that stays as it is.
    pub fn still(title: impl Into<String>, here: &'static str, body: Markup) -> Self {
        Page { live: false, ..Page::live(title, here, body) }
    }

    /// A page about something that is not there. It is a page all the same, as with NSQ, whose pages know no names;
    /// and what is not there may come with the next tick.
    pub fn missing(title: impl Into<String>, here: &'static str, body: Markup) -> Self {
        Page::live(title, here, body)
    }
}

const NAVIGATION: [(&str, &str, &str); 6] = [
    ("overview", "Overview", "o"),
    ("channels", "Channels", "c"),
    ("topics", "Topics", "t"),
    ("nodes", "Nodes", "n"),
    ("lookup", "Lookup", "l"),
    ("counter", "Counter", ""),
];

/// The part of a page that is asked for again: the whole `<main>`.
pub fn main(context: &Context<'_>, page: &Page) -> Markup {
    let snapshot = context.snapshot;
    let age_ms = context.now_ms.saturating_sub(snapshot.at_ms).max(0);
    let interval_ms = i64::try_from(snapshot.interval_ms).unwrap_or(i64::MAX);
    let next_ms = interval_ms.saturating_sub(age_ms).clamp(500, 600_000);
    let critical = context.verdict.findings.iter().filter(|finding| finding.level == Level::Critical).count();
    html! {
        main #main tabindex="-1" data-tick=(snapshot.tick) data-age-ms=(if snapshot.tick == 0 { 0 } else { age_ms })
            data-interval-ms=(interval_ms) data-next-ms=[page.live.then_some(next_ms)] data-critical=(critical)
            data-title=(title(context, page)) {
            (coverage(context))
            (page.body)
        }
    }
}

fn title(context: &Context<'_>, page: &Page) -> String {
    let name = if context.site.cluster_name.is_empty() { "nsqadmin" } else { &context.site.cluster_name };
    if page.title.is_empty() { name.to_owned() } else { format!("{} · {name}", page.title) }
}

/// Who did not answer, if somebody did not.
fn coverage(context: &Context<'_>) -> Markup {
    let snapshot = context.snapshot;
    let (answered, all) = snapshot.coverage();
    let silent: Vec<_> = snapshot
        .nodes
        .iter()
        .filter(|node| node.vanished_since_ms.is_none())
        .filter_map(|node| node.fault.as_ref().map(|fault| (&node.address, fault)))
        .collect();
    html! {
        div.coverage data-live="" {
            @if answered < all && snapshot.tick > 0 {
                p { b { (answered) " of " (number::plural(all as u64, "node")) " answered" } ", figures are lower than the truth: "
                    @for (index, (node, fault)) in silent.iter().take(3).enumerate() {
                        @if index > 0 { "; " }
                        a href=(context.site.links.node(node)) { (foreign(node)) } " " (foreign(&fault.text)) ", since "
                        time datetime=(super::part::number::iso(fault.since_ms)) data-clock="long" { (clock(fault.since_ms)) }
                    }
                    @if silent.len() > 3 { "; and " (silent.len() - 3) " more" }
                }
            }
            @for (what, how_many) in &snapshot.left_out {
                p { b { (number::exact(*how_many)) " " (what) } " did not fit nsqadmin's bounds and are left out." }
            }
        }
    }
}

/// The whole document.
pub fn document(context: &Context<'_>, page: &Page, assets: &Assets) -> Markup {
    let site = context.site;
    let links = &site.links;
    let asset = |name: &str| links.asset(assets.hashed(name));
    let snapshot = context.snapshot;
    html! {
        (raw::doctype())
        html lang="en" data-base=(links.overview()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(context, page)) }
                link rel="icon" href=(asset("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(asset("app.css"));
                script src=(asset("theme.js")) {}
                @for module in assets.modules() { link rel="modulepreload" href=(asset(module)); }
                script type="module" src=(asset("app.js")) {}
            }
            body data-cluster=[(!site.cluster_name.is_empty()).then_some(&site.cluster_name)] {
                a.skip href="#main" { "Skip to content" }
                header {
                    a.brand href=(links.overview()) { (if site.cluster_name.is_empty() { "nsqadmin" } else { &site.cluster_name }) }
                    nav aria-label="Pages of nsqadmin" { ul {
                        @for (name, title, key) in NAVIGATION {
                            li { a href=(if name == "overview" { links.overview() } else { links.page(name) })
                                data-go=[(!key.is_empty()).then_some(key)]
                                aria-current=[(page.here == name).then_some("page")] { (title) } }
                        }
                    } }
                    form.search action=(links.page("search")) method="get" role="search" {
                        label { span.hidden { "Search topics, channels, nodes and clients" }
                            input #search type="search" name="q" placeholder="Search" autocomplete="off" aria-keyshortcuts="/"; }
                    }
                    p.fresh {
                        span #fresh { @if snapshot.tick > 0 { (ago(context.now_ms, snapshot.at_ms)) " ago" } @else { "no poll yet" } }
                        button #pause type="button" hidden aria-pressed="false" { "Pause" }
                    }
                }
                (main(context, page))
                p #say.hidden role="status" {}
                footer {
                    span { "nsqadmin " (site.version) }
                    @if site.direct { span { "nsqd: " (snapshot.nodes.len()) } }
                    @else { span { "nsqlookupd: " @for (index, lookupd) in snapshot.lookupds.iter().enumerate() { @if index > 0 { ", " } (foreign(&lookupd.address)) } } }
                    @for (name, address) in &site.peers { a href=(address) rel="noreferrer" { (name) } }
                    a href=(links.page("audit")) { "Audit" }
                    a href=(links.page("help")) { "Help" }
                    a href={ (links.page("help")) "#api" } { "API" }
                    a href=(links.page("metrics")) { "Metrics" }
                    label #theme hidden { "Theme " select { option value="" { "auto" } option value="light" { "light" } option value="dark" { "dark" } } }
                }
            }
        }
    }
}
