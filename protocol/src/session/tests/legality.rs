//! Which command is legal in which state.

use super::*;

const BEFORE: [&str; 3] = ["", "SUB s ch\n", "SUB s ch\nCLS\n"];

/// What `input` leads to in each of the three states. `None`: nothing at all.
fn in_each_state(input: &[u8]) -> [Option<String>; 3] {
    BEFORE.map(|before| {
        let skip = before.lines().count();
        let mut steps = run(&[before.as_bytes(), input, b"EOT\n"].concat());
        // The marker shows that the session went on.
        steps.pop_if(|last| last == "E_INVALID invalid command EOT");
        assert!(steps.len() <= skip + 2);
        steps.drain(skip..).next_back()
    })
}

#[test]
fn identify_auth_and_sub_come_before_a_subscription() {
    let cases = [
        ("IDENTIFY", line_and_body("IDENTIFY", b"{}"), "IDENTIFY first true: OK"),
        ("AUTH", line_and_body("AUTH", b"secret"), "E_AUTH_DISABLED AUTH disabled"),
        ("SUB", b"SUB s ch\n".to_vec(), "SUB s ch"),
    ];
    for (verb, input, at_first) in cases {
        let refused = Some(format!("E_INVALID cannot {verb} in current state"));
        assert_eq!(in_each_state(&input), [Some(at_first.into()), refused.clone(), refused]);
    }
}

#[test]
fn rdy_needs_a_subscription_and_is_ignored_when_closing() {
    let refused = Some("E_INVALID cannot RDY in current state".into());
    assert_eq!(in_each_state(b"RDY 1\n"), [refused.clone(), Some("RDY 1".into()), None]);
    let unparsable = Some("E_INVALID RDY could not parse count abc".into());
    assert_eq!(in_each_state(b"RDY abc\nRDY 99999999\n"), [refused, unparsable, None]);
}

#[test]
fn fin_req_and_touch_need_a_subscription_also_a_closing_one() {
    for (verb, rest, said) in [("FIN", "", ""), ("REQ", " 0", " 0 ns"), ("TOUCH", "", "")] {
        let refused = Some(format!("E_INVALID cannot {verb} in current state"));
        let done = Some(format!("{verb} {ID}{said}"));
        assert_eq!(in_each_state(format!("{verb} {ID}{rest}\n").as_bytes()), [refused, done.clone(), done]);
    }
}

#[test]
fn cls_needs_a_subscription_and_comes_once() {
    let refused = Some("E_INVALID cannot CLS in current state".to_owned());
    assert_eq!(in_each_state(b"CLS\n"), [refused.clone(), Some("CLS".into()), refused]);
}

#[test]
fn publishing_and_nop_are_legal_in_any_state() {
    let always = |step: &str| [(); 3].map(|()| Some(step.to_owned()));
    assert_eq!(in_each_state(b"NOP\n"), [None, None, None]);
    assert_eq!(in_each_state(&line_and_body("PUB t", b"x")), always("PUB t x"));
    assert_eq!(in_each_state(&line_and_body("DPUB t 0", b"x")), always("DPUB t 0 ns x"));
    assert_eq!(in_each_state(&line_and_body("MPUB t", b"\0\0\0\x01\0\0\0\x01x")), always("MPUB t [x]"));
}

#[test]
fn the_state_is_checked_before_the_parameters() {
    for line in ["RDY abc", "FIN", "FIN short", "TOUCH", "REQ", "CLS x"] {
        let verb = line.split(' ').next().unwrap();
        assert_eq!(last(format!("{line}\n").as_bytes()), format!("E_INVALID cannot {verb} in current state"));
    }
    for line in ["SUB", "SUB $ $", "AUTH x", "IDENTIFY"] {
        let verb = line.split(' ').next().unwrap();
        let input = format!("SUB t ch\n{line}\n");
        assert_eq!(last(input.as_bytes()), format!("E_INVALID cannot {verb} in current state"));
    }
}

#[test]
fn states_have_the_numbers_of_nsqs_statistics() {
    let mut peer = Peer::new(Limits::default());
    assert_eq!(peer.session.state() as u8, 0);
    peer.receive(b"  V2SUB t ch\n");
    assert_eq!(peer.session.state() as u8, 3);
    peer.receive(b"CLS\n");
    assert_eq!(peer.session.state() as u8, 4);
}

#[test]
fn a_failed_sub_leaves_the_session_as_it_was() {
    let limits = Limits::default();
    let mut session = Session::new(String::new(), &limits);
    assert_eq!(session.next(&limits, b"  V2"), Step::Consumed(4));
    assert!(matches!(session.next(&limits, b"SUB t ch\n"), Step::Command { consumed: 9, .. }));
    assert_eq!(session.state(), State::Init);
}

#[test]
fn further_parameters_are_ignored() {
    let input = [
        line_and_body("IDENTIFY x y", b"{}"),
        line_and_body("MPUB t x y", b"\0\0\0\x01\0\0\0\x01b"),
        line_and_body("DPUB t 0 x y", b"c"),
        format!("SUB t ch x\nNOP x\nRDY 0 x\nFIN {ID} x\nREQ {ID} 0 x\nCLS x\n").into_bytes(),
    ]
    .concat();
    let expected = [
        "IDENTIFY first true: OK".to_owned(),
        "MPUB to t".into(),
        "MPUB t [b]".into(),
        "DPUB t 0 ns c".into(),
        "SUB t ch".into(),
        "RDY 0".into(),
        format!("FIN {ID}"),
        format!("REQ {ID} 0 ns"),
        "CLS".into(),
        "close".into(),
    ];
    assert_eq!(run(&input), expected);
}

#[test]
fn only_the_first_identify_is_called_the_first() {
    let identify = line_and_body("IDENTIFY", b"{}");
    let steps = run(&identify.repeat(3));
    let later = "IDENTIFY first false: OK";
    assert_eq!(steps, ["IDENTIFY first true: OK", later, later, "close"]);
}

#[test]
fn a_connection_is_known_by_its_address_until_it_identifies_itself() {
    let mut peer = Peer::new(Limits::default());
    assert_eq!(peer.session.identity().client_id, "127.0.0.1");
    assert_eq!(peer.session.identity().heartbeat_interval_ms, Some(30_000));
    peer.receive(b"  V2");
    peer.receive(&line_and_body("IDENTIFY", br#"{"client_id":"c","heartbeat_interval":-1}"#));
    assert_eq!(peer.session.identity().client_id, "c");
    assert_eq!(peer.session.identity().hostname, "");
    assert_eq!(peer.session.identity().heartbeat_interval_ms, None);
}
