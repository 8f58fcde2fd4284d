//! What an action would do, before it is done.

use maud::{Markup, html};

use super::bulk::word;
use super::context::Context;
use super::part::number::foreign;
use super::shell::Page;
use crate::action::plan::{LOSS_FREE_MAX, Plan};
use crate::action::{Action, Verb};
use crate::number as text;

/// Reads an object as forms carry it: `topic`, `topic/channel`, or `node/topic` for a tombstone. None if it cannot be one,
/// or its names are none.
pub fn parse(verb: Verb, object: &str) -> Option<Action> {
    let action = match (verb, object.split_once('/')) {
        (Verb::Tombstone, Some((node, topic))) => Action::topic(verb, topic).on_node(node),
        (Verb::Tombstone, None) => return None,
        (_, Some((topic, channel))) => Action::channel(verb, topic, channel),
        (_, None) => Action::topic(verb, object),
    };
    action.check_names().is_ok().then_some(action)
}

/// The object as forms carry it.
pub fn object(action: &Action) -> String {
    match (&action.channel, &action.node) {
        (Some(channel), _) => format!("{}/{channel}", action.topic),
        (None, Some(node)) => format!("{node}/{}", action.topic),
        (None, None) => action.topic.clone(),
    }
}

/// The object for a reader.
pub fn name(action: &Action) -> String {
    match (&action.channel, &action.node) {
        (Some(channel), _) => format!("{}/{channel}", action.topic),
        (None, Some(node)) => format!("{} on {node}", action.topic),
        (None, None) => action.topic.clone(),
    }
}

/// Whether it takes messages away.
pub fn is_final(verb: Verb) -> bool {
    matches!(verb, Verb::Empty | Verb::Delete | Verb::Tombstone)
}

fn lost(plans: &[Plan]) -> u64 {
    plans.iter().fold(0, |sum, plan| sum.saturating_add(plan.loss))
}

/// What must be typed; none if a press is enough.
pub fn must_type(verb: Verb, plans: &[Plan]) -> Option<String> {
    match plans {
        _ if !is_final(verb) => None,
        [one] => {
            one.wants_name().then(|| one.action.channel.clone().unwrap_or_else(|| one.action.topic.clone()))
        }
        many => Some(format!("{} {}", verb.word(), many.len())),
    }
}

/// Why what was confirmed is not what would be done now; none if it is.
pub fn refusal(verb: Verb, plans: &[Plan], confirmed_loss: u64, typed: &str) -> Option<String> {
    if !is_final(verb) {
        return None;
    }
    let now = lost(plans);
    if now > confirmed_loss.saturating_mul(2).saturating_add(LOSS_FREE_MAX) {
        return Some(format!(
            "{} would be lost by now, and {} were confirmed.",
            text::plural(now, "message"),
            text::exact(confirmed_loss)
        ));
    }
    let wanted = must_type(verb, plans)?;
    (typed.trim() != wanted).then(|| format!("Type {wanted} to confirm."))
}

/// The page that asks.
pub fn page(context: &Context<'_>, verb: Verb, plans: &[Plan], back: &str, refused: Option<&str>) -> Page {
    let title = match plans {
        [one] => format!("{} {}", word(verb.word()), foreign(&name(&one.action))),
        many => format!("{} {}", word(verb.word()), text::plural(many.len() as u64, "object")),
    };
    let body = html! {
        div.confirm {
            h1 { (title) "?" }
            @if let Some(refused) = refused { p.refused role="alert" { (foreign(refused)) } }
            @if plans.is_empty() { p.empty { "Nothing was selected." } p { a href=(back) { "Back" } } }
            @else {
                (what(verb, plans))
                (form(context, verb, plans, back))
            }
        }
    };
    Page { status: if refused.is_some() { 409 } else { 200 }, ..Page::still(title, "", body) }
}

fn explanation(verb: Verb, plans: &[Plan]) -> &'static str {
    let channels = plans.iter().any(|plan| plan.action.channel.is_some());
    match (verb, channels) {
        (Verb::Pause, true) => "Consumers get nothing until it is unpaused; messages wait.",
        (Verb::Pause, false) => {
            "Messages stay in the topic and do not reach its channels until it is unpaused."
        }
        (Verb::Unpause, _) => "Messages flow again.",
        (Verb::Empty, true) => {
            "All messages of the channel are thrown away, those in flight and deferred too."
        }
        (Verb::Empty, false) => {
            "The messages that wait in the topic itself are thrown away; its channels keep theirs."
        }
        (Verb::Delete, true) => {
            "The channel goes with its messages on every node, and its consumers are disconnected."
        }
        (Verb::Delete, false) => "The topic goes with all its channels and messages on every node.",
        (Verb::Tombstone, _) => {
            "The nsqlookupds hide the topic on this node for a while, and the node deletes it with its channels and messages."
        }
        (Verb::Create, _) => "",
    }
}

