//! Search over topics, channels and nodes.

use maud::{Markup, html};

use super::context::Context;
use super::part::number;
use super::shell::Page;
use crate::number as text;

/// Results of one kind.
const SHOWN_MAX: usize = 50;

/// How well a name fits: 0 is exact, 1 begins so, 2 contains it.
fn fit(name: &str, wanted: &str) -> Option<u8> {
    let name = name.to_lowercase();
    if name == wanted {
        Some(0)
    } else if name.starts_with(wanted) {
        Some(1)
    } else {
        name.contains(wanted).then_some(2)
    }
}

type Hit = (u8, String, String);

fn hits(context: &Context<'_>, wanted: &str) -> [(&'static str, Vec<Hit>); 3] {
    let links = &context.site.links;
    let (mut topics, mut channels, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    for topic in &context.snapshot.topics {
        if let Some(fit) = fit(&topic.name, wanted) {
            topics.push((fit, topic.name.to_string(), links.topic(&topic.name)));
        }
        for channel in &topic.channels {
            let both = format!("{}/{}", topic.name, channel.name);
            let own = fit(&channel.name, wanted);
            // `orders/bil` is looked for in both names together, `orders` alone is not every channel of it.
            let found = if wanted.contains('/') { fit(&both, wanted) } else { own };
            if let Some(fit) = found {
                channels.push((fit, both, links.channel(&topic.name, &channel.name)));
            }
        }
    }
    for node in &context.snapshot.nodes {
        if let Some(fit) = fit(&node.address, wanted).or_else(|| fit(&node.hostname, wanted)) {
            let name = if node.hostname.is_empty() {
                node.address.to_string()
            } else {
                format!("{} ({})", node.address, node.hostname)
            };
            nodes.push((fit, name, links.node(&node.address)));
        }
    }
    let mut groups = [("topic", topics), ("channel", channels), ("node", nodes)];
    groups.iter_mut().for_each(|(_, hits)| hits.sort());
    groups
}

/// The page.
pub fn page(context: &Context<'_>) -> Page {
    let q = context.view.q.trim();
    let groups = if q.is_empty() { Default::default() } else { hits(context, &q.to_lowercase()) };
    let found: usize = groups.iter().map(|(_, hits)| hits.len()).sum();
    let body = html! {
        h1 { "Search" }
        form.filter method="get" action=(context.site.links.page("search")) role="search" aria-label="Search everything" {
            label { span.hidden { "Search for" } input type="search" name="q" value=(q) placeholder="Name of a topic, channel or node"; }
            button type="submit" { "Search" }
        }
        @if q.is_empty() { p.empty { "Topics, channels (topic/channel) and nodes are found by any part of their names." } }
        @else if found == 0 { p.empty { "Nothing is called " b { (number::foreign(q)) } "." } }
        @else { @for (kind, hits) in &groups { @if !hits.is_empty() { (group(kind, hits)) } } }
    };
    Page::still("Search", "search", body)
}

fn group(kind: &str, hits: &[Hit]) -> Markup {
    html! {
        section.results {
            div.section-head { h2 { (text::plural(hits.len() as u64, kind)) } }
            ul.plain { @for (_, name, address) in hits.iter().take(SHOWN_MAX) { li { a href=(address) { (number::foreign(name)) } } } }
            @if hits.len() > SHOWN_MAX { p.remark { "And " (text::exact((hits.len() - SHOWN_MAX) as u64)) " more." } }
        }
    }
}
