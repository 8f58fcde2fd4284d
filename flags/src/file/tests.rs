use super::*;

const LEVELS: Kind = Kind::Enum { what: "log level", words: crate::log::LEVEL_WORDS };
const VERSIONS: Kind =
    Kind::Enum { what: "TLS version", words: &[("tls1.0", 769), ("tls1.2", 771), ("", 769)] };
const TLS: Kind = Kind::BoolOr { words: &[("false", 0), ("tcp-https", 1), ("true", 2)] };

/// The value that `x = <text>` gives to an option of that kind.
fn of(kind: Kind, text: &str) -> Result<Value, String> {
    let table = parse(&format!("x = {text}")).unwrap();
    coerce(kind, &table["x"]).map(|coerced| coerced.value)
}

#[track_caller]
fn gives(kind: Kind, cases: &[(&str, Value)]) {
    for (text, value) in cases {
        assert_eq!(of(kind, text).as_ref(), Ok(value), "{text}");
    }
}

#[track_caller]
fn refuses(kind: Kind, texts: &[&str]) {
    for text in texts {
        assert!(of(kind, text).is_err(), "{text}");
    }
}

#[test]
fn a_duration_is_a_text_or_milliseconds() {
    gives(
        Kind::Duration,
        &[
            ("\"1m30s\"", Value::Duration(90_000_000_000)),
            ("1500", Value::Duration(1_500_000_000)),
            ("\"250ms\"", Value::Duration(250_000_000)),
            ("\"0\"", Value::Duration(0)),
        ],
    );
    refuses(Kind::Duration, &["\"1500\"", "1.5", "true", "\"\"", "9223372036854775807", "[1]"]);
}

#[test]
fn an_integer_may_be_a_decimal_text() {
    gives(
        Kind::Int,
        &[
            ("5", Value::Int(5)),
            ("0x10", Value::Int(16)),
            ("1_000", Value::Int(1000)),
            ("\"5\"", Value::Int(5)),
            ("\"-5\"", Value::Int(-5)),
        ],
    );
    refuses(Kind::Int, &["\"0x10\"", "\"1_000\"", "5.0", "true", "\"5k\"", "\"\""]);
}

#[test]
fn a_boolean_may_be_a_text() {
    gives(
        Kind::Bool,
        &[
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("\"true\"", Value::Bool(true)),
            ("\"0\"", Value::Bool(false)),
            ("\"T\"", Value::Bool(true)),
        ],
    );
    refuses(Kind::Bool, &["\"no\"", "\"\"", "1.0"]);
}

#[test]
fn an_integer_for_a_boolean_is_inverted_and_warned_about() {
    for (text, value) in [("0", true), ("1", false), ("2", false)] {
        let table = parse(&format!("x = {text}")).unwrap();
        let coerced = coerce(Kind::Bool, &table["x"]).unwrap();
        assert_eq!(coerced.value, Value::Bool(value));
        assert!(coerced.warning.is_some());
    }
}

#[test]
fn a_list_is_an_array_or_a_text_with_commas() {
    let list = |words: &[&str]| Value::List(words.iter().map(|&w| w.to_owned()).collect());
    gives(
        Kind::List,
        &[
            ("[\"a:1\", \"b:2\"]", list(&["a:1", "b:2"])),
            ("\"a:1\"", list(&["a:1"])),
            ("\"a:1,b:2\"", list(&["a:1", "b:2"])),
            ("\"a:1, b:2\"", list(&["a:1", " b:2"])),
            ("\"\"", list(&[])),
            ("[]", list(&[])),
        ],
    );
    refuses(Kind::List, &["[1]", "1", "true", "[[\"a\"]]"]);
}

#[test]
fn numbers_keep_the_order_of_the_file() {
    gives(
        Kind::Floats,
        &[
            ("[0.5, 1.0, 0.95]", Value::Floats(vec![0.5, 1.0, 0.95])),
            ("[1, 0.5]", Value::Floats(vec![1.0, 0.5])),
            ("\"0.5, 1.0,0.95\"", Value::Floats(vec![0.5, 1.0, 0.95])),
            ("\"1\"", Value::Floats(vec![1.0])),
            ("\"\"", Value::Floats(vec![])),
            ("[]", Value::Floats(vec![])),
        ],
    );
    refuses(Kind::Floats, &["\"a\"", "[\"a\"]", "[nan]", "true", "0.5"]);
}

#[test]
fn words_are_texts() {
    gives(LEVELS, &[("\"debug\"", Value::Int(1)), ("\"WARN\"", Value::Int(3))]);
    refuses(LEVELS, &["\"warning\"", "\"\"", "2"]);
    let choice = Kind::Choice { what: "durability", words: &["sync", "async"] };
    gives(choice, &[("\"SYNC\"", Value::Str("sync".into()))]);
    refuses(choice, &["\"\"", "1", "true", "\"syn\""]);
    gives(VERSIONS, &[("\"TLS1.2\"", Value::Int(771)), ("\"\"", Value::Int(769))]);
    refuses(VERSIONS, &["\"ssl3.0\"", "771"]);
    gives(
        TLS,
        &[
            ("\"TCP-HTTPS\"", Value::Int(1)),
            ("false", Value::Int(0)),
            ("true", Value::Int(2)),
            ("\"false\"", Value::Int(0)),
            ("0", Value::Int(0)),
            ("1", Value::Int(2)),
        ],
    );
    refuses(TLS, &["\"maybe\"", "\"\"", "2", "1.0"]);
}

#[test]
fn bytes_take_units_and_no_sign() {
    gives(
        Kind::Bytes,
        &[("4096", Value::Int(4096)), ("\"1MiB\"", Value::Int(1 << 20)), ("\"7\"", Value::Int(7))],
    );
    refuses(Kind::Bytes, &["-1", "\"-1\"", "1.5", "\"1MB\""]);
}

#[test]
fn a_refused_value_is_named_with_what_was_wanted() {
    assert_eq!(of(Kind::Int, "\"5k\"").unwrap_err(), "\"5k\" is not an integer");
    assert_eq!(of(Kind::Bool, "1.5").unwrap_err(), "1.5 is not a boolean");
    assert_eq!(of(LEVELS, "2").unwrap_err(), "2 is not one of debug, info, warn, error, fatal");
    assert_eq!(of(Kind::Int, "[1]").unwrap_err(), "this array is not an integer");
}

#[test]
fn a_malformed_file_is_refused_with_its_line() {
    for text in ["max_rdy_count", "a = ", "a = 1\na = 2", "= 5", "a = 5x", "[table", "p = \"unclosed"] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("line ") && !error.contains('\n'), "{text:?}: {error:?}");
    }
    assert!(parse("x = 1\ny = 5z\n").unwrap_err().starts_with("line 2: "));
    assert_eq!(parse("").map(|table| table.len()), Ok(0));
}

#[test]
fn a_missing_file_and_a_directory_are_refused() {
    assert!(read("/nonexistent/nsqd.cfg").is_err());
    assert!(read("/").is_err());
}
