//! What an action would do, before it is done.

use maud::{Markup, html};

use super::bulk::word;
use super::context::Context;
use super::part::number::foreign;
use super::shell::Page;
use crate::number as text;
use crate::poll::Snapshot;

/// From this many messages on, a loss is confirmed by typing the name.
const TYPED_FROM: u64 = 1_000;

/// An object of an action as it stands in a form: `topic`, `topic/channel`, or `node/topic` for a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The topic.
    pub topic: String,
    /// The channel, if it is one.
    pub channel: Option<String>,
    /// The node, for a tombstone.
    pub node: Option<String>,
}

impl Object {
    /// Reads an object of an action; none if it cannot be one.
    pub fn parse(action: &str, text: &str) -> Option<Object> {
        let split = text.split_once('/');
        match (action, split) {
            ("tombstone", Some((node, topic))) => {
                Some(Object { topic: topic.to_owned(), channel: None, node: Some(node.to_owned()) })
            }
            ("tombstone", None) => None,
            (_, Some((topic, channel))) => {
                Some(Object { topic: topic.to_owned(), channel: Some(channel.to_owned()), node: None })
            }
            (_, None) => Some(Object { topic: text.to_owned(), channel: None, node: None }),
        }
        .filter(|object| !object.topic.is_empty() && object.channel.as_deref() != Some(""))
    }

    /// Its name for a reader.
    pub fn name(&self) -> String {
        match (&self.channel, &self.node) {
            (Some(channel), _) => format!("{}/{channel}", self.topic),
            (None, Some(node)) => format!("{} on {node}", self.topic),
            (None, None) => self.topic.clone(),
        }
    }
}

/// What would be lost with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Waiting, in flight or deferred.
    pub messages: u64,
    /// The same by node.
    pub by_node: Vec<(String, u64)>,
    /// Connected consumers.
    pub consumers: u64,
    /// The channels that go with a topic.
    pub channels: Vec<String>,
    /// No nsqd has it.
    pub nowhere: bool,
}

/// What would be lost if `action` were done to `object` now.
pub fn loss(snapshot: &Snapshot, action: &str, object: &Object) -> Loss {
    let mut loss = Loss::default();
    if !matches!(action, "empty" | "delete" | "tombstone") {
        return loss;
    }
    let Some(topic) = snapshot.topic(&object.topic) else {
        return Loss { nowhere: true, ..loss };
    };
    let counts = |index: u32| {
        let node = snapshot.nodes.get(index as usize)?;
        object.node.as_ref().is_none_or(|only| **only == *node.address).then(|| node.address.to_string())
    };
    let mut add = |index: u32, messages: u64| {
        let Some(node) = counts(index) else { return false };
        loss.messages = loss.messages.saturating_add(messages);
        if messages > 0 {
            match loss.by_node.iter_mut().find(|(name, _)| *name == node) {
                Some((_, sum)) => *sum = sum.saturating_add(messages),
                None => loss.by_node.push((node, messages)),
            }
        }
        true
    };
    let mut consumers = 0_u64;
    let wanted = |name: &str| object.channel.as_deref().is_none_or(|only| only == name);
    // Emptying a topic empties the topic alone; its channels keep what they have.
    let with_channels = object.channel.is_some() || action != "empty";
    if object.channel.is_none() {
        for (index, figures) in &topic.nodes {
            add(*index, figures.depth);
        }
    }
    for channel in topic.channels.iter().filter(|channel| with_channels && wanted(&channel.name)) {
        for (index, figures) in &channel.nodes {
            let held = figures.depth.saturating_add(figures.in_flight).saturating_add(figures.deferred);
            if add(*index, held) {
                consumers = consumers.saturating_add(figures.client_count);
            }
        }
    }
    loss.nowhere = topic.nodes.is_empty();
    loss.consumers = consumers;
    if object.channel.is_none() && action != "empty" {
        loss.channels = topic.channels.iter().map(|channel| channel.name.to_string()).collect();
    }
    loss
}

/// What a form carries of the plan that was confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// The loss that was shown.
    pub loss: u64,
    /// What was typed.
    pub typed: String,
}

/// What must be typed; none if a press is enough.
pub fn must_type(action: &str, objects: &[Object], losses: &[Loss]) -> Option<String> {
    if !matches!(action, "empty" | "delete" | "tombstone") {
        return None;
    }
    let lost = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.messages));
    let consumers = losses.iter().any(|loss| loss.consumers > 0);
    match objects {
        [one] if lost > TYPED_FROM || consumers || one.topic.contains('*') => {
            Some(one.channel.clone().unwrap_or_else(|| one.topic.clone()))
        }
        [_] => None,
        many => Some(format!("{action} {}", many.len())),
    }
}

/// Why what was confirmed is not what would be done now; none if it is.
pub fn refusal(action: &str, objects: &[Object], losses: &[Loss], confirmed: &Confirmed) -> Option<String> {
    if !matches!(action, "empty" | "delete" | "tombstone") {
        return None;
    }
    let lost = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.messages));
    if lost > confirmed.loss.saturating_mul(2).saturating_add(TYPED_FROM) {
        return Some(format!(
            "{} would be lost by now, more than the {} that were confirmed.",
            text::plural(lost, "message"),
            text::exact(confirmed.loss)
        ));
    }
    let wanted = must_type(action, objects, losses)?;
    (confirmed.typed.trim() != wanted).then(|| format!("Type {wanted} to confirm."))
}

