//! The buttons by which one topic or channel is acted on.

use maud::{Markup, html};

use super::context::Context;

/// Buttons for a topic (`orders`) or a channel (`orders/billing`). Pausing is done at once; what loses messages leads to its
/// plan.
pub fn buttons(context: &Context<'_>, object: &str, paused: bool, back: &str) -> Markup {
    let links = &context.site.links;
    let (may, reason) = (context.may.act(), context.may.reason());
    let pause = if paused { "unpause" } else { "pause" };
    html! {
        div.actions {
            form method="post" action=(links.act()) {
                input type="hidden" name="back" value=(back);
                input type="hidden" name="object" value=(object);
                button type="submit" name="action" value=(pause) disabled[!may] title=[reason] { (super::bulk::word(pause)) }
            }
            form method="post" action=(links.confirm()) {
                input type="hidden" name="back" value=(back);
                input type="hidden" name="object" value=(object);
                button type="submit" name="action" value="empty" disabled[!may] title=[reason] { "Empty…" }
                button type="submit" name="action" value="delete" disabled[!may] title=[reason] { "Delete…" }
            }
        }
    }
}
