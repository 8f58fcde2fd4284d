//! What was done, by whom, and how it went.

use maud::{Markup, html};

use super::context::Context;
use super::part::number::{self, foreign};
use super::part::table::{self, Column, Table};
use super::shell::Page;
use crate::action::actor::Source;
use crate::action::audit::{Audit, Entry};

const COLUMNS: [Column; 8] = [
    Column { key: "", title: "When", about: "", number: false, priority: 1 },
    Column { key: "", title: "Action", about: "", number: false, priority: 1 },
    Column { key: "", title: "Object", about: "", number: false, priority: 1 },
    Column { key: "", title: "Outcome", about: "", number: false, priority: 1 },
    Column {
        key: "",
        title: "User",
        about: "from the header of the access list, else of basic authentication",
        number: false,
        priority: 2,
    },
    Column {
        key: "",
        title: "Address",
        about: "the other end of the connection; behind a proxy, the proxy",
        number: false,
        priority: 2,
    },
    Column { key: "", title: "By", about: "a page, or a program over the API", number: false, priority: 3 },
    Column { key: "", title: "Took", about: "", number: true, priority: 3 },
];

/// The page.
pub fn page(context: &Context<'_>, audit: &Audit) -> Page {
    let (view, path) = (context.view, context.site.links.page("audit"));
    let entries: Vec<(u64, &Entry)> = (0..audit.count)
        .rev()
        .zip(audit.newest_first())
        .filter(|(_, entry)| {
            view.finds(&[entry.word, &entry.topic, entry.channel.as_deref().unwrap_or(""), name(entry)])
        })
        .collect();
    let (shown, number, pages) = view.cut(&entries);
    let rows: Vec<Markup> = shown.iter().map(|(id, entry)| one(context, *id, entry)).collect();
    let table =
        Table { caption: "Actions", columns: &COLUMNS, checks: false, path: &path, view, own_order: "" };
    let body = html! {
        h1 { "Audit" }
        p.remark { "The last actions since this nsqadmin was started, the newest first. The log has them all." }
        (table::filter(view, &path, "Filter actions", &[]))
        div data-live="" {
            (table.show(&rows, if view.q.is_empty() { "Nothing was done yet." } else { "No action matches." }))
            (table::pager(view, &path, shown.len(), entries.len(), "action", number, pages))
        }
    };
    Page::live("Audit", "audit", body)
}

fn name(entry: &Entry) -> &str {
    entry.user.as_deref().or(entry.basic_user.as_deref()).unwrap_or("")
}

fn one(context: &Context<'_>, id: u64, entry: &Entry) -> Markup {
    let links = &context.site.links;
    let took_ms = entry.took.as_millis();
    let cells = html! {
        td { time datetime=(number::iso(entry.at_ms)) data-clock="long" title=(number::iso(entry.at_ms)) { (number::clock(entry.at_ms)) } }
        td { (entry.word) }
        th scope="row" {
            @match &entry.channel {
                Some(channel) => a href=(links.channel(&entry.topic, channel)) { (foreign(&entry.topic)) " / " (foreign(channel)) },
                None => a href=(links.topic(&entry.topic)) { (foreign(&entry.topic)) },
            }
            @if let Some(node) = &entry.node { " on " (foreign(node)) }
        }
        td.say {
            @if entry.outcome == "success" { "success" } @else { span.level.warning { span aria-hidden="true" { "▲" } " " (entry.outcome) } }
            @if let Some(failure) = &entry.failure { " " (foreign(failure)) }
            @for (target, why) in &entry.failed { " " (foreign(target)) ": " (foreign(why)) }
        }
        td.p2 { (foreign(name(entry))) @if name(entry).is_empty() { (number::unknown()) } }
        td.p2 { (foreign(&entry.remote)) }
        td.p3 { (if entry.source == Source::Page { "page" } else { "API" }) }
        td.n.p3 { (took_ms) " ms" }
    };
    table::row(&id.to_string(), &cells)
}
