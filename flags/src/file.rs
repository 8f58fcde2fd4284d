//! The TOML file behind `--config`, and how its values become those of options.
//!
//! NSQ reads the file loosely, and so must we, or files that work today stop working: a text stands for any type,
//! an integer for a duration counts milliseconds, a text with commas is a list. Tables and unknown keys are
//! ignored, with a warning.

use std::fs::File;
use std::io::Read;

use toml::{Table, Value as Toml};

use crate::duration::parse_duration;
use crate::flag::Kind;
use crate::number::{parse_bool, parse_bytes, parse_decimal, parse_float};
use crate::value::{Value, ValueError, list_words};

/// Largest configuration file.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads and parses the file; the error is a sentence without the file's name.
pub(crate) fn read(path: &str) -> Result<Table, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    parse(&text)
}

fn parse(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| {
            1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|&&b| b == b'\n').count()
        });
        format!("line {line}: {}", error.message())
    })
}

/// A value of the file, and what the operator should know about it.
pub(crate) struct Coerced {
    pub(crate) value: Value,
    pub(crate) warning: Option<&'static str>,
}

/// Turns a value of the file into one of the given kind; the error is a sentence about the value.
pub(crate) fn coerce(kind: Kind, toml: &Toml) -> Result<Coerced, String> {
    if let (Kind::Bool, Toml::Integer(number)) = (kind, toml) {
        // NSQ's reader compares with zero the wrong way round. A file that says 0 has meant "on" for years, and
        // must not change its meaning with the broker; whoever wrote 1 for "on" learns it from the warning.
        let warning = Some("an integer for a boolean is inverted, as in NSQ: 0 is true, any other is false");
        return Ok(Coerced { value: Value::Bool(*number == 0), warning });
    }
    convert(kind, toml)
        .map(|value| Coerced { value, warning: None })
        .ok_or_else(|| format!("{} is not {}", show(toml), describe(kind)))
}

fn convert(kind: Kind, toml: &Toml) -> Option<Value> {
    Some(match (kind, toml) {
        (Kind::Str, Toml::String(text)) => Value::Str(text.clone()),
        (Kind::Str, Toml::Integer(number)) => Value::Str(number.to_string()),
        (Kind::Bool, Toml::Boolean(value)) => Value::Bool(*value),
        (Kind::Bool, Toml::String(text)) => Value::Bool(parse_bool(text)?),
        (Kind::Int, Toml::Integer(number)) => Value::Int(*number),
        (Kind::Int, Toml::String(text)) => Value::Int(parse_decimal(text).ok()?),
        (Kind::Bytes, Toml::Integer(number)) => Value::Int(Some(*number).filter(|&n| n >= 0)?),
        (Kind::Bytes, Toml::String(text)) => Value::Int(parse_bytes(text).ok()?),
        (Kind::Duration, Toml::Integer(ms)) => Value::Duration(ms.checked_mul(1_000_000)?),
        (Kind::Duration, Toml::String(text)) => Value::Duration(parse_duration(text)?),
        (Kind::List, Toml::String(text)) => Value::List(non_empty(text.split(','))),
        (Kind::List, Toml::Array(items)) => {
            Value::List(non_empty(items.iter().map(Toml::as_str).collect::<Option<Vec<_>>>()?))
        }
        (Kind::Floats, Toml::String(text)) => Value::Floats(floats_of_text(text)?),
        (Kind::Floats, Toml::Array(items)) => {
            Value::Floats(items.iter().map(float_of).collect::<Option<Vec<_>>>()?)
        }
        (Kind::Enum { .. } | Kind::Choice { .. } | Kind::BoolOr { .. }, Toml::String(text)) => {
            by_word(kind, text)?
        }
        (Kind::BoolOr { .. }, Toml::Boolean(value)) => by_word(kind, &value.to_string())?,
        (Kind::BoolOr { .. }, Toml::Integer(number)) => by_word(kind, &number.to_string())?,
        _ => return None,
    })
}

fn by_word(kind: Kind, text: &str) -> Option<Value> {
    Value::parse(kind, text).map_err(|_: ValueError| ()).ok()
}

fn non_empty<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn floats_of_text(text: &str) -> Option<Vec<f64>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|part| parse_float(part.trim())).collect()
}

fn float_of(toml: &Toml) -> Option<f64> {
    match toml {
        Toml::Float(number) => Some(*number).filter(|n| n.is_finite()),
        Toml::Integer(number) => Some(*number as f64),
        _ => None,
    }
}

/// Scalars are shown as they are written; of the rest only the type.
fn show(toml: &Toml) -> String {
    match toml {
        Toml::String(text) => format!("{text:?}"),
        Toml::Integer(_) | Toml::Float(_) | Toml::Boolean(_) | Toml::Datetime(_) => toml.to_string(),
        Toml::Array(_) => "this array".to_owned(),
        Toml::Table(_) => "a table".to_owned(),
    }
}

fn describe(kind: Kind) -> String {
    match kind {
        Kind::Str => "a text".to_owned(),
        Kind::Bool => "a boolean".to_owned(),
        Kind::Int => "an integer".to_owned(),
        Kind::Bytes => "a count of bytes".to_owned(),
        Kind::Duration => "a duration (\"1m30s\", or an integer of milliseconds)".to_owned(),
        Kind::List => "a list of texts".to_owned(),
        Kind::Floats => "a list of numbers".to_owned(),
        Kind::Enum { words, .. } | Kind::BoolOr { words } => {
            format!("one of {}", list_words(words.iter().map(|(word, _)| *word)))
        }
        Kind::Choice { words, .. } => format!("one of {}", list_words(words.iter().copied())),
    }
}

#[cfg(test)]
mod tests;