/// The page that asks.
pub fn page(
    context: &Context<'_>,
    action: &str,
    objects: &[Object],
    back: &str,
    refused: Option<&str>,
) -> Page {
    let losses: Vec<Loss> = objects.iter().map(|object| loss(context.snapshot, action, object)).collect();
    let title = match objects {
        [one] => format!("{} {}", word(action), foreign(&one.name())),
        many => format!("{} {} objects", word(action), many.len()),
    };
    let body = html! {
        div.confirm {
            h1 { (title) "?" }
            @if let Some(refused) = refused { p.refused role="alert" { (foreign(refused)) } }
            @if objects.is_empty() { p.empty { "Nothing was selected." } p { a href=(back) { "Back" } } }
            @else {
                (what(action, objects, &losses))
                (form(context, action, objects, &losses, back))
            }
        }
    };
    let mut page = Page::still(title, "", body);
    if refused.is_some() {
        page.status = 409;
    }
    page
}

fn explanation(action: &str, objects: &[Object]) -> &'static str {
    let channels = objects.iter().any(|object| object.channel.is_some());
    match (action, channels) {
        ("pause", true) => "Consumers get nothing until it is unpaused; messages wait.",
        ("pause", false) => "Messages stay in the topic and do not reach its channels until it is unpaused.",
        ("unpause", _) => "Messages flow again.",
        ("empty", true) => "All messages of the channel are thrown away, those in flight and deferred too.",
        ("empty", false) => {
            "The messages that wait in the topic itself are thrown away; its channels keep theirs."
        }
        ("delete", true) => {
            "The channel goes with its messages on every node, and its consumers are disconnected."
        }
        ("delete", false) => "The topic goes with all its channels and messages on every node.",
        ("tombstone", _) => {
            "The nsqlookupds hide the topic on this node for a while, and then the node deletes it with all its channels and messages."
        }
        _ => "",
    }
}

fn what(action: &str, objects: &[Object], losses: &[Loss]) -> Markup {
    let destructive = matches!(action, "empty" | "delete" | "tombstone");
    let sum = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.messages));
    html! {
        p { (explanation(action, objects)) }
        @if destructive {
            p.lost { @if sum == 0 { "No messages will be lost, as far as is known." } @else { b { (text::plural(sum, "message")) " will be lost." } } }
        }
        ul.plan { @for (object, loss) in objects.iter().zip(losses) {
            li {
                b { (foreign(&object.name())) }
                @if destructive {
                    @if loss.nowhere { ": no nsqd has it; only the nsqlookupds will forget it." }
                    @else {
                        ": " (text::plural(loss.messages, "message"))
                        @if loss.by_node.len() > 1 { " (" @for (index, (node, messages)) in loss.by_node.iter().enumerate() { @if index > 0 { ", " } (text::count(*messages)) " on " (foreign(node)) } ")" }
                        @if loss.consumers > 0 { ", " (text::plural(loss.consumers, "consumer")) @if action == "empty" { " connected" } @else { " will be disconnected" } }
                        @if !loss.channels.is_empty() { "; channels: " (foreign(&loss.channels.join(", "))) }
                        "."
                    }
                }
            }
        } }
    }
}

fn form(context: &Context<'_>, action: &str, objects: &[Object], losses: &[Loss], back: &str) -> Markup {
    let sum = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.messages));
    let snapshot = context.snapshot;
    let comes_back = matches!(action, "delete" | "tombstone")
        && objects.iter().any(|object| {
            object.channel.is_none()
                && context
                    .flow(context.history.topic_key(&object.topic))
                    .is_some_and(|flow| flow.incoming > 0.0)
        });
    let consumed = matches!(action, "delete")
        && objects.iter().zip(losses).any(|(object, loss)| object.channel.is_some() && loss.consumers > 0);
    html! {
        @if comes_back { p.remark { "Somebody publishes to it now: it will come back at once, empty." } }
        @if consumed { p.remark { "Its consumers will connect again and create it anew, empty." } }
        @let (answered, all) = snapshot.coverage();
        @if answered < all { p.remark { "Only " (answered) " of " (text::plural(all as u64, "node")) " answer: nothing will be done on the others, and what they hold is not counted." } }
        form method="post" action=(context.site.links.act()) {
            input type="hidden" name="action" value=(action);
            input type="hidden" name="back" value=(back);
            input type="hidden" name="loss" value=(sum);
            @for object in objects { input type="hidden" name="object" value=(raw_name(object)); }
            @if let Some(wanted) = must_type(action, objects, losses) {
                label { "Type " code { (foreign(&wanted)) } " to confirm " input type="text" name="typed" required autocomplete="off" autofocus; }
            }
            div.actions {
                button.danger type="submit" disabled[!context.may.act()] title=[context.may.reason()] { (word(action)) }
                a href=(back) { "Cancel" }
            }
        }
    }
}

/// The object as forms carry it.
fn raw_name(object: &Object) -> String {
    match (&object.channel, &object.node) {
        (Some(channel), _) => format!("{}/{channel}", object.topic),
        (None, Some(node)) => format!("{node}/{}", object.topic),
        (None, None) => object.topic.clone(),
    }
}
