use super::*;

#[test]
fn names_are_letters_digits_dot_underscore_hyphen() {
    let longest = "x".repeat(64);
    let longest_ephemeral = "x".repeat(54) + "#ephemeral";
    for name in [
        "a",
        "A",
        "0",
        ".",
        "..",
        "-",
        "_",
        "a.b-c_D9",
        "-a",
        "a.",
        "a#ephemeral",
        &longest,
        &longest_ephemeral,
    ] {
        assert_eq!(validate(name.as_bytes()), Some(name));
        assert_eq!(TopicName::new(name.as_bytes()).unwrap().as_str(), name);
        assert_eq!(&*ChannelName::new(name.as_bytes()).unwrap(), name);
    }
}

#[test]
fn anything_else_is_no_name() {
    let too_long = "x".repeat(65);
    let too_long_ephemeral = "x".repeat(55) + "#ephemeral";
    for name in [
        "",
        "a/b",
        "a:b",
        "a;b",
        "a*",
        "a#",
        "#",
        "a,b",
        "a b",
        "a@b",
        "a%20b",
        "é",
        "a\0",
        "a\n",
        "#ephemeral",
        "a#Ephemeral",
        "a#ephemeral2",
        "a#ephemera",
        "a#ephemeral#ephemeral",
        "a##ephemeral",
        &too_long,
        &too_long_ephemeral,
    ] {
        assert_eq!(validate(name.as_bytes()), None, "{name:?}");
        assert_eq!(TopicName::new(name.as_bytes()), None);
    }
    assert_eq!(validate(b"\xff"), None);
}

#[test]
fn only_the_exact_suffix_is_ephemeral() {
    assert!(TopicName::new(b"a#ephemeral").unwrap().is_ephemeral());
    assert!(!TopicName::new(b"ephemeral").unwrap().is_ephemeral());
}

#[test]
fn inline_names_are_equal_as_texts_are() {
    let (a, b, c) =
        (TopicName::new(b"ab").unwrap(), TopicName::new(b"ab").unwrap(), TopicName::new(b"a").unwrap());
    assert_eq!(a, b);
    assert_ne!(a, c);
    assert_eq!((a.to_string(), format!("{a:?}")), ("ab".to_owned(), "\"ab\"".to_owned()));
}

#[test]
fn quoting_escapes_what_nsq_escapes() {
    let cases: [(&[u8], &str); 26] = [
        (b"", r#""""#),
        (b"a b", r#""a b""#),
        (b"a\"b", r#""a\"b""#),
        (b"a\\b", r#""a\\b""#),
        (b"a'b", r#""a'b""#),
        (b"\x00\x01\x1f", r#""\x00\x01\x1f""#),
        (b"\x07\x08\x0c\n\r\t\x0bx", r#""\a\b\f\n\r\t\vx""#),
        (b"\x7f", r#""\x7f""#),
        ("é日本".as_bytes(), "\"é日本\""),
        (b"\xff", r#""\xff""#),
        (b"a\xc3", r#""a\xc3""#),
        (b"\xe6\x97x", r#""\xe6\x97x""#),
        (b"\xc0\x80", r#""\xc0\x80""#),
        (b"\xed\xa0\x80", r#""\xed\xa0\x80""#),
        (b"\xf4\x90\x80\x80", r#""\xf4\x90\x80\x80""#),
        ("\u{fffd}".as_bytes(), "\"\u{fffd}\""),
        ("\u{a0}".as_bytes(), r#""\u00a0""#),
        ("\u{ad}".as_bytes(), r#""\u00ad""#),
        ("\u{200b}\u{2028}".as_bytes(), r#""\u200b\u2028""#),
        ("\u{feff}".as_bytes(), r#""\ufeff""#),
        ("\u{e000}".as_bytes(), r#""\ue000""#),
        ("\u{1f600}".as_bytes(), "\"\u{1f600}\""),
        ("\u{10ffff}".as_bytes(), r#""\U0010ffff""#),
        ("\u{85}".as_bytes(), r#""\u0085""#),
        // A combining mark is printable, wherever it stands.
        ("\u{301}e\u{301}".as_bytes(), "\"\u{301}e\u{301}\""),
        (b"a\"b\\c\x01\xc3\xa9\xff\x7f", r#""a\"b\\c\x01é\xff\x7f""#),
    ];
    for (raw, expected) in cases {
        assert_eq!(quote(raw), expected);
    }
}
