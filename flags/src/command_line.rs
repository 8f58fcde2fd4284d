//! The command line, by the rules of Go's flag package.

use crate::flag::{Flag, Kind};
use crate::stop::Stop;
use crate::usage::usage;
use crate::value::{Value, ValueError};

/// What the arguments have set: for each flag of the table its value, or `None`.
pub(crate) type Given = Vec<Option<Value>>;

/// Reads the arguments (without the program's name).
///
/// `-name`, `-name=value`, `-name value`, with one dash or two; the last of repeated ones wins, lists grow.
/// Booleans take a value only behind `=`. The first argument that is no flag, and `--`, end the reading; what
/// follows is ignored.
pub(crate) fn parse(
    program: &str,
    flags: &[Flag],
    arguments: impl IntoIterator<Item = String>,
) -> Result<Given, Stop> {
    let bad = |message: String| Stop::Usage { message, usage: usage(program, flags) };
    let mut given: Given = vec![None; flags.len()];
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let Some(body) = flag_body(&argument) else { break };
        if body.is_empty() || body.starts_with(['-', '=']) {
            return Err(bad(format!("bad flag syntax: {argument}")));
        }
        let (name, value) = split_value(body);
        let Some(index) = flags.iter().position(|flag| flag.name == name) else {
            return Err(match name {
                "help" | "h" => Stop::Help { usage: usage(program, flags) },
                _ => bad(format!("flag provided but not defined: -{name}")),
            });
        };
        let kind = flags[index].kind;
        let text = match value {
            Some(text) => text.to_owned(),
            None if kind.is_bool_flag() => "true".to_owned(),
            None => arguments.next().ok_or_else(|| bad(format!("flag needs an argument: -{name}")))?,
        };
        let value = Value::parse(kind, &text).map_err(|error| match error {
            ValueError::Invalid(reason) => bad(invalid(kind, name, &text, &reason)),
            ValueError::Float(part) => Stop::Refused(format!("Could not parse: {part}")),
        })?;
        match &mut given[index] {
            Some(before) => before.join(value),
            unset => *unset = Some(value),
        }
    }
    Ok(given)
}

/// What follows the dashes, or `None` if the argument ends the flags. `-` alone is a word.
fn flag_body(argument: &str) -> Option<&str> {
    let body = argument.strip_prefix('-')?;
    match body.strip_prefix('-') {
        Some("") => None,
        Some(body) => Some(body),
        None if body.is_empty() => None,
        None => Some(body),
    }
}

/// Splits at the first `=`. One in the first place was refused before.
fn split_value(body: &str) -> (&str, Option<&str>) {
    match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    }
}

