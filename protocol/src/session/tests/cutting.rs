//! How the bytes are cut into reads never changes what comes out.

use proptest::prelude::*;

use super::*;

fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Transcript {
    let mut peer = Peer::new(small());
    for piece in pieces {
        peer.receive(piece);
    }
    peer.end()
}

fn small() -> Limits {
    Limits { body_size_max: 200, message_size_max: 30, auth_enabled: false, ..Limits::default() }
}

/// A command, mostly a good one, mostly short.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "NOP",
        "RDY",
        "RDY 5",
        "RDY x",
        "RDY 9999",
        "CLS",
        "SUB t ch",
        "SUB t ch\r",
        "SUB t",
        "FOO",
        "",
        " ",
        "FIN 0123456789abcdef",
        "TOUCH 0123456789abcdef",
        "REQ 0123456789abcdef 5",
        "FIN 1",
        "PUB",
        "DPUB t x",
    ]);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let bodies = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..32), 0..8);
    let json = prop::sample::select(vec![
        "{}",
        "null",
        "x",
        r#"{"heartbeat_interval":-1}"#,
        r#"{"sample_rate":100}"#,
    ]);
    prop_oneof![
        4 => line.prop_map(|line| format!("{line}\n").into_bytes()),
        4 => body.clone().prop_map(|body| line_and_body("PUB topic", &body)),
        2 => body.clone().prop_map(|body| line_and_body("DPUB topic 5\r", &body)),
        1 => body.prop_map(|body| line_and_body("AUTH", &body)),
        2 => json.prop_map(|json| line_and_body("IDENTIFY", json.as_bytes())),
        4 => (bodies, -1..2_i32, -4..4_i32).prop_map(|(bodies, more, longer)| batch(&bodies, more, longer)),
    ]
}

/// A batch that lies about its count and its size by that much.
fn batch(bodies: &[Vec<u8>], more: i32, longer: i32) -> Vec<u8> {
    let entries: Vec<u8> = bodies.iter().flat_map(|body| sized(body)).collect();
    let size = i32::try_from(entries.len() + 4).unwrap() + longer;
    let count = i32::try_from(bodies.len()).unwrap() + more;
    [b"MPUB topic\n", &size.to_be_bytes()[..], &count.to_be_bytes(), &entries].concat()
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(command(), 0..12)
        .prop_map(|commands| [b"  V2".to_vec(), commands.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_cut_gives_the_same_transcript(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        kept in any::<prop::sample::Index>(),
    ) {
        // The stream may also end anywhere.
        let stream = &stream[..=kept.index(stream.len())][..];
        let whole = in_pieces([stream]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&in_pieces(cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]])), &whole);
        prop_assert_eq!(&in_pieces(stream.chunks(1)), &whole);
    }

    #[test]
    fn nothing_is_missed_by_waiting_for_what_is_wanted(stream in stream()) {
        let mut peer = Peer::new(small());
        let mut at = 0;
        while at < stream.len() && !peer.transcript.over {
            let lacking = peer.session.wanted(peer.unread.len()) - peer.unread.len();
            let end = stream.len().min(at + lacking);
            peer.receive(&stream[at..end]);
            at = end;
        }
        prop_assert_eq!(peer.end(), in_pieces([&stream[..]]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), v2 in any::<bool>()) {
        let magic: &[u8] = if v2 { b"  V2" } else { b"" };
        in_pieces([magic, &bytes]);
    }
}

#[test]
fn commands_run_in_order_from_one_segment() {
    let input = [
        b"  V2".to_vec(),
        line_and_body("PUB t", b"a"),
        b"NOP\n".to_vec(),
        line_and_body("MPUB t", b"\0\0\0\x01\0\0\0\x01b"),
        format!("SUB u ch\nFIN {ID}\nRDY 1\n").into_bytes(),
        line_and_body("PUB t", b"c"),
        b"CLS\nFOO\nPUB t\n".to_vec(),
    ]
    .concat();
    let fin = format!("FIN {ID}");
    let foo = "E_INVALID invalid command FOO";
    let expected = ["PUB t a", "MPUB to t", "MPUB t [b]", "SUB u ch", &fin, "RDY 1", "PUB t c", "CLS", foo];
    assert_eq!(in_pieces([&input[..]]).steps, expected);
}

#[test]
fn a_batch_is_walked_only_once() {
    let limits = Limits::default();
    let mut session = Session::new(String::new(), &limits);
    session.next(&limits, b"  V2");
    session.next(&limits, b"MPUB t\n");
    let mut batch = [&[0, 0, 0, 24, 0, 0, 0, 4][..], &b"\0\0\0\x01a".repeat(4)].concat();
    assert_eq!(session.next(&limits, &batch[..23]), Step::NeedMore);
    // Were the first size looked at again, it would be refused.
    batch[8..12].fill(0xff);
    assert!(matches!(session.next(&limits, &batch), Step::Command { consumed: 28, .. }));
}

#[test]
fn a_line_is_scanned_only_once() {
    let limits = Limits::default();
    let mut session = Session::new(String::new(), &limits);
    session.next(&limits, b"  V2");
    assert_eq!(session.next(&limits, b"NOP x"), Step::NeedMore);
    // Were the beginning looked at again, the line would end there.
    assert_eq!(session.next(&limits, b"N\nP xx\n"), Step::Fatal(WireError::unknown_command(b"N\nP")));
}
