//! The one place where text becomes markup unescaped: what stands here is constant.

use maud::{Markup, PreEscaped};

/// The first line of a page.
pub fn doctype() -> Markup {
    PreEscaped("<!DOCTYPE html>".to_owned())
}
