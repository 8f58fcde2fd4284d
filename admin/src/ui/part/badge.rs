//! Short words beside a name.

use maud::{Markup, html};

use crate::attention::Level;

/// A plain badge.
pub fn plain(text: &str, title: &str) -> Markup {
    html! { span.badge title=[(!title.is_empty()).then_some(title)] { (text) } }
}

/// A badge that asks to be seen.
pub fn warn(text: &str, title: &str) -> Markup {
    html! { span.badge.warn title=[(!title.is_empty()).then_some(title)] { (text) } }
}

/// The shape of a level, so that it can be told without colour.
pub fn shape(level: Level) -> &'static str {
    match level {
        Level::Critical => "■",
        Level::Warning => "▲",
        Level::Notice => "●",
    }
}

/// A level as shape and word.
pub fn level(level: Level) -> Markup {
    html! { span class={ "level " (level.word()) } { span aria-hidden="true" { (shape(level)) } " " (level.word()) } }
}
