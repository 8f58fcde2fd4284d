//! Values of options: how a text of the command line becomes one, and how `/config` shows it.

use nsq_protocol::json::push_string;

use crate::duration::parse_duration;
use crate::flag::{Kind, Word};
use crate::number::{NumberError, parse_bool, parse_bytes, parse_float, parse_int};

/// The value of an option, by its [`Kind`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a text.
    Str(String),
    /// Of a boolean.
    Bool(bool),
    /// Of an integer, of a count of bytes, or the number of an enumeration's word.
    Int(i64),
    /// Of a duration, in nanoseconds.
    Duration(i64),
    /// Of a list.
    List(Vec<String>),
    /// Of a list of numbers.
    Floats(Vec<f64>),
}

/// A value as `/config` answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// Raw text; an empty one is answered without a content type.
    Text(String),
    /// A JSON value.
    Json(String),
}

/// Why a text is no value of a kind. The texts are those of Go's flag reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueError {
    /// Goes into "invalid value … for flag …: ".
    Invalid(String),
    /// A number of a list that is none. NSQ ends with code 1 here, not with the usage.
    Float(String),
}

impl From<NumberError> for ValueError {
    fn from(error: NumberError) -> ValueError {
        ValueError::Invalid(error.text().to_owned())
    }
}

fn parse_error() -> ValueError {
    NumberError::Syntax.into()
}

impl Value {
    /// Reads one text of the command line.
    pub(crate) fn parse(kind: Kind, text: &str) -> Result<Value, ValueError> {
        Ok(match kind {
            Kind::Str => Value::Str(text.to_owned()),
            Kind::Bool => Value::Bool(parse_bool(text).ok_or_else(parse_error)?),
            Kind::Int => Value::Int(parse_int(text)?),
            Kind::Bytes => Value::Int(parse_bytes(text)?),
            Kind::Duration => Value::Duration(parse_duration(text).ok_or_else(parse_error)?),
            Kind::List => Value::List(one_or_none(text)),
            Kind::Floats => Value::Floats(parse_floats(text)?),
            Kind::Enum { what, words } => Value::Int(parse_word(what, words, text)?),
            Kind::Choice { what, words } => Value::Str(parse_choice(what, words, text)?),
            Kind::BoolOr { words } => Value::Int(parse_bool_or(words, text)?),
        })
    }

    /// Reads a default of the table. There an empty text means no numbers.
    pub(crate) fn parse_default(kind: Kind, text: &str) -> Result<Value, ValueError> {
        match kind {
            Kind::Floats if text.is_empty() => Ok(Value::Floats(Vec::new())),
            _ => Value::parse(kind, text),
        }
    }

    /// Joins the value of a repeated flag with the one before: lists grow, anything else is replaced.
    pub(crate) fn join(&mut self, later: Value) {
        match (self, later) {
            (Value::List(list), Value::List(more)) => list.extend(more),
            (Value::Floats(floats), Value::Floats(more)) => {
                floats.extend(more);
                floats.sort_by(|a, b| b.total_cmp(a));
            }
            (value, later) => *value = later,
        }
    }

    /// Shows the value: text raw, all else as JSON, durations in nanoseconds.
    pub fn render(&self) -> Rendered {
        Rendered::Json(match self {
            Value::Str(text) => return Rendered::Text(text.clone()),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) | Value::Duration(value) => value.to_string(),
            Value::List(list) => json_strings(list),
            Value::Floats(floats) => {
                format!("[{}]", floats.iter().map(f64::to_string).collect::<Vec<_>>().join(","))
            }
        })
    }
}

/// An empty word of a list is none: `--lookupd-tcp-address=` clears the list of the file.
fn one_or_none(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }
}

fn parse_floats(text: &str) -> Result<Vec<f64>, ValueError> {
    let mut floats = text
        .split(',')
        .map(|part| parse_float(part).ok_or_else(|| ValueError::Float(part.to_owned())))
        .collect::<Result<Vec<f64>, ValueError>>()?;
    floats.sort_by(|a, b| b.total_cmp(a));
    Ok(floats)
}

fn parse_word(what: &str, words: &[Word], text: &str) -> Result<i64, ValueError> {
    match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
        Some((_, number)) => Ok(*number),
        None => Err(no_such_word(what, text, words.iter().map(|(word, _)| *word))),
    }
}

fn parse_choice(what: &str, words: &[&str], text: &str) -> Result<String, ValueError> {
    match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        Some(word) => Ok((*word).to_owned()),
        None => Err(no_such_word(what, text, words.iter().copied())),
    }
}