fn invalid(kind: Kind, name: &str, text: &str, reason: &str) -> String {
    if kind.is_bool_flag() {
        format!("invalid boolean value {text:?} for -{name}: {reason}")
    } else {
        format!("invalid value {text:?} for flag -{name}: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Flag> {
        vec![
            Flag::int("max-rdy-count", "2500", "credit"),
            Flag::bool("deflate", "true", "compression"),
            Flag::duration("msg-timeout", "1m", "time"),
            Flag::list("lookupd-tcp-address", "addresses"),
            Flag::new("percentile", Kind::Floats, "", "percentiles"),
            Flag::new(
                "log-level",
                Kind::Enum { what: "log level", words: crate::log::LEVEL_WORDS },
                "info",
                "level",
            ),
            Flag::new(
                "tls-required",
                Kind::BoolOr { words: &[("false", 0), ("tcp-https", 1), ("true", 2)] },
                "false",
                "tls",
            ),
        ]
    }

    fn run(arguments: &[&str]) -> Result<Given, Stop> {
        parse("nsqd", &table(), arguments.iter().map(|&a| a.to_owned()))
    }

    fn first(arguments: &[&str]) -> Option<Value> {
        run(arguments).unwrap()[0].clone()
    }

    fn message(arguments: &[&str]) -> String {
        match run(arguments) {
            Err(Stop::Usage { message, usage }) => {
                assert!(usage.starts_with("Usage of nsqd:\n"));
                message
            }
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    #[test]
    fn one_dash_or_two_equals_or_space() {
        for arguments in [
            &["-max-rdy-count", "7"][..],
            &["-max-rdy-count=7"],
            &["--max-rdy-count", "7"],
            &["--max-rdy-count=7"],
            &["--max-rdy-count=8", "-max-rdy-count", "7"],
        ] {
            assert_eq!(first(arguments), Some(Value::Int(7)), "{arguments:?}");
        }
    }

    #[test]
    fn the_first_word_ends_the_flags() {
        for stop in ["stray", "--", "-", ""] {
            assert_eq!(
                first(&["--max-rdy-count=7", stop, "--max-rdy-count=8", "--nope"]),
                Some(Value::Int(7))
            );
        }
        assert_eq!(first(&["--deflate", "false", "--max-rdy-count=8"]), None);
        assert_eq!(first(&[]), None);
    }

    #[test]
    fn booleans_never_take_the_next_argument() {
        assert_eq!(run(&["--deflate", "false"]).unwrap()[1], Some(Value::Bool(true)));
        assert_eq!(run(&["-deflate=f"]).unwrap()[1], Some(Value::Bool(false)));
        assert_eq!(run(&["--tls-required", "tcp-https"]).unwrap()[6], Some(Value::Int(2)));
        assert_eq!(run(&["--tls-required=tcp-https"]).unwrap()[6], Some(Value::Int(1)));
    }

    #[test]
    fn a_value_may_hold_an_equals_sign_or_look_like_a_flag() {
        assert_eq!(
            run(&["--lookupd-tcp-address=a=b", "--lookupd-tcp-address", "-c"]).unwrap()[3],
            Some(Value::List(vec!["a=b".into(), "-c".into()]))
        );
    }

    #[test]
    fn wrong_arguments_are_answered_in_gos_words() {
        let cases: &[(&[&str], &str)] = &[
            (&["--no-such-flag=1"], "flag provided but not defined: -no-such-flag"),
            (&["-x"], "flag provided but not defined: -x"),
            (&["--MAX-RDY-COUNT=7"], "flag provided but not defined: -MAX-RDY-COUNT"),
            (&["---max-rdy-count=7"], "bad flag syntax: ---max-rdy-count=7"),
            (&["--=1"], "bad flag syntax: --=1"),
            (&["-=1"], "bad flag syntax: -=1"),
            (&["--max-rdy-count"], "flag needs an argument: -max-rdy-count"),
            (&["--max-rdy-count="], "invalid value \"\" for flag -max-rdy-count: parse error"),
            (&["--max-rdy-count=abc"], "invalid value \"abc\" for flag -max-rdy-count: parse error"),
            (
                &["--max-rdy-count=9223372036854775808"],
                "invalid value \"9223372036854775808\" for flag -max-rdy-count: value out of range",
            ),
            (&["--msg-timeout=60"], "invalid value \"60\" for flag -msg-timeout: parse error"),
            (&["--deflate=maybe"], "invalid boolean value \"maybe\" for -deflate: parse error"),
            (&["--deflate="], "invalid boolean value \"\" for -deflate: parse error"),
            (&["--tls-required="], "invalid boolean value \"\" for -tls-required: parse error"),
            (
                &["--log-level=loud"],
                "invalid value \"loud\" for flag -log-level: invalid log level 'loud' (debug, info, warn, error, fatal)",
            ),
        ];
        for (arguments, sentence) in cases {
            assert_eq!(message(arguments), *sentence);
        }
    }

    #[test]
    fn a_percentile_that_is_no_number_is_refused_without_usage() {
        assert_eq!(run(&["--percentile=0.5,x"]), Err(Stop::Refused("Could not parse: x".into())));
    }

    #[test]
    fn help_is_asked_for_in_three_ways() {
        for argument in ["-h", "--help", "-help", "--h"] {
            let Err(Stop::Help { usage }) = run(&[argument]) else { panic!("{argument}") };
            for flag in table() {
                assert!(usage.contains(&format!("  -{}", flag.name)));
            }
            assert!(usage.contains("  -msg-timeout duration\n    \ttime (default 1m0s)\n"), "{usage}");
        }
    }
}
