//! Every error of every command, byte for byte and in the order of the checks.

use super::*;

/// Each input, in a session of its own, ends in the error given.
fn refuses<I: AsRef<[u8]>>(limits: &Limits, cases: impl IntoIterator<Item = (I, &'static str)>) {
    for (input, expected) in cases {
        let input = input.as_ref();
        assert_eq!(last_with(limits, input), expected, "for {}", input.escape_ascii());
    }
}

fn small() -> Limits {
    Limits { body_size_max: 100, message_size_max: 10, ..Limits::default() }
}

/// `line`, then the bytes of a size.
fn with_size(line: &str, size: i32) -> Vec<u8> {
    [line.as_bytes(), b"\n", &size.to_be_bytes()].concat()
}

#[test]
fn magic() {
    for magic in ["  V1", "GET ", "  v2", "V2  ", "\0\0\0\0", "\n\n\n\n", "GET /ping HTTP/1.1\r\n"] {
        let mut peer = Peer::new(Limits::default());
        peer.receive(magic.as_bytes());
        assert_eq!(peer.transcript.steps, ["E_BAD_PROTOCOL"]);
    }
    for magic in ["", " ", "  V", "GET"] {
        let mut peer = Peer::new(Limits::default());
        peer.receive(magic.as_bytes());
        assert_eq!(peer.end().steps, ["close"], "an end within the magic is answered by nothing");
    }
}

#[test]
fn unknown_commands_are_named_by_their_first_word_only() {
    refuses(
        &Limits::default(),
        [
            (&b"\n"[..], "E_INVALID invalid command "),
            (b"\r\n", "E_INVALID invalid command "),
            (b" NOP\n", "E_INVALID invalid command "),
            (b" \n", "E_INVALID invalid command "),
            (b"FOO bar baz\n", "E_INVALID invalid command FOO"),
            (b"nop\n", "E_INVALID invalid command nop"),
            (b"NOP\r\r\n", "E_INVALID invalid command NOP\\r"),
            (b"NOP\rNOP\n", "E_INVALID invalid command NOP\\rNOP"),
            (b"NOP\0\n", "E_INVALID invalid command NOP\\x00"),
            (b"PUB\tt\n", "E_INVALID invalid command PUB\\tt"),
            (b"\x00\x01\"\\\xff\xfe\xc3\xa9\n", r#"E_INVALID invalid command \x00\x01\"\\\xff\xfe\xc3\xa9"#),
        ],
    );
}

#[test]
fn a_line_may_have_16383_bytes_before_its_end() {
    let longest = [b"NOP ".to_vec(), vec![b'x'; 16_379], b"\nFOO\n".to_vec()].concat();
    assert_eq!(run(&longest), ["E_INVALID invalid command FOO"]);
    let too_long = [b"NOP ".to_vec(), vec![b'x'; 16_380], b"\nFOO\n".to_vec()].concat();
    assert_eq!(run(&too_long), ["close"]);

    let mut peer = Peer::new(Limits::default());
    peer.receive(b"  V2");
    peer.receive(&[b'x'; 16_383]);
    assert!(!peer.transcript.over, "the next byte may be the end of the line");
    peer.receive(b"x");
    assert_eq!(peer.transcript.steps, ["close"]);
}

#[test]
fn an_end_between_commands_or_within_a_line_is_answered_by_nothing() {
    for input in ["", "P", "PUB", "PUB t", "NOP", "FOO", "SUB t ch", "NOP\r", "NOP\n"] {
        assert_eq!(run(input.as_bytes()), ["close"], "{input:?}");
    }
}

#[test]
fn tls_required() {
    let limits = Limits { tls_required: true, ..Limits::default() };
    refuses(
        &limits,
        [
            ("NOP\n", "E_INVALID cannot NOP in current state (TLS required)"),
            ("FOO\n", "E_INVALID cannot FOO in current state (TLS required)"),
            ("\n", "E_INVALID cannot  in current state (TLS required)"),
            ("SUB\n", "E_INVALID cannot SUB in current state (TLS required)"),
        ],
    );
    let steps = run_with(&limits, &line_and_body("IDENTIFY", b"{}"));
    assert_eq!(steps, ["IDENTIFY first true: OK", "close"]);

    let mut peer = Peer::new(limits);
    peer.receive(b"  V2");
    peer.session.on_tls_started();
    peer.receive(b"NOP\nFOO\n");
    assert_eq!(peer.end().steps, ["E_INVALID invalid command FOO"]);
}

#[test]
fn identify() {
    refuses(
        &small(),
        [
            (with_size("IDENTIFY", 0), "E_BAD_BODY IDENTIFY invalid body size 0"),
            (with_size("IDENTIFY", -1), "E_BAD_BODY IDENTIFY invalid body size -1"),
            (with_size("IDENTIFY", i32::MIN), "E_BAD_BODY IDENTIFY invalid body size -2147483648"),
            (with_size("IDENTIFY", 101), "E_BAD_BODY IDENTIFY body too big 101 > 100"),
            (with_size("IDENTIFY", i32::MAX), "E_BAD_BODY IDENTIFY body too big 2147483647 > 100"),
            (b"IDENTIFY\n".to_vec(), "E_BAD_BODY IDENTIFY failed to read body size"),
            (b"IDENTIFY\n\0\0\0".to_vec(), "E_BAD_BODY IDENTIFY failed to read body size"),
            (with_size("IDENTIFY", 2), "E_BAD_BODY IDENTIFY failed to read body"),
            (b"IDENTIFY\n\0\0\0\x02{".to_vec(), "E_BAD_BODY IDENTIFY failed to read body"),
            (line_and_body("IDENTIFY", b"x"), "E_BAD_BODY IDENTIFY failed to decode JSON body"),
            (
                line_and_body("IDENTIFY", br#"{"sample_rate":100}"#),
                "E_BAD_BODY IDENTIFY sample rate (100) is invalid",
            ),
        ],
    );
}

#[test]
fn auth() {
    refuses(
        &small(),
        [
            (b"AUTH x\n".to_vec(), "E_INVALID AUTH invalid number of parameters"),
            (b"AUTH \n".to_vec(), "E_INVALID AUTH invalid number of parameters"),
            (with_size("AUTH", 0), "E_BAD_BODY AUTH invalid body size 0"),
            (with_size("AUTH", -1), "E_BAD_BODY AUTH invalid body size -1"),
            (with_size("AUTH", 101), "E_BAD_BODY AUTH body too big 101 > 100"),
            (b"AUTH\n\0\0".to_vec(), "E_BAD_BODY AUTH failed to read body size"),
            (b"AUTH\n\0\0\0\x06secr".to_vec(), "E_BAD_BODY AUTH failed to read body"),
            (line_and_body("AUTH\r", b"secret"), "E_AUTH_DISABLED AUTH disabled"),
        ],
    );
}

#[test]
fn authorization_comes_after_names_and_bodies_but_before_an_mpubs_body() {
    let limits = Limits { auth_enabled: true, ..small() };
    refuses(
        &limits,
        [
            (b"SUB $ ch\n".to_vec(), r#"E_BAD_TOPIC SUB topic name \"$\" is not valid"#),
            (b"SUB t ch\n".to_vec(), "E_AUTH_FIRST AUTH required before SUB"),
            (with_size("PUB t", 11), "E_BAD_MESSAGE PUB message too big 11 > 10"),
            (line_and_body("PUB t", b"x"), "E_AUTH_FIRST AUTH required before PUB"),
            (line_and_body("DPUB t 0", b"x"), "E_AUTH_FIRST AUTH required before DPUB"),
            (b"MPUB t\n".to_vec(), "E_AUTH_FIRST AUTH required before MPUB"),
        ],
    );
    let mut peer = Peer::new(limits);
    peer.receive(b"  V2");
    peer.receive(&line_and_body("AUTH", b"secret"));
    peer.session.on_authorized();
    peer.receive(&line_and_body("PUB t", b"x"));
    peer.receive(&line_and_body("AUTH", b"secret"));
    assert_eq!(peer.end().steps, ["AUTH secret", "PUB t x", "E_INVALID AUTH already set"]);
}

#[test]
fn sub() {
    let silent = line_and_body("IDENTIFY", br#"{"heartbeat_interval":-1}"#);
    refuses(
        &Limits::default(),
        [
            (b"SUB\n".to_vec(), "E_INVALID SUB insufficient number of parameters"),
            (b"SUB t\n".to_vec(), "E_INVALID SUB insufficient number of parameters"),
            (b"SUB  t ch\n".to_vec(), r#"E_BAD_TOPIC SUB topic name \"\" is not valid"#),
            (b"SUB $ $\n".to_vec(), r#"E_BAD_TOPIC SUB topic name \"$\" is not valid"#),
            (b"SUB t  ch\n".to_vec(), r#"E_BAD_CHANNEL SUB channel name \"\" is not valid"#),
            (b"SUB t \n".to_vec(), r#"E_BAD_CHANNEL SUB channel name \"\" is not valid"#),
            (b"SUB t \xff\n".to_vec(), r#"E_BAD_CHANNEL SUB channel name \"\\xff\" is not valid"#),
            ([&silent[..], b"SUB t ch\n"].concat(), "E_INVALID cannot SUB with heartbeats disabled"),
            ([&silent[..], b"SUB\n"].concat(), "E_INVALID cannot SUB with heartbeats disabled"),
        ],
    );
}

#[test]
fn rdy() {
    refuses(
        &Limits::default(),
        [
            (&b"SUB t ch\nRDY -1\n"[..], "E_INVALID RDY could not parse count -1"),
            (b"SUB t ch\nRDY +1\n", "E_INVALID RDY could not parse count +1"),
            (b"SUB t ch\nRDY 1.0\n", "E_INVALID RDY could not parse count 1.0"),
            (b"SUB t ch\nRDY \"\\\x01\xff\n", r#"E_INVALID RDY could not parse count \"\\\x01\xff"#),
            (b"SUB t ch\nRDY 2501\n", "E_INVALID RDY count 2501 out of range 0-2500"),
            (b"SUB t ch\nRDY 18446744073709551615\n", "E_INVALID RDY count -1 out of range 0-2500"),
            (
                b"SUB t ch\nRDY 9223372036854775808\n",
                "E_INVALID RDY count -9223372036854775808 out of range 0-2500",
            ),
        ],
    );
    for (line, count) in [
        ("RDY", 1),
        ("RDY ", 0),
        ("RDY  9", 0),
        ("RDY\r", 1),
        ("RDY 2500", 2500),
        ("RDY 18446744073709551619", 3),
    ] {
        assert_eq!(run(format!("SUB t ch\n{line}\n").as_bytes())[1], format!("RDY {count}"));
    }
}

#[test]
fn fin_and_touch() {
    for verb in ["FIN", "TOUCH"] {
        let missing = format!("E_INVALID {verb} insufficient number of params");
        assert_eq!(last(format!("SUB t ch\n{verb}\n").as_bytes()), missing);
        for id in ["", "0", "0123456789abcde", "0123456789abcdef0"] {
            let input = format!("SUB t ch\n{verb} {id}\n");
            assert_eq!(last(input.as_bytes()), "E_INVALID invalid message ID");
        }
        assert_eq!(run(format!("SUB t ch\n{verb} {ID} x\n").as_bytes())[1], format!("{verb} {ID}"));
    }
    assert_eq!(
        run(b"SUB t ch\nFIN \xff\x00\x01\"\\%s{}$\tabcde\n")[1],
        r#"FIN \xff\x00\x01\"\\%s{}$\tabcde"#
    );
}

#[test]
fn req() {
    refuses(
        &Limits::default(),
        [
            ("SUB t ch\nREQ\n", "E_INVALID REQ insufficient number of params"),
            ("SUB t ch\nREQ 0123456789abcdef\n", "E_INVALID REQ insufficient number of params"),
            ("SUB t ch\nREQ short\n", "E_INVALID REQ insufficient number of params"),
            ("SUB t ch\nREQ short abc\n", "E_INVALID invalid message ID"),
            ("SUB t ch\nREQ  0\n", "E_INVALID invalid message ID"),
            ("SUB t ch\nREQ 0123456789abcdef -1\n", "E_INVALID REQ could not parse timeout -1"),
            ("SUB t ch\nREQ 0123456789abcdef 1.5\n", "E_INVALID REQ could not parse timeout 1.5"),
        ],
    );
    for (delay, ns) in [
        ("0", 0),
        ("", 0),
        ("5", 5_000_000),
        ("3600000", 3_600_000_000_000_u64),
        ("3600001", 3_600_000_000_000),
        ("99999999999", 3_600_000_000_000),
        ("18446744073709551615", 0),
        // Wraps in the multiplication into something harmless.
        ("18446744073710", 448_384),
    ] {
        assert_eq!(run(format!("SUB t ch\nREQ {ID} {delay}\n").as_bytes())[1], format!("REQ {ID} {ns} ns"));
    }
}

#[test]
fn publishes() {
    refuses(
        &small(),
        [
            (b"PUB\n".to_vec(), "E_INVALID PUB insufficient number of parameters"),
            (b"PUB  t\n".to_vec(), r#"E_BAD_TOPIC PUB topic name \"\" is not valid"#),
            (b"PUB t\r\r\n".to_vec(), r#"E_BAD_TOPIC PUB topic name \"t\\r\" is not valid"#),
            (b"PUB t\n".to_vec(), "E_BAD_MESSAGE PUB failed to read message body size"),
            (b"PUB t\n\0\0\0".to_vec(), "E_BAD_MESSAGE PUB failed to read message body size"),
            (with_size("PUB t", 0), "E_BAD_MESSAGE PUB invalid message body size 0"),
            (with_size("PUB t", -1), "E_BAD_MESSAGE PUB invalid message body size -1"),
            (with_size("PUB t", i32::MIN), "E_BAD_MESSAGE PUB invalid message body size -2147483648"),
            (with_size("PUB t", 11), "E_BAD_MESSAGE PUB message too big 11 > 10"),
            (with_size("PUB t", i32::MAX), "E_BAD_MESSAGE PUB message too big 2147483647 > 10"),
            (with_size("PUB t", 10), "E_BAD_MESSAGE PUB failed to read message body"),
            (b"PUB t\n\0\0\0\x05hell".to_vec(), "E_BAD_MESSAGE PUB failed to read message body"),
        ],
    );
    assert_eq!(run(&line_and_body("PUB t x y", b"a\nb"))[0], r"PUB t a\nb");
}

#[test]
fn deferred_publishes() {
    refuses(
        &small(),
        [
            (b"DPUB\n".to_vec(), "E_INVALID DPUB insufficient number of parameters"),
            (b"DPUB t\n".to_vec(), "E_INVALID DPUB insufficient number of parameters"),
            (b"DPUB $ x\n".to_vec(), r#"E_BAD_TOPIC DPUB topic name \"$\" is not valid"#),
            (b"DPUB t -1\n".to_vec(), "E_INVALID DPUB could not parse timeout -1"),
            (b"DPUB t \xff\n".to_vec(), r"E_INVALID DPUB could not parse timeout \xff"),
            (b"DPUB t 3600001\n".to_vec(), "E_INVALID DPUB timeout 3600001 out of range 0-3600000"),
            (
                b"DPUB t 18446744073709551615\n".to_vec(),
                "E_INVALID DPUB timeout 18446744073709551615 out of range 0-3600000",
            ),
            (
                b"DPUB t 9223372036854775807\n".to_vec(),
                "E_INVALID DPUB timeout 9223372036854775807 out of range 0-3600000",
            ),
            (b"DPUB t 0\n".to_vec(), "E_BAD_MESSAGE DPUB failed to read message body size"),
            (with_size("DPUB t 0", 0), "E_BAD_MESSAGE DPUB invalid message body size 0"),
            (with_size("DPUB t 0", 11), "E_BAD_MESSAGE DPUB message too big 11 > 10"),
            (with_size("DPUB t 0", 10), "E_BAD_MESSAGE DPUB failed to read message body"),
        ],
    );
    assert_eq!(run(&line_and_body("DPUB t 3600000", b"x"))[0], "DPUB t 3600000000000 ns x");
    assert_eq!(run(&line_and_body("DPUB t  5", b"x"))[0], "DPUB t 0 ns x");
}

/// An MPUB of numbers, a text being its ASCII bytes.
fn mpub(parts: &[&[u8]]) -> Vec<u8> {
    [b"MPUB t\n", &parts.concat()[..]].concat()
}

const ONE: &[u8] = b"\0\0\0\x01a";

#[test]
fn batches() {
    let n = |n: i32| n.to_be_bytes();
    refuses(
        &small(),
        [
            (b"MPUB\n".to_vec(), "E_INVALID MPUB insufficient number of parameters"),
            (b"MPUB  t\n".to_vec(), r#"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name \"\" is not valid"#),
            (mpub(&[]), "E_BAD_BODY MPUB failed to read body size"),
            (mpub(&[b"\0\0"]), "E_BAD_BODY MPUB failed to read body size"),
            (mpub(&[&n(0)]), "E_BAD_BODY MPUB invalid body size 0"),
            (mpub(&[&n(-1)]), "E_BAD_BODY MPUB invalid body size -1"),
            (mpub(&[&n(101)]), "E_BAD_BODY MPUB body too big 101 > 100"),
            (mpub(&[&n(20)]), "E_BAD_BODY MPUB failed to read message count"),
            (mpub(&[&n(20), b"\0"]), "E_BAD_BODY MPUB failed to read message count"),
            (mpub(&[&n(20), &n(0)]), "E_BAD_BODY MPUB invalid message count 0"),
            (mpub(&[&n(20), &n(i32::MIN)]), "E_BAD_BODY MPUB invalid message count -2147483648"),
            (mpub(&[&n(20), &n(20)]), "E_BAD_BODY MPUB invalid message count 20"),
            (mpub(&[&n(20), &n(19)]), "E_BAD_MESSAGE MPUB failed to read message(0) body size"),
            (mpub(&[&n(20), &n(2), &n(0)]), "E_BAD_MESSAGE MPUB invalid message(0) body size 0"),
            (mpub(&[&n(20), &n(3), ONE, ONE, &n(-1)]), "E_BAD_MESSAGE MPUB invalid message(2) body size -1"),
            (mpub(&[&n(20), &n(3), ONE, ONE, &n(11)]), "E_BAD_MESSAGE MPUB message too big 11 > 10"),
            (mpub(&[&n(20), &n(2), &n(3), b"ab"]), "E_BAD_MESSAGE MPUB failed to read message body"),
            (mpub(&[&n(20), &n(2), ONE]), "E_BAD_MESSAGE MPUB failed to read message(1) body size"),
            (mpub(&[&n(20), &n(2), ONE, b"\0\0"]), "E_BAD_MESSAGE MPUB failed to read message(1) body size"),
            (mpub(&[&n(20), &n(2), ONE, &n(1)]), "E_BAD_MESSAGE MPUB failed to read message body"),
        ],
    );
}

#[test]
fn the_topic_of_a_batch_is_announced_before_its_body_is_judged() {
    assert_eq!(run(&mpub(&[&[0; 4]])), ["MPUB to t", "E_BAD_BODY MPUB invalid body size 0"]);
}

#[test]
fn a_batch_ends_where_its_messages_do_whatever_size_was_announced() {
    for announced in [1, 4, 14, 15, 16, 5_242_880] {
        let batch = mpub(&[&i32::to_be_bytes(announced), &[0, 0, 0, 2], ONE, b"\0\0\0\x02bc"]);
        let steps = run(&[batch, line_and_body("PUB u", b"after")].concat());
        assert_eq!(steps, ["MPUB to t", "MPUB t [a, bc]", "PUB u after", "close"]);
    }
}

#[test]
fn the_count_of_a_batch_is_limited_by_the_body_size() {
    let count = |limit, count: i32| {
        let limits = Limits { body_size_max: limit, ..Limits::default() };
        last_with(&limits, &mpub(&[&[0, 0, 0, 4], &count.to_be_bytes()]))
    };
    assert_eq!(count(108, 20), "E_BAD_MESSAGE MPUB failed to read message(0) body size");
    assert_eq!(count(108, 21), "E_BAD_BODY MPUB invalid message count 21");
    assert_eq!(count(5_242_880, 1_048_575), "E_BAD_MESSAGE MPUB failed to read message(0) body size");
    assert_eq!(count(5_242_880, 1_048_576), "E_BAD_BODY MPUB invalid message count 1048576");
}

#[test]
fn a_batch_never_grows_beyond_the_body_size() {
    let ten = sized(&[b'x'; 10]);
    let batch = |count: u8| mpub(&[&[0, 0, 0, 1], &[0, 0, 0, count], &ten.repeat(count.into())]);
    assert_eq!(run_with(&small(), &batch(6)).len(), 3, "4 + 6 * 14 is within 100");
    assert_eq!(last_with(&small(), &batch(7)), "E_BAD_BODY MPUB body too big 102 > 100");
}
