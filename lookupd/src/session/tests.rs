use proptest::prelude::*;

use super::*;

const BODY: &[u8] = br#"{"broadcast_address":"h","tcp_port":1,"http_port":2,"version":"v"}"#;

fn identify() -> Vec<u8> {
    [b"IDENTIFY\n", &(BODY.len() as u32).to_be_bytes()[..], BODY].concat()
}

/// An error's text, one character a byte.
fn shown(fatal: &Fatal<'_>) -> String {
    let text: String = fatal.text().into_iter().map(char::from).collect();
    format!("! {text}")
}

/// Everything that comes out of `pieces`, with the error at the end if there is one, as texts, since the bytes
/// go.
fn run(pieces: &[&[u8]]) -> Vec<String> {
    let mut session = Session::new();
    let (mut unread, mut steps) = (Vec::new(), Vec::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            let (taken, step) = session.next(&unread);
            let text = match step {
                Step::Incomplete => None,
                Step::Fatal(fatal) => Some(shown(&fatal)),
                step => Some(format!("{step:?}")),
            };
            let is_fatal = text.as_ref().is_some_and(|text| text.starts_with('!'));
            unread.drain(..taken);
            let Some(text) = text else { break };
            steps.push(text);
            if is_fatal {
                return steps;
            }
        }
        assert!(unread.len() <= LINE_SIZE_MAX.max(IDENTIFY_SIZE_MAX), "what is kept is bounded");
    }
    steps.extend(session.end().map(|fatal| shown(&fatal)));
    steps
}

fn last_of(lines: &[u8]) -> String {
    run(&[b"  V1", &identify(), lines]).pop().unwrap()
}

#[test]
fn commands_become_steps() {
    assert_eq!(last_of(b"PING\n"), "Ping");
    assert_eq!(last_of(b"PING a b\n"), "Ping");
    assert_eq!(last_of(b"REGISTER t c d e\r\n"), "Register(\"t\", Some(\"c\"))");
    assert_eq!(last_of(b" \tREGISTER t  c\n"), "Register(\"t\", None)");
    assert_eq!(last_of(b"UNREGISTER t#ephemeral \n"), "Unregister(\"t#ephemeral\", None)");
}

#[test]
fn every_error_has_its_text() {
    for (line, text) in [
        ("FOO bar\n", "E_INVALID invalid command FOO"),
        ("ping\n", "E_INVALID invalid command ping"),
        ("\n", "E_INVALID invalid command "),
        ("IDENTIFY\n", "E_INVALID cannot IDENTIFY again"),
        ("REGISTER\n", "E_INVALID REGISTER insufficient number of params"),
        ("UNREGISTER \n", "E_INVALID UNREGISTER insufficient number of params"),
        ("REGISTER  t\n", "E_BAD_TOPIC REGISTER topic name '' is not valid"),
        ("UNREGISTER * c\n", "E_BAD_TOPIC UNREGISTER topic name '*' is not valid"),
        ("REGISTER t *\n", "E_BAD_CHANNEL REGISTER channel name '*' is not valid"),
    ] {
        assert_eq!(last_of(line.as_bytes()), format!("! {text}"));
    }
}

#[test]
fn names_come_back_as_they_came() {
    assert_eq!(
        last_of(b"REGISTER \xc3\xff\n"),
        "! E_BAD_TOPIC REGISTER topic name '\u{c3}\u{ff}' is not valid"
    );
}

#[test]
fn nothing_is_registered_before_identify() {
    for line in [&b"REGISTER t\n"[..], b"REGISTER\n", b"UNREGISTER bad! c\n"] {
        assert_eq!(run(&[b"  V1", line]), ["Magic", "! E_INVALID client must IDENTIFY"]);
    }
    assert_eq!(run(&[b"  V1PING\n"]), ["Magic", "Ping"]);
}

#[test]
fn another_magic_is_refused_and_a_short_one_is_silence() {
    for magic in ["  V2", "GET ", "\0\0\0\0", " V1 "] {
        assert_eq!(run(&[magic.as_bytes()]), ["! E_BAD_PROTOCOL"]);
    }
    assert_eq!(run(&[b"  V"]), [""; 0]);
}

#[test]
fn an_identify_cut_off_says_where() {
    for (data, text) in [
        (&b"IDENTIFY\n"[..], "! E_BAD_BODY IDENTIFY failed to read body size"),
        (b"IDENTIFY\n\0\0", "! E_BAD_BODY IDENTIFY failed to read body size"),
        (b"IDENTIFY\n\0\0\0\x10", "! E_BAD_BODY IDENTIFY failed to read body"),
        (b"IDENTIFY\n\0\0\0\x10{", "! E_BAD_BODY IDENTIFY failed to read body"),
        (b"IDENTIFY\n\0\0\0\x01x", "! E_BAD_BODY IDENTIFY failed to decode JSON body"),
        (b"IDENTIFY\n\0\0\0\x02{}", "! E_BAD_BODY IDENTIFY missing fields"),
    ] {
        assert_eq!(run(&[b"  V1", data]), ["Magic", text]);
    }
}

#[test]
fn an_absurd_body_is_refused_by_its_size_alone() {
    for size in [-1_i32, i32::MIN, i32::MAX, IDENTIFY_SIZE_MAX as i32 + 1] {
        let data = [b"  V1IDENTIFY\n", &size.to_be_bytes()[..]].concat();
        assert_eq!(run(&[&data]), ["Magic", "! E_BAD_BODY IDENTIFY body too big"]);
    }
    let mut body = BODY.to_vec();
    body.resize(IDENTIFY_SIZE_MAX, b' ');
    let data = [b"  V1IDENTIFY\n", &(IDENTIFY_SIZE_MAX as u32).to_be_bytes()[..], &body].concat();
    assert_eq!(run(&[&data]).len(), 2);
}

#[test]
fn a_line_without_end_is_refused_at_its_bound() {
    let name = "x".repeat(LINE_SIZE_MAX - "REGISTER ".len());
    let fits = last_of(format!("REGISTER {name}\n").as_bytes());
    assert!(fits.starts_with("! E_BAD_TOPIC"), "{fits}");
    assert_eq!(last_of(format!("REGISTER {name}x\n").as_bytes()), "! E_INVALID line too long");
    assert_eq!(last_of(format!("REGISTER {name}x").as_bytes()), "! E_INVALID line too long");
}

#[test]
fn a_last_line_without_its_end_is_not_executed() {
    assert_eq!(last_of(b"REGISTER whole\nREGISTER part"), "Register(\"whole\", None)");
}

/// Whole sessions, garbage, and mixtures.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"PING\n".to_vec()),
        Just(identify()),
        Just(b"REGISTER t c\r\n".to_vec()),
        Just(b"UNREGISTER t\n".to_vec()),
        Just(b"IDENTIFY\n\0\0\0\x04null".to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    (any::<bool>(), prop::collection::vec(piece, 0..8)).prop_map(|(magic, pieces)| {
        let magic: &[u8] = if magic { b"  V1" } else { b"" };
        [magic, &pieces.concat()].concat()
    })
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_changes_nothing(
        data in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        places.extend([0, data.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|range| &data[range[0]..range[1]]).collect();
        let bytes: Vec<&[u8]> = data.chunks(1).collect();
        let at_once = run(&[&data]);
        prop_assert_eq!(&run(&pieces), &at_once);
        prop_assert_eq!(&run(&bytes), &at_once);
    }
}