fn no_such_word<'a>(what: &str, text: &str, words: impl Iterator<Item = &'a str>) -> ValueError {
    ValueError::Invalid(format!("invalid {what} '{text}' ({})", list_words(words)))
}

/// The words with commas, without the empty one that some enumerations take.
pub(crate) fn list_words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

/// A further word in any case, or a boolean in lower case spelling.
fn parse_bool_or(words: &[Word], text: &str) -> Result<i64, ValueError> {
    let lower = text.to_ascii_lowercase();
    let word = match parse_bool(&lower) {
        Some(true) => "true",
        Some(false) => "false",
        None => &lower,
    };
    words.iter().find(|(w, _)| *w == word).map(|(_, number)| *number).ok_or_else(parse_error)
}

/// A JSON array of strings.
pub fn json_strings(list: &[String]) -> String {
    let mut json = String::from("[");
    for (index, text) in list.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_string(&mut json, text);
    }
    json.push(']');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: Kind = Kind::Enum { what: "log level", words: crate::log::LEVEL_WORDS };
    const TLS: Kind = Kind::BoolOr { words: &[("false", 0), ("tcp-https", 1), ("true", 2)] };

    fn json(value: Value) -> String {
        match value.render() {
            Rendered::Json(text) => text,
            Rendered::Text(text) => panic!("text {text:?}"),
        }
    }

    #[test]
    fn words_are_read_in_any_case_and_others_are_named() {
        assert_eq!(Value::parse(LEVELS, "Info"), Ok(Value::Int(2)));
        assert_eq!(
            Value::parse(LEVELS, "loud"),
            Err(ValueError::Invalid("invalid log level 'loud' (debug, info, warn, error, fatal)".into()))
        );
    }

    #[test]
    fn a_choice_is_its_word_in_lower_case() {
        let kind = Kind::Choice { what: "durability", words: &["sync", "async"] };
        assert_eq!(Value::parse(kind, "Async"), Ok(Value::Str("async".into())));
        assert_eq!(
            Value::parse(kind, "never"),
            Err(ValueError::Invalid("invalid durability 'never' (sync, async)".into()))
        );
    }

    #[test]
    fn a_boolean_with_words_takes_both() {
        for (text, number) in [
            ("false", 0),
            ("0", 0),
            ("F", 0),
            ("tcp-https", 1),
            ("TCP-HTTPS", 1),
            ("true", 2),
            ("1", 2),
            ("tRUE", 2),
        ] {
            assert_eq!(Value::parse(TLS, text), Ok(Value::Int(number)), "{text}");
        }
        for text in ["tcp_https", "yes", ""] {
            assert!(Value::parse(TLS, text).is_err(), "{text}");
        }
    }

    #[test]
    fn repeated_lists_grow_and_numbers_are_sorted_descending() {
        let mut list = Value::parse(Kind::List, "a:1").unwrap();
        list.join(Value::parse(Kind::List, "b:2,c:3").unwrap());
        assert_eq!(list, Value::List(vec!["a:1".into(), "b:2,c:3".into()]));
        let mut floats = Value::parse(Kind::Floats, "0.5").unwrap();
        floats.join(Value::parse(Kind::Floats, "1.0,1e-1").unwrap());
        floats.join(Value::parse(Kind::Floats, ".95").unwrap());
        assert_eq!(floats, Value::Floats(vec![1.0, 0.95, 0.5, 0.1]));
    }

    #[test]
    fn an_empty_word_empties_a_list() {
        assert_eq!(Value::parse(Kind::List, ""), Ok(Value::List(vec![])));
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        for (text, bad) in [("abc", "abc"), ("0.5,", ""), ("0.5 0.9", "0.5 0.9"), ("nan", "nan")] {
            assert_eq!(Value::parse(Kind::Floats, text), Err(ValueError::Float(bad.into())));
        }
    }

    #[test]
    fn texts_are_shown_raw_and_the_rest_as_json() {
        assert_eq!(Value::Str("a b".into()).render(), Rendered::Text("a b".into()));
        assert_eq!(json(Value::Bool(false)), "false");
        assert_eq!(json(Value::Int(-3)), "-3");
        assert_eq!(json(Value::Duration(90_500_000_000)), "90500000000");
        assert_eq!(json(Value::Floats(vec![1.0, 0.95])), "[1,0.95]");
        assert_eq!(json(Value::List(vec![])), "[]");
        assert_eq!(
            json(Value::List(vec!["a:1".into(), "http://b/?d=<e>&\"\\\u{1}".into()])),
            r#"["a:1","http://b/?d=\u003ce\u003e\u0026\"\\\u0001"]"#
        );
    }
}
