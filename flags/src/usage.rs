//! The text behind `--help`, in the layout of Go's flag package.

use std::fmt::Write;

use crate::duration::{format_duration, parse_duration};
use crate::flag::{Availability, Flag, Kind};

/// All flags in the order of their names, two lines each.
pub(crate) fn usage(program: &str, flags: &[Flag]) -> String {
    let mut sorted: Vec<&Flag> = flags.iter().collect();
    sorted.sort_by_key(|flag| flag.name);
    let mut text = format!("Usage of {program}:\n");
    for flag in sorted {
        let _ = writeln!(text, "  -{}{}", flag.name, type_word(flag.kind));
        let _ = writeln!(text, "    \t{}{}{}", flag.help, default_note(flag), availability_note(flag));
    }
    text
}

fn type_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "",
        Kind::Int => " int",
        Kind::Str => " string",
        Kind::Duration => " duration",
        Kind::Bytes => " bytes",
        Kind::List | Kind::Floats | Kind::Enum { .. } | Kind::Choice { .. } | Kind::BoolOr { .. } => " value",
    }
}

/// The default, unless it is the type's nothing.
fn default_note(flag: &Flag) -> String {
    let default = flag.default.as_ref();
    match flag.kind {
        Kind::Str if !default.is_empty() => format!(" (default {default:?})"),
        Kind::Duration => match parse_duration(default) {
            Some(0) | None => String::new(),
            Some(ns) => format!(" (default {})", format_duration(ns)),
        },
        _ if matches!(default, "" | "0" | "false") => String::new(),
        _ => format!(" (default {default})"),
    }
}

fn availability_note(flag: &Flag) -> &'static str {
    match flag.availability {
        Availability::Available => "",
        Availability::NotYet(_) => " (not available yet)",
        Availability::NoEffect(_) => " (has no effect)",
    }
}