fn what(verb: Verb, plans: &[Plan]) -> Markup {
    let sum = lost(plans);
    html! {
        p { (explanation(verb, plans)) }
        @if is_final(verb) {
            p.lost { @if sum == 0 { "No messages will be lost, as far as is known." } @else { b { (text::plural(sum, "message")) " will be lost." } } }
        }
        ul.plan { @for plan in plans { li {
            b { (foreign(&name(&plan.action))) }
            @if is_final(verb) {
                @if !plan.is_known || plan.nodes.is_empty() { ": no nsqd is known to have it; the nsqlookupds will forget it." }
                @else {
                    ": " (text::plural(plan.loss, "message"))
                    @if plan.loss_by_node.len() > 1 { " (" @for (index, (node, messages)) in plan.loss_by_node.iter().enumerate() {
                        @if index > 0 { ", " } (text::count(*messages)) " on " (foreign(node)) } ")" }
                    @if plan.consumers > 0 { ", " (text::plural(plan.consumers, "consumer")) @if verb == Verb::Empty { " connected" } @else { " will be disconnected" } }
                    @if !plan.channels.is_empty() { "; channels: " (foreign(&plan.channels.join(", "))) }
                    "."
                }
            }
        } } }
    }
}

fn form(context: &Context<'_>, verb: Verb, plans: &[Plan], back: &str) -> Markup {
    let is_published = |plan: &Plan| {
        let key = context.history.topic_key(&plan.action.topic);
        plan.action.channel.is_none() && context.flow(key).is_some_and(|flow| flow.incoming > 0.0)
    };
    let comes_back = matches!(verb, Verb::Delete | Verb::Tombstone) && plans.iter().any(is_published);
    let is_consumed =
        verb == Verb::Delete && plans.iter().any(|plan| plan.action.channel.is_some() && plan.consumers > 0);
    let missing = plans.iter().map(|plan| plan.nodes_missing).max().unwrap_or(0);
    html! {
        @if comes_back { p.remark { "Somebody publishes to it now: it will come back at once, empty." } }
        @if is_consumed { p.remark { "Its consumers will connect again and create it anew, empty." } }
        @if missing > 0 { p.remark { (text::plural(missing as u64, "node")) " did not answer: what they hold is not counted, and nothing may be done there." } }
        form method="post" action=(context.site.links.act()) {
            input type="hidden" name="action" value=(verb.word());
            input type="hidden" name="back" value=(back);
            input type="hidden" name="loss" value=(lost(plans));
            @for plan in plans { input type="hidden" name="object" value=(object(&plan.action)); }
            @if let Some(wanted) = must_type(verb, plans) {
                label { "Type " code { (foreign(&wanted)) } " to confirm " input type="text" name="typed" required autocomplete="off" autofocus; }
            }
            div.actions {
                button.danger[is_final(verb)] type="submit" disabled[!context.may.act()] title=[context.may.reason()] { (word(verb.word())) }
                a href=(back) { "Cancel" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::plan::plan;
    use crate::poll::Snapshot;

    fn plans(losses: &[u64]) -> Vec<Plan> {
        let of = |loss: &u64| Plan {
            loss: *loss,
            ..plan(&Snapshot::default(), Action::topic(Verb::Delete, "orders"))
        };
        losses.iter().map(of).collect()
    }

    #[test]
    fn objects_are_read_as_forms_carry_them() {
        for (verb, text) in
            [(Verb::Delete, "t"), (Verb::Pause, "t/c#ephemeral"), (Verb::Tombstone, "[::1]:4151/t")]
        {
            assert_eq!(parse(verb, text).map(|action| object(&action)).as_deref(), Some(text));
        }
        for (verb, text) in [
            (Verb::Delete, ""),
            (Verb::Delete, "*"),
            (Verb::Delete, "t/"),
            (Verb::Delete, "t/a/b"),
            (Verb::Tombstone, "t"),
        ] {
            assert_eq!(parse(verb, text), None, "{text}");
        }
    }

    #[test]
    fn a_loss_is_confirmed_by_name_and_again_when_it_grew() {
        assert_eq!(must_type(Verb::Delete, &plans(&[1_000])), None);
        assert_eq!(must_type(Verb::Delete, &plans(&[1_001])).as_deref(), Some("orders"));
        assert_eq!(must_type(Verb::Delete, &plans(&[0, 0, 0])).as_deref(), Some("delete 3"));
        assert_eq!(must_type(Verb::Pause, &plans(&[5_000, 1])), None);
        assert!(refusal(Verb::Delete, &plans(&[5_000]), 5_000, "").is_some());
        assert_eq!(refusal(Verb::Delete, &plans(&[5_000]), 5_000, " orders "), None);
        assert!(refusal(Verb::Delete, &plans(&[5_000]), 1_999, "orders").is_some());
        assert_eq!(refusal(Verb::Delete, &plans(&[5_000]), 2_000, "orders"), None);
        assert_eq!(refusal(Verb::Unpause, &plans(&[0]), 0, ""), None);
    }
}
