//! The bar above a table by which several rows are acted on.

use maud::{Markup, html};

use super::context::Context;

/// What the rows are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Topics.
    Topics,
    /// Channels.
    Channels,
}

/// The bar. Its buttons lead to the plan of what would be done.
pub fn bar(context: &Context<'_>, of: Of) -> Markup {
    let may = context.may.act();
    let back = match of {
        Of::Topics => context.site.links.page("topics"),
        Of::Channels => context.site.links.page("channels"),
    };
    html! {
        form.bulk #bulk method="post" action=(context.site.links.confirm()) data-bulk="" {
            input type="hidden" name="back" value=(context.view.with(&back, |_| {}));
            span data-selected="" { "Selected rows:" }
            @for action in ["pause", "unpause", "empty", "delete"] {
                button type="submit" name="action" value=(action) disabled[!may] title=[context.may.reason()] { (word(action)) }
            }
        }
    }
}

/// The word on the button of an action.
pub fn word(action: &str) -> &'static str {
    match action {
        "pause" => "Pause",
        "unpause" => "Unpause",
        "empty" => "Empty",
        "delete" => "Delete",
        "tombstone" => "Tombstone",
        "create" => "Create",
        _ => "Do",
    }
}
