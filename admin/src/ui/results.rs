//! What the last actions of readers led to, for the page that they return to.

use std::collections::VecDeque;

use maud::{Markup, html};

use super::confirm;
use super::context::Context;
use super::part::number::foreign;
use crate::action::execute::Outcome;
use crate::action::{Action, Verb};
use crate::number as text;

/// How many results are kept.
const RESULTS_MAX: usize = 64;
/// Lines that are shown of what failed.
const LINES_MAX: usize = 20;
/// Objects that the sentence names.
const NAMED_MAX: usize = 5;

/// One form's result.
#[derive(Clone, Debug)]
pub struct Done {
    id: u64,
    verb: Verb,
    objects: Vec<Action>,
    /// Objects with which all went well.
    fine: usize,
    lines: Vec<String>,
    more: usize,
}

/// The last results.
#[derive(Debug, Default)]
pub struct Results {
    kept: VecDeque<Done>,
    next: u64,
}

impl Results {
    /// Keeps what came of a form, and gives it a number.
    pub fn push(&mut self, verb: Verb, outcomes: &[(Action, Outcome)]) -> u64 {
        self.next += 1;
        let is_fine = |outcome: &Outcome| outcome.failure.is_none() && outcome.errors.is_empty();
        let mut lines: Vec<String> = Vec::new();
        for (action, outcome) in outcomes {
            let failure = outcome.failure.as_ref().map(ToString::to_string);
            for text in failure.iter().chain(&outcome.errors) {
                lines.push(format!("{}: {text}", confirm::name(action)));
            }
        }
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        let done = Done {
            id: self.next,
            verb,
            objects: outcomes.iter().map(|(action, _)| action.clone()).collect(),
            fine: outcomes.iter().filter(|(_, outcome)| is_fine(outcome)).count(),
            lines: lines.iter().map(|line| foreign(line)).collect(),
            more,
        };
        if self.kept.len() == RESULTS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(done);
        self.next
    }

    /// The result of this number, if it is still known.
    pub fn find(&self, id: u64) -> Option<Done> {
        self.kept.iter().find(|done| done.id == id).cloned()
    }
}

fn past(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "Created",
        Verb::Delete => "Deleted",
        Verb::Empty => "Emptied",
        Verb::Pause => "Paused",
        Verb::Unpause => "Unpaused",
        Verb::Tombstone => "Tombstoned",
    }
}

/// The line on top of the page that a form returned to.
pub fn banner(context: &Context<'_>, done: &Done, back: &str) -> Markup {
    let all = done.objects.len();
    let names: Vec<String> =
        done.objects.iter().take(NAMED_MAX).map(|action| foreign(&confirm::name(action))).collect();
    let undo = match done.verb {
        Verb::Pause => Some("unpause"),
        Verb::Unpause => Some("pause"),
        _ => None,
    };
    html! {
        div class={ "result" @if done.lines.is_empty() { " fine" } } role="status" {
            span {
                @if done.lines.is_empty() { b { (past(done.verb)) } " " (names.join(", ")) }
                @else { b { "Not all of it worked" } ": " (done.verb.word()) " " (names.join(", ")) ", " (done.fine) " of " (all) " without an error" }
                @if all > NAMED_MAX { " and " (all - NAMED_MAX) " more" }
                "."
            }
            @if let (Some(undo), true) = (undo, context.may.act()) {
                form.inline method="post" action=(context.site.links.act()) {
                    input type="hidden" name="back" value=(back);
                    @for action in &done.objects { input type="hidden" name="object" value=(confirm::object(action)); }
                    button type="submit" name="action" value=(undo) { "Undo" }
                }
            }
            @if !done.lines.is_empty() { ul {
                @for line in &done.lines { li { (line) } }
                @if done.more > 0 { li { "and " (text::exact(done.more as u64)) " more" } }
            } }
        }
    }
}
