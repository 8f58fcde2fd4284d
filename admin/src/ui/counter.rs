//! The odometer.

use maud::html;

use super::context::Context;
use super::part::number;
use super::shell::Page;
use crate::history::Key;
use crate::number as text;

/// Messages that channels took since their nodes were started, and how fast that grows.
pub fn page(context: &Context<'_>) -> Page {
    let totals = &context.snapshot.totals;
    let rate: f32 = context
        .snapshot
        .topics
        .iter()
        .flat_map(|topic| topic.channels.iter().map(move |channel| (topic, channel)))
        .filter_map(|(topic, channel)| context.flow(context.history.channel_key(&topic.name, &channel.name)))
        .map(|flow| flow.incoming)
        .sum();
    let known = context.flow(Some(Key::Cluster)).is_some();
    let body = html! {
        h1 { "Counter" }
        div.counter data-live="" {
            p.odometer #odometer data-total=(totals.channel_message_count) data-rate=(rate) { (text::exact(totals.channel_message_count)) }
            p { "messages taken by channels since their nodes were started, " (number::rate(known.then_some(rate))) "/s" }
            p.muted { "A message counts once for each channel that took it." }
        }
    };
    Page::live("Counter", "counter", body)
}
